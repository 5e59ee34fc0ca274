"""The gate with the oldest SDK that is promised and the newest there is, in environments of their own.

What it does rests on how the SDK is made, so both are held to the same: by hand, under the command, in what
hosts get for their own tests, and with a canary in every place of OTLP.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest

from tests.canaries import found
from tests.collector import ROOT
from tests.gated_host import GATES, Gate
from tests.host_environment import HostEnvironment, host_environment
from tests.host_packages import auto_requirements, runtime_requirements
from tests.otlp_receiver import OtlpReceiver
from tests.processes import Ended
from tests.test_gate_raw_bytes import IDS, UNSENT
from tests.test_oldest_sdk import SDK, oldest

PLANT: Final = """
import sys
from opentelemetry import metrics, trace
from opentelemetry._logs import SeverityNumber, get_logger_provider

SCOPE = "opentelemetry.instrumentation.flask"
TITLE = {"incident.id": "41", "incident.title": "Checkout is down"}

def plant(tracers, loggers, meters):
    attributes = {**TITLE, "http.request.method": "GET", "http.route": "/incidents", "url.path": "/Checkout"}
    with tracers.get_tracer(SCOPE).start_as_current_span("GET /Checkout", attributes=attributes) as span:
        span.add_event("Called the bank", {**TITLE, "desk": "night"})
        loggers.get_logger("desk").emit(
            timestamp=1_600_000_000_000_000_000,
            severity_number=SeverityNumber.INFO,
            severity_text="INFO",
            body="Checkout is down",
            attributes=attributes,
            event_name="incident.create",
        )
    durations = meters.get_meter(SCOPE).create_histogram("http.server.request.duration", "s")
    for path in ("/Checkout", "/Payments"):
        durations.record(0.5, {**attributes, "url.path": path})
    meters.get_meter("desk").create_counter("desk.declared").add(3, {**TITLE, "team": "night"})
"""

BY_HAND: Final = f"""{PLANT}
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from otel_incident import (
    ContentGateLogRecordProcessor, ContentGateMetricExporter, ContentGateSpanProcessor,
)

mode = sys.argv[1]
spans = ContentGateSpanProcessor(SimpleSpanProcessor(OTLPSpanExporter()), mode=mode)
logs = ContentGateLogRecordProcessor(SimpleLogRecordProcessor(OTLPLogExporter()), mode=mode)
points = ContentGateMetricExporter(OTLPMetricExporter(), mode=mode)
tracers, loggers = TracerProvider(), LoggerProvider()
tracers.add_span_processor(spans)
loggers.add_log_record_processor(logs)
meters = MeterProvider([PeriodicExportingMetricReader(points)])
plant(tracers, loggers, meters)
meters.shutdown()
print(*(sum(each.drops.values()) for each in (spans, logs, points)))
"""

GLOBAL: Final = f"""{PLANT}
plant(trace.get_tracer_provider(), get_logger_provider(), metrics.get_meter_provider())
"""

KIT: Final = f"""{PLANT}
from otel_incident.testing import canaries
for mode in (None, "strict", "off"):
    with canaries("Checkout is down", mode=mode, check=False) as search:
        plant(trace.get_tracer_provider(), get_logger_provider(), metrics.get_meter_provider())
    signals = sorted({{leak.signal for leak in search.leaks}})
    print(mode, signals, search.exported["spans"], search.exported["logs"])
"""

SURFACE: Final = """
import json, sys
from types import SimpleNamespace
from tests.gated_host import run
from tests.surface_injectors import Planter

gate, endpoint, age = sys.argv[1:]

class WithoutMaps(Planter):
    def attributes(self, place, prefix=""):
        made = super().attributes(place, prefix)
        del made[f"{prefix}map"]
        for part in ("key", "value"):
            del self.texts[f"{place}.value.kvlist_value.values.{part}"]
        return made

planter = WithoutMaps() if age == "oldest" else Planter()  # its attributes hold no maps
for signal in ("traces", "logs", "metrics"):
    run(signal, planter, SimpleNamespace(http_endpoint=endpoint), "http", gate)
