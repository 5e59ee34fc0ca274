"""What a host's texts say changes no byte of what strict lets leave, and no byte of our events in any mode.

That no canary is found says that none is there in an encoding that was looked for. This says that nothing is
there at all, not a length, not a count, not an order: payloads that are the same tell nothing apart.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final, NamedTuple
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import baggage
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import (
    AlwaysOffExemplarFilter,
    AlwaysOnExemplarFilter,
    ExemplarFilter,
    MeterProvider,
)
from opentelemetry.sdk.metrics.export import (
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
    MetricsData,
)
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
from otel_incident.gate import (
    MODES,
    ContentGateLogRecordProcessor,
    ContentGateMetricExporter,
    ContentGateSpanProcessor,
    Mode,
)
from otel_incident.pipeline import Pipeline
from otel_incident.vocabulary import ATTRIBUTES, EVENTS
from tests.gated_host import GATES, Gate, run
from tests.otlp_receiver import OtlpReceiver
from tests.otlp_wire import Signal
from tests.profile_injectors import scopes
from tests.surface_injectors import AT, PlantedIds, Planter

UNTIMED: Final = settings(deadline=None)
INTEGERS: Final = st.integers(-(2**63), 2**63 - 1)  # what OTLP can encode
NOTHING: Final[dict[str, str]] = {}
SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
HTTP: Final = "opentelemetry.instrumentation.django"
SCOPES: Final = (HTTP, "otel_incident", None)
ASGI: Final = tuple(f"opentelemetry.instrumentation.{each}" for each in ("asgi", "fastapi", "starlette"))


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
    st.one_of(TEXT, st.booleans(), INTEGERS, st.floats(), st.binary(max_size=20), st.none()),
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


@UNTIMED
@given(TEXTS)
def test_no_text_changes_a_byte_of_a_span(texts: Texts) -> None:
    """Whatever text of whatever script, type and length: the span is the same that says nothing."""
    assert encoded_span(texts) == encoded_span(PLAIN)


@UNTIMED
@given(TEXTS)
def test_no_text_changes_a_byte_of_a_log_record(texts: Texts) -> None:
    """Whatever text of whatever script, type and length: the record is the same that says nothing."""
    assert encoded_record(texts) == encoded_record(PLAIN)


@UNTIMED
@given(TEXTS)
def test_without_a_gate_texts_do(texts: Texts) -> None:
    """The control: where nothing is filtered, two texts make two payloads."""
    other = texts._replace(name=f"{texts.name}!", body=f"{texts.body}!")
    assert encoded_span(texts, mode=None) != encoded_span(other, mode=None)
    assert encoded_record(texts, mode=None) != encoded_record(other, mode=None)


@UNTIMED
@given(TEXTS)
def test_our_events_are_the_same_in_every_mode(texts: Texts) -> None:
    """No text of the host's around an event changes a byte of it, in no mode of a gate that it passes."""
    expected = encoded_events(PLAIN, None)
    assert expected.count(b"incident.id") == 2
    assert {mode: encoded_events(texts, mode) == expected for mode in EVERY_MODE} == dict.fromkeys(
        EVERY_MODE, True
    )


PATH: Final = TEXT.filter(lambda text: not set("{}%") & set(text))
BRACED: Final = st.tuples(st.text(max_size=10), st.sampled_from("{}%"), st.text(max_size=10)).map("".join)


@UNTIMED
@given(asked=PATH, scope=st.sampled_from(ASGI), key=st.sampled_from(("http.target", "url.path")))
def test_no_path_changes_a_byte_of_a_request_of_asgi(asked: str, scope: str, key: str) -> None:
    """Whatever a client asked for, as far as it has no brace and no per cent sign, the route stays."""
    plain = encoded_request(scope, {key: "/incidents/a"})
    assert encoded_request(scope, {key: f"/incidents/{asked}"}) == plain
    assert b"GET /incidents/{title}" in plain


@UNTIMED
@given(asked=BRACED, scope=st.sampled_from(ASGI), key=st.sampled_from(("http.target", "url.path")))
def test_of_a_path_of_asgi_one_bit_shows(asked: str, scope: str, key: str) -> None:
    """The exception: a brace or a per cent sign in it costs the route, and nothing else of the path shows."""
    plain = encoded_request(scope, {key: "/incidents/%"})
    assert encoded_request(scope, {key: f"/incidents/{asked}"}) == plain
    assert b"/incidents" not in plain
    assert plain != encoded_request(scope, {key: "/incidents/a"})


