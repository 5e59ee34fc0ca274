"""How an emitter finds where its events go: once, late, without hanging, and never while it is off."""

import logging
import threading
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import set_span_in_context

from otel_incident import emitter as emitter_module
from otel_incident.config import Config
from otel_incident.emitter import IncidentEmitter
from otel_incident.events import Incident, IncidentEvent
from otel_incident.guard import LOCK_SECONDS
from otel_incident.pipeline import Pipeline, default_pipeline, set_default_pipeline
from otel_incident.records import through_api
from otel_incident.route import Route
from tests.emitting import Emitting
from tests.otlp_receiver import OtlpReceiver


@pytest.fixture
def to_receiver(receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch) -> OtlpReceiver:
    """A receiver that the environment points to."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.http_endpoint)
    return receiver


def test_a_log_handler_may_report_incidents(to_receiver: OtlpReceiver) -> None:
    """A host that opens an incident for each warning does not hang or recurse on a warning of ours.

    What it reports while the first event still looks for its route goes out after it.
    """

    class Opening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())
            for each in (emitter, IncidentEmitter()):
                each.create(Incident(id=3))

    seen: list[str] = []
    emitter = IncidentEmitter()
    handler = Opening(logging.WARNING)
    logging.getLogger("otel_incident").addHandler(handler)
    try:
        thread = threading.Thread(target=emitter.create, args=(Incident(id=1),))
        thread.start()
        thread.join(LOCK_SECONDS - 1)
        assert not thread.is_alive()
        emitter.create(Incident(id=2))
    finally:
        logging.getLogger("otel_incident").removeHandler(handler)
    assert [line.partition(":")[0] for line in seen] == ["The host's version is unknown"]
    assert default_pipeline().force_flush()
    arrived = [event.attributes["incident.id"] for event in to_receiver.wait_for_events(4)]
    assert arrived == ["1", "3", "3", "2"]


@pytest.mark.parametrize("spool", ["true", "false"])
def test_an_event_carries_its_own_trace(
    to_receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch, spool: str
) -> None:
    """By disk and by memory: that of the change, else the current one, and none where there was none."""
    monkeypatch.setenv("OTEL_INCIDENT_SPOOL", spool)
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("tests")
    made = tracer.start_span("the change")
    made.end()
    contexts = [set_span_in_context(made, Context()), None, Context()]
    emitter = IncidentEmitter()
    with tracer.start_as_current_span("the commit") as current:
        for context in contexts:
            emitter.emit(IncidentEvent(action="create", incident=Incident(id=1), context=context))
    assert default_pipeline().force_flush()
    spans = [span.get_span_context() for span in (made, current)]
    assert [(event.trace_id, event.span_id) for event in to_receiver.wait_for_events(3)] == [
        *((format(span.trace_id, "032x"), format(span.span_id, "016x")) for span in spans),
        ("", ""),
    ]


def test_an_emitter_outlives_the_default_pipeline(to_receiver: OtlpReceiver) -> None:
    """When the instrumentor takes its pipeline away, an emitter of the application builds its own."""
    emitter = IncidentEmitter()
    emitter.create(Incident(id=1))
    former = set_default_pipeline(None)
    assert former is not None
    former.shutdown()
    emitter.create(Incident(id=2))
    assert default_pipeline().force_flush()
    assert [event.attributes["incident.id"] for event in to_receiver.wait_for_events(2)] == ["1", "2"]


def test_threads_settle_once() -> None:
    """Threads whose events come first at the same moment look for one route between them."""
    asked: list[int] = []
    sent: list[object] = []
    start = threading.Barrier(8)

    class Counting(Route):  # type: ignore[misc]  # final to everybody but this test
        def __init__(self) -> None:
            self.closed = False

        def send(self, event: IncidentEvent) -> None:
            sent.append(event)

    def resolve() -> Route:
        asked.append(1)
        return Counting()

    emitter = IncidentEmitter(route=resolve)

    def run() -> None:
        start.wait(10)
        emitter.create(Incident(id="1"))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 1
    assert len(sent) == 8


def test_an_emitter_finds_another_route_when_its_own_is_closed(host: Emitting) -> None:
    """An application's emitter outlives the pipeline that an instrumentor set and took away."""
    meter = host.meter_provider.get_meter("tests")
    logger = host.logger_provider.get_logger("tests")

    def make() -> Route:
        routes.append(
            Route(write=through_api(logger), meter=meter, check=lambda _, attributes, __: attributes)
        )
        return routes[-1]

    routes: list[Route] = []
    emitter = IncidentEmitter(route=make)
    emitter.create(Incident(id="1"))
    emitter.create(Incident(id="2"))
    assert len(routes) == 1
    routes[0].closed = True
    emitter.create(Incident(id="3"))
    assert len(routes) == 2
    assert [each["incident.id"] for each in host.attributes()] == ["1", "2", "3"]


def test_a_pipeline_that_comes_back_is_the_same(to_receiver: OtlpReceiver) -> None:
    """A pipeline that another one stood in for goes on where it was: nothing queued in it is lost."""
    emitter = IncidentEmitter()
    emitter.create(Incident(id=1))
    threads = set(threading.enumerate())
    first = set_default_pipeline(None)
    set_default_pipeline(first)
    emitter.create(Incident(id=2))
    assert set(threading.enumerate()) == threads
    assert first is not None
    assert first.force_flush()
    assert [event.attributes["incident.id"] for event in to_receiver.wait_for_events(2)] == ["1", "2"]


def test_the_environment_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not change while the process runs: events that go nowhere cost no second look at it."""
    monkeypatch.setenv("OTEL_INCIDENT_ENABLED", "false")
    read: list[object] = []
    from_env = Config.from_env

    def count() -> Config:
        read.append(1)
        return from_env()

    monkeypatch.setattr(Config, "from_env", count)
    provider: Any = object()
    emitters = (IncidentEmitter(), IncidentEmitter(logger_provider=provider))
    for emitter in emitters * 3:
        emitter.create(Incident(id="1"))
    assert read == [1]


def test_an_emitter_that_is_off_comes_on_with_another_pipeline(
    host: Emitting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recording, or an instrumentor with options of its own, is heard by emitters that found nothing."""
    monkeypatch.setenv("OTEL_INCIDENT_ENABLED", "false")
    emitter = IncidentEmitter()
    emitter.create(Incident(id="1"))
    set_default_pipeline(Pipeline(Config(), logger_provider=host.logger_provider))
    emitter.create(Incident(id="2"))
    assert [each["incident.id"] for each in host.attributes()] == ["2"]


def test_disable_and_enable_hold_for_the_process(host: Emitting) -> None:
    """`disable()` of any emitter stops them all, hooks' included, until any of them is enabled."""
    other = Emitting()
    host.emitter.disable()
    for each in (host, other):
        each.emitter.create(Incident(id="1"))
        each.emitter.emit(IncidentEvent(action="end", incident=Incident(id="1")))
        assert each.records() == []
        assert each.points("incident.events") == []
    other.emitter.enable()
    for each in (host, other):
        each.emitter.create(Incident(id="1"))
        assert each.names() == ["incident.create"]
    other.close()


def test_a_disabled_emitter_looks_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is disabled an emitter does not even build its pipeline."""
    asked: list[object] = []
    monkeypatch.setattr(emitter_module, "_default_route", lambda *providers: asked.append(providers))
    emitter = IncidentEmitter()
    emitter.disable()
    emitter.create(Incident(id="1"))
    assert asked == []
    emitter.enable()
    emitter.create(Incident(id="1"))
    assert asked == [(None, None)]
