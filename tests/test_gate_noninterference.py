"""What a host's texts say changes no byte of what strict lets leave, and no byte of our events in any mode.

That no canary is found says that none is there in an encoding that was looked for. This says that nothing is
there at all, not a length, not a count, not an order: payloads that are the same tell nothing apart.
"""

from typing import Any, Final, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from otel_incident import Actor, Incident, IncidentEmitter
from otel_incident.config import Config
from otel_incident.gate import MODES, ContentGateLogRecordProcessor, ContentGateSpanProcessor, Mode
from otel_incident.pipeline import Pipeline
from otel_incident.vocabulary import ATTRIBUTES, EVENTS
from tests.gated_host import GATES, Gate, run
from tests.otlp_receiver import OtlpReceiver
from tests.otlp_wire import Signal
from tests.profile_injectors import scopes
from tests.surface_injectors import AT, PlantedIds, Planter

NOTHING: Final[dict[str, str]] = {}
SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
SCOPES: Final = ("opentelemetry.instrumentation.django", "otel_incident", None)


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("signal", ["traces", "logs"])
def test_the_bytes_are_the_same_whatever_the_texts(
    signal: Signal, scope: str | None, gate: Gate, receiver: OtlpReceiver
) -> None:
    """Other texts, of other lengths, in every place of the protocol: the same requests, byte for byte."""
    sent = []
    for salt, wrap in (("", ""), ("other", " "), ("long", "a" * 500)):
        before = len(receiver.requests)
        run(signal, Planter(salt, wrap), receiver, gate=gate, scope=scope)
        sent.append([(request.payload, len(request.raw)) for request in receiver.requests[before:]])
    assert sent[0] == sent[1] == sent[2]
    assert [len(payload) > 100 for payload, _ in sent[0]] == [True]


class Texts(NamedTuple):
    """What a host says, in all the places where it can say something."""

    name: str
    keys: tuple[str, str, str]
    values: tuple[Any, Any, Any]
    status: str
    event: str
    state: str
    scope: str
    version: str
    url: str
    body: Any
    severity: str


def _is_content(text: str) -> bool:
    """Whether a text is a key or a name that a rule knows."""
    return text not in ATTRIBUTES and text not in EVENTS and text != "exception"


