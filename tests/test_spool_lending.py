"""Lines that an exporter tries from memory: none moves to disk meanwhile, where it would be sent again."""

import errno
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult

from otel_incident.spool.answers import Answer
from otel_incident.spool.memory import LENT_SECONDS, Memory
from otel_incident.spool.processor import DurableLogRecordProcessor
from otel_incident.spool.segments import segments_in
from otel_incident.spool.spool import Status
from otel_incident.spool.writer import SegmentWriter, SpoolError
from tests.processes import succeed
from tests.spool_backlog import Course, Endpoint
from tests.spool_exporters import FAILURE, SUCCESS, Obedient
from tests.spool_records import line, numbered

LINES: Final = [line(number) for number in range(8)]


class Held(Obedient):
    """Is in its attempt, once it has one, until it is let go."""

    def __init__(self, result: LogRecordExportResult = SUCCESS) -> None:
        self.go_on = threading.Event()
        self.result = result
        super().__init__(self._wait)

    def _wait(self) -> LogRecordExportResult:
        assert self.go_on.wait(30)
        return self.result


@pytest.fixture
def make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., DurableLogRecordProcessor]]:
    """Makes a processor whose exporter tries the first of two records in memory; the disk works again."""
    monkeypatch.setattr("otel_incident.spool.turns.LOOK_SECONDS", 0.02)
    monkeypatch.setattr("otel_incident.spool.memory.AGAIN_SECONDS", 0.0)
    made: list[tuple[DurableLogRecordProcessor, Held]] = []

    def processor(exporter: Held, **settings: Any) -> DurableLogRecordProcessor:
        made.append(
            (DurableLogRecordProcessor(exporter, tmp_path / "spool", delay=0.0, **settings), exporter)
        )
        host = made[-1][0]
        with monkeypatch.context() as patched:
            patched.setattr(SegmentWriter, "_put", full)
            host.take(numbered(1))
            exporter.wait_for(lambda: exporter.attempts)
            host.take(numbered(2))
        return host

    yield processor
    for host, exporter in made:
        exporter.go_on.set()
        host.shutdown()


def full(*_: object) -> NoReturn:
    """A disk without room."""
    raise SpoolError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def on_disk(directory: Path) -> bytes:
    """What stands in the segments."""
    return b"".join(segment.rest(0) for segment in segments_in(directory / "spool" / "segments"))


Make = Callable[..., DurableLogRecordProcessor]


def test_a_call_of_the_host_s_while_lines_of_memory_are_under_way(make: Make, tmp_path: Path) -> None:
    """A disk that works again costs no second copy: what is under way stays where it is until the answer."""
    exporter = Held()
    processor = make(exporter)
    processor.take(numbered(3))
    assert (on_disk(tmp_path), processor.status().in_memory) == (b"", 3)
    exporter.go_on.set()
    assert processor.force_flush() is True
    processor.take(numbered(4))
    assert processor.force_flush() is True
    processor.shutdown()
    assert exporter.taken == [1, 2, 3, 4]
    assert processor.status() == Status(delivered=4)


def test_a_failed_attempt_gives_its_lines_to_the_disk(make: Make, tmp_path: Path) -> None:
    """All that waits in memory is on disk before the endpoint is asked again, whatever the host does."""
    exporter = Held(FAILURE)
    processor = make(exporter)
    processor.take(numbered(3))
    seen: list[tuple[int, bytes]] = []

    def answer() -> LogRecordExportResult:
        seen.append((processor.status().in_memory, on_disk(tmp_path)))
        return SUCCESS

    exporter.answer = answer
    exporter.go_on.set()
    exporter.wait_for(lambda: exporter.taken)
    assert exporter.attempts == [[1], [1, 2, 3]]
    assert seen == [(0, b"".join(LINES[1:4]))]


