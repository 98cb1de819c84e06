"""Downloads: resumed, checked before they count, and every failure a sentence."""

import hashlib
import socket
import subprocess
from pathlib import Path

import pytest

from models import downloads
from models.downloads import TRIES, DownloadError, GitBlob, Identity, Sha256, fetch
from tests.unit.celeba_vae.file_server import FileServer, Reply, serving

CONTENT = bytes(range(256)) * 4000
HALF = len(CONTENT) // 2
RIGHT = Sha256(hashlib.sha256(CONTENT).hexdigest())
PAGE = b"<!DOCTYPE html><title>Sign in to the network</title>"


@pytest.fixture(autouse=True)
def _quick_and_direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "WAITS_S", (0.0,) * (TRIES - 1))
    monkeypatch.setenv("NO_PROXY", "*")


def _fetch(files: FileServer, target: Path, identity: Identity = RIGHT) -> Path:
    return fetch(files.url, target, identity, limit_bytes=2 * len(CONTENT), timeout_s=10)


def test_a_file_arrives_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    with serving(CONTENT) as files:
        target = _fetch(files, tmp_path / "new" / "file.pth")
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["file.pth"]
    assert files.encodings == ["identity"]


def test_a_file_that_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "file.pth").write_bytes(CONTENT)
    with serving(CONTENT) as files:
        _fetch(files, tmp_path / "file.pth")
    assert files.ranges == []


