"""Model hooks and spans: the record keeps the span of the change, the span event finds one that records."""

from collections.abc import Iterator

import pytest
from django.db import transaction
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Span, Tracer, use_span

from otel_incident.events import Incident, IncidentEvent
from otel_incident.hooks.activation import Activation
from otel_incident.hooks.ended_spans import on_recording_span
from otel_incident.hooks.spec import parse
from tests.django_host import INCIDENTS, model
from tests.emitting import Emitting

pytestmark = pytest.mark.usefixtures("ops")


@pytest.fixture
def host(ops: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emitting]:
    """A watched host whose events are put on spans, too."""
    del ops
    monkeypatch.setenv("OTEL_INCIDENT_SPAN_EVENTS", "true")
    emitting = Emitting()
    activation = Activation([parse(INCIDENTS, "one.toml")], emitting.emitter.emit)
    activation.install()
    yield emitting
    activation.uninstall()
    emitting.close()


@pytest.fixture
def finished() -> InMemorySpanExporter:
    """The host's spans that have ended."""
    return InMemorySpanExporter()


@pytest.fixture
def tracer(finished: InMemorySpanExporter) -> Iterator[Tracer]:
    """The host's tracer."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(finished))
    yield provider.get_tracer("host")
    provider.shutdown()


def on_spans(finished: InMemorySpanExporter) -> dict[str, list[str]]:
    """The names of the events of each span that has ended."""
    return {span.name: [event.name for event in span.events] for span in finished.get_finished_spans()}


def ids(host: Emitting) -> list[tuple[int | None, int | None]]:
    """The trace and span of each record."""
    return [(record.log_record.trace_id, record.log_record.span_id) for record in host.records()]


def of(span: Span) -> tuple[int, int]:
    """The trace and the id of a span."""
    return span.get_span_context().trace_id, span.get_span_context().span_id


def test_a_span_that_ended_before_the_commit(
    host: Emitting, tracer: Tracer, finished: InMemorySpanExporter
) -> None:
    """The event is put on the span in which the commit comes; its record is the change's all the same."""
    with tracer.start_as_current_span("request"), transaction.atomic():  # noqa: SIM117  the commit comes between
        with tracer.start_as_current_span("service") as service:
            made = model("Incident").objects.create(status=4)
    assert on_spans(finished) == {"service": [], "request": ["incident.create", "incident.end"]}
    assert ids(host) == [of(service)] * 2
    (create, end) = finished.get_finished_spans()[1].events
    assert [dict(each.attributes or {})["incident.id"] for each in (create, end)] == [str(made.pk)] * 2
    assert [each.timestamp for each in (create, end)] == [
        record.log_record.timestamp for record in host.records()
    ]


def test_a_span_that_still_records_at_the_commit(
    host: Emitting, tracer: Tracer, finished: InMemorySpanExporter
) -> None:
    """It has the event, and no other."""
    with tracer.start_as_current_span("request"):
        service = tracer.start_span("service")
        with transaction.atomic(), use_span(service):
            model("Incident").objects.create()
        service.end()
    assert on_spans(finished) == {"service": ["incident.create"], "request": []}
    assert ids(host) == [of(service)]


def test_a_commit_in_another_trace(host: Emitting, tracer: Tracer, finished: InMemorySpanExporter) -> None:
    """A span of another trace is no place for it; the record is complete without."""
    block = transaction.atomic()
    with tracer.start_as_current_span("change") as change:
        block.__enter__()
        model("Incident").objects.create()
    with tracer.start_as_current_span("commit"):
        block.__exit__(None, None, None)
    assert on_spans(finished) == {"change": [], "commit": []}
    assert ids(host) == [of(change)]


def test_a_commit_outside_of_every_span(
    host: Emitting, tracer: Tracer, finished: InMemorySpanExporter
) -> None:
    """There is no span to put it on; the record is complete without."""
    with transaction.atomic(), tracer.start_as_current_span("change") as change:
        model("Incident").objects.create()
    assert on_spans(finished) == {"change": []}
    assert ids(host) == [of(change)]


def test_without_spans_an_event_is_handed_on_as_it_is() -> None:
    """The same object: a host that traces nothing pays nothing."""
    event = IncidentEvent(action="end", incident=Incident(id=7))
    assert on_recording_span(event) is event
