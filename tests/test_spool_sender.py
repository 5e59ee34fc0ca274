"""The processor and its thread: what is emitted is delivered, the host neither waits nor sees an error."""

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult

from otel_incident.guard import set_reraise, swallowed
from otel_incident.spool import turns as turns_module
from otel_incident.spool.attempts import Attempts
from otel_incident.spool.cursors import Cursor
from otel_incident.spool.lease import Lease
from otel_incident.spool.memory import Store
from otel_incident.spool.processor import DurableLogRecordProcessor
from otel_incident.spool.reports import Reports
from otel_incident.spool.segments import Lines, Segment, segments_in
from otel_incident.spool.sender import Sender
from otel_incident.spool.spool import Status
from otel_incident.spool.writer import SegmentWriter, SpoolError
from tests.otlp_receiver import OK, OtlpReceiver
from tests.otlp_receiver import Status as HttpStatus
from tests.spool_exporters import FAILURE, SUCCESS, Obedient, otlp_exporter
from tests.spool_records import RESOURCE, line, numbered
from tests.waiting import wait_until

Make = Callable[..., DurableLogRecordProcessor]
OUTAGE: Final = (
    "Log records wait in the spool: the exporter exporter cannot deliver them ({}). This is said once "
    "for an outage."
)

SET_ASIDE: Final = (
    "Log records that the exporter exporter can never deliver are set aside in its quarantine (HTTP 400). "
    "This is said once."
)
QUARANTINE_FULL: Final = (
    "The quarantine of the exporter exporter is full, so what it can never deliver waits, and everything "
    "behind it: send it again (otel-incident spool requeue), or move its files away. This is said once."
)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes processors on one directory, which are shut down at the end."""
    made: list[DurableLogRecordProcessor] = []

    def processor(exporter: Any, **settings: Any) -> DurableLogRecordProcessor:
        made.append(DurableLogRecordProcessor(exporter, tmp_path / "spool", delay=0.0, **settings))
        return made[-1]

    yield processor
    for each in made:
        each.shutdown()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has to look for something looks soon."""
    monkeypatch.setattr(turns_module, "LOOK_SECONDS", 0.02)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the host's log was told."""
    return [record.getMessage() for record in caplog.records if record.name == "otel_incident"]


