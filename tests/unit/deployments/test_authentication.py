"""Files of API keys."""

from pathlib import Path

import pytest

from deployments.api.api_keys import ApiKeys, digest_of, read_digests
from deployments.errors import UnauthenticatedError
from scripts.api_key import add_key


@pytest.mark.parametrize("content", ["", "# nothing\n"])
def test_a_file_without_a_key_serves_nobody_and_can_be_filled(tmp_path: Path, content: str) -> None:
    file = tmp_path / "new" / "keys"
    add_key(file, "first")  # the folder is made
    file.write_text(content)
    with pytest.raises(ValueError, match="holds no key"):
        ApiKeys(file)
    key = add_key(file, "second")
    ApiKeys(file).check(key)


def test_comments_and_several_keys(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# ours\n\n{digest_of('a')} alice\n{digest_of('b')}\n")
    keys = ApiKeys(file)
    keys.check("a")
    keys.check(" b ")
    for key in (None, "", " ", "c", digest_of("a")):
        with pytest.raises(UnauthenticatedError):
            keys.check(key)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read: make one"),
        (b"alice:secret\n", "line 1: expected"),
        (b"sha256:abc alice\n", "line 1: expected"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=sentence):
        read_digests(file)
