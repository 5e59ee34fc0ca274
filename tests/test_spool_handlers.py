"""Signal handlers of a host's that raise, at every moment that Python lets them, while a line is kept."""

import contextlib
import errno
import os
import sys
import threading
from collections.abc import Callable, Iterable
from functools import partial
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any, Final

import pytest

from otel_incident import forks
from otel_incident.forks import no_fork
from otel_incident.guard import HostLock
from otel_incident.spool import writer as writer_module
from otel_incident.spool.memory import Store
from otel_incident.spool.segments import SEGMENTS, segments_in
from otel_incident.spool.writer import SegmentWriter, SpoolError

COMPLETE: Final = "it came to its end"


class HandlerError(Exception):
    """What the host's handler raises."""


def interrupted(moment: int, act: Callable[[], object]) -> object:
    """Do something, with a handler that raises at one moment.

    Python runs the handlers of signals when a function of Python's begins, and when one of C's has ended,
    before its caller has what it returned: just then a profiler is called, too.

    Returns:
        The function that had ended or begun; `COMPLETE` if there were fewer moments.
    """
    moments = count()
    function: object = COMPLETE

    def handler(frame: FrameType, event: str, called: Any) -> None:
        nonlocal function
        if event in {"call", "c_return"} and next(moments) == moment:
            function = frame.f_code.co_qualname if event == "call" else called
            raise HandlerError

    sys.setprofile(handler)
    try:
        act()
    except HandlerError:
        pass
    finally:
        sys.setprofile(None)
    return function


def in_another_thread(act: Callable[[], object]) -> list[Exception]:
    """Do something in another thread; what it raised."""
    raised: list[Exception] = []

    def run() -> None:
        try:
            act()
        except SpoolError as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return raised


def is_free() -> bool:
    """Whether another thread may open a file, or fork."""
    free: list[bool] = []

    def look() -> None:
        with contextlib.suppress(TimeoutError), no_fork():
            free.append(True)

    in_another_thread(look)
    return free == [True]


def open_files(directory: Path) -> int:
    """How many descriptors this process has of a directory; other tests may leave others."""
    kept = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the one that looks
            kept += descriptor.readlink().is_relative_to(directory)
    return kept


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize(
    ("segment_bytes", "act"),
    [
        (99, lambda writer: writer.append(b"2\n")),
        (1, lambda writer: writer.append(b"2\n")),
        (99, SegmentWriter.close),
    ],
    ids=["append", "append to another segment", "close"],
)
def test_other_threads_go_on(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    durable: bool,  # noqa: FBT001  a case
    segment_bytes: int,
    act: Callable[[SegmentWriter], None],
) -> None:
    """No lock stays held, no other line is lost, each segment ends; what was just being opened stays open."""
    monkeypatch.setattr(writer_module, "LOCK_SECONDS", 0.0)
    monkeypatch.setattr(forks, "LOCK_SECONDS", 0.0)
    monkeypatch.setattr(writer_module, "SEGMENT_BYTES", segment_bytes)
    function: object = None
    for moment in count():
        directory = tmp_path / str(moment)
        directory.mkdir()
        writer = SegmentWriter(directory, durable=durable)
        writer.append(b"1\n")
        function = interrupted(moment, partial(act, writer))
        assert in_another_thread(partial(writer.append, b"3\n")) == [], function
        assert is_free(), function
        assert segments_in(directory)[-1].is_complete() is False, function
        writer.close()
        segments = segments_in(directory)
        kept = [line for each in segments for line in each.path.read_bytes().splitlines()]
        assert kept in ([b"1", b"3"], [b"1", b"2", b"3"]), function
        assert [each for each in segments if not each.is_complete()] == [], function
        assert open_files(directory) == (function is os.open), function
        if function is COMPLETE:
            break
    assert moment > 9


def test_who_waits_too_long_for_another_threads_line_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told so, and gives nothing back that it has not had."""
    monkeypatch.setattr(writer_module, "LOCK_SECONDS", 0.0)
    writer = SegmentWriter(tmp_path)
    writing, may_write = threading.Event(), threading.Event()
    write = os.write

    def write_late(descriptor: int, line: bytes) -> int:
        writing.set()
        may_write.wait(30)
        return write(descriptor, line)

    monkeypatch.setattr(os, "write", write_late)
    other = threading.Thread(target=writer.append, args=(b"1\n",))
    other.start()
    assert writing.wait(30)
    with pytest.raises(SpoolError) as appended:
        writer.append(b"2\n")
    with pytest.raises(SpoolError) as closed:
        writer.close(0.0)
    may_write.set()
    other.join(30)
    assert [raised.value.errno for raised in (appended, closed)] == [errno.EAGAIN, errno.EAGAIN]
    assert [each.path.read_bytes() for each in segments_in(tmp_path)] == [b"1\n"]


def test_lines_in_memory_come_to_disk_all_the_same(tmp_path: Path) -> None:
    """Whenever a handler raises while lines are moved to disk, the next line takes along what is left."""
    function: object = None
    for moment in count():
        directory = tmp_path / str(moment)
        store = Store(directory, ["exporter"])
        store.memory.put(b"1\n")
        function = interrupted(moment, store.settle)
        in_another_thread(partial(store.keep, b"2\n"))
        assert (len(store.memory), store.memory.in_use) == (0, False), function
        segments = segments_in(directory / SEGMENTS)
        kept = [line for each in segments for line in each.path.read_bytes().splitlines()]
        # twice, where the handler came before the note of the first time
        assert kept in ([b"1", b"2"], [b"1", b"1", b"2"]), function
        store.close()
        if function is COMPLETE:
            break
    assert moment > 9


def test_a_handler_that_comes_while_lines_are_moved_moves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a signal handler reports meanwhile goes to memory, and nothing is written twice."""
    store = Store(tmp_path, ["exporter"])
    store.memory.put(b"1\n")
    append_all = SegmentWriter.append_all

    def report_and_append(writer: SegmentWriter, lines: Iterable[bytes]) -> int:
        monkeypatch.undo()
        store.keep(b"2\n")
        return append_all(writer, lines)

    monkeypatch.setattr(SegmentWriter, "append_all", report_and_append)
    store.settle()
    (segment,) = segments_in(tmp_path / SEGMENTS)
    assert segment.path.read_bytes() == b"1\n2\n"


def test_a_lock_is_given_back() -> None:
    """Whenever a handler raises while the lock of a counter, or of another thing of ours, is had."""
    function: object = None
    for moment in count():
        lock = HostLock()

        def hold(lock: HostLock = lock) -> None:
            with lock:
                pass

        function = interrupted(moment, hold)
        assert lock._lock._is_owned() is False, function  # type: ignore[attr-defined]  # noqa: SLF001  no public way to ask
        if function is COMPLETE:
            break
    assert moment > 3


def test_who_waits_too_long_to_open_a_file_gives_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that could not have the lock in time leaves it to the one that has it."""
    monkeypatch.setattr(forks, "LOCK_SECONDS", 0.0)
    with no_fork():
        assert [is_free(), is_free()] == [False, False]
    assert is_free() is True
