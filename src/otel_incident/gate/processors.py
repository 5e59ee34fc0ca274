"""The gate as a processor around the next one, for SDKs that are set up by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk.trace import SpanProcessor

from otel_incident.gate.arguments import expect_next
from otel_incident.gate.logs import LogFilter
from otel_incident.gate.rules import FAILED, GateRules
from otel_incident.gate.spans import SpanFilter
from otel_incident.guard import swallow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

    from otel_incident.gate.rules import Mode
    from otel_incident.vocabulary import Signal


@final
class ContentGateSpanProcessor(SpanProcessor):
    """Hands the next processor copies of the spans that ended, without what may not leave.

    The next processor sees ended spans alone: one that works on live spans belongs before the gate.

    Args:
        next: Usually `BatchSpanProcessor(OTLPSpanExporter())`.
        mode: `strict`, `standard` or `audit`.
        allowed: Globs of attribute keys that strict lets through beyond the profiles.
        forbidden: Globs of attribute keys that go besides, in strict even if they are allowed.
        rules: The rules of another gate, in place of the three above.

    Raises:
        TypeError: The next is not a span processor, or the globs are one text.
        ValueError: The mode is none of these.
    """

    def __init__(
        self,
        next: SpanProcessor,  # noqa: A002  the documented name
        *,
        mode: Mode = "strict",
        allowed: Iterable[str] = (),
        forbidden: Iterable[str] = (),
        rules: GateRules | None = None,
    ) -> None:
        expect_next(
            next,
            "on_end",
            "ContentGateSpanProcessor takes a span processor",
            "ContentGateSpanProcessor(BatchSpanProcessor(OTLPSpanExporter()))",
        )
        self._next = next
        self._rules = rules or GateRules(mode, allowed=allowed, forbidden=forbidden)
        self._filter = SpanFilter(self._rules)

    @property
    def drops(self) -> dict[tuple[Signal, str, str], int]:
        """How often each (signal, reason, rule) took something out."""
        return self._rules.dropped.counts()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Not passed on: a live span holds what the copy will not."""

    def on_end(self, span: ReadableSpan) -> None:
        """Pass a filtered copy on; a span that cannot be filtered is dropped."""
        try:
            passed = self._filter(span)
        except Exception as error:  # noqa: BLE001  a filter that fails must neither raise nor let through
            self._rules.count("spans", [FAILED])
            swallow("gate", error)
            return
        self._next.on_end(passed)

    def shutdown(self) -> None:
        """Shut the next processor down."""
        self._next.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the next processor."""
        return self._next.force_flush(timeout_millis)


@final
class ContentGateLogRecordProcessor(LogRecordProcessor):
    """Hands the next processor copies of log records, without what may not leave.

    Args:
        next: Usually `BatchLogRecordProcessor(OTLPLogExporter())`.
        mode: `strict`, `standard` or `audit`.
        allowed: Globs of attribute keys that strict lets through beyond the profiles.
        forbidden: Globs of attribute keys that go besides, in strict even if they are allowed.
        rules: The rules of another gate, in place of the three above.

    Raises:
        TypeError: The next is not a processor of log records, or the globs are one text.
        ValueError: The mode is none of these.
    """

    def __init__(
        self,
        next: LogRecordProcessor,  # noqa: A002  the documented name
        *,
        mode: Mode = "strict",
        allowed: Iterable[str] = (),
        forbidden: Iterable[str] = (),
        rules: GateRules | None = None,
    ) -> None:
        expect_next(
            next,
            "on_emit",
            "ContentGateLogRecordProcessor takes a processor of log records",
            "ContentGateLogRecordProcessor(BatchLogRecordProcessor(OTLPLogExporter()))",
        )
        self._next = next
        self._rules = rules or GateRules(mode, allowed=allowed, forbidden=forbidden)
        self._filter = LogFilter(self._rules)

    @property
    def drops(self) -> dict[tuple[Signal, str, str], int]:
        """How often each (signal, reason, rule) took something out."""
        return self._rules.dropped.counts()

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Pass a filtered copy on; a record that cannot be filtered is dropped."""
        try:
            passed = filtered_record(self._filter, log_record)
        except Exception as error:  # noqa: BLE001  a filter that fails must neither raise nor let through
            self._rules.count("logs", [FAILED])
            swallow("gate", error)
            return
        self._next.on_emit(passed)

    def shutdown(self) -> None:
        """Shut the next processor down."""
        self._next.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the next processor."""
        return self._next.force_flush(timeout_millis)


def filtered_record(log_filter: LogFilter, came: ReadWriteLogRecord) -> ReadWriteLogRecord:
    """A record as the next in line may see it; the same object where nothing had to go."""
    entry = log_filter(came.log_record, came.resource, came.instrumentation_scope)
    if entry is None:
        return came
    passed = ReadWriteLogRecord(
        log_record=entry.record,
        resource=entry.resource,
        instrumentation_scope=entry.scope,
        limits=came.limits,
    )
    attributes = entry.record.attributes
    if isinstance(attributes, BoundedAttributes):  # made so by the line above
        attributes.dropped = came.dropped_attributes + entry.taken
    return passed