print(json.dumps(planter.texts))
"""


def newest(requirement: str) -> str:
    """The same requirement, met by the version that is installed here alone."""
    name = requirement.partition(">=")[0].strip()
    return f"{name} == {version(name)}"


@pytest.fixture(scope="module", params=["oldest", "newest"])
def environment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> HostEnvironment:
    """Where the oldest or the newest of everything is installed, with this package's wheel."""
    which: str = request.param
    choose = {"oldest": oldest, "newest": newest}[which]
    chosen = tuple(choose(each) for each in (*runtime_requirements(), *auto_requirements()))
    return host_environment(which, tmp_path_factory.mktemp(which), chosen)


def python(
    environment: HostEnvironment,
    directory: Path,
    variables: Mapping[str, str],
    code: str,
    *words: str,
    command: bool = False,
) -> Ended:
    """A program there that ends well, under the command or not."""
    prefix = [environment.tool("opentelemetry-instrument")] if command else []
    given = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_INCIDENT_STATE_DIR": str(directory / "state"),
        "OTEL_SERVICE_NAME": "desk",
        **variables,
    }
    ended = environment.run([*prefix, environment.tool("python"), "-c", code, *words], given, directory)
    assert ended.status == 0, ended.stderr
    return ended


def test_they_are_two(environment: HostEnvironment, tmp_path: Path) -> None:
    """The matrix has the SDK that is promised at least, and the one that all other tests run with."""
    code = "from importlib.metadata import version; print(version('opentelemetry-sdk'))"
    used = python(environment, tmp_path, {}, code).stdout.strip()
    assert used == {"oldest": SDK, "newest": version("opentelemetry-sdk")}[age(environment)]


def age(environment: HostEnvironment) -> str:
    """`oldest` or `newest`."""
    return environment.base.directory.name.partition("-")[0]


def exporting(receiver: OtlpReceiver) -> dict[str, str]:
    """The variables that send to the receiver."""
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint}


@dataclass(frozen=True, slots=True)
class Passed:
    """What the gate lets through in a mode, and how often it took something out of each signal."""

    mode: str
    name: str
    event: tuple[str, dict[str, object]]
    attributes: dict[str, object]
    log_attributes: dict[str, object]
    body: str | None
    points: list[tuple[str, dict[str, object], int | float | None]]
    drops: str


REGISTERED: Final[dict[str, object]] = {"incident.id": "41"}
REQUEST: Final[dict[str, object]] = {"http.request.method": "GET", "http.route": "/incidents"}
MEASURED: Final = "http.server.request.duration"
PASSED: Final = (
    Passed(
        mode="strict",
        name="GET /incidents",
        event=("event", REGISTERED),
        attributes=REGISTERED | REQUEST,
        log_attributes=REGISTERED,
        body=None,
        points=[(MEASURED, REGISTERED | REQUEST, 2)],
        drops="6 6 6",  # names of spans, events and scopes among them
    ),
    Passed(
        mode="standard",
        name="GET /Checkout",
        event=("Called the bank", REGISTERED | {"desk": "night"}),
        attributes=REGISTERED | REQUEST | {"url.path": "/Checkout"},
        log_attributes=REGISTERED | REQUEST | {"url.path": "/Checkout"},
        body="Checkout is down",
        points=[
            ("desk.declared", REGISTERED | {"team": "night"}, 3),
            (MEASURED, REGISTERED | REQUEST | {"url.path": "/Checkout"}, 1),
            (MEASURED, REGISTERED | REQUEST | {"url.path": "/Payments"}, 1),
        ],
        drops="2 1 3",
    ),
)


@pytest.mark.parametrize("passed", PASSED, ids=lambda passed: passed.mode)
def test_by_hand(
    passed: Passed, receiver: OtlpReceiver, environment: HostEnvironment, tmp_path: Path
) -> None:
    """Around processors and an exporter the gate lets the same through, and counts the same."""
    ended = python(environment, tmp_path, exporting(receiver), BY_HAND, passed.mode)
    assert (ended.stdout, ended.stderr) == (f"{passed.drops}\n", "")
    assert_passed(passed, receiver)


