"""What the spool holds and has done is offered through the Metrics API, by kinds that are closed lists."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from otel_incident import ContentGateMetricExporter
from otel_incident.config import Config
from otel_incident.pipeline import Pipeline
from otel_incident.spool.attempts import Attempts
from otel_incident.spool.retention import Bounds
from otel_incident.spool.spool import Outlet, Spool
from otel_incident.spool_metrics import SpoolMetrics, kind_of, report
from otel_incident.vocabulary import METRICS
from tests.metric_points import Exported
from tests.otlp_receiver import OtlpReceiver, PartialSuccess, Status
from tests.processes import succeed
from tests.spool_exporters import FAILURE, Obedient
from tests.spool_hosts import KNOWN
from tests.spool_records import line, numbered
from tests.waiting import wait_until

NAMES: Final = ("waiting", "oldest_age", "delivered", "rejected", "retried", "quarantined", "dropped")


@pytest.fixture
def reader() -> Iterator[InMemoryMetricReader]:
    """Reads the metrics of `provider_of`."""
    made = InMemoryMetricReader()
    yield made
    made.shutdown()


@pytest.fixture
def provider(reader: InMemoryMetricReader) -> Iterator[MeterProvider]:
    """A meter provider of the test's own."""
    made = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    yield made
    made.shutdown()


def spool_at(directory: Path, exporter: Obedient, name: str = "otlp_proto_http", **named: Any) -> Spool:
    """A spool with one exporter."""
    return Spool(directory, [Outlet(name, lambda: Attempts(exporter), delay=0.0)], **named)


def read(reader: InMemoryMetricReader) -> dict[str, dict[tuple[tuple[str, Any], ...], Any]]:
    """The values of the spool's metrics by their last name, by attributes."""
    data: Any = reader.get_metrics_data()
    found: dict[str, dict[tuple[tuple[str, Any], ...], Any]] = {}
    for of_resource in data.resource_metrics if data else ():
        for of_scope in of_resource.scope_metrics:
            assert of_scope.scope.name == "otel_incident"
            for metric in of_scope.metrics:
                registered = METRICS[metric.name]
                assert (metric.unit, metric.description) == (registered.unit, registered.brief)
                found[metric.name.removeprefix("otel_incident.spool.")] = {
                    tuple(point.attributes.items()): point.value for point in metric.data.data_points
                }
    return found


def by(value: str, key: str = "otel_incident.exporter") -> tuple[tuple[str, str], ...]:
    """The attributes of a point."""
    return ((key, value),)


def test_what_is_delivered(tmp_path: Path, reader: InMemoryMetricReader, provider: MeterProvider) -> None:
    """Each metric is there, with the kind of exporter; a gauge for the age, sums for the rest."""
    exporter = Obedient()
    spool = spool_at(tmp_path / "spool", exporter)
    report(spool, provider)
    for number in range(3):
        spool.take(numbered(number))
    assert spool.force_flush()
    wait_until(lambda: read(reader).get("delivered") == {by("otlp_proto_http"): 3}, 30, "three")
    found = read(reader)
    assert found == {
        "waiting": {by("otlp_proto_http"): 0},
        "oldest_age": {by("otlp_proto_http"): 0.0},
        "delivered": {by("otlp_proto_http"): 3},
        "rejected": {by("otlp_proto_http"): 0},
        "retried": {by("otlp_proto_http"): 0},
        "quarantined": {by("otlp_proto_http"): 0},
    }
    spool.shutdown()
    assert {name.removeprefix("otel_incident.spool.") for name in METRICS if ".spool." in name} == set(NAMES)
    data: Any = reader.get_metrics_data()
    kinds = {
        metric.name.rpartition(".")[2]: (
            type(metric.data).__name__,
            getattr(metric.data, "is_monotonic", None),
        )
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
    }
    assert kinds == {
        "waiting": ("Sum", False),
        "delivered": ("Sum", True),
        "rejected": ("Sum", True),
        "retried": ("Sum", True),
        "quarantined": ("Sum", True),
    }


def test_what_waits(tmp_path: Path, reader: InMemoryMetricReader, provider: MeterProvider) -> None:
    """An outage shows as bytes that wait and as their age; who does not deliver adds nothing to them."""
    exporter = Obedient(lambda: FAILURE)
    spool = spool_at(tmp_path / "spool", exporter)
    report(spool, provider)
    spool.take(numbered(1, "x" * 100))
    wait_until(lambda: spool.status()["otlp_proto_http"].outage, 30, "an attempt")
    spool.take(numbered(2))
    wait_until(lambda: read(reader).get("oldest_age", {}).get(by("otlp_proto_http"), 0.0) > 0.0, 30, "age")
    size = len(line(1, "x" * 100)) + len(line(2))
    assert read(reader)["waiting"] == {by("otlp_proto_http"): size}
    other = spool_at(tmp_path / "spool", Obedient(lambda: FAILURE))
    report(other, provider)
    other.take(numbered(3))
    wait_until(
        lambda: read(reader)["waiting"] == {by("otlp_proto_http"): size + len(line(3))}, 30, "both once"
    )
    exporter.answer = Obedient().answer
    spool.nudge()
    wait_until(lambda: read(reader)["waiting"] == {by("otlp_proto_http"): 0}, 30, "all")
    found = read(reader)
    assert found["oldest_age"] == {by("otlp_proto_http"): 0.0}
    assert found["delivered"] == {by("otlp_proto_http"): 3}
    assert found["retried"][by("otlp_proto_http")] >= 1
    for each in (spool, other):
        each.shutdown()


