"""Metrics of a host through the gate, over the wire, to a backend."""

import math
from collections.abc import Iterator
from typing import Any, Final

import pytest
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import (
    ConsoleMetricExporter,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.metrics.view import View
from opentelemetry.sdk.resources import Resource

from otel_incident import ContentGateMetricExporter, Incident, IncidentEmitter, gate
from otel_incident.ending import ending
from otel_incident.guard import set_reraise
from otel_incident.version import __version__
from otel_incident.vocabulary import METRICS, SCHEMA_URL, SCOPE_NAME
from tests.backend import Backend
from tests.telemetry import MetricPoint

CANARY: Final = "kanarie"
DJANGO: Final = "opentelemetry.instrumentation.django"
DURATION: Final = "http.server.request.duration"
CONVENTIONS: Final = "https://opentelemetry.io/schemas/1.21.0"
BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
REQUEST: Final[dict[str, str | int]] = {
    "http.request.method": "GET",
    "http.route": "incidents/<int:pk>/",
    "http.response.status_code": 200,
    "network.protocol.version": "1.1",
    "url.scheme": "https",
}


@pytest.fixture(params=["grpc", "http"])
def exporter(request: pytest.FixtureRequest, backend: Backend) -> MetricExporter:
    """The stock OTLP exporter of each protocol."""
    if request.param == "grpc":
        return GrpcExporter(endpoint=backend.grpc_endpoint, insecure=True)
    return HttpExporter(endpoint=f"{backend.http_endpoint}/v1/metrics")


class Host:
    """A provider with views and a reader of its own, behind a gate."""

    def __init__(self, exporter: MetricExporter, mode: gate.Mode) -> None:
        self.gate = ContentGateMetricExporter(exporter, mode=mode)
        self.provider = MeterProvider(
            [PeriodicExportingMetricReader(self.gate, math.inf)],
            resource=Resource({"service.name": "desk", "host.name": CANARY}),
            shutdown_on_exit=False,
            exemplar_filter=AlwaysOnExemplarFilter(),
            views=[View(instrument_name="http.server.active_requests", attribute_keys={"http.method"})],
        )

    def serve(self) -> None:
        """Two requests as Django's instrumentation measures them, with a title beside; and one under way."""
        meter = self.provider.get_meter(DJANGO, "0.66b2", CONVENTIONS)
        durations = meter.create_histogram(
            DURATION,
            "s",
            f"Duration of HTTP server requests, {CANARY}.",
            explicit_bucket_boundaries_advisory=BOUNDS,
        )
        durations.record(0.0625, {**REQUEST, "desk.title": f"{CANARY} one"})
        durations.record(0.5, {**REQUEST, "desk.title": f"{CANARY} two"})
        active = meter.create_up_down_counter("http.server.active_requests", "{request}", CANARY)
        active.add(1, {"http.method": "GET", "desk.title": CANARY})
        self.provider.get_meter(f"desk.{CANARY}").create_counter(f"desk.{CANARY}").add(1, {CANARY: CANARY})


@pytest.fixture
def host(request: pytest.FixtureRequest, exporter: MetricExporter) -> Iterator[Host]:
    """A host in a mode; strict unless a test says otherwise."""
    made = Host(exporter, getattr(request, "param", "strict"))
    yield made
    made.provider.shutdown()


def by_name(points: list[MetricPoint]) -> dict[str, MetricPoint]:
    """One point for each metric."""
    found = {point.name: point for point in points}
    assert len(found) == len(points)
    return found


def test_requests_are_measured_without_what_they_were_about(host: Host, backend: Backend) -> None:
    """Method, route, status and all that was measured arrive in one point; nothing of the host's does."""
    host.serve()
    assert host.provider.force_flush() is True
    found = by_name(backend.wait_for_metrics(2))
    assert set(found) == {DURATION, "http.server.active_requests"}
    assert CANARY.encode() not in backend.raw_bytes().lower()
    duration = found[DURATION]
    assert (duration.kind, duration.unit, duration.description) == ("histogram", "s", "")
    assert duration.attributes == REQUEST
    assert (duration.count, duration.sum, duration.min, duration.max) == (2, 0.5625, 0.0625, 0.5)
    assert duration.bounds == BOUNDS
    assert duration.bucket_counts == (0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0)
    assert duration.temporality == "cumulative"
    assert duration.exemplar_count == 1
    assert (duration.scope_name, duration.scope_version) == (DJANGO, "0.66b2")
    assert (duration.scope_schema_url, duration.scope_attributes) == (CONVENTIONS, {})
    assert duration.resource == {"service.name": "desk"}
    active = found["http.server.active_requests"]
    assert (active.kind, active.value, active.unit, active.is_monotonic) == ("sum", 1, "{request}", False)
    assert active.attributes == {"http.method": "GET"}
    assert active.exemplar_count == 1
    assert host.gate.drops == {
        ("metrics", "unknown_key", "none"): 4,
        ("metrics", "text_field", "none"): 3,
        ("metrics", "unknown_metric", "none"): 1,
    }


@pytest.mark.parametrize("host", ["standard"], indirect=True)
def test_standard_sends_what_it_does_not_forbid(host: Host, backend: Backend) -> None:
    """The same host, whose attributes are no incident's: everything arrives, exemplars included."""
    host.serve()
    assert host.provider.force_flush() is True
    points = backend.wait_for_metrics(4)
    assert sorted(point.name for point in points) == sorted(
        [DURATION, DURATION, "http.server.active_requests", f"desk.{CANARY}"]
    )
    assert b"desk.title" in backend.raw_bytes()
    assert host.gate.drops == {}


def test_our_own_count_of_events_arrives_as_it_is(host: Host, backend: Backend) -> None:
    """`incident.events` and `incident.duration` pass strict with name, unit, text, scope and attributes."""
    logs = LoggerProvider(shutdown_on_exit=False)
    emitter = IncidentEmitter(logger_provider=logs, meter_provider=host.provider)
    incident = Incident(id="42", created_at=1_600_000_000)
    emitter.create(incident)
    emitter.create(incident)
    emitter.end(incident)
    assert host.provider.force_flush() is True
    points = backend.wait_for_metrics(3)
    events: dict[Any, Any] = {
        point.attributes["incident.action"]: point for point in points if point.name == "incident.events"
    }
    assert {action: point.value for action, point in events.items()} == {"create": 2, "end": 1}
    own = METRICS["incident.events"]
    for point in events.values():
        assert point.attributes == {"incident.action": point.attributes["incident.action"]}
        assert (point.unit, point.description, point.is_monotonic) == (own.unit, own.brief, True)
        assert (point.scope_name, point.scope_version) == (SCOPE_NAME, __version__)
        assert point.scope_schema_url == SCHEMA_URL
    (duration,) = [point for point in points if point.name == "incident.duration"]
    assert (duration.count, duration.unit, duration.attributes) == (1, "s", {})
    assert host.gate.drops == {("metrics", "unknown_key", "none"): 1}  # of the resource
    logs.shutdown()


def test_cumulative_streams_grow_over_several_exports(host: Host, backend: Backend) -> None:
    """Each export adds a set of attributes that becomes the same point: its count only grows."""
    durations = host.provider.get_meter(DJANGO).create_histogram(DURATION, "s")
    for count in range(1, 5):
        durations.record(0.25, {**REQUEST, "desk.title": f"{CANARY} {count}"})
        assert host.provider.force_flush() is True
    points = [point for point in backend.wait_for_metrics(4) if point.name == DURATION]
    assert [(point.count, point.sum) for point in points] == [(1, 0.25), (2, 0.5), (3, 0.75), (4, 1.0)]
    assert len({point.start for point in points}) == 1
    assert [point.timestamp for point in points] == sorted({point.timestamp for point in points})
    assert all(point.attributes == REQUEST for point in points)


def test_a_scope_that_raises_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A scope that cannot be read when our own metrics are left out costs that collection, not the reader."""

    class Raises:
        """Of a host's own making."""

        @property
        def name(self) -> str:
            raise LookupError(CANARY)

    scope: Any = Raises()
    resource = Resource.get_empty()
    data = MetricsData([ResourceMetrics(resource, [ScopeMetrics(scope, [], "")], "")])
    around = ContentGateMetricExporter(ConsoleMetricExporter(), mode="standard")
    monkeypatch.setattr(ending, "in_vain", True)
    set_reraise(reraise=False)
    assert around.export(data) is MetricExportResult.SUCCESS
    assert capsys.readouterr().out == ""
    assert around.drops == {("metrics", "internal_error", "none"): 1}
