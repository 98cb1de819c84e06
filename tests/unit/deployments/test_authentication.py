"""Files of API keys: what is read, what is refused and how to mend it, changes while in use."""

import logging
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from deployments.api.api_keys import ApiKeys
from deployments.api.key_file import digest_of, read_keys, today
from deployments.errors import UnauthenticatedError
from scripts.api_key import add_key
from tests.unit.test_structure import ROOT

A, B, C = digest_of("a"), digest_of("b"), digest_of("c")
PASTED = "twinset-" + "x" * 43


def _written(file: Path, content: str | bytes, mode: int = 0o600) -> Path:
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    file.chmod(mode)
    return file


def _lets_in(keys: ApiKeys, key: str) -> bool:
    try:
        keys.check(key).refuse_expired()
    except UnauthenticatedError:
        return False
    return True


@pytest.mark.parametrize("content", ["", "# nothing\n"])
def test_a_file_without_a_key_serves_nobody_and_can_be_filled(tmp_path: Path, content: str) -> None:
    file = tmp_path / "new" / "keys"
    add_key(file, "first")  # the folder is made
    file.write_text(content)
    with pytest.raises(ValueError, match="holds no key"):
        ApiKeys(file)
    key = add_key(file, "second")
    assert ApiKeys(file).check(key).name == "second"


def test_comments_and_several_keys(tmp_path: Path) -> None:
    keys = ApiKeys(_written(tmp_path / "keys", f"# ours\n\n{A} alice\n{B}\n"))
    assert keys.check("a").name == "alice"
    assert keys.check(" b ").name == B.removeprefix("sha256:")[:8]
    for key in (None, "", " ", "c", A):
        with pytest.raises(UnauthenticatedError):
            keys.check(key)


@pytest.mark.parametrize(
    "content",
    [
        f"{A} alice\r\n{B} bob\r\n",
        f"\ufeff{A}\talice\n\t{B}   bob  ",
        f"{A.upper()} alice\n{B.replace('sha', 'SHA')} bob\n",
    ],
    ids=["of Windows", "with a byte order mark and tabs", "in capitals"],
)
def test_what_editors_and_other_tools_write_is_read(tmp_path: Path, content: str) -> None:
    keys = ApiKeys(_written(tmp_path / "keys", content))
    assert [keys.check(key).name for key in "ab"] == ["alice", "bob"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read: make one"),
        (b"alice:hunter2\n", "line 1: expected"),
        (b"sha256:abc hunter2\n", "line 1: expected"),
        (b"\xff\xfe", "cannot be read: save it as UTF-8"),
        (f"{A} alice{B} bob\n", "line 1: two keys .* begin a new line before the second"),
        (f"{A}{B.upper()} bob\n", "line 1: two keys"),
        (f"{A} alice\n#\n{A.upper()} bob\n", "line 3: the same key as in line 1: delete one"),
        (f"{PASTED}\n", "line 1: a key stands here itself.* make another key"),
        (f"{A} {PASTED}\n", "line 1: a key stands here itself"),
        (f"{A} until:2027-02-30 alice\n", "line 1: no such date: .* as 2027-01-31"),
        (f"{A} until:20270131\n", "no such date"),
        (f"{A} until: 2027-01-31\n", "no such date"),
        (f"{A} until=2027-01-31 alice\n", "is `until:2027-01-31`"),
        (f"{A} until:2027-01-31 alice until:2028-01-31\n", "two dates"),
    ],
)
def test_a_file_that_cannot_be_used_gets_a_sentence_that_repeats_no_key(
    tmp_path: Path, content: str | bytes | None, sentence: str
) -> None:
    file = tmp_path / "keys"
    if content is not None:
        _written(file, content)
    with pytest.raises(ValueError, match=sentence) as caught:
        read_keys(file)
    assert not any(one in str(caught.value) for one in ("hunter2", PASTED, A[7:], B[7:]))


def test_a_pipe_is_no_file_of_keys_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "keys")
    with pytest.raises(ValueError, match="cannot be read"):
        read_keys(tmp_path / "keys")


def test_a_missing_line_end_does_not_swallow_the_next_key(tmp_path: Path) -> None:
    file = _written(tmp_path / "keys", f"{A} alice")
    new = add_key(file, "bob")
    keys = ApiKeys(file)
    assert [keys.check(key).name for key in ("a", new)] == ["alice", "bob"]
    assert file.read_text().count("\n") == 2


