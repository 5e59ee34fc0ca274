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
    """A process that was stopped while it held the lock delays both files together by a tenth of a second."""
    slept: list[float] = []
    clock = SimpleNamespace(sleep=slept.append, monotonic=lambda: sum(slept), time_ns=time.time_ns)
    monkeypatch.setattr(state, "time", clock)
    for name in ("diagnostic-id", "key"):
        assert StateDirectory(stuck).read_or_make(name, make, is_good) == (stuck / name).read_bytes()
    assert 0.05 < sum(slept) < 0.15


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


@pytest.fixture
def broken(stuck: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is not valid, where the lock is not waited for."""
    monkeypatch.setattr(state, "_LOCK_SECONDS", 0.0)
    (stuck / "key").write_bytes(b"broken")
    return stuck / "key"


def claim(broken: Path) -> Path:
    """What a process leaves that is about to repair a file."""
    aside = broken.with_name(f"key.unreadable-{broken.stat().st_ino}")
    os.link(broken, aside)
    return aside


@pytest.mark.parametrize("links", ["with", "without"])
def test_a_broken_file_is_set_aside_without_the_lock(
    broken: Path, links: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not valid stays beside the new one, whatever the file system can do."""
    number = broken.stat().st_ino
    if links == "without":
        monkeypatch.setattr(os, "link", unsupported)
    assert StateDirectory(broken.parent).read_or_make("key", make, is_good) == GOOD
    assert names(broken.parent) == ["key", f"key.unreadable-{number}"]
    assert (broken.parent / f"key.unreadable-{number}").read_bytes() == b"broken"
    assert broken.stat().st_ino != number


def test_what_was_just_repaired_is_not_set_aside(broken: Path) -> None:
    """A file that became valid after it was read stays, though there is no lock to see it by."""

    def make_late() -> bytes:
        broken.write_bytes(b"good of the other")
        return GOOD

    assert StateDirectory(broken.parent).read_or_make("key", make_late, is_good) == b"good of the other"
    assert names(broken.parent) == ["key"]


@pytest.mark.parametrize("placed", [True, False])
def test_what_is_repaired_at_the_last_moment_is_not_set_aside(
    broken: Path, monkeypatch: pytest.MonkeyPatch, *, placed: bool
) -> None:
    """What another process has set aside, and perhaps replaced, is not touched again."""
    real = os.link

    def late(source: Any, target: Any) -> None:
        if "unreadable" in str(target):
            broken.rename(broken.with_name("aside of the other"))
            if placed:
                broken.write_bytes(b"good of the other")
        real(source, target)

    monkeypatch.setattr(os, "link", late)
    expected = b"good of the other" if placed else GOOD
    assert StateDirectory(broken.parent).read_or_make("key", make, is_good) == expected
    assert names(broken.parent) == ["aside of the other", "key"]


def test_one_alone_repairs(broken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another process sets the file aside, it is waited for, and its file is taken."""
    monkeypatch.setattr(state, "_LOCK_SECONDS", 30.0)
    monkeypatch.setattr(state, "_try_lock", lambda _: False)
    aside = claim(broken)
    clock = iter([0.0, 100.0, 0.0, 0.0, 0.0, 0.0])

    def repair(_: float) -> None:
        broken.unlink()
        broken.write_bytes(b"good of the other")

    monkeypatch.setattr(
        state, "time", SimpleNamespace(sleep=repair, monotonic=lambda: next(clock), time_ns=time.time_ns)
    )
    assert StateDirectory(broken.parent).read_or_make("key", make, is_good) == b"good of the other"
    assert names(broken.parent) == ["key", aside.name]


def test_a_repair_that_does_not_come_to_an_end(broken: Path) -> None:
    """Who waits for another's repair gives up in time, and nothing of it is lost."""
    claim(broken)
    with pytest.raises(StateDirectoryError):
        StateDirectory(broken.parent).read_or_make("key", make, is_good)
    assert broken.read_bytes() == b"broken"


def test_a_repair_that_was_cut_short_is_ended_under_the_lock(tmp_path: Path) -> None:
    """A process that died between its two steps costs nothing: the next one that has the lock goes on."""
    directory = tmp_path / "state"
    directory.mkdir(0o700)
    (directory / "key").write_bytes(b"broken")
    aside = claim(directory / "key")
    assert StateDirectory(directory).read_or_make("key", make, is_good) == GOOD
    assert aside.read_bytes() == b"broken"


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
