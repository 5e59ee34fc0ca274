"""An exporter of a test's own: what it answers is scripted, what it does is recorded, time plays no part."""

import logging
import threading
from collections.abc import Callable, Sequence

from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.resources import Resource

from otel_incident.processors import Processor

SUCCESS = LogRecordExportResult.SUCCESS
FAILURE = LogRecordExportResult.FAILURE

Answer = LogRecordExportResult | Exception | Callable[[], LogRecordExportResult]


class Scripted(LogRecordExporter):
    """Answers with one after the other, the last for all that follow.

    Args:
        answers: A result, an exception to raise, or a function to call in the sender's thread.
        log: Logged before each answer, as (logger, message, arguments).
    """

    def __init__(self, *answers: Answer, log: tuple[str, str, tuple[object, ...]] | None = None) -> None:
        self.answers = list(answers)
        self.log = log
        if log is not None:
            logging.getLogger(log[0])  # loggers are made when a module is imported
        self.batches: list[list[str | None]] = []
        self.threads: list[threading.Thread] = []
        self.shut_down = threading.Event()

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Record the batch, then answer."""
        self.batches.append([record.log_record.event_name for record in batch])
        self.threads.append(threading.current_thread())
        if self.log is not None:
            name, message, arguments = self.log
            logging.getLogger(name).warning(message, *arguments)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, LogRecordExportResult) else answer()

    def shutdown(self) -> None:
        """Remember it."""
        self.shut_down.set()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is kept."""
        return timeout_millis > 0

    def until_shut_down(self) -> LogRecordExportResult:
        """As an endpoint that hangs: no answer until the exporter is interrupted."""
        assert self.shut_down.wait(30)
        return FAILURE


def records(count: int) -> list[ReadableLogRecord]:
    """Events named 0, 1, 2 and so on."""
    return [
        ReadableLogRecord(LogRecord(timestamp=1, event_name=str(number)), resource=Resource.get_empty())
        for number in range(count)
    ]


def take(processor: Processor, count: int) -> None:
    """Events into a processor."""
    for record in records(count):
        processor.take(record)
