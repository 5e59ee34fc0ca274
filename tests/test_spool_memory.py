"""Memory: what is kept while the disk cannot, in order, bounded, and on disk as soon as that works again."""

import errno
import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Final

import pytest

from otel_incident.spool import writer as writer_module
from otel_incident.spool.memory import AGAIN_SECONDS, Memory, Store
from otel_incident.spool.segments import SEGMENTS, segments_in
from otel_incident.spool.writer import SegmentWriter, SpoolError
from otel_incident.state import own_directory
from tests.processes import succeed

LINES: Final = [b"%d\n" % number for number in range(8)]
FULL: Final = (
    "Log records cannot be kept on disk (No space left on device): until that works again they wait in "
    "memory, of which a kill of the process leaves nothing. This is said once. The spool is {}."
)
MEMORY_FULL: Final = (
    "Memory is full of log records that cannot be kept on disk ({}): the oldest go, and are counted as "
    "memory_full. This is said once."
)
AGAIN: Final = "Log records are kept on disk again."


def on_disk(store: Store) -> list[bytes]:
    """All lines in its segments."""
    return [
        line
        for each in segments_in(store.directory / SEGMENTS)
        for line in each.rest(0).splitlines(keepends=True)
    ]


def in_memory(store: Store) -> list[bytes]:
    """All lines that wait for the exporter."""
    return [line for _, line in store.memory.waiting("x", 100)]


class Clock:
    """Goes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands."""
    return Clock()


def failing(number: int) -> Callable[..., Any]:
    """A disk that does not work."""

    def append(*_: Any) -> None:
        raise SpoolError(number, os.strerror(number))

    return append


