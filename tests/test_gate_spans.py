"""What the gate lets through of the host's own spans."""

from collections.abc import Mapping
from typing import Final

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)

from otel_incident import gate
from otel_incident.gate import ContentGateSpanProcessor
from otel_incident.guard import set_reraise, swallowed
from tests.backend import Backend

CANARY: Final = "kanarie"
SENTENCE: Final = f"a sentence with a {CANARY} in it"
CONTENT: Final[dict[str, str | int | bool]] = {
    f"{CANARY}.key": 1,
    "http.route": SENTENCE,
    f"incident.{CANARY}": True,
}
SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
FOREIGN: Final = TraceState([(CANARY, CANARY), ("ot", "th:8")])
START: Final = 1_600_000_000_000_000_001


class Recorder(SpanProcessor):
    """A next processor that remembers what it was asked."""

    def __init__(self) -> None:
        self.started = 0
        self.ended: list[ReadableSpan] = []
        self.calls: list[tuple[str, int]] = []

    def on_start(self, span: Span, parent_context: object = None) -> None:
        """Count it."""
        del span, parent_context
        self.started += 1

    def on_end(self, span: ReadableSpan) -> None:
        """Keep it."""
        self.ended.append(span)

    def shutdown(self) -> None:
        """Remember it."""
        self.calls.append(("shutdown", 0))

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Remember it, and fail."""
        self.calls.append(("force_flush", timeout_millis))
        return False


def remote(span_id: int) -> SpanContext:
    """A span of another process, with a trace state that holds content."""
    return SpanContext(0xABC, span_id, is_remote=True, trace_flags=SAMPLED, trace_state=FOREIGN)


def ended(
    attributes: Mapping[str, str | int | bool], *, limits: SpanLimits | None = None
) -> tuple[ReadableSpan, Recorder, TracerProvider]:
    """A span that has ended, with the attributes also on an event and on a link; and a recorder."""
    provider = TracerProvider(shutdown_on_exit=False, span_limits=limits)
    seen = Recorder()
    provider.add_span_processor(seen)
    span = provider.get_tracer("tests").start_span(
        SENTENCE, set_span_in_context(NonRecordingSpan(remote(1))), links=[Link(remote(2), attributes)]
    )
    span.set_attributes(attributes)
    span.add_event("an event", attributes, timestamp=START)
    span.set_status(Status(StatusCode.ERROR, SENTENCE))
    span.end()
    return seen.ended[0], Recorder(), provider


def test_a_trace_arrives_whole_and_without_its_content(backend: Backend) -> None:
    """The documented set-up: structure and registered attributes arrive, content does not."""
    provider = TracerProvider(
        resource=Resource({"service.name": "desk", f"{CANARY}.key": "x", "host.name": CANARY}),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(endpoint=backend.grpc_endpoint, insecure=True)
    provider.add_span_processor(ContentGateSpanProcessor(BatchSpanProcessor(exporter)))
    tracer = provider.get_tracer(f"scope.{CANARY}", CANARY, attributes={CANARY: CANARY})
    registered: dict[str, str | bool] = {"incident.id": "42", "incident.active": True}
    parent = tracer.start_span(
        SENTENCE,
        set_span_in_context(NonRecordingSpan(remote(7))),
        SpanKind.SERVER,
        {**CONTENT, **registered, "incident.team.id": SENTENCE},
        start_time=START,
    )
    child = tracer.start_span(
        SENTENCE,
        set_span_in_context(parent),
        SpanKind.CLIENT,
        links=[Link(remote(8), {**CONTENT, **registered}), Link(remote(9))],
        start_time=START + 1,
    )
    child.add_event(SENTENCE, {**CONTENT, **registered}, timestamp=START + 2)
    child.add_event("incident.create", {**CONTENT, **registered}, timestamp=START + 3)
    child.record_exception(ValueError(SENTENCE), {CANARY: SENTENCE}, timestamp=START + 4)
    child.set_status(Status(StatusCode.ERROR, SENTENCE))
    child.end(START + 5)
    parent.set_status(StatusCode.OK)
    parent.end(START + 6)
    provider.shutdown()

    spans = {span.kind: span for span in backend.wait_for_spans(2)}
    assert CANARY.encode() not in backend.raw_bytes().lower()
    server, client = spans["server"], spans["client"]
    trace_id = format_trace_id(0xABC)
    parent_id = format_span_id(parent.get_span_context().span_id)
    child_id = format_span_id(child.get_span_context().span_id)
    assert (server.trace_id, server.span_id, server.parent_span_id) == (trace_id, parent_id, f"{7:016x}")
    assert (client.trace_id, client.span_id, client.parent_span_id) == (trace_id, child_id, parent_id)
    assert (server.start, server.end, client.start, client.end) == (START, START + 6, START + 1, START + 5)
    assert (server.status_code, client.status_code) == ("ok", "error")
    assert (server.status_message, client.status_message) == ("", "")
    assert (server.name, client.name) == ("server", "client")
    assert server.tracestate == client.tracestate == "ot=th:8"
    assert server.attributes == registered
    assert server.dropped_attributes_count == 4
    assert [event.timestamp - START for event in client.events] == [2, 3, 4]
    assert [event.name for event in client.events] == ["event", "incident.create", "exception"]
    assert [event.attributes for event in client.events] == [registered, registered, {}]
    assert all(event.dropped_attributes_count >= 3 for event in client.events)
    assert [(link.trace_id, link.span_id) for link in client.links] == [
        (trace_id, f"{8:016x}"),
        (trace_id, f"{9:016x}"),
    ]
    assert [link.attributes for link in client.links] == [registered, {}]
    assert [link.dropped_attributes_count for link in client.links] == [3, 0]
    assert (server.scope_name, server.scope_version, server.scope_attributes) == ("other", "", {})
    assert server.resource == {"service.name": "desk"}


def test_no_span_context_keeps_a_foreign_trace_state() -> None:
    """Of span, parent and links alike the sampling probability stays: another exporter may write them all."""
    span, following, _ = ended({})
    ContentGateSpanProcessor(following).on_end(span)
    (passed,) = following.ended
    contexts = [passed.context, passed.parent, *(link.context for link in passed.links)]
    assert [dict(context.trace_state) for context in contexts if context] == [{"ot": "th:8"}] * 3


def test_standard_takes_out_what_stands_in_our_namespaces_alone() -> None:
    """Unregistered keys and wrong types of ours go, everywhere in the span; all else is untouched."""
    kept: dict[str, str | int] = {"incident.id": "42", "http.route": SENTENCE, CANARY: 1}
    forbidden: dict[str, str | int] = {
        "incident.title": SENTENCE,
        "otel_incident.x": 1,
        "incident.active": "yes",
    }
    span, following, _ = ended({**kept, **forbidden})
    processor = ContentGateSpanProcessor(following, mode="standard")
    processor.on_end(span)
    (passed,) = following.ended
    assert passed is not span
    assert dict(passed.attributes or {}) == kept
    assert [dict(event.attributes or {}) for event in passed.events] == [kept]
    assert [dict(link.attributes or {}) for link in passed.links] == [kept]
    assert [(event.name, event.timestamp) for event in passed.events] == [("an event", START)]
    assert [link.context for link in passed.links] == [link.context for link in span.links]
    for name in (
        "name", "context", "parent", "kind", "status", "start_time", "end_time", "resource",
        "instrumentation_scope",
    ):  # fmt: skip
        assert getattr(passed, name) is getattr(span, name) or getattr(passed, name) == getattr(span, name)
    assert passed.dropped_attributes == 3
    assert [event.dropped_attributes for event in passed.events] == [3]
    assert [link.dropped_attributes for link in passed.links] == [3]
    assert processor.drops == {
        ("spans", "unknown_key", "none"): 6,
        ("spans", "wrong_type", "flag"): 3,
    }


def test_standard_passes_the_same_span_where_nothing_has_to_go() -> None:
    """No copy is made of a span that holds nothing forbidden."""
    span, following, _ = ended({"incident.id": "42", "http.route": SENTENCE})
    processor = ContentGateSpanProcessor(following, mode="standard")
    processor.on_end(span)
    assert following.ended[0] is span
    assert processor.drops == {}


@pytest.mark.parametrize("mode", gate.MODES)
def test_what_the_sdk_itself_dropped_stays_counted(mode: gate.Mode) -> None:
    """A copy says how many events, links and attributes the limits of the SDK had taken."""
    limits = SpanLimits(max_events=0, max_links=0, max_attributes=1)
    span, following, _ = ended({"http.route": SENTENCE, "incident.title": SENTENCE}, limits=limits)
    ContentGateSpanProcessor(following, mode=mode).on_end(span)
    (passed,) = following.ended
    assert (passed.dropped_events, passed.dropped_links) == (1, 1)
    assert passed.dropped_attributes == 2


@pytest.mark.parametrize("mode", gate.MODES)
def test_a_live_span_is_not_passed_on(mode: gate.Mode) -> None:
    """The next processor sees the end of a span and never its start."""
    following = Recorder()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(ContentGateSpanProcessor(following, mode=mode))
    provider.get_tracer("tests").start_span(SENTENCE).end()
    assert (following.started, len(following.ended)) == (0, 1)


@pytest.mark.parametrize(("mode", "function"), [("strict", "Checks.keep"), ("standard", "Standard.filter")])
def test_a_span_that_cannot_be_filtered_is_dropped(
    mode: gate.Mode, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A filter that raises lets nothing through, is counted, and does not reach the host."""

    def fail(*_: object) -> None:
        raise RuntimeError(SENTENCE)

    span, following, _ = ended({"incident.id": "42"})
    monkeypatch.setattr(f"otel_incident.gate.rules.{function}", fail)
    set_reraise(reraise=False)
    processor = ContentGateSpanProcessor(following, mode=mode)
    processor.on_end(span)
    assert following.ended == []
    assert processor.drops == {("spans", "internal_error", "none"): 1}
    assert swallowed() == {"gate": 1}


def test_an_unknown_mode_is_refused() -> None:
    """A mode that does not exist is an error at construction, not a gate that stands open."""
    with pytest.raises(ValueError, match="strict, standard"):
        ContentGateSpanProcessor(Recorder(), mode="open")  # type: ignore[arg-type]  # that is the point


def test_shutdown_and_flush_reach_the_next_processor() -> None:
    """Both are passed on, with the time-out there and the answer back."""
    following = Recorder()
    processor = ContentGateSpanProcessor(following)
    assert processor.force_flush(123) is False
    processor.shutdown()
    assert following.calls == [("force_flush", 123), ("shutdown", 0)]