def test_a_key_lives_to_the_end_of_its_last_day(tmp_path: Path) -> None:
    day = timedelta(days=1)
    file = tmp_path / "keys"
    lasting, over = add_key(file, "alice", today()), add_key(file, "bob", today() - day)
    # Wherever the date stands on the line, it counts.
    keys = ApiKeys(_written(file, f"{file.read_text()}{A} carol until:{today() - day}\n"))
    keys.check(lasting).refuse_expired()
    for key, name in ((over, "bob"), ("a", "carol")):
        assert keys.check(key).name == name
        with pytest.raises(UnauthenticatedError, match=f"has expired: .* {today() - day} .UTC"):
            keys.check(key).refuse_expired()


def test_names_are_safe_for_logs_and_labels(tmp_path: Path) -> None:
    name = 'al\x1bice, GET /x 200\u202e "} ' + "x" * 200
    keys = ApiKeys(_written(tmp_path / "keys", f"{A} {name}\n"))
    safe = keys.check("a").name
    assert safe.startswith("al_ice_GET_x_200_xxx")
    assert len(safe) == 80


def test_a_file_exchanged_for_one_of_the_same_size_and_time_is_noticed(tmp_path: Path) -> None:
    file = _written(tmp_path / "keys", f"{A} alice\n")
    keys = ApiKeys(file)
    assert _lets_in(keys, "a")
    times = file.stat()
    other = _written(tmp_path / "other", f"{B} alice\n")
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.rename(file)
    assert not _lets_in(keys, "a")
    assert _lets_in(keys, "b")
    _written(file, f"{C} alice\n")  # in place: the same inode
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not _lets_in(keys, "b")
    assert _lets_in(keys, "c")


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o620, 0o660, 0o644, 0o777])
def test_a_file_that_others_can_read_or_write_is_refused_at_the_start(
    tmp_path: Path, mode: int
) -> None:
    file = _written(tmp_path / "keys", f"{A} alice\n", mode)
    with pytest.raises(ValueError, match=f"mode {mode:o}, other users .* `chmod 600 {file}`"):
        ApiKeys(file)
    with pytest.raises(ValueError, match="chmod 600"):
        add_key(file, "bob")


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o440, 0o640])
def test_its_group_may_read_it(tmp_path: Path, mode: int) -> None:
    assert _lets_in(ApiKeys(_written(tmp_path / "keys", f"{A} alice\n", mode)), "a")


def test_in_a_file_that_was_opened_to_others_only_what_goes_counts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = _written(tmp_path / "keys", f"{A} until:{today()} alice\n{B} bob\n")
    keys = ApiKeys(file)
    with caplog.at_level(logging.ERROR, logger="ray.serve"):
        # Somebody writes a key of his own into it, and the operator revokes bob's.
        _written(file, f"{A} mallory\n{C} mallory\n", 0o666)
        assert _lets_in(keys, "a")  # nobody is locked out
        assert not _lets_in(keys, "b")
        assert not _lets_in(keys, "c")
    assert keys.check("a").name == "alice"
    assert keys.check("a").until == today()
    assert "chmod 600" in caplog.text
    _written(file, f"{A} alice\n{B} bob\n", 0o644)
    assert not _lets_in(keys, "b")  # once revoked, it comes back in a closed file alone
    file.chmod(0o600)
    assert _lets_in(keys, "b")


def test_a_file_that_went_and_came_back_lets_the_same_in(tmp_path: Path) -> None:
    file = _written(tmp_path / "keys", f"{A} alice\n")
    keys = ApiKeys(file)
    file.unlink()
    assert not _lets_in(keys, "a")
    _written(file, f"{A} alice\n{B} bob\n", 0o644)  # as an editor leaves it
    assert _lets_in(keys, "a")
    assert not _lets_in(keys, "b")


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (["alice", "--until", "2999-01-31"], 0, "expires at the end of 2999-01-31 (UTC)"),
        (["alice", "--until", "2020-01-31"], 1, "UNTIL=2020-01-31 is over"),
        (["alice", "--until", "31.1.2027"], 1, "no such date"),
        (["until:2999-01-31"], 1, "is no name"),
        (["untilda"], 1, "is no name"),
    ],
)
def test_the_command_takes_a_last_day(
    tmp_path: Path, options: list[str], status: int, said: str
) -> None:
    file = tmp_path / "keys"
    command = [sys.executable, "-m", "scripts.api_key", *options, "--file", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == status
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    if status == 0:
        key = done.stdout.split()[0]
        assert str(ApiKeys(file).check(key).until) == "2999-01-31"
    else:
        assert not file.exists()
