"""The end of a process: what is queued is delivered within a bound, what is not is said, in one line."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import pytest

from otel_incident.config import Config
from otel_incident.config_exporters import Batch
from otel_incident.exporters import BoundedBatchProcessor, DeferredExporter
from otel_incident.guard import set_reraise, swallowed
from otel_incident.processors import Processor, processors_of
from tests import strategies
from tests.scripted_exporter import FAILURE, SUCCESS, Answer, Scripted, records, take

OUTAGE: Final = (
    "Incident events cannot be delivered by the exporter x ({}); they are dropped until its endpoint takes "
    "them again. This is said once for an outage."
)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said by us."""
    assert {record.name for record in caplog.records} <= {"otel_incident"}
    return [record.getMessage() for record in caplog.records]


def deferred(*answers: Answer) -> tuple[DeferredExporter, Scripted]:
    """An exporter that is there when it is needed."""
    scripted = Scripted(*answers)
    return DeferredExporter("x", lambda: scripted), scripted


def used(processor: Processor, use: Callable[[Any], object] = lambda _: None) -> float:
    """Use a processor and shut it down; how many seconds the shutdown took."""
    use(processor)
    started = time.monotonic()
    processor.shutdown()
    return time.monotonic() - started


@pytest.fixture
def batch() -> Batch:
    """A batch that is sent when it is full, when it is asked for, and at the end."""
    return Batch(schedule_delay_millis=60_000, max_queue_size=4, max_export_batch_size=4)


def test_what_is_queued_is_delivered_at_the_end(batch: Batch, caplog: pytest.LogCaptureFixture) -> None:
    """A shutdown delivers what waits, in the sender's thread, then ends the exporter."""
    exporter, scripted = deferred(SUCCESS)
    used(BoundedBatchProcessor(exporter, batch), lambda processor: take(processor, 3))
    assert scripted.batches == [["0", "1", "2"]]
    assert scripted.threads != [threading.current_thread()]
    assert scripted.shut_down.is_set()
    assert lines(caplog) == []


