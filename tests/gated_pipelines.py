"""A gate that a test puts around the SDK's pipelines, and hosts' processors and exporters of every kind."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_incident.gate.rules import GateRules, Mode
from otel_incident.gate.wrapping import Wrapping

CANARY: Final = "kanarie"
FORBIDDEN: Final = "incident.title"
"""A key that no mode lets through."""

FREE: Final = "desk.queue"
"""One that strict alone takes out."""

KEPT: Final = "incident.id"
"""One that is registered."""

ATTRIBUTES: Final = {FORBIDDEN: CANARY, FREE: CANARY, KEPT: "42"}
LEFT: Final[dict[Mode, dict[str, str]]] = {
    "standard": {FREE: CANARY, KEPT: "42"},
    "audit": {FREE: CANARY, KEPT: "42"},
    "strict": {KEPT: "42"},
}
"""What each mode leaves of `ATTRIBUTES`."""


@contextmanager
def gated(
    mode: Mode, own_exporters: tuple[type, ...] = (), *, allowed: tuple[str, ...] = ()
) -> Iterator[Wrapping]:
    """The gate, in place for a while."""
    wrapping = Wrapping(GateRules(mode, allowed=allowed), own_exporters)
    wrapping.install()
    try:
        yield wrapping
    finally:
        wrapping.undo()


class Sent(SpanExporter):
    """An exporter of nobody's that keeps what it was handed, and says how it was shut down."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []
        self.closed: list[float] = []

    def export(self, spans: Any) -> SpanExportResult:
        """Keep them."""
        self.spans.extend(spans)
        return SpanExportResult.SUCCESS

    def shutdown(self, timeout_millis: float = 30_000) -> None:
        """Remember the time it was given, ms."""
        self.closed.append(timeout_millis)

    def attributes(self) -> list[dict[str, Any]]:
        """Of all spans so far."""
        return [dict(span.attributes or {}) for span in self.spans]


class Sends(SpanProcessor):
    """A processor of a host's own that exports by itself."""

    def __init__(self) -> None:
        self.sent = Sent()

    def on_end(self, span: ReadableSpan) -> None:
        """Export it."""
        self.sent.export((span,))


class SendsEarly(SpanProcessor):
    """One that exports a span when it starts and while it ends, as those do that show spans in flight."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.texts: list[str] = []

    def on_start(self, span: Span, parent_context: Any = None) -> None:
        """Export all of it that can be read."""
        self.seen.append(dict(span.attributes or {}))
        self.texts.append(repr((span.name, span.to_json(), span.get_span_context(), parent_context)))

    def _on_ending(self, span: Span) -> None:
        self.on_start(span)


class Decorates(SpanProcessor):
    """One that exports nothing and enriches spans, as that does which copies baggage into attributes."""

    def on_start(self, span: Span, parent_context: Any = None) -> None:
        """Write to the span in each way there is."""
        del parent_context
        assert span.is_recording()
        span.set_attribute("incident.team.id", "7")
        span.set_attributes({"incident.post.id": "8"})
        span.add_event("incident.create", {KEPT: "9"})
        span.add_link(span.get_span_context(), {KEPT: "10"})


class Redacts(SpanProcessor):
    """One that changes what the next processors see, in the one way there is once a span has ended."""

    def on_end(self, span: ReadableSpan) -> None:
        """Take an attribute out."""
        attributes: Any = span._attributes  # noqa: SLF001  as such processors do
        del attributes[FREE]


class Emits(LogRecordProcessor):
    """A processor of log records of a host's own; it does what it was told with each."""

    def __init__(self, does: Callable[[ReadWriteLogRecord], None] = lambda _: None) -> None:
        self.records: list[Any] = []
        self._does = does

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Keep what there is now, then do it."""
        record = log_record.log_record
        self.records.append((record.body, record.severity_text, dict(record.attributes or {})))
        self._does(log_record)

    def shutdown(self) -> None:
        """Nothing is open."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits."""
        del timeout_millis
        return True


def make_span(provider: TracerProvider, name: str = CANARY) -> None:
    """A span with `ATTRIBUTES` on it."""
    provider.get_tracer("desk").start_span(name, attributes=ATTRIBUTES).end()


def log_attributes(records: Any) -> list[dict[str, Any]]:
    """Of records as an exporter keeps them."""
    return [dict(record.log_record.attributes or {}) for record in _readable(records)]


def _readable(records: Any) -> list[ReadableLogRecord]:
    return list(records)