def test_a_git_blob_is_what_git_says(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(CONTENT)
    done = subprocess.run(["git", "hash-object", str(file)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip("git is not here")
    assert GitBlob.of(file) == GitBlob(done.stdout.strip())


def test_the_identity_of_nothing_is_gits_empty_blob(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert GitBlob.of(tmp_path / "empty").sha1 == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


@pytest.mark.parametrize("wrong", ["", "F4BEA6FF9FD99617D07D5EDA0F8D1C40CA6168CF", "f4bea6f"])
def test_an_identity_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="40 lower-case"):
        GitBlob(wrong)
    with pytest.raises(ValueError, match="64 lower-case"):
        Sha256(wrong)


def test_a_dropped_connection_is_taken_up_where_it_broke(tmp_path: Path) -> None:
    with serving(CONTENT, Reply(drop_after=HALF)) as files:
        target = _fetch(files, tmp_path / "file.pth")
    assert target.read_bytes() == CONTENT
    assert files.ranges == [None, f"bytes={HALF}-"]


def test_what_came_before_a_crash_is_used_by_the_next_call(tmp_path: Path) -> None:
    (tmp_path / "file.pth.partial").write_bytes(CONTENT[:1000])
    with serving(CONTENT) as files:
        target = _fetch(files, tmp_path / "file.pth")
    assert target.read_bytes() == CONTENT
    assert files.ranges == ["bytes=1000-"]


@pytest.mark.parametrize(
    "second",
    [Reply(ranges=False), Reply(moved_by=-1), Reply(moved_by=7)],
    ids=["ranges ignored", "a range too early", "a range too late"],
)
def test_a_server_that_cannot_go_on_starts_anew(second: Reply, tmp_path: Path) -> None:
    with serving(CONTENT, Reply(drop_after=HALF), second) as files:
        target = _fetch(files, tmp_path / "file.pth")
    assert target.read_bytes() == CONTENT
    assert files.ranges[1] == f"bytes={HALF}-"


def test_a_partial_file_longer_than_the_file_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "file.pth.partial").write_bytes(CONTENT + b"more")
    with serving(CONTENT) as files:
        target = _fetch(files, tmp_path / "file.pth")
    assert target.read_bytes() == CONTENT
    assert files.ranges == [f"bytes={len(CONTENT) + 4}-", None]


def test_another_file_on_resume_is_caught_and_the_next_try_starts_anew(tmp_path: Path) -> None:
    target = tmp_path / "file.pth"
    other = Reply(content=CONTENT[:-1] + b"!")
    with serving(CONTENT, Reply(drop_after=HALF), other) as files:
        with pytest.raises(DownloadError, match=rf"not {RIGHT}: it was thrown away"):
            _fetch(files, target)
        assert list(tmp_path.iterdir()) == []
        assert _fetch(files, target).read_bytes() == CONTENT
    assert files.ranges == [None, f"bytes={HALF}-", None]


@pytest.mark.parametrize("wrong", [PAGE, b"", CONTENT[:-1] + b"!", CONTENT[:-1]])
def test_the_wrong_file_never_takes_the_name(wrong: bytes, tmp_path: Path) -> None:
    with (
        serving(wrong) as files,
        pytest.raises(DownloadError, match=r"is sha256 .* thrown away; run this again"),
    ):
        _fetch(files, tmp_path / "file.pth")
    assert list(tmp_path.iterdir()) == []


def test_the_target_appears_only_after_the_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "file.pth"
    seen: list[bool] = []
    of = Sha256.of

    def watched(file: Path) -> Sha256:
        seen.append(target.exists())
        return of(file)

    monkeypatch.setattr(Sha256, "of", staticmethod(watched))
    with serving(CONTENT) as files:
        _fetch(files, target)
    assert seen == [False]


def test_a_wrong_file_of_the_users_own_is_named_and_kept(tmp_path: Path) -> None:
    (tmp_path / "file.pth").write_bytes(PAGE)
    with serving(CONTENT) as files, pytest.raises(DownloadError, match="delete it and run this"):
        _fetch(files, tmp_path / "file.pth")
    assert (tmp_path / "file.pth").read_bytes() == PAGE
    assert files.ranges == []


def test_a_directory_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file.pth").mkdir()
    with serving(CONTENT) as files, pytest.raises(DownloadError, match=r"file\.pth is not a file"):
        _fetch(files, tmp_path / "file.pth")


def test_tries_are_bounded_and_what_came_is_kept(tmp_path: Path) -> None:
    plan = [Reply(drop_after=10)] * (TRIES + 3)
    with (
        serving(CONTENT, *plan) as files,
        pytest.raises(DownloadError, match=rf"in {TRIES} tries .*put it at .*file\.pth"),
    ):
        _fetch(files, tmp_path / "file.pth")
    assert len(files.ranges) == TRIES
    assert (tmp_path / "file.pth.partial").read_bytes() == CONTENT[: 10 * TRIES]
    assert not (tmp_path / "file.pth").exists()


def test_pauses_grow_and_are_as_many_as_the_tries_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert len(downloads.WAITS_S) == TRIES - 1
    assert sorted(downloads.WAITS_S) == list(downloads.WAITS_S)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(status: int, tmp_path: Path) -> None:
    with serving(CONTENT, Reply(status=status, content=PAGE)) as files:
        assert _fetch(files, tmp_path / "file.pth").read_bytes() == CONTENT


@pytest.mark.parametrize("status", [403, 404])
def test_a_refusal_is_final_and_says_what_to_do(status: int, tmp_path: Path) -> None:
    with (
        serving(CONTENT, *[Reply(status=status, content=PAGE)] * 2) as files,
        pytest.raises(DownloadError, match=rf"answers {status} \w+.*put it at"),
    ):
        _fetch(files, tmp_path / "file.pth")
    assert len(files.ranges) == 1
    assert list(tmp_path.iterdir()) == []


def test_offline_is_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/file.pth"
        with pytest.raises(DownloadError, match=r"check the network, or fetch .* elsewhere"):
            fetch(url, tmp_path / "file.pth", RIGHT, limit_bytes=10)


def test_a_silent_server_does_not_hold_forever(tmp_path: Path) -> None:
    with (
        serving(CONTENT, *[Reply(silent_s=30)] * TRIES) as files,
        pytest.raises(DownloadError, match=f"in {TRIES} tries"),
    ):
        fetch(files.url, tmp_path / "file.pth", RIGHT, limit_bytes=10**7, timeout_s=0.1)


def test_a_stream_without_end_is_cut(tmp_path: Path) -> None:
    with (
        serving(CONTENT) as files,
        pytest.raises(DownloadError, match="more than the 1000 bytes"),
    ):
        fetch(files.url, tmp_path / "file.pth", RIGHT, limit_bytes=1000)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a_sentence(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    (tmp_path / "file.pth.partial").symlink_to("/dev/full")
    with serving(CONTENT) as files, pytest.raises(DownloadError, match="make room"):
        _fetch(files, tmp_path / "file.pth")


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with serving(CONTENT) as files, pytest.raises(DownloadError, match="choose a directory"):
        _fetch(files, tmp_path / "taken" / "file.pth")