def test_an_exit_does_not_wait_for_an_endpoint_that_refused(
    batch: Batch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the last batch failed, nothing more is tried at the end; the outage's line was said."""
    exporter, scripted = deferred(FAILURE)

    def use(processor: BoundedBatchProcessor) -> None:
        take(processor, 1)
        processor.force_flush()
        take(processor, 2)

    used(BoundedBatchProcessor(exporter, batch), use)
    assert scripted.batches == [["0"]]
    assert lines(caplog) == [OUTAGE.format("no reason given")]


def test_an_exit_interrupts_an_endpoint_that_hangs(batch: Batch, caplog: pytest.LogCaptureFixture) -> None:
    """After its bound the shutdown interrupts the delivery; one line says all that was lost, and only one."""
    exporter, scripted = deferred(FAILURE)
    started = threading.Event()

    def hang() -> Any:
        started.set()
        return scripted.until_shut_down()

    scripted.answers = [hang]

    def use(processor: BoundedBatchProcessor) -> None:
        take(processor, 4)  # a full batch, which the sender's thread takes
        assert started.wait(30)
        take(processor, 3)

    seconds = used(BoundedBatchProcessor(exporter, batch, exit_seconds=0.05), use)
    assert seconds < 10
    assert scripted.shut_down.is_set()
    scripted.threads[0].join(30)
    assert lines(caplog) == [
        "7 incident events were not delivered by the exporter x when the process ended (no answer)."
    ]


def test_an_exit_does_not_wait_for_a_second_attempt(batch: Batch, caplog: pytest.LogCaptureFixture) -> None:
    """Where the endpoint refused and the exporter waits to try again, nothing is waited for at the end."""
    exporter, scripted = deferred()
    started = threading.Event()
    log = logging.getLogger("opentelemetry.exporter.otlp.proto.http._log_exporter")

    def refuse_and_wait() -> Any:
        log.warning("Transient error %s encountered while exporting %s batch", "Service Unavailable", "logs")
        started.set()
        return scripted.until_shut_down()

    scripted.answers = [refuse_and_wait]

    def use(processor: BoundedBatchProcessor) -> None:
        take(processor, 4)  # a full batch, which the sender's thread takes
        assert started.wait(30)

    assert used(BoundedBatchProcessor(exporter, batch, exit_seconds=60), use) < 30
    assert lines(caplog) == [
        "4 incident events were not delivered by the exporter x when the process ended (HTTP 503)."
    ]


def test_an_exit_during_an_outage_adds_no_line(batch: Batch, caplog: pytest.LogCaptureFixture) -> None:
    """What was said of the outage is not said again of its end with the process."""
    exporter, scripted = deferred(FAILURE)
    started = threading.Event()

    def hang() -> Any:
        started.set()
        return scripted.until_shut_down()

    scripted.answers = [FAILURE, hang]

    def use(processor: BoundedBatchProcessor) -> None:
        take(processor, 1)
        processor.force_flush()
        take(processor, 4)  # a full batch, which the sender's thread takes
        assert started.wait(30)

    used(BoundedBatchProcessor(exporter, batch), use)
    assert lines(caplog) == [OUTAGE.format("no reason given")]


def test_an_exporter_whose_end_fails(batch: Batch) -> None:
    """What an exporter raises when it is shut down does not reach the host's exit."""
    set_reraise(reraise=False)
    exporter, scripted = deferred(SUCCESS)
    scripted.shutdown = lambda: strategies.Hostile().anything  # type: ignore[method-assign]  # it fails
    used(BoundedBatchProcessor(exporter, batch), lambda processor: take(processor, 1))
    assert scripted.batches == [["0"]]
    assert swallowed() == {"pipeline": 1}


def test_a_full_queue_belongs_to_the_outage(batch: Batch, caplog: pytest.LogCaptureFixture) -> None:
    """Events that a full queue pushes out are counted and said by us, once, and not by the SDK."""
    exporter, scripted = deferred(SUCCESS)
    release, started = threading.Event(), threading.Event()

    def hold() -> Any:
        started.set()
        assert release.wait(30)
        return SUCCESS

    scripted.answers = [hold, SUCCESS]

    def use(processor: BoundedBatchProcessor) -> None:
        take(processor, 4)
        assert started.wait(30)
        take(processor, 6)  # four fit
        release.set()

    used(BoundedBatchProcessor(exporter, batch), use)
    assert scripted.batches == [["0", "1", "2", "3"], ["2", "3", "4", "5"]]
    assert lines(caplog) == [
        OUTAGE.format("its queue is full"),
        "The exporter x delivers again; 2 events were lost.",
    ]


def test_a_queue_that_is_full_before_anything_left(batch: Batch, caplog: pytest.LogCaptureFixture) -> None:
    """Even while the exporter is still being made the SDK's own line about its queue is not seen."""
    logging.getLogger("opentelemetry.sdk._shared_internal").filters.clear()  # as in a new process
    release, started = threading.Event(), threading.Event()

    def build() -> Scripted:
        started.set()
        assert release.wait(30)
        return Scripted(SUCCESS)

    def use(processor: BoundedBatchProcessor) -> None:
        take(processor, 4)
        assert started.wait(30)
        take(processor, 5)
        release.set()

    used(BoundedBatchProcessor(DeferredExporter("x", build), batch), use)
    assert lines(caplog) == [
        OUTAGE.format("its queue is full"),
        "The exporter x delivers again; 1 events were lost.",
    ]


def test_a_full_queue_alone_is_no_refusal(batch: Batch) -> None:
    """A burst that overflows the queue does not make the exit give up on an endpoint that works."""
    exporter, scripted = deferred(SUCCESS)
    exporter.lose(1, "its queue is full")
    assert not exporter.failing
    used(BoundedBatchProcessor(exporter, batch), lambda processor: take(processor, 1))
    assert scripted.batches == [["0"]]


def test_the_bound_holds_for_all_exporters_together() -> None:
    """Exporters are shut down one after the other: each has its share of the two seconds."""
    processors: list[Any] = list(processors_of(Config(exporters=("a", "b", "c", "d")), "desk"))
    assert [processor._exit_seconds for processor in processors] == [0.5] * 4  # noqa: SLF001  not to wait for it
    for processor in processors:
        used(processor)


def test_after_the_end_nothing_is_delivered() -> None:
    """A batch that comes too late fails at once and is not tried."""
    exporter, scripted = deferred(SUCCESS)
    exporter.shutdown()
    assert exporter.export(records(1)) is FAILURE
    assert scripted.batches == []