@pytest.mark.parametrize("passed", PASSED, ids=lambda passed: passed.mode)
def test_under_the_command(
    passed: Passed, receiver: OtlpReceiver, environment: HostEnvironment, tmp_path: Path
) -> None:
    """On the global providers it lets the same through as by hand, and covers all there is."""
    variables = {**exporting(receiver), "OTEL_INCIDENT_GATE": passed.mode}
    ended = python(environment, tmp_path, variables, GLOBAL, command=True)
    assert "does not cover" not in ended.stderr
    assert_passed(passed, receiver)


def assert_passed(passed: Passed, receiver: OtlpReceiver) -> None:
    """Exactly that has arrived."""
    (span,), (record,) = receiver.spans(), receiver.telemetry().events
    assert (span.name, span.attributes) == (passed.name, passed.attributes)
    assert [(each.name, each.attributes) for each in span.events] == [passed.event]
    assert span.dropped_attributes_count == 5 - len(passed.attributes)
    assert (record.event_name, record.attributes) == ("incident.create", passed.log_attributes)
    assert (record.body, record.timestamp, record.severity_number) == (
        passed.body,
        1_600_000_000_000_000_000,
        9,
    )
    assert (record.trace_id, record.span_id) == (span.trace_id, span.span_id)
    assert record.dropped_attributes_count == 5 - len(passed.log_attributes)
    of_others = ("otel.sdk.", "otel_incident.")  # the SDK's and the gate's own
    points = [each for each in receiver.metrics() if not each.name.startswith(of_others)]
    told = [(each.name, each.attributes, each.value if each.count is None else each.count) for each in points]
    assert sorted(told, key=repr) == passed.points


def test_the_command_without_a_gate(
    receiver: OtlpReceiver, environment: HostEnvironment, tmp_path: Path
) -> None:
    """The control: with the gate off content leaves on every signal."""
    variables = {**exporting(receiver), "OTEL_INCIDENT_GATE": "off"}
    python(environment, tmp_path, variables, GLOBAL, command=True)
    holding = {each.signal for each in receiver.requests if b"Checkout is down" in each.payload}
    assert holding == {"traces", "logs", "metrics"}


def test_the_kit_for_hosts(receiver: OtlpReceiver, environment: HostEnvironment, tmp_path: Path) -> None:
    """`canaries` sees what leaves with the gate off, and nothing in strict or in the process as it is."""
    variables = {**exporting(receiver), "OTEL_INCIDENT_GATE": "strict"}
    ended = python(environment, tmp_path, variables, KIT, command=True)
    leaks = ["logs", "metrics", "spans"]
    assert ended.stdout.splitlines() == ["None [] 1 1", "strict [] 1 1", f"off {leaks} 1 1"]
    assert b"Checkout" not in receiver.raw_bytes()


@pytest.mark.parametrize("gate", ["off", *GATES])
def test_a_canary_in_every_place(
    gate: Gate, receiver: OtlpReceiver, environment: HostEnvironment, tmp_path: Path
) -> None:
    """In strict nothing leaves but the ids of traces and spans; without a gate all that is planted does."""
    path = f"{environment.variables()['PYTHONPATH']}{os.pathsep}{ROOT}"
    ended = python(
        environment, tmp_path, {"PYTHONPATH": path}, SURFACE, gate, receiver.http_endpoint, age(environment)
    )
    texts = json.loads(ended.stdout)
    seen = found(receiver.raw_bytes(), texts.values())
    leaves = {place for place, text in texts.items() if text in seen}
    ids = {place for place in IDS if not place.startswith("metrics:")}
    assert leaves == (set(texts) - UNSENT if gate == "off" else ids)
    assert {request.signal for request in receiver.requests} >= {"traces", "logs"}
