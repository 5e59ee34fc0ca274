"""While a sender waits, however long: bounds are kept, memory goes to disk, and its lease stays its own."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest

from otel_incident.spool import turns
from otel_incident.spool import writer as writer_module
from otel_incident.spool.lease import Lease, is_held
from otel_incident.spool.pauses import Pauses
from otel_incident.spool.processor import DurableLogRecordProcessor
from otel_incident.spool.segments import segments_in
from otel_incident.spool.writer import SegmentWriter, SpoolError
from tests.otlp_receiver import OtlpReceiver, Status
from tests.processes import start, succeed
from tests.spool_exporters import Obedient, otlp_exporter
from tests.spool_hosts import EMITTER, variables
from tests.spool_records import line, numbered
from tests.waiting import wait_until

Make = Callable[..., DurableLogRecordProcessor]
PATIENCE: Final = Status(503, retry_after=3600)
"""An endpoint that wants to be left alone for an hour."""

SIZE: Final = len(line(1))
BOUND: Final = 8 * SIZE


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes processors on one directory whose segments hold two records, and who look soon."""
    monkeypatch.setattr(turns, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr("otel_incident.spool.memory.AGAIN_SECONDS", 0.02)
    monkeypatch.setattr(writer_module, "SEGMENT_BYTES", 2 * SIZE)
    made: list[DurableLogRecordProcessor] = []

    def processor(exporter: Any, **settings: Any) -> DurableLogRecordProcessor:
        made.append(DurableLogRecordProcessor(exporter, tmp_path / "spool", delay=0.0, **settings))
        return made[-1]

    yield processor
    for each in made:
        each.shutdown()


def patient(receiver: OtlpReceiver, make: Make, **settings: Any) -> DurableLogRecordProcessor:
    """One whose endpoint has asked for an hour."""
    receiver.answer_with(PATIENCE)
    processor = make(otlp_exporter("http", receiver.http_endpoint), **settings)
    processor.take(numbered(1))
    wait_until(lambda: processor.status().outage == "HTTP 503", 30, "the answer")
    return processor


def on_disk(directory: Path) -> int:
    """Bytes in all segments."""
    return sum(segment.size() for segment in segments_in(directory / "spool" / "segments"))


def is_bounded(processor: DurableLogRecordProcessor, directory: Path) -> None:
    """Forty records later as much is on disk as may be."""
    for number in range(2, 42):
        processor.take(numbered(number))
    wait_until(lambda: on_disk(directory) <= BOUND, 30, "the bound kept")
    assert processor.status().dropped["max_bytes"] >= 41 - 8


class Clock:
    """Time that passes while somebody waits for what does not happen."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        """Seconds."""
        return self.now

    def wait(self, seconds: float) -> bool:
        """Nothing happens."""
        self.waits.append(seconds)
        self.now += seconds
        return False


def test_how_often_a_pause_is_interrupted() -> None:
    """An hour is 720 waits of five seconds with a look before each; what is left is waited for at the end."""
    clock, looks = Clock(), list[float]()
    pauses = Pauses(lambda: looks.append(clock.now), clock)
    assert pauses.wait(clock, 3600.0, 5.0) is False
    assert clock.waits == [5.0] * 720
    assert looks == [100.0 + 5 * number for number in range(720)]
    clock.waits.clear()
    assert pauses.wait(clock, 12.0, 5.0) is False
    assert clock.waits == [5.0, 5.0, 2.0]


def test_a_pause_ends_with_what_is_awaited() -> None:
    """At once, with one look at the beginning."""
    looks: list[int] = []
    pauses = Pauses(lambda: looks.append(1))
    pauses.prod.set()
    assert pauses.wait(pauses.prod, 3600.0, 5.0) is True
    assert looks == [1]
    pauses.clear()
    assert pauses.wait(pauses.prod, 0.0, 5.0) is False


def test_bounds_while_an_endpoint_is_left_alone(make: Make, receiver: OtlpReceiver, tmp_path: Path) -> None:
    """They are kept though nothing is tried for an hour."""
    processor = patient(receiver, make, max_bytes=BOUND)
    is_bounded(processor, tmp_path)
    assert len(receiver.requests) == 1


def test_bounds_without_an_exporter(make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """They are kept, which is said, and the lease is free for a process that can make one."""

    def cannot() -> NoReturn:
        raise ValueError

    processor = make(cannot, max_bytes=BOUND)
    is_bounded(processor, tmp_path)
    wait_until(lambda: "were dropped: too many wait" in caplog.text, 30, "the line")
    lease = tmp_path / "spool" / "exporter.lease"
    assert lease.exists()
    wait_until(lambda: not is_held(lease), 30, "the lease given back")


def test_bounds_with_a_full_quarantine(
    make: Make, receiver: OtlpReceiver, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What may not be set aside waits within the bounds."""
    receiver.answer_with(Status(400))
    processor = make(otlp_exporter("http", receiver.http_endpoint), max_bytes=BOUND)
    for number in range(1, 9):
        processor.take(numbered(number))
        wait_until(lambda: processor.status().quarantined == number, 30, "it was set aside")  # noqa: B023  at once
    processor.take(numbered(9))
    wait_until(lambda: "quarantine of the exporter exporter is full" in caplog.text, 30, "the line")
    is_bounded(processor, tmp_path)


def test_bounds_without_a_lease(make: Make, tmp_path: Path) -> None:
    """They are kept, and the status says why nothing leaves."""
    (tmp_path / "spool").mkdir(mode=0o700)
    (tmp_path / "spool" / "exporter.lease").mkdir()
    processor = make(Obedient(), max_bytes=BOUND)
    is_bounded(processor, tmp_path)
    assert processor.status().outage == "cannot use exporter.lease (Is a directory)"
    assert processor.status().delivered == 0
    (tmp_path / "spool" / "exporter.lease").rmdir()
    assert wait_until(lambda: processor.status().delivered, 30, "a delivery") <= 8
    assert processor.status().outage == ""


def test_memory_goes_to_disk_while_an_endpoint_is_left_alone(
    make: Make, receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As soon as the disk works again, though no record comes and nothing is tried for an hour."""
    processor = patient(receiver, make)

    def full(*_: object) -> NoReturn:
        raise SpoolError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(SegmentWriter, "_put", full)
        processor.take(numbered(2))
        assert processor.status().in_memory == 1
    wait_until(lambda: on_disk(tmp_path) == 2 * SIZE, 30, "both on disk")
    assert processor.status().in_memory == 0
    assert len(receiver.requests) == 1


def test_a_drain_that_never_pauses(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was delivered is deleted every five seconds, and the bound kept, though the next batch is due."""
    monkeypatch.setattr(turns, "LOOK_SECONDS", 5.0)
    spool = make(Obedient(), batch_size=1, max_bytes=BOUND)._spool  # noqa: SLF001  whose thread has not begun
    drain = spool._senders[0]._turns  # noqa: SLF001  the same
    now = [100.0]
    monkeypatch.setattr(drain.upkeep, "_now", lambda: now[0])
    for number in range(1, 9):
        spool._store.keep(line(number))  # noqa: SLF001  by nobody who would begin it
    assert [drain.take() for _ in range(4)] == [0.0] * 4
    now[0] = 104.9
    assert (drain.take(), on_disk(tmp_path)) == (0.0, 8 * SIZE)
    now[0] = 105.0
    assert (drain.take(), on_disk(tmp_path)) == (0.0, 2 * SIZE)
    for _ in range(18):
        spool._store.keep(line(9))  # noqa: SLF001  the same
    now[0] = 109.9
    assert (drain.take(), drain.upkeep.dropped) == (0.0, {})
    now[0] = 110.0
    assert (drain.take(), drain.upkeep.dropped) == (0.0, {"max_bytes": 10})
    assert on_disk(tmp_path) == BOUND


@pytest.mark.parametrize("waits_for", ["the endpoint", "its batch"])
def test_a_lease_is_touched(make: Make, receiver: OtlpReceiver, tmp_path: Path, waits_for: str) -> None:
    """Whoever waits for an hour says again and again that he lives."""
    processor = patient(receiver, make)
    if waits_for == "its batch":
        (sender,) = processor._spool._senders  # noqa: SLF001  it has a delay of its own
        sender._turns._delay = 3600.0  # noqa: SLF001  the same
        sender._turns.not_before = 0.0  # noqa: SLF001  the same: the hour is over
        receiver.answer_with(Status(200))
        assert processor.force_flush() is True
        processor.take(numbered(2))
    lease = tmp_path / "spool" / "exporter.lease"
    for _ in range(3):
        os.utime(lease, ns=(1, 1))
        wait_until(lambda: lease.stat().st_mtime_ns > 1, 30, "a touch")
    assert Lease(lease).take() is False


LEFT_ALONE: Final = (
    """
    import time
    from otel_incident.spool import lease, turns
    from tests.waiting import wait_until
    lease.SILENCE_SECONDS = 0.5
    turns.LOOK_SECONDS = 0.05
"""
    + EMITTER
    + """
    began = time.monotonic()
    emit(int(os.environ["FIRST"]))
    print("emitted", flush=True)
    if os.environ["FIRST"] == "1":
        sys.stdin.readline()
    else:
        wait_until(lambda: time.monotonic() > began + 1.5, 30, "three silences of a holder that waits")
        print(processor._spool.delivers("exporter"), flush=True)
    os._exit(0)
"""
)


def test_another_process_respects_the_hour(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """A holder that waits longer than a silence keeps its lease, so nobody else asks the endpoint."""
    receiver.answer_with(PATIENCE)
    holder = start(LEFT_ALONE, variables(tmp_path / "spool", receiver, FIRST="1"))
    receiver.wait_for_requests(1)
    ended = succeed(LEFT_ALONE, variables(tmp_path / "spool", receiver, FIRST="2"))
    assert ended.stdout == "emitted\nFalse\n"
    assert len(receiver.requests) == 1
    assert holder.communicate("\n", timeout=30)[0] == "emitted\n"
