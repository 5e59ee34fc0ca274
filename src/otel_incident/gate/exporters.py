"""The gate as an exporter around the next one, inside processors that are there already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_incident.gate.logs import LogFilter
from otel_incident.gate.rules import FAILED
from otel_incident.gate.spans import SpanFilter
from otel_incident.guard import swallow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from otel_incident.gate.rules import GateRules


@final
class GatedSpanExporter(SpanExporter):
    """Hands the next exporter copies of the spans of a batch.

    Args:
        next: The exporter.
        rules: The gate's.
    """

    def __init__(self, next: SpanExporter, rules: GateRules) -> None:  # noqa: A002  as on the processors
        self.next = next
        self._rules = rules
        self._filter = SpanFilter(rules)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export what may leave; a span that cannot be filtered is dropped."""
        passed = []
        for span in spans:
            try:
                passed.append(self._filter(span))
            except Exception as error:  # noqa: BLE001  a filter that fails must neither raise nor let through
                self._rules.count("spans", [FAILED])
                swallow("gate", error)
        return self.next.export(passed) if passed else SpanExportResult.SUCCESS

    def __getattr__(self, name: str) -> Any:
        """Whatever else a host asks its exporter."""
        if name == "next":  # before there is one: a copy in the making
            raise AttributeError(name)
        return getattr(self.next, name)

    def shutdown(self) -> None:
        """Shut the next exporter down."""
        self.next.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the next exporter."""
        return self.next.force_flush(timeout_millis)


@final
class GatedLogRecordExporter(LogRecordExporter):
    """Hands the next exporter copies of the records of a batch.

    Args:
        next: The exporter.
        rules: The gate's.
    """

    def __init__(self, next: LogRecordExporter, rules: GateRules) -> None:  # noqa: A002  as on the processors
        self.next = next
        self._rules = rules
        self._filter = LogFilter(rules)

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Export what may leave; a record that cannot be filtered is dropped."""
        passed = []
        for came in batch:
            try:
                passed.append(self._filtered(came))
            except Exception as error:  # noqa: BLE001  a filter that fails must neither raise nor let through
                self._rules.count("logs", [FAILED])
                swallow("gate", error)
        return self.next.export(passed) if passed else LogRecordExportResult.SUCCESS

    def __getattr__(self, name: str) -> Any:
        """Whatever else a host asks its exporter."""
        if name == "next":  # before there is one: a copy in the making
            raise AttributeError(name)
        return getattr(self.next, name)

    def shutdown(self) -> None:
        """Shut the next exporter down."""
        self.next.shutdown()  # type: ignore[no-untyped-call]  # untyped upstream

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the next exporter."""
        return self.next.force_flush(timeout_millis)

    def _filtered(self, came: ReadableLogRecord) -> ReadableLogRecord:
        entry = self._filter(came.log_record, came.resource, came.instrumentation_scope)
        if entry is None:
            return came
        attributes = BoundedAttributes(attributes=entry.record.attributes)
        attributes.dropped = came.dropped_attributes + entry.taken
        entry.record.attributes = attributes
        return ReadableLogRecord(
            log_record=entry.record,
            resource=entry.resource,
            instrumentation_scope=entry.scope,
            limits=came.limits,
        )