def test_a_full_disk_and_its_end(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Lines wait in memory and are then put on disk before later ones; one line is said of each change."""
    store = Store(tmp_path / "spool", ["x"], now=clock)
    store.keep(LINES[0])
    with monkeypatch.context() as patched:
        patched.setattr(SegmentWriter, "_put", failing(errno.ENOSPC))
        store.keep(LINES[1])
        store.keep(LINES[2])
        clock.now += AGAIN_SECONDS
        store.keep(LINES[3])
    assert (on_disk(store), in_memory(store)) == (LINES[:1], LINES[1:4])
    store.keep(LINES[4])  # the disk is not tried again yet
    assert in_memory(store) == LINES[1:5]
    clock.now += AGAIN_SECONDS
    store.keep(LINES[5])
    assert (on_disk(store), in_memory(store)) == (LINES[:6], [])
    store.keep(LINES[6])
    assert on_disk(store) == LINES[:7]
    assert [record.getMessage() for record in caplog.records] == [FULL.format(store.directory), AGAIN]


def test_the_sender_puts_on_disk_what_waits(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No later event is needed; nor is the pause waited for when the process ends."""
    store = Store(tmp_path / "spool", ["x"], now=clock)
    for end in (store.settle, store.close):
        with monkeypatch.context() as patched:
            patched.setattr(SegmentWriter, "_put", failing(errno.ENOSPC))
            store.keep(LINES[0])
        store.settle()
        assert in_memory(store) == LINES[:1]
        clock.now += AGAIN_SECONDS if end == store.settle else 0
        end()
        assert in_memory(store) == []
    assert on_disk(store) == [LINES[0], LINES[0]]


def test_a_directory_that_is_no_directory(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Where it cannot be made nothing raises; when it can, it is, for this user alone."""
    (tmp_path / "file").touch()
    store = Store(tmp_path / "file" / "spool", ["x"], now=clock)
    store.keep(LINES[0])
    assert in_memory(store) == LINES[:1]
    (tmp_path / "file").unlink()
    clock.now += AGAIN_SECONDS
    store.keep(LINES[1])
    assert on_disk(store) == LINES[:2]
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "Log records cannot be kept on disk (Not a directory)",
        AGAIN,
    ]


def test_the_directory_is_private(tmp_path: Path) -> None:
    """One that we make is; in one that is others' too there is a folder of our own."""
    store = Store(tmp_path / "made", ["x"])
    assert store.directory.stat().st_mode & 0o777 == 0o700
    assert (store.directory / SEGMENTS).stat().st_mode & 0o777 == 0o700
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o775)
    assert Store(tmp_path / "shared", ["x"]).directory == tmp_path / "shared" / "otel-incident"


def test_a_directory_that_is_removed(tmp_path: Path, clock: Clock) -> None:
    """The next line is kept in memory, and then in a new directory."""
    store = Store(tmp_path / "spool", ["x"], now=clock)
    store.keep(LINES[0])
    for path in (
        *(tmp_path / "spool" / SEGMENTS).iterdir(),
        tmp_path / "spool" / SEGMENTS,
        tmp_path / "spool",
    ):
        path.unlink() if path.is_file() else path.rmdir()
    store.keep(LINES[1])
    assert in_memory(store) == LINES[1:2]
    clock.now += AGAIN_SECONDS
    store.keep(LINES[2])
    assert on_disk(store) == LINES[1:3]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize("removed", ["state", "state/spool", "state/spool/desk", "state/spool/desk/segments"])
def test_what_is_removed_is_made_again_for_this_user_alone(
    tmp_path: Path, clock: Clock, umask: int, removed: str
) -> None:
    """At every level, whatever the umask: so the next start finds it private, and what waits in it."""
    directory = own_directory(tmp_path / "state") / "spool" / "desk"
    directory.parent.mkdir(mode=0o700)
    before = os.umask(umask)
    try:
        store = Store(directory, ["x"], now=clock)
        shutil.rmtree(tmp_path / removed)
        store.keep(LINES[0])
        clock.now += AGAIN_SECONDS
        store.settle()
    finally:
        os.umask(before)
    assert on_disk(store) == LINES[:1]
    made = ["state", "state/spool", "state/spool/desk", "state/spool/desk/segments"]
    assert {path: (tmp_path / path).stat().st_mode & 0o777 for path in made} == dict.fromkeys(made, 0o700)
    assert own_directory(tmp_path / "state") == tmp_path / "state"
    assert Store(directory, ["x"]).directory == directory


def test_memory_is_bounded() -> None:
    """The oldest goes first, and is counted."""
    memory = Memory(["x"], 3)
    for line in LINES[:5]:
        memory.put(line)
    assert memory.waiting("x", 2) == [(3, LINES[2]), (4, LINES[3])]
    assert (len(memory), memory.dropped) == (3, 2)


def test_each_exporter_gets_every_line() -> None:
    """A line goes when the last exporter has had it, in whatever order they deliver."""
    memory = Memory(["x", "y"], 10)
    for line in LINES[:3]:
        memory.put(line)
    memory.delivered("x", 2)
    memory.delivered("x", 1)  # of a batch that was longer under way
    assert memory.waiting("x", 9) == [(3, LINES[2])]
    assert memory.waiting("y", 1) == [(1, LINES[0])]
    memory.delivered("y", 3)
    assert len(memory) == 1
    memory.delivered("x", 3)
    assert len(memory) == 0


def test_a_lock_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that another thread waits for is one that fails, and nothing is raised into the host."""
    monkeypatch.setattr(writer_module, "LOCK_SECONDS", 0.01)
    store = Store(tmp_path / "spool", ["x"])
    writing, release = threading.Event(), threading.Event()

    def hang(*_: object) -> None:
        writing.set()
        assert release.wait(30)

    monkeypatch.setattr(SegmentWriter, "_append", hang)
    thread = threading.Thread(target=store.keep, args=(LINES[0],))
    thread.start()
    assert writing.wait(30)
    store.keep(LINES[1])
    release.set()
    thread.join(30)
    assert in_memory(store) == LINES[1:2]


FORK: Final = """
    import os
    from pathlib import Path
    from otel_incident.spool.memory import Store

    store = Store(Path(os.environ["DIRECTORY"]), ["x"])
    store.keep(b"parent")
    child = os.fork()
    if child == 0:
        store.keep(b"child")
        print(store.memory.waiting("x", 9)[0][1:], len(store.memory), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    print(store.memory.waiting("x", 9))
"""


def test_a_fork_while_lines_are_in_memory(tmp_path: Path) -> None:
    """The parent delivers what was there; the child has its own lines and no others."""
    (tmp_path / "file").touch()
    ended = succeed(FORK, {"DIRECTORY": str(tmp_path / "file" / "spool")})
    assert ended.stdout == "(b'child',) 1\n[(1, b'parent')]\n"


RECOVERED: Final = """
    import os
    from pathlib import Path
    from otel_incident.spool.memory import Store

    directory = Path(os.environ["DIRECTORY"])
    store = Store(directory, ["x"])
    store.keep(b"parent")
    child = os.fork()
    if child == 0:
        directory.parent.unlink()
        directory.mkdir(parents=True)
        store.keep(b"child")
        print(len(store.memory), [each.read_bytes() for each in directory.rglob("*.jsonl")], flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


def test_a_child_does_not_inherit_that_the_disk_failed(tmp_path: Path) -> None:
    """Its first line goes to disk at once where that works again."""
    (tmp_path / "file").touch()
    ended = succeed(RECOVERED, {"DIRECTORY": str(tmp_path / "file" / "spool")})
    assert ended.stdout == "0 [b'child']\n"


class HangingFlush:
    """`fdatasync` of a disk that takes its time: counted, and waited for where it is told to hang."""

    def __init__(self) -> None:
        self.count = 0
        self.hangs = False
        self.begun, self.release = threading.Event(), threading.Event()

    def __call__(self, _: int) -> None:
        """One flush."""
        self.count += 1
        if self.hangs:
            self.begun.set()
            assert self.release.wait(30)


@pytest.fixture
def flush(monkeypatch: pytest.MonkeyPatch) -> HangingFlush:
    """The flush of this test's disk."""
    made = HangingFlush()
    monkeypatch.setattr(os, "fdatasync", made)
    return made


def fill(store: Store, lines: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep lines while the disk fails."""
    with monkeypatch.context() as patched:
        patched.setattr(SegmentWriter, "_put", failing(errno.ENOSPC))
        for line in lines:
            store.keep(line)


def test_many_lines_are_moved_with_few_flushes(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, flush: HangingFlush
) -> None:
    """When a disk comes back, what waited is flushed by portions and not by lines."""
    many = [b"%d\n" % number for number in range(2000)]
    store = Store(tmp_path / "spool", ["x"], durable=True, now=clock)
    fill(store, many, monkeypatch)
    clock.now += AGAIN_SECONDS
    store.settle()
    assert (on_disk(store), len(store.memory)) == (many, 0)
    assert flush.count == 8


def test_a_disk_that_is_full_again_in_the_middle(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines before the one that has no room are on disk, that one and those behind it in memory."""
    store = Store(tmp_path / "spool", ["x"], now=clock)
    fill(store, LINES[:5], monkeypatch)
    real, full = SegmentWriter._put, failing(errno.ENOSPC)  # noqa: SLF001  one line of many fails

    def put(writer: SegmentWriter, line: bytes) -> int:
        return full() if line == LINES[2] else real(writer, line)

    clock.now += AGAIN_SECONDS
    with monkeypatch.context() as patched:
        patched.setattr(SegmentWriter, "_put", put)
        store.settle()
    assert (on_disk(store), in_memory(store)) == (LINES[:2], LINES[2:5])
    clock.now += AGAIN_SECONDS
    store.settle()
    assert (on_disk(store), in_memory(store)) == (LINES[:5], [])


def test_a_call_of_the_host_s_moves_a_few_lines(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, flush: HangingFlush
) -> None:
    """It does not wait until all that has gathered in an outage is on disk, and flushes once."""
    many = [b"%d\n" % number for number in range(100)]
    store = Store(tmp_path / "spool", ["x"], durable=True, now=clock)
    fill(store, many[:98], monkeypatch)
    clock.now += AGAIN_SECONDS
    store.keep(many[98])
    assert (on_disk(store), flush.count) == (many[:32], 1)
    store.keep(many[99])
    assert (on_disk(store), flush.count) == (many[:64], 2)
    store.close()
    assert (on_disk(store), len(store.memory)) == (many, 0)


def test_who_moves_lines_holds_up_nobody(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, flush: HangingFlush
) -> None:
    """A line that comes while the sender waits for a flush is in memory at once, and behind the others."""
    store = Store(tmp_path / "spool", ["x"], durable=True, now=clock)
    fill(store, LINES[:3], monkeypatch)
    clock.now += AGAIN_SECONDS
    flush.hangs = True
    sender = threading.Thread(target=store.settle)
    sender.start()
    assert flush.begun.wait(30)
    host = threading.Thread(target=store.keep, args=(LINES[3],))
    host.start()
    host.join(3)  # a lock would be waited for longer
    assert not host.is_alive()
    assert in_memory(store) == LINES[:4]
    flush.release.set()
    sender.join(30)
    assert (on_disk(store), in_memory(store)) == (LINES[:4], [])


def test_what_is_on_its_way_to_the_disk_is_not_dropped() -> None:
    """Memory that is full meanwhile drops the oldest of the others, and counts that one alone."""
    memory = Memory(["x"], 3)
    for line in LINES[:3]:
        memory.put(line)

    def keep(lines: list[bytes]) -> int:
        assert lines == LINES[:2]
        assert memory.put(LINES[3]) is False
        return 1

    assert memory.move(keep, 2) == 1
    assert [line for _, line in memory.waiting("x", 9)] == [LINES[1], LINES[3]]
    assert memory.dropped == 1
    assert memory.put(LINES[4]) is True
    assert memory.put(LINES[5]) is False
    assert [line for _, line in memory.waiting("x", 9)] == [LINES[3], LINES[4], LINES[5]]


def test_an_end_while_the_disk_hangs(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, flush: HangingFlush
) -> None:
    """Whoever ends the process does not wait for the one who moves lines; what is in memory stays there."""
    monkeypatch.setattr("otel_incident.spool.memory.CLOSE_SECONDS", 0.01)
    store = Store(tmp_path / "spool", ["x"], durable=True, now=clock)
    fill(store, LINES[:3], monkeypatch)
    clock.now += AGAIN_SECONDS
    flush.hangs = True
    sender = threading.Thread(target=store.settle)
    sender.start()
    assert flush.begun.wait(30)
    ended = threading.Thread(target=store.close)
    ended.start()
    ended.join(3)  # the other bounds are longer
    assert not ended.is_alive()
    assert in_memory(store) == LINES[:3]
    flush.release.set()
    sender.join(30)
    assert (on_disk(store), in_memory(store)) == (LINES[:3], [])


def test_a_lock_that_is_busy_costs_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for which a lock could not be had in time waits in memory."""

    def busy(*_: object) -> None:
        raise TimeoutError

    store = Store(tmp_path / "spool", ["x"])
    with monkeypatch.context() as patched:
        patched.setattr(SegmentWriter, "append", busy)
        store.keep(LINES[0])
    assert in_memory(store) == LINES[:1]


def test_a_disk_on_which_nothing_was_written_does_not_work_again(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """That a directory is there and memory empty says nothing of a disk; the failure is said once."""
    store = Store(tmp_path / "spool", ["x"], now=clock)
    with monkeypatch.context() as patched:
        patched.setattr(SegmentWriter, "_put", failing(errno.ENOSPC))
        for number in (1, 2, 3):
            store.keep(LINES[number])
            store.memory.delivered("x", number)
            clock.now += AGAIN_SECONDS
            store.settle()
    assert [record.getMessage() for record in caplog.records] == [FULL.format(store.directory)]
    store.keep(LINES[4])
    assert (on_disk(store), in_memory(store)) == (LINES[4:5], [])
    assert [record.getMessage() for record in caplog.records] == [FULL.format(store.directory), AGAIN]


def test_memory_that_is_full_is_said_once_for_an_outage(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """That records are lost for good is not told by a metric alone."""
    store = Store(tmp_path / "spool", ["x"], most=2, now=clock)
    for dropped in (3, 6):
        fill(store, LINES[:5], monkeypatch)
        assert store.memory.dropped == dropped
        clock.now += AGAIN_SECONDS
        store.settle()
    outage = [FULL.format(store.directory), MEMORY_FULL.format(2), AGAIN]
    assert [record.getMessage() for record in caplog.records] == outage * 2


def test_a_signal_handler_in_the_middle_of_a_line_is_no_fault_of_the_disk(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own line waits in memory for the next one, and the host's log is told nothing of a disk."""
    store = Store(tmp_path / "spool", ["x"])
    store.keep(LINES[0])
    monkeypatch.setattr(store._writer, "_busy", True)  # noqa: SLF001  as it is while a line is written
    store.keep(LINES[1])
    assert (on_disk(store), in_memory(store)) == (LINES[:1], LINES[1:2])
    monkeypatch.undo()
    store.keep(LINES[2])
    assert (on_disk(store), in_memory(store)) == (LINES[:3], [])
    assert caplog.records == []


@pytest.mark.parametrize("durable", [True, False])
def test_new_directories_are_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, durable: bool
) -> None:
    """Where records are to outlive a loss of power, so are the directories on the way to them."""
    flushed: set[Path] = set()
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: flushed.add(Path(f"/proc/self/fd/{descriptor}").readlink())
    )
    Store(tmp_path / "a" / "b", ["x"], durable=durable)
    expected = {tmp_path, tmp_path / "a", tmp_path / "a" / "b"}
    assert flushed == (expected if durable else set())


def test_a_signal_handler_may_put_a_line_while_others_are_read() -> None:
    """What it interrupts goes on with the lines that were there."""
    memory = Memory(["a"], 100)
    memory.put(b"1")
    memory.put(b"2")

    def interrupt(frame: FrameType, event: str, _: object) -> object:
        if frame.f_code.co_filename != waiting.co_filename:
            return None
        if event == "line" and frame.f_code.co_name in {"waiting", "<listcomp>"}:
            memory.put(b"3")
        return interrupt

    waiting = Memory.waiting.__code__
    before = sys.gettrace()
    sys.settrace(interrupt)  # type: ignore[arg-type]  # of which it asks for no more than a callable
    try:
        found = memory.waiting("a", 2)
    finally:
        sys.settrace(before)
    assert [line for _, line in found] == [b"1", b"2"]
