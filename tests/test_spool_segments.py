"""Segments: what a writer was given is there, whole and in order, whatever disk, process and clock do."""

import errno
import fcntl
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_incident.spool import writer as writer_module
from otel_incident.spool.segments import Lines, Segment, drafts_in, segments_in
from otel_incident.spool.writer import SegmentWriter, SpoolError
from tests.processes import succeed
from tests.waiting import wait_until

LINES: Final = [b'{"n":%d}\n' % number for number in range(5)]


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[SegmentWriter]:
    """A writer into the test's directory."""
    made = SegmentWriter(tmp_path)
    yield made
    made.close()


def content(directory: Path) -> list[bytes]:
    """All lines, segment by segment."""
    return [line for each in segments_in(directory) for line in each.read(0, 10**6, 2**30).lines]


def test_a_line_is_on_disk_when_the_call_returns(writer: SegmentWriter, tmp_path: Path) -> None:
    """Lines of one process are in one file, in order, private to its user."""
    for number, line in enumerate(LINES, 1):
        writer.append(line)
        assert content(tmp_path) == LINES[:number]
    (segment,) = segments_in(tmp_path)
    assert segment.path.stat().st_mode & 0o777 == 0o600
    assert segment.size() == sum(map(len, LINES))
    assert segment.created > 1_600_000_000_000_000_000


def test_a_segment_is_complete_when_its_writer_lets_go(writer: SegmentWriter, tmp_path: Path) -> None:
    """While its writer lives a segment is not complete; a line after the end begins another one."""
    writer.append(LINES[0])
    (first,) = segments_in(tmp_path)
    assert first.is_complete() is False
    writer.close()
    assert first.is_complete() is True
    writer.append(LINES[1])
    assert [segment.is_complete() for segment in segments_in(tmp_path)] == [True, False]


