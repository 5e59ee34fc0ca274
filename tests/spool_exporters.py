"""Exporters for the spool's tests: one that is told what to answer, and the SDK's own."""

import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpExporter
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult

SUCCESS: Final = LogRecordExportResult.SUCCESS
FAILURE: Final = LogRecordExportResult.FAILURE


class Obedient(LogRecordExporter):
    """Answers as it is told; whoever waits for what it was given needs no clock."""

    def __init__(self, answer: Callable[[], LogRecordExportResult] = lambda: SUCCESS) -> None:
        self.answer = answer
        self.changed = threading.Condition()
        self.attempts: list[list[int]] = []
        self.taken: list[int] = []
        self.ended = threading.Event()

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """One attempt."""
        numbers = [record.log_record.timestamp or 0 for record in batch]
        with self.changed:
            self.attempts.append(numbers)
            self.changed.notify_all()
        result = self.answer()
        with self.changed:
            if result is SUCCESS:
                self.taken.extend(numbers)
            self.changed.notify_all()
        return result

    def shutdown(self) -> None:
        """Remember it."""
        self.ended.set()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is kept."""
        return timeout_millis > 0

    def wait_for(self, look: Callable[[], Any]) -> None:
        """Return when something is so."""
        with self.changed:
            assert self.changed.wait_for(look, 30), "not within 30 s"


def otlp_exporter(transport: str, endpoint: str, **settings: Any) -> LogRecordExporter:
    """One of the SDK's own.

    Args:
        transport: `grpc` or `http`.
        endpoint: A URL without a path.
        settings: What it takes besides.
    """
    if transport == "grpc":
        return GrpcExporter(endpoint=endpoint, **settings)
    return HttpExporter(endpoint=f"{endpoint}/v1/logs", **settings)
