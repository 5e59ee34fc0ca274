"""What the SDK of this process would send while a block runs, as OTLP bytes; nothing is sent.

Two edges are watched. The exporters: what reaches them has passed whatever the host put before them. And the
entry of the SDK's pipelines, for hosts that export nothing in their tests, and to see what a mode of the gate
would make of the same signals. Only classes are changed, so that it does not matter whose the providers are.
"""

from __future__ import annotations

import threading
import weakref
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Self, final

from opentelemetry._logs import get_logger_provider
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.metrics import get_meter_provider
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult, SimpleLogRecordProcessor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import get_tracer_provider

from otel_incident.gate import pipelines
from otel_incident.gate.exporters import GatedLogRecordExporter, GatedSpanExporter
from otel_incident.gate.metrics import MetricFilter
from otel_incident.pipeline import default_pipeline
from otel_incident.spool.answers import Answer
from otel_incident.spool.attempts import Attempts
from otel_incident.spool.line_reader import LineReader
from otel_incident.spool.spool import Spool
from otel_incident.testing.held_exporters import HeldExporters
from otel_incident.testing.metric_readers import MetricReaders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.sdk.metrics.export import MetricsData

    from otel_incident.gate.rules import GateRules
    from otel_incident.vocabulary import Signal

SIGNALS: Final[tuple[Signal, ...]] = ("spans", "logs", "metrics")

_Edge = Literal["exporters", "entry", "events"]
_ENCODERS: Final[dict[Signal, Callable[[Any], Any]]] = {
    "spans": encode_spans,
    "logs": encode_logs,
    "metrics": encode_metrics,
}


class Payload(NamedTuple):
    """An OTLP export request, as bytes, and how many spans, records or data points it holds."""

    signal: Signal
    data: bytes
    items: int


class _SpanSink(SpanExporter):
    """Remembers what a processor exports."""

    def __init__(self, export: Callable[[Any], None]) -> None:
        self._take = export

    def export(self, spans: Any) -> SpanExportResult:
        self._take(spans)
        return SpanExportResult.SUCCESS


class _LogSink(LogRecordExporter):
    """Remembers what a processor exports."""

    def __init__(self, export: Callable[[Any], None]) -> None:
        self._take = export

    def export(self, batch: Any) -> LogRecordExportResult:
        self._take(batch)
        return LogRecordExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002  as the interface has it
        """Nothing is kept back."""
        return True


