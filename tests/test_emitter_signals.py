"""What goes out beside the record: the trace, the event on its span, and two metrics without an id."""

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from opentelemetry.context import Context
from opentelemetry.metrics import NoOpCounter, NoOpHistogram
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, set_span_in_context, use_span
from opentelemetry.util.types import Attributes

from otel_incident.events import Actor, Incident, IncidentEvent
from otel_incident.version import __version__
from tests.emitting import Emitting

AT: Final = 1_600_000_123_456_789_012
INCIDENT: Final = Incident(id="77", team_id="88", created_at=1_600_000_000_000)
ACTOR: Final = Actor(id="99", roles=("end_user",))


@pytest.fixture
def spans() -> Iterator[tuple[Any, InMemorySpanExporter]]:
    """A tracer and what it has finished."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider.get_tracer("tests"), exporter
    provider.shutdown()


def ids(span: Span) -> tuple[int, int]:
    """Trace and span id."""
    context = span.get_span_context()
    return context.trace_id, context.span_id


def traced(host: Emitting) -> list[tuple[int | None, int | None]]:
    """Trace and span id of each event."""
    return [(record.log_record.trace_id, record.log_record.span_id) for record in host.records()]


def test_an_event_carries_the_current_trace(host: Emitting, spans: Any) -> None:
    """Trace and span id are those of the span that was current, none where there was none."""
    tracer, _ = spans
    with tracer.start_as_current_span("a request") as span:
        host.emitter.create(INCIDENT)
    host.emitter.end(INCIDENT)
    assert traced(host) == [ids(span), (0, 0)]
    flags = [record.log_record.trace_flags for record in host.records()]
    assert flags == [span.get_span_context().trace_flags, 0]


def test_an_event_carries_the_trace_in_which_the_change_was_made(host: Emitting, spans: Any) -> None:
    """A context that was kept comes before the one that is current when the event goes out."""
    tracer, _ = spans
    made = tracer.start_span("the change")
    with tracer.start_as_current_span("the commit"):
        host.emitter.emit(
            IncidentEvent(action="create", incident=INCIDENT, context=set_span_in_context(made, Context()))
        )
    assert traced(host) == [ids(made)]


def test_a_change_outside_any_trace_stays_outside(host: Emitting, spans: Any) -> None:
    """An empty context means that there was no span; the one that is current now is another's."""
    tracer, _ = spans
    with tracer.start_as_current_span("the commit"):
        host.emitter.emit(IncidentEvent(action="create", incident=INCIDENT, context=Context()))
    assert traced(host) == [(0, 0)]


def test_span_events_are_off_by_default(host: Emitting, spans: Any) -> None:
    """Nothing is put on a span unless it is asked for."""
    tracer, finished = spans
    with tracer.start_as_current_span("a request"):
        host.emitter.create(INCIDENT)
    (span,) = finished.get_finished_spans()
    assert span.events == ()


@pytest.fixture
def with_span_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for span events."""
    monkeypatch.setenv("OTEL_INCIDENT_SPAN_EVENTS", "true")


@pytest.mark.usefixtures("with_span_events")
def test_span_events_show_the_event_on_its_span(host: Emitting, spans: Any) -> None:
    """With `OTEL_INCIDENT_SPAN_EVENTS=true` the span gets the event: same name, attributes and time."""
    tracer, finished = spans
    with tracer.start_as_current_span("a request"):
        host.emitter.emit(IncidentEvent(action="end", incident=INCIDENT, actor=ACTOR, timestamp=AT))
    (span,) = finished.get_finished_spans()
    (event,) = span.events
    (record,) = host.records()
    assert event.name == "incident.end"
    assert event.timestamp == AT
    assert dict(event.attributes) == dict(record.log_record.attributes or {})
    assert event.attributes["user.roles"] == ("end_user",)
    assert event.attributes["incident.duration"] == 123.456


@pytest.mark.usefixtures("with_span_events")
def test_a_span_event_goes_to_the_span_of_the_change(host: Emitting, spans: Any) -> None:
    """The span in which the change was made gets it, if it still records, and not the current one."""
    tracer, finished = spans
    made = tracer.start_span("the change")
    context = set_span_in_context(made, Context())
    with tracer.start_as_current_span("the commit"):
        host.emitter.emit(IncidentEvent(action="create", incident=INCIDENT, context=context))
    made.end()
    assert [(span.name, len(span.events)) for span in finished.get_finished_spans()] == [
        ("the commit", 0),
        ("the change", 1),
    ]


@pytest.mark.usefixtures("with_span_events")
def test_an_ended_span_gets_none(host: Emitting, spans: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A span that ended before the event is left alone, and the SDK has nothing to warn of."""
    tracer, finished = spans
    span = tracer.start_span("over")
    span.end()
    with use_span(span):
        host.emitter.create(INCIDENT)
    assert finished.get_finished_spans()[0].events == ()
    assert traced(host) == [ids(span)]
    assert caplog.records == []