def test_what_is_emitted_is_delivered(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """In the processor's thread, in order; afterwards nothing waits and nothing was said."""
    exporter = Obedient()
    processor = make(exporter)
    provider = LoggerProvider(RESOURCE)
    provider.add_log_record_processor(processor)
    logger = provider.get_logger("tests")
    for number in range(1, 101):
        logger.emit(LogRecord(timestamp=number))
    assert provider.force_flush() is True
    assert exporter.taken == list(range(1, 101))
    assert processor.status() == Status(delivered=100)
    provider.shutdown()
    assert exporter.ended.is_set()
    assert list((processor._spool._store.directory / "segments").iterdir()) == []  # noqa: SLF001  what is left on disk
    assert lines(caplog) == []


def test_an_outage_costs_the_host_nothing(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """While the endpoint refuses, all is kept; a flush says so at once; one line, and one at the end."""
    exporter = Obedient(lambda: FAILURE)
    processor = make(exporter)
    processor.take(numbered(1))
    assert processor.force_flush() is False
    processor.take(numbered(2))
    assert processor.force_flush() is False
    status = processor.status()
    assert (status.delivered, status.outage) == (0, "no answer")
    assert status.waiting_bytes == len(line(1)) + len(line(2))
    assert 0.0 < status.oldest_seconds < 60.0
    exporter.answer = lambda: SUCCESS
    assert processor.force_flush() is True
    assert exporter.taken == [1, 2]
    assert processor.status().outage == ""
    processor.shutdown()
    assert lines(caplog) == [OUTAGE.format("no answer"), "The exporter exporter delivers again."]


def test_a_flush_has_its_time(make: Make) -> None:
    """An endpoint that hangs does not hold whoever flushes longer than he says."""
    release = threading.Event()
    exporter = Obedient(lambda: SUCCESS if release.wait(30) else FAILURE)
    processor = make(exporter)
    processor.take(numbered(1))
    assert processor.force_flush(timeout_millis=50) is False
    release.set()
    assert processor.force_flush() is True


def test_a_start_delivers_what_was_left(make: Make) -> None:
    """Without any new event, and under the names that were there."""
    first = Obedient(lambda: FAILURE)
    processor = make(first)
    processor.take(numbered(1))
    processor.force_flush()
    processor.shutdown()
    second = Obedient()
    make(second)
    second.wait_for(lambda: second.taken == [1])


def test_a_processor_without_anything_to_do_starts_nothing(make: Make) -> None:
    """No thread, no exporter: a host that emits nothing pays nothing."""
    before = threading.active_count()
    processor = make(lambda: pytest.fail("it is not needed"))
    assert processor.force_flush() is True
    processor.shutdown()
    assert threading.active_count() == before


def test_an_exit_is_bounded(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exporter that hangs is interrupted after the bound; what it had waits for the next start."""
    monkeypatch.setattr("otel_incident.spool.spool.EXIT_SECONDS", 0.05)
    exporter = Obedient()
    exporter.answer = lambda: FAILURE if exporter.ended.wait(30) else SUCCESS
    processor = make(exporter)
    processor.take(numbered(1))
    exporter.wait_for(lambda: exporter.attempts)
    started = time.monotonic()
    processor.shutdown()
    assert time.monotonic() - started < 10
    assert exporter.ended.is_set()
    second = Obedient()
    assert make(second).force_flush() is True
    assert second.taken == [1]


def test_an_interrupted_attempt_that_ends_well(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """That nothing was answered is the last line: what comes of an interruption is no end of an outage."""
    exporter = Obedient()
    processor = make(exporter)
    turns = processor._spool._senders[0]._turns  # noqa: SLF001  whose thread has not begun
    processor._spool._store.keep(line(1))  # noqa: SLF001  `take` would begin it

    def answer_after_all() -> LogRecordExportResult:
        turns.interrupt()
        return SUCCESS

    exporter.answer = answer_after_all
    turns.take()
    assert exporter.taken == [1]
    assert lines(caplog) == [OUTAGE.format("no answer when the process ended")]


def test_an_exit_does_not_wait_for_an_endpoint_that_refused(make: Make) -> None:
    """What failed last is not tried again at the end."""
    exporter = Obedient(lambda: FAILURE)
    processor = make(exporter)
    processor.take(numbered(1))
    processor.force_flush()
    attempts = len(exporter.attempts)
    processor.take(numbered(2))
    processor.shutdown()
    assert len(exporter.attempts) == attempts


def test_after_the_end_records_are_still_kept(make: Make) -> None:
    """A record that comes too late for this process is delivered by the next one."""
    processor = make(Obedient())
    processor.shutdown()
    processor.take(numbered(1))
    assert processor.force_flush() is False
    processor._spool._store.close()  # noqa: SLF001  as the end of the process does
    second = Obedient()
    assert make(second).force_flush() is True
    assert second.taken == [1]


def test_one_thread_for_many(make: Make) -> None:
    """However many threads emit first, one sends, and each thread's records stay in order."""
    exporter = Obedient()
    processor = make(exporter)
    barrier = threading.Barrier(8)

    def emit(thread: int) -> None:
        barrier.wait(30)
        for number in range(100):
            processor.take(numbered(thread * 1000 + number))

    threads = [threading.Thread(target=emit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert processor.force_flush() is True
    assert sum(each.name == "otel-incident-exporter" for each in threading.enumerate()) == 1
    for number in range(8):
        mine = [taken % 1000 for taken in exporter.taken if taken // 1000 == number]
        assert mine == list(range(100))


def test_a_disk_that_fails(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Records go on in memory, bounded and counted, are delivered from there, and nothing is raised."""
    started, release = threading.Event(), threading.Event()

    def answer() -> LogRecordExportResult:
        started.set()
        assert release.wait(30)
        return SUCCESS

    def full(*_: object) -> None:
        raise SpoolError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(SegmentWriter, "_put", full)
    exporter = Obedient(answer)
    processor = make(exporter, queue_size=3)
    processor.take(numbered(1))
    assert started.wait(30)
    for number in range(2, 7):
        processor.take(numbered(number))
    assert processor.status().in_memory == 3
    release.set()
    assert processor.force_flush() is True
    assert exporter.taken == [1, 4, 5, 6]
    assert processor.status() == Status(delivered=4, dropped={"memory_full": 3})
    assert [each.partition(":")[0] for each in lines(caplog)] == [
        "Log records cannot be kept on disk (No space left on device)",
        "Memory is full of log records that cannot be kept on disk (3)",
    ]


def test_a_directory_that_cannot_be_used(tmp_path: Path) -> None:
    """Records are delivered from memory; there is no lease to be had, and none is needed."""
    (tmp_path / "file").touch()
    exporter = Obedient()
    processor = DurableLogRecordProcessor(exporter, tmp_path / "file" / "spool", delay=0.0)
    processor.take(numbered(1))
    assert processor.force_flush() is True
    processor.shutdown()
    assert exporter.taken == [1]


class Unspeakable:
    """A value that is no value."""

    def __str__(self) -> str:
        """Not even a text."""
        raise RuntimeError("Payments down at ACME")


def test_a_record_that_is_none(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be written is counted, said without its content, and does not reach the host."""
    set_reraise(reraise=False)
    exporter = Obedient()
    processor = make(exporter)
    processor.take(numbered(1, Unspeakable()))
    processor.take(numbered(2))
    assert processor.force_flush() is True
    assert exporter.taken == [2]
    assert processor.status().dropped == {"not_encodable": 1}
    assert swallowed() == {"pipeline": 1}
    assert "Payments" not in caplog.text


@pytest.mark.parametrize(
    "given",
    [
        {"batch_size": 0},
        {"queue_size": 0},
        {"max_bytes": -1},
        {"max_age": 0.0},
        {"max_age": float("nan")},
        {"delay": -1.0},
    ],
    ids=str,
)
def test_numbers_that_deliver_nothing(given: dict[str, Any], tmp_path: Path) -> None:
    """They are refused where they are given, as the SDK's own processor does."""
    with pytest.raises(ValueError, match=r"^batch_size, queue_size and max_bytes must be at least 1, "):
        DurableLogRecordProcessor(Obedient(), tmp_path, **given)
    assert list(tmp_path.iterdir()) == []


def test_an_exporter_that_cannot_be_made(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    """It is tried again, one line says why not, and all is kept until then."""
    tries: list[int] = []
    exporter = Obedient()

    def build() -> LogRecordExporter:
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("Payments down at ACME")
        return exporter

    processor = make(build)
    processor.take(numbered(1))
    exporter.wait_for(lambda: exporter.taken == [1])
    assert lines(caplog)[0] == OUTAGE.format(
        "it cannot be made of its settings: ValueError; `otel-incident doctor` says which"
    )
    assert "Payments" not in caplog.text


def test_the_lease_of_another_process(make: Make, tmp_path: Path) -> None:
    """While another one delivers this one does not; when that one ends, this one goes on where it was."""
    exporter = Obedient()
    processor = make(exporter)
    other = Lease(tmp_path / "spool" / "exporter.lease")
    assert other.take() is True
    processor.take(numbered(1))
    assert processor.force_flush(timeout_millis=100) is False
    assert exporter.attempts == []
    other.give_back()
    exporter.wait_for(lambda: exporter.taken == [1])


def test_the_lease_comes_back(make: Make, tmp_path: Path) -> None:
    """What another process has delivered meanwhile is not sent again."""
    exporter = Obedient()
    processor = make(exporter)
    other = Lease(tmp_path / "spool" / "exporter.lease")
    assert other.take() is True
    processor.take(numbered(1))
    assert processor.force_flush(timeout_millis=100) is False  # its thread has read the cursor
    (segment,) = segments_in(tmp_path / "spool" / "segments")
    cursor = Cursor(tmp_path / "spool" / "exporter.cursor")
    cursor.move(segment.name, segment.size())
    assert cursor.keep() is True
    processor.take(numbered(2))
    other.give_back()
    exporter.wait_for(lambda: exporter.taken)
    assert exporter.attempts == [[2]]


def test_a_lease_that_is_a_directory(make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing on disk can be delivered: one line names the file and the reason."""
    exporter = Obedient()
    processor = make(exporter)
    (tmp_path / "spool" / "exporter.lease").mkdir()
    processor.take(numbered(1))
    wait_until(lambda: lines(caplog), 30, "a line")
    assert processor.force_flush(timeout_millis=100) is False
    assert lines(caplog) == [
        (
            "The exporter exporter delivers nothing from disk, since it cannot use exporter.lease (Is a "
            "directory): give it to the user of this process, or move it away. This is said once."
        )
    ]
    (tmp_path / "spool" / "exporter.lease").rmdir()
    exporter.wait_for(lambda: exporter.taken == [1])


def test_a_segment_of_somebody_else_s(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What this user may not read waits, all else leaves, and one line names the file and the reason."""
    real = Segment.read

    def read(segment: Segment, *where: int) -> Lines:
        if segment.name == "1-1-theirs.jsonl":  # root, whom the tests may run as, could read it
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(segment, *where)

    monkeypatch.setattr(Segment, "read", read)
    exporter = Obedient()
    processor = make(exporter)
    (tmp_path / "spool" / "segments" / "1-1-theirs.jsonl").write_bytes(line(1))
    processor.take(numbered(2))
    exporter.wait_for(lambda: exporter.taken == [2])
    wait_until(lambda: lines(caplog), 30, "a line")
    assert lines(caplog) == [
        (
            "The exporter exporter cannot read 1-1-theirs.jsonl (Permission denied), so what is in it waits: "
            "give it to the user of this process. This is said once."
        )
    ]
    assert processor.status().waiting_bytes == len(line(1))


def test_a_cursor_that_is_a_pipe(make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Delivery goes on without it, and one line says what that costs."""
    (tmp_path / "spool").mkdir(mode=0o700)
    os.mkfifo(tmp_path / "spool" / "exporter.cursor.0")
    exporter = Obedient()
    processor = make(exporter)
    processor.take(numbered(1))
    exporter.wait_for(lambda: exporter.taken == [1])
    wait_until(lambda: lines(caplog), 30, "a line")
    assert lines(caplog) == [
        (
            "The exporter exporter cannot use exporter.cursor.0 (not a regular file), so the next start may "
            "deliver again what has been delivered: give it to the user of this process, or move it away. "
            "This is said once."
        )
    ]


def test_a_directory_that_this_user_may_not_enter(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One line says that nothing is kept on disk; no other names a file that nobody here can see."""
    for name in ("open", "stat", "lstat", "mkdir", "scandir"):  # root could, whom the tests may run as
        monkeypatch.setattr(os, name, refused(getattr(os, name), tmp_path / "spool"))
    exporter = Obedient()
    processor = make(exporter)
    processor.take(numbered(1))
    exporter.wait_for(lambda: exporter.taken == [1])
    assert processor.force_flush() is True
    processor.shutdown()
    assert lines(caplog) == [
        (
            "Log records cannot be kept on disk (Permission denied): until that works again they wait in "
            "memory, of which a kill of the process leaves nothing. This is said once. The spool is "
            f"{tmp_path / 'spool'}."
        )
    ]


def refused(call: Callable[..., Any], directory: Path) -> Callable[..., Any]:
    """A call of the operating system's that it refuses for whatever is in a directory."""

    def refusing(path: Any, *more: Any, **named: Any) -> Any:
        if isinstance(path, (str, Path)) and directory in Path(path).parents:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return call(path, *more, **named)

    return refusing


def test_the_reserve_is_made_again(make: Make, tmp_path: Path) -> None:
    """Once it was used, or where there was no room before, it is there again when the disk has room."""
    processor = make(Obedient())
    processor.take(numbered(1))
    reserve = tmp_path / "spool" / ".reserve"
    wait_until(reserve.exists, 30, "the reserve")
    reserve.unlink()
    wait_until(reserve.exists, 30, "another reserve")


def test_an_endpoint_that_refuses_everything(
    make: Make, receiver: OtlpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    """As much is set aside as may wait; then all the rest waits, and two lines say so."""
    receiver.answer_with(HttpStatus(400))
    processor = make(otlp_exporter("http", receiver.http_endpoint), max_bytes=3 * len(line(1)), sync=True)
    for number in range(1, 9):
        processor.take(numbered(number))
    wait_until(lambda: len(lines(caplog)) > 1, 30, "a line about the quarantine")
    assert lines(caplog) == [SET_ASIDE, QUARANTINE_FULL]
    assert processor.status().quarantined == 3
    assert processor.status().outage == "HTTP 400"
    assert processor._spool._senders[0]._turns._quarantine._durable is True  # noqa: SLF001  as `sync` says
    receiver.answer_with(OK)
    wait_until(processor.force_flush, 30, "the rest delivered")
    assert [event.timestamp for event in receiver.telemetry().events] == [4, 5, 6, 7, 8]


def test_a_pause_is_one_for_new_records_too(make: Make) -> None:
    """While an endpoint refuses everything, a record that is just kept ends no pause; a flush does."""
    turns = make(Obedient())._spool._senders[0]._turns  # noqa: SLF001  whose thread has not begun
    turns.take()
    assert turns.delivery is not None
    turns.delivery.step = lambda **_: 1.0  # type: ignore[method-assign]  # as after many refused ones
    assert turns.take() == 1.0
    turns.pauses.wake.wait = lambda _: pytest.fail("a record ended it")  # type: ignore[assignment,method-assign,misc]  # never returns
    turns.pauses.prod.set()  # as a flush does
    turns.pause(3600.0)


@pytest.mark.parametrize(("delay", "looks"), [(1.0, 1.0), (60.0, 5.0), (0.0, 0.05)])
def test_how_often_others_are_looked_after(
    make: Make, monkeypatch: pytest.MonkeyPatch, delay: float, looks: float
) -> None:
    """Who delivers looks as often as a batch would leave, and every five seconds at the least."""
    monkeypatch.setattr(turns_module, "LOOK_SECONDS", 5.0)
    turns = make(Obedient())._spool._senders[0]._turns  # noqa: SLF001  whose thread has not begun
    turns._delay = delay  # noqa: SLF001  `make` has another one
    assert turns.take() == looks


def test_an_outage_that_came_too_soon_is_told_of_in_a_pause(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When it is time for its line, however far away the next attempt is."""
    monkeypatch.setattr(turns_module, "LOOK_SECONDS", 0.0)
    exporter = Obedient()
    spool = make(exporter)._spool  # noqa: SLF001  whose thread has not begun
    turns = spool._senders[0]._turns  # noqa: SLF001  the same
    now = [0.0]
    turns.reports = Reports("exporter", now=lambda: now[0])
    for number, result in enumerate((FAILURE, SUCCESS, FAILURE), 1):
        exporter.answer = partial(LogRecordExportResult, result)
        spool._store.keep(line(number))  # noqa: SLF001  by nobody who would begin it
        turns.take()
    told = [OUTAGE.format("no answer"), "The exporter exporter delivers again."]
    assert lines(caplog) == told
    now[0] = 300.0
    turns.pause(0.001)
    assert lines(caplog) == [*told, told[0]]


def test_a_dead_exporter_holds_up_no_other(tmp_path: Path) -> None:
    """Each exporter has its own thread and cursor; a segment stays until the last one has had it."""
    store = Store(tmp_path / "spool", ["dead", "alive"])
    dead, alive = Obedient(lambda: FAILURE), Obedient()
    names = ["dead", "alive"]
    senders = [
        Sender(store, name, names, partial(Attempts, each), delay=0.0)
        for name, each in zip(names, (dead, alive), strict=True)
    ]
    store.keep(line(1))
    store.close()
    for sender in senders:
        sender.notify()
    assert senders[1].flush(30) is True
    assert senders[0].flush(30) is False
    assert alive.taken == [1]
    assert len(list((tmp_path / "spool" / "segments").iterdir())) == 1
    dead.answer = lambda: SUCCESS
    assert senders[0].flush(30) is True
    for sender in senders:
        sender.close(sender.end(5.0))
    assert (dead.taken, alive.taken) == ([1], [1])
    assert list((tmp_path / "spool" / "segments").iterdir()) == []


def test_our_own_exports_are_not_traced(make: Make) -> None:
    """While a batch is exported instrumentations are told to look away."""
    from opentelemetry.instrumentation.utils import is_instrumentation_enabled  # noqa: PLC0415  asked in the sender's thread, by one test

    seen: list[bool] = []
    exporter = Obedient(lambda: seen.append(is_instrumentation_enabled()) or SUCCESS)  # type: ignore[func-returns-value]  # for its effect
    processor = make(exporter)
    processor.take(ReadableLogRecord(LogRecord(timestamp=1), RESOURCE))
    assert processor.force_flush() is True
    assert seen == [False]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_while_the_exporter_is_made(make: Make) -> None:
    """It waits: a module that is half imported would be so in the child for ever."""
    building, go, built = threading.Event(), threading.Event(), threading.Event()
    exporter = Obedient()

    def build() -> LogRecordExporter:
        building.set()
        go.wait(0.1)
        built.set()
        return exporter

    processor = make(build)
    processor.take(numbered(1))
    assert building.wait(30)
    child = os.fork()
    if child == 0:
        os._exit(0 if built.is_set() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert processor.force_flush() is True


def test_a_thread_that_cannot_start_costs_no_record(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A record that is on disk is not counted as dropped, but waits, which is said; it leaves later."""

    def cannot_start(_: object) -> None:
        raise RuntimeError("can't start new thread")

    exporter = Obedient()
    processor = make(exporter)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", cannot_start)
        for number in (1, 2):
            processor.take(numbered(number))
    assert processor.status().dropped == {}
    assert lines(caplog) == [OUTAGE.format("the process can start no thread")]
    processor.take(numbered(3))
    assert processor.force_flush() is True
    assert exporter.taken == [1, 2, 3]


def test_a_grandchild_keeps_what_was_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A grandparent's exporter that is collected would close its connections: by their numbers."""
    store = Store(tmp_path / "spool", ["x"])
    sender = Sender(store, "x", ["x"], partial(Attempts, Obedient()), delay=0.0)
    turns = []
    for pid in (1, 2):
        turns.append(sender._turns)  # noqa: SLF001  they are used nowhere afterwards, and that is the point
        monkeypatch.setattr(os, "getpid", lambda pid=pid: pid)
        assert sender.end(1.0) == 0.0  # in a child that has sent nothing
    assert sender._parents == turns  # noqa: SLF001  the same


def test_a_signal_handler_that_reports_while_the_thread_starts(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is one thread, and each record is delivered once."""
    exporter = Obedient()
    processor = make(exporter)
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def start_and_be_interrupted(thread: threading.Thread) -> None:
        start(thread)
        started.append(thread)
        if len(started) == 1:
            processor.take(numbered(2))

    monkeypatch.setattr(threading.Thread, "start", start_and_be_interrupted)
    processor.take(numbered(1))
    processor.take(numbered(3))
    wait_until(lambda: len(exporter.taken) == 3, 30, "the records")
    assert processor.force_flush() is True
    assert len(started) == 1
    assert sorted(exporter.taken) == [1, 2, 3]


@pytest.mark.parametrize("error", [LookupError, RuntimeError])
def test_a_signal_handler_that_raises_once_the_thread_has_started(
    make: Make, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """The thread goes on, and there is no other; each record is delivered once."""
    set_reraise(reraise=False)
    exporter = Obedient()
    processor = make(exporter)
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def start_and_raise(thread: threading.Thread) -> None:
        started.append(thread)
        start(thread)
        wait_until(lambda: exporter.taken == [1], 30, "the first record")
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start_and_raise)
        processor.take(numbered(1))
        processor.take(numbered(2))
    wait_until(lambda: len(exporter.taken) == 2, 30, "the second record")
    assert processor.force_flush() is True
    assert exporter.taken == [1, 2]
    assert [each.is_alive() for each in started] == [True]


@pytest.mark.parametrize("error", [LookupError, RuntimeError])
def test_a_signal_handler_that_raises_before_the_thread_has_started(
    make: Make, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """The next record gets a thread of its own, and the one that was on its way ends as soon as it comes."""
    set_reraise(reraise=False)
    exporter = Obedient()
    processor = make(exporter)
    start = threading.Thread.start
    started: list[threading.Thread] = []
    may_come = threading.Event()

    def start_and_raise(thread: threading.Thread) -> None:
        started.append(thread)
        if len(started) == 1:
            run: Callable[[], object] = thread.run
            monkeypatch.setattr(thread, "run", lambda: may_come.wait(30) and run())
            start(thread)
            monkeypatch.setattr(thread, "_ident", None)  # as it is while the kernel makes the thread
            raise error
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_and_raise)
    processor.take(numbered(1))
    processor.take(numbered(2))
    may_come.set()
    started[0].join(10)
    wait_until(lambda: len(exporter.taken) == 2, 30, "the records")
    assert processor.force_flush() is True
    assert sorted(exporter.taken) == [1, 2]
    assert [each.is_alive() for each in started] == [False, True]