def encoded_request(scope: str, asked: dict[str, str]) -> bytes:
    """A request with a route of the host's, as it leaves in strict."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(
        resource=Resource({}), id_generator=PlantedIds(Planter()), shutdown_on_exit=False
    )
    provider.add_span_processor(ContentGateSpanProcessor(SimpleSpanProcessor(exporter)))
    provider.get_tracer(scope).start_span(
        "GET /incidents/{title}",
        Context(),
        attributes={"http.request.method": "GET", "http.route": "/incidents/{title}", **asked},
        start_time=AT,
    ).end(AT)
    return bytes(encode_spans(exporter.get_finished_spans()).SerializeToString(deterministic=True))


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


SEVERAL: Final = st.lists(TEXTS, min_size=4, max_size=4)


@UNTIMED
@given(SEVERAL)
def test_no_text_changes_a_byte_of_a_metric(several: list[Texts]) -> None:
    """Measurements with texts that differ, and with others that do: the same points and exemplars."""
    assert encoded_metrics(apart(several)) == encoded_metrics(apart([PLAIN] * 4))


@UNTIMED
@given(SEVERAL)
def test_how_many_texts_there_are_changes_no_count(several: list[Texts]) -> None:
    """Without exemplars the points of whole numbers do not even tell whether the texts were all the same.

    The number of exemplars may, and the last digit of a sum of fractions, and whether a gauge has a point.
    """
    bare = AlwaysOffExemplarFilter()
    assert encoded_metrics(apart(several), bare) == encoded_metrics([PLAIN] * 4, bare)


@UNTIMED
@given(SEVERAL)
def test_without_a_gate_texts_change_metrics(several: list[Texts]) -> None:
    """The control of the two before."""
    assert encoded_metrics(apart(several), mode=None) != encoded_metrics(apart([PLAIN] * 4), mode=None)


def apart(several: list[Texts]) -> list[Texts]:
    """The same texts, no two of them alike."""
    return [
        texts._replace(keys=(f"{number}{first}", f"{number}{second}", f"{number}{third}"))
        for number, (texts, (first, second, third)) in enumerate((texts, texts.keys) for texts in several)
    ]


def encoded_metrics(
    several: list[Texts], exemplars: ExemplarFilter | None = None, mode: Mode | None = "strict"
) -> bytes:
    """Measurements with these texts, as they leave, by a clock that stands."""
    reader, kept = InMemoryMetricReader(), Kept()
    with standing_clock():
        provider = MeterProvider(
            [reader],
            resource(several[0]),
            exemplar_filter=exemplars or AlwaysOnExemplarFilter(),
            shutdown_on_exit=False,
        )
        meter = provider.get_meter(HTTP, schema_url=several[0].url)
        durations = meter.create_histogram("http.server.request.duration", "s", several[0].name)
        requests = meter.create_up_down_counter("http.server.active_requests", "{request}", several[0].name)
        for number, texts in enumerate(several):
            said = dict(zip(texts.keys, texts.values, strict=True))
            durations.record(number, {**said, "http.request.method": "GET"})
            requests.add(number, {**said, "http.request.method": "GET"})
        data = reader.get_metrics_data()
        provider.shutdown()
    assert data is not None
    (kept if mode is None else ContentGateMetricExporter(kept, mode=mode)).export(data)
    return bytes(encode_metrics(kept.data[0]).SerializeToString(deterministic=True))


class Kept(MetricExporter):
    """Keeps what it is to export."""

    def __init__(self) -> None:
        super().__init__()
        self.data: list[MetricsData] = []

    def export(self, metrics_data: MetricsData, *_: Any, **__: Any) -> MetricExportResult:
        """Keep it."""
        self.data.append(metrics_data)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing waits."""
        del timeout_millis
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Nothing is open."""


@contextmanager
def standing_clock() -> Iterator[None]:
    """Let the metrics of the SDK happen at `AT`; it takes no clock."""
    with ExitStack() as stack:
        for name, module in list(sys.modules.items()):
            if name.startswith("opentelemetry.sdk.metrics.") and hasattr(module, "time_ns"):
                stack.enter_context(patch.object(module, "time_ns", lambda: AT))
        yield