def test_a_full_segment_is_followed_by_the_next(
    writer: SegmentWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that what was delivered can be deleted; the lines keep their order."""
    monkeypatch.setattr(writer_module, "SEGMENT_BYTES", 2 * len(LINES[0]))
    for line in LINES:
        writer.append(line)
    assert [segment.is_complete() for segment in segments_in(tmp_path)] == [True, True, False]
    assert content(tmp_path) == LINES


def test_a_clock_that_jumps_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later segment of a process sorts behind the former, whatever the clock says."""
    monkeypatch.setattr(writer_module, "SEGMENT_BYTES", 1)
    times = iter((50, 40, 30, 30, 20))
    writer = SegmentWriter(tmp_path, now=lambda: next(times))
    for line in LINES:
        writer.append(line)
    writer.close()
    assert content(tmp_path) == LINES
    assert [segment.created for segment in segments_in(tmp_path)] == [50, 51, 52, 53, 54]


def test_many_threads(writer: SegmentWriter, tmp_path: Path) -> None:
    """Lines of several threads stay whole, and each thread's in their order, over a close in between."""

    def write(thread: int) -> None:
        for number in range(200):
            writer.append(b"%d %d\n" % (thread, number))
            if number == 100:
                writer.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    found = [tuple(map(int, line.split())) for line in content(tmp_path)]
    for thread_number in range(4):
        assert [number for thread, number in found if thread == thread_number] == list(range(200))


def fail(number: int) -> Callable[..., Any]:
    """A system call that fails."""

    def call(*_: Any, **__: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return call


def short(descriptor: int, data: bytes, real: Callable[[int, bytes], int] = os.write) -> int:
    """A write of which the disk takes half."""
    return real(descriptor, data[: len(data) // 2])


def test_a_disk_that_is_full_in_the_middle_of_a_line(
    writer: SegmentWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a line is taken back and its caller told; the segment is let go, so that it can be deleted."""
    writer.append(LINES[0])
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", short)
        with pytest.raises(SpoolError) as caught:
            writer.append(LINES[1])
    assert caught.value.errno == errno.ENOSPC
    (segment,) = segments_in(tmp_path)
    assert segment.is_complete() is True
    writer.append(LINES[2])
    assert content(tmp_path) == [LINES[0], LINES[2]]
    assert len(segments_in(tmp_path)) == 2


def test_a_full_disk_s_first_lines(
    writer: SegmentWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often there is no room, one empty segment waits for some."""
    with monkeypatch.context() as patched:
        for failure in (short, fail(errno.ENOSPC), fail(errno.EDQUOT)):
            patched.setattr(os, "write", failure)
            with pytest.raises(SpoolError):
                writer.append(LINES[1])
    (segment,) = segments_in(tmp_path)
    assert (segment.size(), segment.is_complete()) == (0, False)
    writer.append(LINES[2])
    assert segment.path.read_bytes() == LINES[2]


def test_half_a_line_that_cannot_be_taken_back(
    writer: SegmentWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its segment is left, so that it swallows no other line."""
    writer.append(LINES[0])
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", short)
        patched.setattr(os, "ftruncate", fail(errno.EIO))
        with pytest.raises(SpoolError):
            writer.append(LINES[1])
    writer.append(LINES[2])
    first, second = segments_in(tmp_path)
    assert first.path.read_bytes() == LINES[0] + LINES[1][: len(LINES[1]) // 2]
    assert first.is_complete() is True
    assert second.path.read_bytes() == LINES[2]


@pytest.mark.parametrize("call", ["write", "fstat"])
def test_a_disk_that_fails(
    writer: SegmentWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Whatever a failed write has left, the next line is in a segment of its own."""
    writer.append(LINES[0])
    with monkeypatch.context() as patched:
        patched.setattr(os, call, fail(errno.EIO))
        with pytest.raises(SpoolError) as caught:
            writer.append(LINES[1])
    assert caught.value.errno == errno.EIO
    writer.append(LINES[2])
    assert len(segments_in(tmp_path)) == 2
    assert content(tmp_path)[-1] == LINES[2]


def test_a_file_system_without_locks(
    writer: SegmentWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A segment that cannot be locked could be deleted under its writer: it is not begun."""
    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", fail(errno.ENOLCK))
        with pytest.raises(SpoolError):
            writer.append(LINES[0])
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_cannot_be_asked_for(
    writer: SegmentWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody can say whether a segment is complete, it is not, and stays."""
    writer.append(LINES[0])
    (segment,) = segments_in(tmp_path)
    writer.close()
    monkeypatch.setattr(fcntl, "flock", fail(errno.ENOLCK))
    assert segment.is_complete() is False


@pytest.mark.parametrize("what", ["directory", "file"])
def test_what_is_deleted_under_the_writer(writer: SegmentWriter, tmp_path: Path, what: str) -> None:
    """A line into a deleted file would be gone: its caller is told, and the next one is kept."""
    writer.append(LINES[0])
    (segment,) = segments_in(tmp_path)
    segment.delete()
    if what == "directory":
        tmp_path.rmdir()
    with pytest.raises(SpoolError) as caught:
        writer.append(LINES[1])
    assert caught.value.errno == errno.ENOENT
    tmp_path.mkdir(exist_ok=True)
    writer.append(LINES[2])
    assert content(tmp_path) == [LINES[2]]


def test_a_segment_that_the_host_has_closed(writer: SegmentWriter, tmp_path: Path) -> None:
    """A host that closes every descriptor it does not know costs no line: the next begins another segment."""
    writer.append(LINES[0])
    os.close(writer._descriptor)  # noqa: SLF001  as such a host does
    writer.append(LINES[1])
    assert len(list(segments_in(tmp_path))) == 2
    assert content(tmp_path) == [LINES[0], LINES[1]]


def test_a_signal_in_the_middle_of_a_line(
    writer: SegmentWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal handler that reports an event while a line is written is told, and damages nothing."""
    caught: list[OSError] = []

    def report(*_: object) -> None:
        try:
            writer.append(LINES[1])
        except SpoolError as error:
            caught.append(error)

    def interrupted(descriptor: int, data: bytes, real: Callable[[int, bytes], int] = os.write) -> int:
        written = real(descriptor, data)
        signal.raise_signal(signal.SIGUSR1)
        return written

    before = signal.signal(signal.SIGUSR1, report)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", interrupted)
            writer.append(LINES[0])
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert [error.errno for error in caught] == [errno.EBUSY]
    writer.append(LINES[2])
    assert content(tmp_path) == [LINES[0], LINES[2]]


def test_flushes_are_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that were written while another thread's flush was under way need one more flush together."""
    flushing, release = threading.Event(), threading.Event()
    flushes: list[int] = []

    def flush(descriptor: int) -> None:
        flushes.append(os.fstat(descriptor).st_size)
        if len(flushes) == 1:
            flushing.set()
            assert release.wait(30)

    monkeypatch.setattr(os, "fdatasync", flush)
    writer = SegmentWriter(tmp_path, durable=True)
    threads = [threading.Thread(target=writer.append, args=(line,)) for line in LINES]
    threads[0].start()
    assert flushing.wait(30)
    for thread in threads[1:]:
        thread.start()
    size = sum(map(len, LINES))
    (segment,) = segments_in(tmp_path)
    while segment.size() < size:
        threading.Event().wait(0.001)
    release.set()
    for thread in threads:
        thread.join(30)
    assert flushes == [len(LINES[0]), size]


def test_a_flush_over_the_end_of_a_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment is flushed before the next one begins, the directory when one begins."""
    monkeypatch.setattr(writer_module, "SEGMENT_BYTES", 1)
    flushed: list[str] = []
    monkeypatch.setattr(os, "fdatasync", lambda _: flushed.append("lines"))
    monkeypatch.setattr(os, "fsync", lambda _: flushed.append("directory"))
    writer = SegmentWriter(tmp_path, durable=True)
    writer.append(LINES[0])
    writer.append(LINES[1])
    assert flushed == ["directory", "lines", "lines", "directory", "lines"]


def test_a_flush_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asked for a durable line is told that it is not."""
    writer = SegmentWriter(tmp_path, durable=True)
    monkeypatch.setattr(os, "fdatasync", fail(errno.EIO))
    with pytest.raises(SpoolError) as caught:
        writer.append(LINES[0])
    assert caught.value.errno == errno.EIO


def test_a_flush_that_fails_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for the flush that fails is told so, though a second one would succeed and prove nothing."""
    flushing, release = threading.Event(), threading.Event()
    flushed: list[int] = []

    def flush(descriptor: int) -> None:
        flushed.append(os.fstat(descriptor).st_ino)
        if len(flushed) == 1:
            flushing.set()
            assert release.wait(30)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", flush)
    writer = SegmentWriter(tmp_path, durable=True)
    told: list[int | None] = []

    def append(line: bytes) -> None:
        try:
            writer.append(line)
        except SpoolError as error:
            told.append(error.errno)

    threads = [threading.Thread(target=append, args=(line,)) for line in LINES]
    threads[0].start()
    assert flushing.wait(30)
    for thread in threads[1:]:
        thread.start()
    (segment,) = segments_in(tmp_path)
    wait_until(lambda: segment.size() == sum(map(len, LINES)), 30, "all lines written")
    release.set()
    for thread in threads:
        thread.join(30)
    assert told == [errno.EIO] * len(LINES)
    assert len(flushed) == 1
    writer.append(LINES[0])
    first, second = segments_in(tmp_path)
    assert (first.is_complete(), second.size()) == (True, len(LINES[0]))
    assert flushed == [first.path.stat().st_ino, second.path.stat().st_ino]


def test_a_later_flush_proves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line whose own flush has failed is not safe, though later lines in another segment are."""
    writer = SegmentWriter(tmp_path, durable=True)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", fail(errno.EIO))
        with pytest.raises(SpoolError):
            writer.append(LINES[0])
    writer.append(LINES[1])
    with pytest.raises(SpoolError):  # as a thread that was slow to ask
        writer._sync(len(LINES[0]))  # noqa: SLF001  no other way to be slow


FORKS: Final = """
    import os, sys
    from pathlib import Path
    from otel_incident.spool.segments import segments_in
    from otel_incident.spool.writer import SegmentWriter

    directory = Path(os.environ["DIRECTORY"])
    writer = SegmentWriter(directory)
    writer.append(b"parent\\n")
    (parents,) = segments_in(directory)
    read, write = os.pipe()
    done, go = os.pipe()
    child = os.fork()
    if child == 0:
        writer.append(b"child\\n")
        os.write(write, b"x")
        os.read(done, 1)
        os._exit(0)
    os.read(read, 1)
    writer.append(b"parent\\n")
    writer.close()
    print(parents.is_complete(), [s.is_complete() for s in segments_in(directory)])
    os.write(go, b"x")
    os.waitpid(child, 0)
    segments = segments_in(directory)
    print([s.is_complete() for s in segments], [s.path.read_text() for s in segments])
"""


def test_a_forked_child_has_a_segment_of_its_own(tmp_path: Path) -> None:
    """And keeps none of the parent's: that one is complete when the parent ends, though the child lives."""
    ended = succeed(FORKS, {"DIRECTORY": str(tmp_path)})
    assert ended.stdout.splitlines() == [
        "True [True, False]",
        "[True, True] ['parent\\nparent\\n', 'child\\n']",
    ]


def test_a_draft_is_no_segment(tmp_path: Path) -> None:
    """What a writer has not begun to use is not read; nor is what is no plain file."""
    (tmp_path / ".1-1-x.jsonl").touch()
    (tmp_path / "1-1-x.txt").touch()
    (tmp_path / "2.jsonl").mkdir()
    (tmp_path / "3.jsonl").symlink_to("4.jsonl")
    os.mkfifo(tmp_path / "5.jsonl")
    assert segments_in(tmp_path) == []
    assert [draft.name for draft in drafts_in(tmp_path)] == [".1-1-x.jsonl"]
    assert segments_in(tmp_path / "gone") == []


def test_a_segment_that_is_gone(tmp_path: Path) -> None:
    """It is empty and complete, and nobody has to be told."""
    gone = Segment(tmp_path / "1.jsonl")
    assert (gone.size(), gone.is_complete(), gone.delete()) == (0, True, False)
    assert gone.read(0, 5, 100) == Lines([], 0)
    assert gone.rest(0) == b""


@given(
    content=st.lists(st.sampled_from((b"a\n", b"bb\r\n", b"\n", b"c" * 50 + b"\n")), max_size=20).map(
        b"".join
    ),
    end=st.sampled_from((b"", b"x", b"y" * 100)),
    count=st.integers(1, 5),
    limit=st.integers(1, 60),
)
def test_reading_in_pieces(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, end: bytes, count: int, limit: int
) -> None:
    """However few lines or bytes at once: all whole lines come, once and in order, and half a line never."""
    segment = Segment(tmp_path_factory.mktemp("segment") / "1.jsonl")
    segment.path.write_bytes(content + end)
    offset, found = 0, b""
    while (read := segment.read(offset, count, limit)).lines:
        assert len(read.lines) <= count
        assert sum(map(len, read.lines)) < len(read.lines[0]) + limit
        assert all(line.endswith(b"\n") for line in read.lines)
        assert read.end == offset + sum(map(len, read.lines))
        offset, found = read.end, found + b"".join(read.lines)
    assert found == content
    assert segment.rest(offset) == end
