"""What the gate lets through of the host's own log records."""

from typing import Final

import pytest
from opentelemetry import baggage
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk._logs import LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context, use_span

from otel_incident import gate
from otel_incident.gate import ContentGateLogRecordProcessor
from otel_incident.guard import set_reraise, swallowed

CANARY: Final = "kanarie"
AT: Final = 1_600_000_000_000_000_001
SPAN: Final = SpanContext(0xABC, 7, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
OTHER_SPAN: Final = SpanContext(0xDEF, 8, is_remote=False)
TRACED: Final = baggage.set_baggage(CANARY, CANARY, set_span_in_context(NonRecordingSpan(SPAN), Context()))
REGISTERED: Final = {"incident.id": "42", "incident.active": True}


class Recorder(LogRecordProcessor):
    """A next processor that remembers what it was asked."""

    def __init__(self) -> None:
        self.emitted: list[ReadWriteLogRecord] = []
        self.calls: list[tuple[str, int]] = []

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Keep it."""
        self.emitted.append(log_record)

    def shutdown(self) -> None:
        """Remember it."""
        self.calls.append(("shutdown", 0))

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Remember it, and fail."""
        self.calls.append(("force_flush", timeout_millis))
        return False


def entry(
    attributes: dict[str, object], event_name: str | None = CANARY, context: Context = TRACED
) -> ReadWriteLogRecord:
    """A record with content wherever a record can hold some."""
    return ReadWriteLogRecord(
        LogRecord(
            timestamp=AT,
            observed_timestamp=AT + 1,
            context=context,
            severity_text=CANARY,
            severity_number=SeverityNumber.WARN,
            body={CANARY: [CANARY]},
            attributes=attributes,  # type: ignore[arg-type]  # any value, as hosts give it
            event_name=event_name,
            exception=ValueError(CANARY),
        ),
        Resource({"service.name": "desk", CANARY: CANARY}),
        InstrumentationScope(CANARY, CANARY, CANARY, {CANARY: CANARY}),
    )


@pytest.mark.parametrize("event_name", [CANARY, None, "incident.create"])
def test_strict_keeps_structure_and_registered_attributes(event_name: str | None) -> None:
    """Times, severity number and trace stay; body, texts, foreign attributes, scope and baggage go."""
    exporter = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # upstream's constructor
    processor = ContentGateLogRecordProcessor(SimpleLogRecordProcessor(exporter))
    processor.on_emit(
        entry({**REGISTERED, CANARY: 1, "code.function.name": CANARY, "user.id": CANARY}, event_name)
    )
    (passed,) = exporter.get_finished_logs()
    record = passed.log_record
    assert (record.timestamp, record.observed_timestamp) == (AT, AT + 1)
    assert record.severity_number is SeverityNumber.WARN
    assert (record.trace_id, record.span_id, record.trace_flags) == (0xABC, 7, TraceFlags.SAMPLED)
    assert (record.body, record.severity_text, record.exception) == (None, None, None)
    assert record.event_name == (event_name if event_name == "incident.create" else None)
    assert dict(record.attributes or {}) == REGISTERED
    assert passed.dropped_attributes == 3
    assert passed.instrumentation_scope == InstrumentationScope("other")
    assert dict(passed.resource.attributes if passed.resource else {}) == {"service.name": "desk"}
    assert record.context is not None
    assert baggage.get_all(record.context) == {}
    assert processor.drops == {
        ("logs", "unknown_key", "none"): 2 + 2,  # the scope's and the resource's
        ("logs", "bad_value", "id"): 1,
        ("logs", "text_field", "none"): (3 if event_name == CANARY else 2) + 3,  # the scope's
    }


@pytest.mark.parametrize("mode", gate.MODES)
def test_a_record_without_a_trace_gets_none_from_where_it_is_filtered(mode: gate.Mode) -> None:
    """The span and the baggage that are current when the gate runs are not the record's."""
    following = Recorder()
    given = entry({"incident.title": CANARY}, context=Context())
    token = attach(baggage.set_baggage(CANARY, CANARY))
    try:
        with use_span(NonRecordingSpan(OTHER_SPAN)):
            ContentGateLogRecordProcessor(following, mode=mode).on_emit(given)
    finally:
        detach(token)
    record = following.emitted[0].log_record
    assert record.context is not None
    assert baggage.get_all(record.context) == {}
    assert (record.trace_id, record.span_id, record.trace_flags) == (0, 0, 0)


def test_standard_takes_out_what_stands_in_our_namespaces_alone() -> None:
    """Unregistered keys and wrong types of ours go; all else is untouched, and so is the record given."""
    following = Recorder()
    processor = ContentGateLogRecordProcessor(following, mode="standard")
    kept = {**REGISTERED, CANARY: CANARY}
    attributes: dict[str, object] = {
        **kept, "incident.title": CANARY, "otel_incident.x": 1, "incident.public": "yes",
    }  # fmt: skip
    given = entry(dict(attributes))
    processor.on_emit(given)
    (passed,) = following.emitted
    assert passed is not given
    assert dict(passed.log_record.attributes or {}) == kept
    assert dict(given.log_record.attributes or {}) == attributes
    assert passed.dropped_attributes == 3
    for name in (
        "timestamp", "observed_timestamp", "context", "trace_id", "span_id", "trace_flags",
        "severity_text", "severity_number", "body", "event_name", "exception",
    ):  # fmt: skip
        assert getattr(passed.log_record, name) == getattr(given.log_record, name)
    assert passed.resource is given.resource
    assert passed.instrumentation_scope is given.instrumentation_scope
    assert processor.drops == {("logs", "unknown_key", "none"): 2, ("logs", "wrong_type", "flag"): 1}


def test_standard_passes_the_same_record_where_nothing_has_to_go() -> None:
    """No copy is made of a record that holds nothing forbidden."""
    following = Recorder()
    given = entry({**REGISTERED, CANARY: CANARY})
    ContentGateLogRecordProcessor(following, mode="standard").on_emit(given)
    assert following.emitted[0] is given


@pytest.mark.parametrize(("mode", "function"), [("strict", "Checks.keep"), ("standard", "Standard.filter")])
def test_a_record_that_cannot_be_filtered_is_dropped(
    mode: gate.Mode, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A filter that raises lets nothing through, is counted, and does not reach the host."""

    def fail(*_: object) -> None:
        raise RuntimeError(CANARY)

    following = Recorder()
    monkeypatch.setattr(f"otel_incident.gate.rules.{function}", fail)
    set_reraise(reraise=False)
    processor = ContentGateLogRecordProcessor(following, mode=mode)
    processor.on_emit(entry({}))
    assert following.emitted == []
    assert processor.drops == {("logs", "internal_error", "none"): 1}
    assert swallowed() == {"gate": 1}


def test_an_unknown_mode_is_refused() -> None:
    """A mode that does not exist is an error at construction, not a gate that stands open."""
    with pytest.raises(ValueError, match="strict, standard"):
        ContentGateLogRecordProcessor(Recorder(), mode="open")  # type: ignore[arg-type]  # that is the point


def test_shutdown_and_flush_reach_the_next_processor() -> None:
    """Both are passed on, with the time-out there and the answer back."""
    following = Recorder()
    processor = ContentGateLogRecordProcessor(following)
    assert processor.force_flush(123) is False
    processor.shutdown()
    assert following.calls == [("force_flush", 123), ("shutdown", 0)]
