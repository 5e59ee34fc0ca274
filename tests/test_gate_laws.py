"""Whatever a host does, in whatever order: the gate raises nothing, and what passes is what an oracle allows.

A state machine drives the public processors, and the exporters within other processors, with values that no
host in its right mind has. What passes is encoded at once and read back from its bytes.
"""

import contextlib
import logging
import os
import threading
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Literal
from unittest.mock import patch

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import (
    LoggerProvider,
    LogRecordLimits,
    LogRecordProcessor,
    ReadableLogRecord,
    ReadWriteLogRecord,
)
from opentelemetry.sdk._logs.export import (
    InMemoryLogRecordExporter,
    LogRecordExporter,
    LogRecordExportResult,
    SimpleLogRecordProcessor,
)
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_incident.gate import ContentGateLogRecordProcessor, ContentGateSpanProcessor, GateRules
from otel_incident.gate.exporters import GatedLogRecordExporter, GatedSpanExporter
from otel_incident.guard import set_reraise
from tests.canaries import found
from tests.gate_oracle import breaches
from tests.hostile_spans import ATTRIBUTES_GIVEN, NAMES, RECORDS, SCOPES, SPANS, VALUES
from tests.strategies import CONTENT, Handed, HostileError
from tests.surface_injectors import AT

# Hypothesis describes strategies with all that is in them, and there is much in these.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

BREAKABLE: Final = (
    "otel_incident.gate.rules.Checks.keep",
    "otel_incident.gate.rules.Strict.of_event",
    "otel_incident.gate.parts.Resources.of",
    "otel_incident.gate.parts.Scopes.of",
    "otel_incident.drops.Drops.record",
)
"""What may fail in a gate."""


class Sent:
    """What passed, encoded as it passed, and unread so far."""

    def __init__(self) -> None:
        self.unread: list[tuple[Literal["traces", "logs"], bytes]] = []
        self.items = 0


class SpansSent(SpanExporter):
    """Encodes spans."""

    def __init__(self, sent: Sent) -> None:
        self._sent = sent

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """As OTLP does."""
        self._sent.unread.append(("traces", bytes(encode_spans(spans).SerializeToString())))
        self._sent.items += len(spans)
        return SpanExportResult.SUCCESS


class LogsSent(LogRecordExporter):
    """Encodes log records."""

    def __init__(self, sent: Sent) -> None:
        self._sent = sent

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """As OTLP does."""
        self._sent.unread.append(("logs", bytes(encode_logs(batch).SerializeToString())))
        self._sent.items += len(batch)
        return LogRecordExportResult.SUCCESS

    def shutdown(self) -> None:
        """Nothing is open."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits."""
        del timeout_millis
        return True


class Watched(SpanProcessor, LogRecordProcessor):
    """Stands where the host calls: notes what is raised at it, since the SDK would hide or spread that."""

    def __init__(self, next: Any) -> None:  # noqa: A002  as on the gate
        self.next = next
        self.raised: list[str] = []

    def on_start(self, span: Span, parent_context: Any = None) -> None:
        """Pass it on."""
        self._call(lambda: self.next.on_start(span, parent_context))

    def on_end(self, span: ReadableSpan) -> None:
        """Pass it on."""
        self._call(lambda: self.next.on_end(span))

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Pass it on."""
        self._call(lambda: self.next.on_emit(log_record))

    def shutdown(self) -> None:
        """Pass it on."""
        self._call(self.next.shutdown)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Pass it on."""
        self._call(lambda: self.next.force_flush(timeout_millis))
        return True

    def _call(self, call: Callable[[], object]) -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001  whatever it is, it would have reached the host
            self.raised.append(type(error).__name__)


class Said(logging.Handler):
    """Keeps what is said in the log."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it, with the traceback if there is one."""
        self.lines.append(self.format(record))


