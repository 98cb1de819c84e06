"""Files of API keys."""

from pathlib import Path

import pytest

from deployments.authentication import ApiKeys, digest_of, read_digests
from deployments.errors import UnauthenticatedError


def test_comments_and_several_keys(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# ours\n\n{digest_of('a')} alice\n{digest_of('b')}\n")
    keys = ApiKeys(file)
    keys.check("Bearer a")
    keys.check("bearer  b ")
    for header in (None, "", "Bearer", "Bearer c", "Basic a", "a", f"Bearer {digest_of('a')}"):
        with pytest.raises(UnauthenticatedError):
            keys.check(header)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read: make one"),
        (b"", "holds no key"),
        (b"# nothing\n", "holds no key"),
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