TEXT: Final = st.text(min_size=1, max_size=30).filter(_is_content)
VALUES: Final = st.recursive(
    st.one_of(TEXT, st.booleans(), st.integers(), st.floats(), st.binary(max_size=20), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=5,
)
TEXTS: Final = st.builds(
    Texts,
    name=TEXT,
    keys=st.lists(TEXT, min_size=3, max_size=3, unique=True).map(tuple),
    values=st.tuples(VALUES, VALUES, VALUES),
    status=TEXT,
    event=TEXT,
    state=st.from_regex(r"[a-z][a-z0-9_]{3,20}", fullmatch=True),
    scope=TEXT.filter(lambda text: text not in scopes()),
    version=TEXT.filter(lambda text: not text[0].isdigit()),
    url=TEXT,
    body=VALUES,
    severity=TEXT,
)
EVERY_MODE: Final[tuple[Mode | None, ...]] = (*MODES, None)
PLAIN: Final = Texts("a", ("a", "b", "c"), (1, 2, 3), "a", "a", "abcd", "a.scope", "a", "a", "a", "a")


@given(TEXTS)
def test_no_text_changes_a_byte_of_a_span(texts: Texts) -> None:
    """Whatever text of whatever script, type and length: the span is the same that says nothing."""
    assert encoded_span(texts) == encoded_span(PLAIN)


@given(TEXTS)
def test_no_text_changes_a_byte_of_a_log_record(texts: Texts) -> None:
    """Whatever text of whatever script, type and length: the record is the same that says nothing."""
    assert encoded_record(texts) == encoded_record(PLAIN)


@given(TEXTS)
def test_without_a_gate_texts_do(texts: Texts) -> None:
    """The control: where nothing is filtered, two texts make two payloads."""
    other = texts._replace(name=f"{texts.name}!", body=f"{texts.body}!")
    assert encoded_span(texts, mode=None) != encoded_span(other, mode=None)
    assert encoded_record(texts, mode=None) != encoded_record(other, mode=None)


@given(TEXTS)
def test_our_events_are_the_same_in_every_mode(texts: Texts) -> None:
    """No text of the host's around an event changes a byte of it, in no mode of a gate that it passes."""
    expected = encoded_events(PLAIN, None)
    assert expected.count(b"incident.id") == 2
    assert {mode: encoded_events(texts, mode) == expected for mode in EVERY_MODE} == dict.fromkeys(
        EVERY_MODE, True
    )


def encoded_span(texts: Texts, mode: Mode | None = "strict") -> bytes:
    """One span with these texts, as it leaves."""
    exporter = InMemorySpanExporter()
    simple = SimpleSpanProcessor(exporter)
    provider = TracerProvider(
        resource=resource(texts), id_generator=PlantedIds(Planter()), shutdown_on_exit=False
    )
    provider.add_span_processor(simple if mode is None else ContentGateSpanProcessor(simple, mode=mode))
    attributes = dict(zip(texts.keys, texts.values, strict=True))
    state = TraceState([(texts.state, texts.state)])
    parent = SpanContext(1, 2, is_remote=True, trace_flags=SAMPLED, trace_state=state)
    span = provider.get_tracer(texts.scope, texts.version, texts.url, attributes).start_span(
        texts.name,
        set_span_in_context(NonRecordingSpan(parent), Context()),
        attributes=attributes,
        links=[Link(parent, attributes)],
        start_time=AT,
    )
    span.add_event(texts.event, attributes, AT)
    span.set_status(Status(StatusCode.ERROR, texts.status))
    span.end(AT)
    return bytes(encode_spans(exporter.get_finished_spans()).SerializeToString(deterministic=True))


def encoded_record(texts: Texts, mode: Mode | None = "strict") -> bytes:
    """One log record with these texts, as it leaves."""
    provider, exporter = logging_host(resource(texts), mode)
    attributes = dict(zip(texts.keys, texts.values, strict=True))
    provider.get_logger(texts.scope, texts.version, texts.url, attributes).emit(
        LogRecord(
            timestamp=AT,
            observed_timestamp=AT,
            context=Context(),
            severity_text=texts.severity,
            severity_number=SeverityNumber.INFO,
            body=texts.body,
            attributes=attributes,
            event_name=texts.event,
        )
    )
    return bytes(encode_logs(exporter.get_finished_logs()).SerializeToString(deterministic=True))


def encoded_events(texts: Texts, mode: Mode | None) -> bytes:
    """Two events of ours in the middle of a host that says these texts, as they leave."""
    provider, exporter = logging_host(Resource({"service.name": "desk"}), mode)
    times, uids = iter((AT, AT + 1)), iter(("0" * 26, "1" * 26))
    pipeline = Pipeline(
        Config(), logger_provider=provider, now=lambda: next(times), new_uid=lambda _: next(uids)
    )
    emitter = IncidentEmitter(route=pipeline.route)
    state = TraceState([(texts.state, texts.state)])
    span = NonRecordingSpan(SpanContext(1, 2, is_remote=True, trace_state=state))
    token = attach(baggage.set_baggage(texts.name, texts.status, set_span_in_context(span)))
    try:
        emitter.create(Incident(id=42, commander_id=7), actor=Actor(id=3), public=True)
        try:
            NOTHING[texts.status]
        except KeyError:
            emitter.end(Incident(id=42))
    finally:
        detach(token)
    return bytes(encode_logs(exporter.get_finished_logs()).SerializeToString(deterministic=True))


def logging_host(resource: Resource, mode: Mode | None) -> tuple[LoggerProvider, InMemoryLogRecordExporter]:
    """A provider with a gate or without, and what comes out of it."""
    exporter = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # untyped upstream
    simple = SimpleLogRecordProcessor(exporter)
    provider = LoggerProvider(resource, shutdown_on_exit=False)
    provider.add_log_record_processor(
        simple if mode is None else ContentGateLogRecordProcessor(simple, mode=mode)
    )
    return provider, exporter


def resource(texts: Texts) -> Resource:
    """A resource that says the same."""
    return Resource(dict(zip(texts.keys, texts.values, strict=True)), texts.url)