class GatedHost(RuleBasedStateMachine):
    """A host with a gate, and an exporter of its own before or behind it that nothing is taken from."""

    @initialize(around=st.sampled_from(("processor", "exporter")), first=st.booleans())
    def set_up(self, around: str, first: bool) -> None:  # noqa: FBT001  Hypothesis hands it over
        """Put the gate around a processor or an exporter, before or behind another processor."""
        set_reraise(reraise=False)
        self.said = Said()
        logging.getLogger("otel_incident").addHandler(self.said)
        rules, self.sent = GateRules("strict"), Sent()
        self.spans = Watched(
            ContentGateSpanProcessor(SimpleSpanProcessor(SpansSent(self.sent)), rules=rules)
            if around == "processor"
            else SimpleSpanProcessor(GatedSpanExporter(SpansSent(self.sent), rules))
        )
        self.logs = Watched(
            ContentGateLogRecordProcessor(SimpleLogRecordProcessor(LogsSent(self.sent)), rules=rules)
            if around == "processor"
            else SimpleLogRecordProcessor(GatedLogRecordExporter(LogsSent(self.sent), rules))
        )
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.loggers = LoggerProvider(shutdown_on_exit=False)
        others = (
            SimpleSpanProcessor(InMemorySpanExporter()),
            SimpleLogRecordProcessor(InMemoryLogRecordExporter()),  # type: ignore[no-untyped-call]  # upstream's
        )
        for span_processor in (self.spans, others[0])[:: 1 if first else -1]:
            self.tracers.add_span_processor(span_processor)
        for log_processor in (self.logs, others[1])[:: 1 if first else -1]:
            self.loggers.add_log_record_processor(log_processor)
        self.open: list[Any] = []

    @rule(span=SPANS)
    def hand_over_a_span(self, span: Handed) -> None:
        """A span whose parts are anything."""
        self.spans.on_end(span.value)

    @rule(given=RECORDS)
    def hand_over_a_record(self, given: Any) -> None:
        """A record whose parts are anything."""
        self.logs.on_emit(_emitted(given))

    @rule(name=NAMES, scope=st.sampled_from(SCOPES), attributes=ATTRIBUTES_GIVEN)
    def start_a_span(self, name: Handed, scope: str, attributes: Handed) -> None:
        """A span of the SDK's, which may refuse what it is given."""
        tracer = self.tracers.get_tracer(scope)
        self._as_the_sdk_allows(
            lambda: self.open.append(
                tracer.start_span(name.value, attributes=attributes.value, start_time=AT)
            )
        )

    @rule(value=VALUES, name=NAMES, attributes=ATTRIBUTES_GIVEN)
    def say_more(self, value: Handed, name: Handed, attributes: Handed) -> None:
        """An attribute, an event and an exception for the span that was started last."""
        if self.open:
            span = self.open[-1]
            self._as_the_sdk_allows(lambda: span.set_attribute("incident.id", value.value))
            self._as_the_sdk_allows(lambda: span.set_attribute(CONTENT, value.value))
            self._as_the_sdk_allows(lambda: span.add_event(name.value, attributes.value, AT))
            self._as_the_sdk_allows(lambda: span.record_exception(LookupError(CONTENT), timestamp=AT))

    @rule()
    def end_all_at_once(self) -> None:
        """Every span that is open, each in a thread of its own."""
        spans, self.open = self.open, []
        if spans:
            together = threading.Barrier(len(spans))

            def end(span: Any) -> None:
                together.wait(30)
                span.end(AT)

            with ThreadPoolExecutor(len(spans)) as threads:
                list(threads.map(end, spans))

    @rule(what=st.sampled_from(BREAKABLE), span=SPANS, given=RECORDS)
    def filter_with_a_broken_part(self, what: str, span: Handed, given: Any) -> None:
        """A part of the gate that fails lets nothing through."""
        before = self.sent.items

        def fail(*_: object) -> None:
            raise HostileError

        with patch(what, fail):
            self.spans.on_end(span.value)
            self.logs.on_emit(_emitted(given))
        if what.endswith((".keep", ".of", ".of_event")):
            assert self.sent.items - before <= (1 if what.endswith("of_event") else 0)

    @rule(span=SPANS)
    def fork(self, span: Handed) -> None:
        """A child that handles a span; what passes there is read here."""
        reading, writing = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python of forks beside threads
            child = os.fork()
        if child == 0:
            status = 1
            try:
                self.sent.unread.clear()
                self.spans.on_end(span.value)
                for _, payload in self.sent.unread:
                    os.write(writing, payload)
                status = len(self.spans.raised)
            finally:
                os._exit(status)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            payload = pipe.read()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        self.sent.unread.append(("traces", payload))

    @rule()
    def flush(self) -> None:
        """A flush."""
        self.spans.force_flush()
        self.logs.force_flush()

    @rule()
    def shut_down(self) -> None:
        """A shutdown, after which the host goes on."""
        self.spans.shutdown()
        self.logs.shutdown()

    @invariant()
    def nothing_is_raised(self) -> None:
        """Into the host."""
        assert (self.spans.raised, self.logs.raised) == ([], [])

    @invariant()
    def what_passes_is_allowed(self) -> None:
        """By the oracle, and no content is in its bytes, nor in what was said in the log."""
        unread, self.sent.unread = self.sent.unread, []
        for signal, payload in unread:
            assert breaches(signal, payload) == []
            assert found(payload, [CONTENT]) == {}
        assert found("\n".join(self.said.lines).encode(), [CONTENT]) == {}

    def teardown(self) -> None:
        """Leave nothing open."""
        if hasattr(self, "loggers"):
            logging.getLogger("otel_incident").removeHandler(self.said)
            self.tracers.shutdown()
            self.loggers.shutdown()

    @staticmethod
    def _as_the_sdk_allows(call: Callable[[], object]) -> None:
        with contextlib.suppress(Exception):  # no processor has been called yet: it is the SDK's
            call()


def _emitted(given: Any) -> ReadWriteLogRecord:
    record, resource, scope = given
    made = object.__new__(ReadWriteLogRecord)  # its constructor cleans attributes, or raises
    made.__dict__.update(
        log_record=record.value, resource=resource, instrumentation_scope=scope, limits=LogRecordLimits()
    )
    return made


GatedHost.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=12,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # to shrink a host takes minutes
)
test_no_host_gets_content_through_or_an_error_back = GatedHost.TestCase


@settings(deadline=None)
@given(SPANS)
def test_standard_lets_no_forbidden_key_through(span: Handed) -> None:
    """Whatever a key says of itself, in standard its text is none that is forbidden, on any of its parts."""
    set_reraise(reraise=False)
    kept = Kept()
    ContentGateSpanProcessor(kept, mode="standard", forbidden=["http.url"]).on_end(span.value)
    for passed in kept.spans:
        parts = [passed.attributes, *(event.attributes for event in passed.events)]
        parts += [link.attributes for link in passed.links]
        keys = {str.__str__(key) for part in parts for key in (part or ())}
        assert keys & {"incident.title", "http.url"} == set()


class Kept(SpanProcessor):
    """Keeps what it is handed."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        """Keep it."""
        self.spans.append(span)