def test_the_age_is_that_of_what_waits(
    tmp_path: Path, reader: InMemoryMetricReader, provider: MeterProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that waits in a segment of last week's has not waited for a week."""
    now = time.time_ns()
    exporter = Obedient()
    with monkeypatch.context() as patched:
        patched.setattr(SpoolMetrics, "_now", lambda _: (now + 5e9) / 1e9, raising=False)
        spool = spool_at(tmp_path / "spool", exporter)
        report(spool, provider)
        spool.take(numbered(now - 5))
        assert spool.force_flush()
        (segment,) = (spool.directory / "segments").iterdir()
        exporter.answer = lambda: FAILURE
        week_old = segment.with_name(f"{now - 604_800_000_000_000:020d}{segment.name[20:]}")
        week_old.write_bytes(line(now))
        spool.nudge()
        wait_until(lambda: spool.status()["otlp_proto_http"].outage, 30, "an attempt")
        age = read(reader)["oldest_age"][by("otlp_proto_http")]
        status = spool.status()["otlp_proto_http"]
    assert 0.0 <= age < 3600.0
    assert 0.0 <= status.oldest_seconds < 3600.0
    spool.shutdown()


def test_what_is_in_memory_waits_too(
    tmp_path: Path, reader: InMemoryMetricReader, provider: MeterProvider
) -> None:
    """Where the disk cannot be used, what memory holds is counted, and what it had no room for."""
    (tmp_path / "spool").write_text("no directory")
    spool = spool_at(tmp_path / "spool", Obedient(lambda: FAILURE), queue_size=2)
    report(spool, provider)
    now = time.time_ns()
    for number in range(3):
        spool.take(numbered(now + number))
    found = read(reader)
    assert found["waiting"] == {by("otlp_proto_http"): len(line(now + 1)) + len(line(now + 2))}
    assert 0.0 <= found["oldest_age"][by("otlp_proto_http")] < 60.0
    assert found["dropped"] == {by("memory_full", "otel_incident.reason"): 1}
    spool.shutdown()
    assert read(reader)["dropped"] == {
        by("memory_full", "otel_incident.reason"): 1,
        by("ended", "otel_incident.reason"): 2,
    }


def test_what_is_dropped_is_counted_once(
    tmp_path: Path, reader: InMemoryMetricReader, provider: MeterProvider
) -> None:
    """With two exporters, a record that was dropped is one record; its reason is one of the registered."""
    down = Obedient(lambda: FAILURE)
    spool = Spool(
        tmp_path / "spool",
        [Outlet(name, lambda: Attempts(down), delay=0.0) for name in ("otlp_proto_grpc", "acme")],
        bounds=Bounds(max_age=-1.0),
    )
    report(spool, provider)
    full = spool.directory / "segments" / "00000000000000000001-1-a.jsonl"
    full.write_bytes(line(1) + line(2))
    spool.deliver_leftovers()
    dropped = by("max_age", "otel_incident.reason")
    wait_until(lambda: read(reader).get("dropped") == {dropped: 2}, 30, "both")
    spool.take(numbered(1, {1: object}))
    assert set(read(reader)["delivered"]) == {by("otlp_proto_grpc"), by("other")}
    spool.shutdown()


def test_what_has_ended_counts_on(
    tmp_path: Path, reader: InMemoryMetricReader, provider: MeterProvider
) -> None:
    """A counter does not fall when a pipeline is shut down and another begins."""
    for number in range(2):
        spool = spool_at(tmp_path / str(number), Obedient())
        metrics = report(spool, provider)
        spool.take(numbered(number))
        assert spool.force_flush()
        spool.shutdown()
        metrics.end(spool)
        metrics.end(spool)
    assert read(reader)["delivered"] == {by("otlp_proto_http"): 2}
    assert "waiting" not in read(reader)


def test_set_aside_and_refused(
    tmp_path: Path, reader: InMemoryMetricReader, provider: MeterProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The events' own pipeline reports its spool to its meter provider, to its end."""
    with OtlpReceiver() as receiver:
        receiver.answer_with(Status(400), PartialSuccess(1))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.http_endpoint)
        monkeypatch.setenv("OTEL_INCIDENT_STATE_DIR", str(tmp_path))
        monkeypatch.setenv("OTEL_INCIDENT_SERVER_VERSION", "1")
        pipeline = Pipeline(Config.from_env(), meter_provider=provider)
        route = pipeline.route()
        assert route is not None
        for _ in range(2):
            route._write("incident.end", {}, timestamp=1, observed_timestamp=1, context=None)  # noqa: SLF001  no emitter is needed
            assert pipeline.force_flush()
        expected = {
            "quarantined": {by("otlp_proto_http"): 1},
            "rejected": {by("otlp_proto_http"): 1},
            "delivered": {by("otlp_proto_http"): 1},
        }
        wait_until(lambda: expected.items() <= read(reader).items(), 30, "both")
        pipeline.shutdown()
    assert expected.items() <= read(reader).items()
    assert "waiting" not in read(reader)


FORKED: Final = """
    import logging, os, tempfile
    from pathlib import Path
    from opentelemetry.sdk.metrics import MeterProvider
    from otel_incident.spool_metrics import report
    from tests.test_spool_metrics import InMemoryMetricReader, Obedient, numbered, read, spool_at

    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    spool = spool_at(Path(tempfile.mkdtemp()) / "spool", Obedient())
    report(spool, provider)
    ended = spool_at(Path(tempfile.mkdtemp()) / "spool", Obedient())
    metrics = report(ended, provider)
    for each in (spool, ended):
        each.take(numbered(1))
        assert each.force_flush()
    ended.shutdown()
    metrics.end(ended)
    logging.disable()
    spool.take(None)  # a host's own mistake, which is counted as dropped
    print(read(reader)["delivered"], sorted(read(reader)["dropped"].values()), flush=True)
    if os.fork() == 0:
        print(read(reader)["delivered"])
        spool.take(numbered(2))
        assert spool.force_flush()
        print(sorted(read(reader).get("dropped", {})), flush=True)
        os._exit(0)
    assert os.wait()[1] == 0
    print(read(reader)["delivered"])
    spool.shutdown()
"""


def test_a_fork_begins_at_zero() -> None:
    """What was done before a fork the parent reports, and what it delivers of a child's."""
    ended = succeed(FORKED, KNOWN)
    point = "(('otel_incident.exporter', 'otlp_proto_http'),)"
    assert ended.stderr == ""
    assert ended.stdout.splitlines() == [f"{{{point}: 2}} [1]", f"{{{point}: 0}}", "[]", f"{{{point}: 3}}"]


EXITING: Final = """
    from opentelemetry.metrics import set_meter_provider
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader
    from otel_incident import Incident, IncidentEmitter

    IncidentEmitter().create(Incident(id=1))  # before there is a provider
    exporter = ConsoleMetricExporter(formatter=lambda data: data.to_json(indent=None) + chr(10))
    set_meter_provider(MeterProvider(metric_readers=[PeriodicExportingMetricReader(exporter, 3_600_000)]))
    IncidentEmitter().create(Incident(id=2))
"""


def test_a_host_that_exits(tmp_path: Path, receiver: OtlpReceiver) -> None:
    """A provider set after the first event gets the metrics, those of the end too, and nothing hangs."""
    ended = succeed(
        EXITING,
        {
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint,
            "OTEL_INCIDENT_STATE_DIR": str(tmp_path / "state"),
            **KNOWN,
        },
        timeout=30,
    )
    assert ended.stderr == ""
    assert '"otel_incident.spool.delivered"' in ended.stdout
    assert len(receiver.telemetry().events) == 2


def test_strict_lets_them_through(tmp_path: Path) -> None:
    """They pass a strict gate as they are: names, units and attributes are registered."""
    inside = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[inside], shutdown_on_exit=False)
    spool = spool_at(tmp_path / "spool", Obedient(), name="acme")
    report(spool, provider)
    spool.take(numbered(1))
    assert spool.force_flush()
    data: Any = inside.get_metrics_data()
    exported = Exported()
    ContentGateMetricExporter(exported).export(data)
    (passed,) = exported.batches
    before = data.resource_metrics[0].scope_metrics[0].metrics
    after = passed.resource_metrics[0].scope_metrics[0].metrics
    assert {each.name for each in after} == {each.name for each in before}
    assert [p.attributes for each in after for p in each.data.data_points] == [
        {"otel_incident.exporter": "other"}
    ] * len(after)
    spool.shutdown()
    provider.shutdown()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("otlp_proto_http", "otlp_proto_http"),
        ("otlp_proto_http-2", "otlp_proto_http"),
        ("otlp_proto_http-Acme", "other"),
        ("otlp_proto_httpx", "other"),
        ("Payments down", "other"),
        ("other", "other"),
    ],
)
def test_kinds_of_exporters(name: str, kind: str) -> None:
    """A name that is none of the registered ones is `other`, whatever it says."""
    assert kind_of(name) == kind


def test_an_error_does_not_reach_the_host(
    tmp_path: Path, reader: InMemoryMetricReader, provider: MeterProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A figure that cannot be read is absent; the host's log has no traceback."""
    from otel_incident.guard import set_reraise, swallowed  # noqa: PLC0415  for this test alone

    spool = spool_at(tmp_path / "spool", Obedient())
    report(spool, provider)
    set_reraise(reraise=False)

    def fails() -> None:
        raise OSError

    monkeypatch.setattr(spool, "figures", fails)
    assert "waiting" not in read(reader)
    assert swallowed() == {"pipeline": 5}
    spool.shutdown()