def test_an_end_while_lines_of_memory_are_under_way(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an endpoint that hangs has not answered for is on disk when the process ends."""
    monkeypatch.setattr("otel_incident.spool.spool.EXIT_SECONDS", 0.01)
    processor = make(Held())
    processor.take(numbered(3))
    processor.shutdown()
    assert on_disk(tmp_path) == b"".join(LINES[1:4])
    assert (processor.status().in_memory, processor.status().dropped) == (0, {})


def test_memory_that_is_half_full_does_not_wait_for_an_answer(make: Make, tmp_path: Path) -> None:
    """An endpoint that hangs costs no event its place: what may be sent twice goes to disk."""
    processor = make(Held(), queue_size=8)
    processor.take(numbered(3))
    assert on_disk(tmp_path) == b""
    for number in range(4, 21):
        processor.take(numbered(number))
    assert on_disk(tmp_path) == b"".join(line(number) for number in range(1, 21))
    assert processor.status().dropped == {}


def course(directory: Path, attempt: Callable[[Memory], Answer]) -> Course:
    """One whose memory holds three lines, and whose attempt does something with it."""

    class Trying(Endpoint):
        def __call__(self, batch: Sequence[ReadableLogRecord]) -> Answer:
            super().__call__(batch)
            return attempt(made.memory)

    made = Course(directory, Trying())
    for each in LINES[:3]:
        made.memory.put(each)
    return made


def test_an_attempt_that_raises_gives_its_lines_back(tmp_path: Path) -> None:
    """Whatever ends it: while it lasted nothing could move, afterwards all can."""

    def attempt(memory: Memory) -> Answer:
        assert memory.move(len, 8) == 0
        raise KeyboardInterrupt

    made = course(tmp_path, attempt)
    with pytest.raises(KeyboardInterrupt):
        made.delivery.step()
    assert made.memory.move(len, 8) == 3


def test_an_attempt_without_lines_of_memory_keeps_nothing_from_the_disk(tmp_path: Path) -> None:
    """While what stands on disk before them is sent, lines move."""
    moved: list[int] = []

    def attempt(memory: Memory) -> Answer:
        moved.append(memory.move(len, 8))
        return Answer("delivered")

    made = course(tmp_path, attempt)
    made.delivery._size = 1  # noqa: SLF001  a full batch, after which memory is not read
    made.write(9)
    made.delivery.step()
    assert moved == [3]


def test_what_is_on_its_way_to_the_disk_is_not_tried_from_memory(tmp_path: Path) -> None:
    """Nor is what stands behind it, which would pass it; then all leave, each once and in order."""
    endpoint = Endpoint()
    made = Course(tmp_path, endpoint)
    for each in LINES[:3]:
        made.memory.put(each)

    def keep(lines: list[bytes]) -> int:
        made.writer.append(lines[0])
        assert made.delivery.step() == 0.0
        assert made.delivery.step() is None
        assert endpoint.taken == [0]
        return 1

    assert made.memory.move(keep, 1) == 1
    made.run()
    assert endpoint.taken == [0, 1, 2]


def test_an_attempt_of_many_seconds_keeps_nothing_from_the_disk() -> None:
    """An exporter that never returns is waited for as long as one of the SDK's waits for its endpoint."""
    now = [0.0]
    memory = Memory(["x", "y"], 100, now=lambda: now[0])
    memory.put(LINES[0])
    assert (memory.lend("x"), LENT_SECONDS) == (1, 10.0)
    now[0] = 9.9
    assert memory.move(len, 8) == 0
    assert memory.lend("y") == 1
    memory.give_back("y")
    assert memory.move(len, 8) == 0
    now[0] = 10.0
    assert memory.move(len, 8) == 1
    assert memory.lend("x") == 0


FORK: Final = """
    import os
    from pathlib import Path
    from otel_incident.spool.memory import Store

    directory = Path(os.environ["DIRECTORY"])
    store = Store(directory, ["x"])
    store.keep(b"parent")
    assert store.memory.lend("x") == 1
    child = os.fork()
    if child == 0:
        directory.parent.unlink()
        directory.mkdir(parents=True)
        store.keep(b"child")
        print(len(store.memory), [each.read_bytes() for each in directory.rglob("*.jsonl")], flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    print(store.memory.move(len, 8), len(store.memory))
"""


def test_a_child_does_not_wait_for_an_attempt_of_its_parent(tmp_path: Path) -> None:
    """Its lines go to disk at once; the parent's are still lent."""
    (tmp_path / "file").touch()
    ended = succeed(FORK, {"DIRECTORY": str(tmp_path / "file" / "spool")})
    assert ended.stdout == "0 [b'child']\n0 1\n"