@pytest.mark.usefixtures("with_span_events")
def test_a_remote_or_absent_span_gets_none(host: Emitting) -> None:
    """A span that only came with a request's headers, or none at all, is no place for an event."""
    remote = NonRecordingSpan(SpanContext(1, 2, is_remote=True))
    with use_span(remote):
        host.emitter.create(INCIDENT)
    host.emitter.create(INCIDENT)
    assert traced(host) == [(1, 2), (0, 0)]


@pytest.mark.usefixtures("with_span_events")
def test_a_refused_event_is_on_no_span(host: Emitting, spans: Any) -> None:
    """What the policy refuses goes nowhere."""
    tracer, finished = spans
    with tracer.start_as_current_span("a request"):
        host.emitter.create(Incident(id=""))
    assert finished.get_finished_spans()[0].events == ()


def test_events_are_counted_by_action(host: Emitting) -> None:
    """`incident.events` counts by `incident.action`, and by nothing else."""
    for _ in range(3):
        host.emitter.create(INCIDENT, actor=ACTOR)
    host.emitter.end(INCIDENT, actor=ACTOR)
    found = {tuple(point.attributes.items()): point.value for point in host.points("incident.events")}
    assert found == {(("incident.action", "create"),): 3, (("incident.action", "end"),): 1}


def test_durations_are_recorded_in_seconds_at_the_end(host: Emitting) -> None:
    """`incident.duration` is a histogram without attributes, with bounds from a minute to a month."""
    host.emitter.create(INCIDENT)
    host.emitter.emit(IncidentEvent(action="end", incident=INCIDENT, timestamp=AT))
    host.emitter.emit(IncidentEvent(action="end", incident=Incident(id="1"), timestamp=AT))
    (point,) = host.points("incident.duration")
    assert (point.count, point.sum) == (1, 123.456)
    assert dict(point.attributes) == {}
    assert (point.explicit_bounds[0], point.explicit_bounds[-1]) == (60.0, 2_592_000.0)


def test_no_id_is_on_any_metric(host: Emitting) -> None:
    """However much an event says, a metric of ours carries closed values alone, and our scope."""
    host.emitter.create(Incident(id="payments-outage", team_id="88"), actor=Actor(id="jane.doe"))
    host.emitter.create(Incident(id="1", commander_id=True))
    host.emitter.end(INCIDENT, actor=ACTOR)
    names = {"incident.events", "incident.duration", "otel_incident.policy.dropped"}
    values = {value for name in names for point in host.points(name) for value in point.attributes.values()}
    assert values == {"create", "end", "logs", "hashed", "wrong_type", "id"}
    scope = host.scope_of_metrics()
    assert (scope.name, scope.version) == ("otel_incident", __version__)
    assert scope.schema_url == "https://otel-incident.invalid/schemas/0.1.0"


def test_exemplars_carry_no_attribute(host: Emitting, spans: Any) -> None:
    """What the SDK attaches to a point of a sampled trace holds the trace's ids and no attribute."""
    tracer, _ = spans
    with tracer.start_as_current_span("a request"):
        host.emitter.emit(IncidentEvent(action="end", incident=INCIDENT, actor=ACTOR, timestamp=AT))
    exemplars = [
        exemplar
        for name in ("incident.events", "incident.duration")
        for point in host.points(name)
        for exemplar in point.exemplars
    ]
    assert exemplars
    assert all(not exemplar.filtered_attributes for exemplar in exemplars)


class Interrupted(NoOpCounter):
    """A counter that is not to be entered twice by one thread, and is interrupted by a signal's handler."""

    def __init__(self, handler: Callable[[], object]) -> None:
        """Nothing is counted yet."""
        super().__init__("incident.events")
        self.counted: list[object] = []
        self._handlers = [handler]
        self._inside = False

    def add(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Count, as the SDK does under a lock."""
        assert not self._inside
        self._inside = True
        if self._handlers:
            self._handlers.pop()()
        self.counted.append((amount, attributes and attributes["incident.action"], context))
        self._inside = False


def test_a_signal_handler_may_report_while_an_event_is_counted(
    host: Emitting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its event is counted behind the one that it has interrupted: the SDK's locks are taken once."""
    host.emitter.create(INCIDENT)
    counter = Interrupted(lambda: host.emitter.end(INCIDENT))
    instruments = counter, NoOpHistogram("incident.duration")
    monkeypatch.setattr(host.emitter._route, "_instruments", instruments)  # noqa: SLF001  no host's meter is interrupted so
    host.emitter.restart(INCIDENT)
    assert counter.counted == [(1, "restart", None), (1, "end", None)]
    assert host.names() == ["incident.create", "incident.restart", "incident.end"]
    host.emitter.end(INCIDENT)
    assert len(counter.counted) == 3
