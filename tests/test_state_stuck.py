"""The state directory where its lock cannot be had: the host goes on at once, with the one identity."""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest

from otel_incident import state
from otel_incident.errors import StateDirectoryError
from otel_incident.state import StateDirectory

GOOD: Final = b"good 1\n"


def is_good(content: bytes) -> bool:
    """What these tests keep."""
    return content.startswith(b"good")


def make() -> bytes:
    """A good content."""
    return GOOD


def names(directory: Path) -> list[str]:
    """What is in a directory, besides the lock."""
    return sorted(path.name for path in directory.iterdir() if path.name != ".lock")


def unsupported(*_: object) -> None:
    """What a file system without links does."""
    raise OSError(errno.EOPNOTSUPP, "Operation not supported")


@pytest.fixture
def stuck(tmp_path: Path) -> Iterator[Path]:
    """A directory whose lock another process holds for as long as the test lasts."""
    directory = tmp_path / "state"
    directory.mkdir(0o700)
    with (directory / ".lock").open("w") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        yield directory


def test_a_lock_that_is_never_released_is_passed_over(stuck: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was stopped while it held the lock delays both files together by 0.2 s at most."""
    slept: list[float] = []
    clock = SimpleNamespace(sleep=slept.append, monotonic=lambda: sum(slept), time_ns=time.time_ns)
    monkeypatch.setattr(state, "time", clock)
    for name in ("diagnostic-id", "key"):
        assert StateDirectory(stuck).read_or_make(name, make, is_good) == (stuck / name).read_bytes()
    assert 0.1 < sum(slept) < 0.25


def test_without_the_lock_one_is_made_by_one(stuck: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two who pass over the lock both get what was placed first, with links and without."""
    monkeypatch.setattr(state, "_LOCK_SECONDS", 0.0)

    def make_late(name: str) -> bytes:
        (stuck / name).write_bytes(b"good of the other")
        return GOOD

    directory = StateDirectory(stuck)
    assert directory.read_or_make("id", lambda: make_late("id"), is_good) == b"good of the other"
    monkeypatch.setattr(os, "link", unsupported)
    assert directory.read_or_make("key", lambda: make_late("key"), is_good) == b"good of the other"
    assert directory.read_or_make("third", make, is_good) == GOOD
    assert (stuck / "third").read_bytes() == GOOD
    assert names(stuck) == ["id", "key", "third"]


@pytest.mark.parametrize("links", ["with", "without"])
def test_what_was_just_repaired_is_put_back(stuck: Path, links: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that became valid after it was read is not set aside, though there is no lock to see it by."""
    monkeypatch.setattr(state, "_LOCK_SECONDS", 0.0)
    if links == "without":
        monkeypatch.setattr(os, "link", unsupported)
    (stuck / "key").write_bytes(b"broken")

    def make_late() -> bytes:
        (stuck / "key").write_bytes(b"good of the other")
        return GOOD

    assert StateDirectory(stuck).read_or_make("key", make_late, is_good) == b"good of the other"
    assert names(stuck) == ["key"]


def test_what_another_one_placed_meanwhile_stays(stuck: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three who repair one file without the lock nobody deletes another's, and the one in place holds."""
    monkeypatch.setattr(state, "_LOCK_SECONDS", 0.0)
    (stuck / "key").write_bytes(b"broken")
    real = os.link

    def make_late() -> bytes:
        (stuck / "key").write_bytes(b"good of the second")
        return GOOD

    def link(source: Any, target: Any) -> None:
        if not Path(target).exists():
            Path(target).write_bytes(b"good of the third")
        real(source, target)

    monkeypatch.setattr(os, "link", link)
    assert StateDirectory(stuck).read_or_make("key", make_late, is_good) == b"good of the third"
    key, aside = names(stuck)
    assert key == "key"
    assert (stuck / aside).read_bytes() == b"good of the second"


def test_what_another_one_breaks_is_an_error(stuck: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in place at the end must be valid: half of a file of another's is not taken for an identity."""
    monkeypatch.setattr(state, "_LOCK_SECONDS", 0.0)

    def make_late() -> bytes:
        (stuck / "key").write_bytes(b"go")
        return GOOD

    with pytest.raises(StateDirectoryError, match=r": another process writes something else into key\.$"):
        StateDirectory(stuck).read_or_make("key", make_late, is_good)


def test_a_file_without_an_end_is_read_no_further(tmp_path: Path) -> None:
    """Of a file that is far too long only the beginning is read; it is set aside like any other."""
    tmp_path.chmod(0o700)
    with (tmp_path / "key").open("wb") as file:
        file.truncate(2**40)
    seen: list[int] = []

    def is_short(content: bytes) -> bool:
        seen.append(len(content))
        return len(content) < 64

    assert StateDirectory(tmp_path).read_or_make("key", make, is_short) == GOOD
    assert max(seen) == 4096
    assert (tmp_path / names(tmp_path)[1]).stat().st_size == 2**40


def test_a_file_is_on_the_disk_before_it_is_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a power cut leaves in place is whole: it was flushed first."""
    steps: list[tuple[str, bytes]] = []
    link, fsync = os.link, os.fsync

    def see_link(source: Any, target: Any) -> None:
        steps.append(("link", Path(source).read_bytes()))
        link(source, target)

    def see_fsync(descriptor: int) -> None:
        steps.append(("fsync", Path(f"/proc/self/fd/{descriptor}").read_bytes()))
        fsync(descriptor)

    monkeypatch.setattr(os, "link", see_link)
    monkeypatch.setattr(os, "fsync", see_fsync)
    StateDirectory(tmp_path / "state").read_or_make("key", make, is_good)
    assert steps == [("fsync", GOOD), ("link", GOOD)]