@final
class Capture:
    """Keeps what would be sent, from `__enter__` to `__exit__`.

    Args:
        rules: Of the gate through which the signals are to go; None for none.
        as_set_up: Whether they go through what the process has instead, its gate and its own exporters.
        providers: Those of the host that are neither global nor used in the block.
    """

    def __init__(self, rules: GateRules | None, *, as_set_up: bool, providers: Iterable[Any] = ()) -> None:
        self._rules = rules
        self._as_set_up = as_set_up
        self._providers = tuple(providers)
        self._lock = threading.Lock()
        self._kept: dict[tuple[_Edge, Signal], list[Payload]] = defaultdict(list)
        self._unwritten: dict[tuple[_Edge, Signal], str] = {}
        self._hosts_export: set[Signal] = set()
        self._methods: list[pipelines.Method] = []
        self._used: weakref.WeakSet[Any] = weakref.WeakSet()
        self._readers = MetricReaders()
        self._exporters = HeldExporters(self._on_export, self._on_last_export)
        self._on_span, self._on_record = self._entry()

    def __enter__(self) -> Self:
        """Begin; what was queued before is thrown away, what is on disk stays there."""
        try:
            self._exporters.begin()
            # events do not reach the spool, and what a host that really runs has left in it stays there
            self._methods += [
                pipelines.Method(Spool, "take_line", self._on_line),
                pipelines.Method(Spool, "force_flush", lambda *_: True),
                pipelines.Method(Attempts, "__call__", lambda *_: Answer("hold", "a canary test")),
            ]
            for owner in pipelines.SPAN_MULTI:
                self._methods.append(pipelines.Method(owner, "on_end", self._on_end))
            for owner in pipelines.LOG_MULTI:
                self._methods.append(pipelines.Method(owner, "on_emit", self._on_emit))
            self._flush()
            self._kept.clear()
            self._unwritten.clear()
            self._hosts_export.clear()
            self._readers.begin(self._all_providers())
        except BaseException:  # a test that is interrupted, too, leaves the SDK as it was
            self._undo()
            raise
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        """Flush, and leave everything as it was."""
        try:
            if failed is None:
                self._flush()
                self._read_metrics()
        finally:
            self._undo()

    def payloads(self) -> list[Payload]:
        """What would have left, where the process is as it was asked for."""
        return [
            payload
            for signal in SIGNALS
            for edge in (*self._edges(signal), "events")
            for payload in self._kept[edge, signal]
        ]

    def unwritten(self) -> dict[Signal, str]:
        """By signal the class of an error, where something of it cannot be written as OTLP."""
        return {
            signal: self._unwritten[edge, signal]
            for signal in SIGNALS
            for edge in (*self._edges(signal), "events")
            if (edge, signal) in self._unwritten
        }

    def can_read_metrics(self) -> bool:
        """Whether this release of the SDK keeps what is measured where it is looked for."""
        return not self._readers.unread

    def items(self) -> dict[Signal, int]:
        """How many spans, log records and data points would have left."""
        return {
            signal: max(self._items(edge, signal) for edge in self._edges(signal))
            + self._items("events", signal)
            for signal in SIGNALS
        }

    def _items(self, edge: _Edge, signal: Signal) -> int:
        return sum(payload.items for payload in self._kept[edge, signal])

    def _edges(self, signal: Signal) -> tuple[_Edge, ...]:
        """The edges that tell what leaves of a host's own signal."""
        if not self._as_set_up:
            return ("entry",)
        if signal in self._hosts_export and not _gate_is_installed():
            return ("exporters",)  # what is before the exporters is the host's own affair, a gate by hand too
        return ("exporters", "entry")

    def _entry(self) -> tuple[Callable[[Any], None], Callable[[Any], None]]:
        spans = _SpanSink(lambda batch: self._keep("entry", "spans", batch))
        logs = _LogSink(lambda batch: self._keep("entry", "logs", batch))
        if self._as_set_up:  # the gate of the process, if there is one, finds these processors as any other
            return SimpleSpanProcessor(spans).on_end, SimpleLogRecordProcessor(logs).on_emit
        of_spans = spans if self._rules is None else GatedSpanExporter(spans, self._rules)
        of_logs = logs if self._rules is None else GatedLogRecordExporter(logs, self._rules)

        def on_record(record: Any) -> None:
            of_logs.export(
                [
                    ReadableLogRecord(
                        record.log_record, record.resource, record.instrumentation_scope, record.limits
                    )
                ]
            )

        def on_span(span: Any) -> None:
            if span.context.trace_flags.sampled:
                of_spans.export([span])

        return on_span, on_record

    def _keep(self, edge: _Edge, signal: Signal, batch: Any) -> None:
        items = len(batch) if signal != "metrics" else _points(batch)
        try:
            data = _ENCODERS[signal](batch).SerializeToString()
        except Exception as error:  # noqa: BLE001  it is about what the host has recorded, a text as a time
            self._unwritten[edge, signal] = type(error).__name__
            return
        with self._lock:
            self._kept[edge, signal].append(Payload(signal, data, items))

    def _on_export(self, signal: Signal, events: bool) -> None:  # noqa: FBT001  it is called back with both
        if not events:
            self._hosts_export.add(signal)

    def _on_last_export(self, signal: Signal, events: bool, batch: Any) -> None:  # noqa: FBT001  the same
        self._keep("events" if events else "exporters", signal, batch)

    def _on_line(self, _before: Callable[..., None], _spool: Spool, line: bytes) -> None:
        self._keep("events", "logs", [LineReader().record(line)])

    def _on_end(self, before: Callable[..., None], holder: Any, span: Any) -> None:
        self._used.add(holder)
        self._on_span(span)
        before(holder, span)

    def _on_emit(self, before: Callable[..., None], holder: Any, log_record: Any) -> None:
        self._used.add(holder)
        try:
            before(holder, log_record)
        finally:  # with what the host's processors have added
            self._on_record(log_record)

    def _read_metrics(self) -> None:
        for read in self._readers.read() if self._as_set_up else self._readers.read_ungated():
            data = read
            if data is not None and self._rules is not None:
                data = MetricFilter(self._rules)(data)
            if data is not None:
                self._keep("entry", "metrics", data)

    def _all_providers(self) -> list[Any]:
        found = [get_tracer_provider(), get_logger_provider(), get_meter_provider(), *self._providers]
        return list({id(provider): provider for provider in found}.values())

    def _flush(self) -> None:
        default_pipeline().force_flush()
        for each in [*self._all_providers(), *self._used]:
            flush = getattr(each, "force_flush", None)
            if flush is not None:
                flush()
        self._readers.flush(self._all_providers())

    def _undo(self) -> None:
        self._exporters.undo()
        while self._methods:
            self._methods.pop().undo()
        self._readers.undo()


def _points(data: MetricsData) -> int:
    return sum(
        len(metric.data.data_points)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )


def _gate_is_installed() -> bool:
    """Whether auto-instrumentation has put the gate into the SDK's classes."""
    owner, name = pipelines.SIMPLE_SPAN
    return isinstance(vars(owner).get(name), pipelines.Field)
