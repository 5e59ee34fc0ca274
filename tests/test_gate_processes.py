"""The gate in running hosts: content planted in every signal, and the bytes that arrived searched for it."""

import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import pytest

from tests.otlp_receiver import OtlpReceiver
from tests.processes import Ended
from tests.telemetry import LogEvent
from tests.zero_code import App, assert_untouched, distribution, tool
from tests.zero_code import app as app  # noqa: PLC0414  a fixture is used by its name

CANARY: Final = b"kanarie"
TITLE: Final = "Kanarie is down"
MODES: Final = ("standard", "strict", "audit", "off")
EVERY_MODE: Final = pytest.mark.parametrize("mode", MODES)

PLANT: Final = """
import logging
from opentelemetry import metrics, trace
from opentelemetry.trace import Status, StatusCode

TEXT = "Kanarie is down"
ATTRIBUTES = {"incident.title": TEXT, "desk.note": TEXT, "incident.id": "42"}

def spans(provider):
    with provider.get_tracer("desk").start_as_current_span(TEXT, attributes=ATTRIBUTES) as span:
        span.add_event(TEXT, ATTRIBUTES)
        span.set_status(Status(StatusCode.ERROR, TEXT))

def logs(provider):
    provider.get_logger("desk").emit(body=TEXT, severity_text=TEXT, attributes=ATTRIBUTES)

def counts(provider):
    provider.get_meter("desk").create_counter("desk.kanarie", TEXT, TEXT).add(1, ATTRIBUTES)
"""
"""Ways to emit content on each signal."""

GLOBAL: Final = """
from opentelemetry._logs import get_logger_provider
spans(trace.get_tracer_provider())
logs(get_logger_provider())
counts(metrics.get_meter_provider())
logging.getLogger("desk").warning("%s", TEXT, extra={"incident.title": TEXT})
"""

OWN: Final = """
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

def own():
    tracers, loggers = TracerProvider(), LoggerProvider()
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
    return tracers, loggers, MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])

def use(providers):
    for emit, provider in zip((spans, logs, counts), providers):
        emit(provider)
"""
BY_HAND: Final = """
from otel_incident.instrumentor import IncidentInstrumentor
IncidentInstrumentor().instrument()
"""

ON_STDERR: Final = {"OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "false"}
"""Else the SDK's handler is the only one, and what is logged is not shown."""

SETUPS: Final[dict[str, tuple[bool, str]]] = {
    "the command's providers": (True, GLOBAL),
    "several providers of the host's own beside them": (True, f"{OWN}\nfor _ in range(2):\n    use(own())\n"),
    "set as the global ones after us": (
        False,
        f"""{BY_HAND}{OWN}
tracers, loggers, meters = own()
from opentelemetry import _logs
trace.set_tracer_provider(tracers)
_logs.set_logger_provider(loggers)
metrics.set_meter_provider(meters)
use((trace.get_tracer_provider(), _logs.get_logger_provider(), metrics.get_meter_provider()))
""",
    ),
    "made before us, and never global": (False, f"{OWN}\nproviders = own()\n{BY_HAND}\nuse(providers)\n"),
}
"""Who sets the SDK up: whether the command does, and the host's code."""


class Host:
    """A program in an application's environment, which sends to a receiver."""

    def __init__(self, app: App, receiver: OtlpReceiver) -> None:
        """Nothing runs yet."""
        self._app = app
        self.receiver = receiver
        self.variables = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_METRICS_EXPORTER": "otlp",
            "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "true",
        }

    def run(self, code: str, variables: Mapping[str, str], *, command: bool = True, **options: Any) -> Ended:
        """Run it to its end; its status is 0."""
        prefix = [tool("opentelemetry-instrument")] if command else []
        words = [*prefix, sys.executable, "-c", textwrap.dedent(PLANT + code)]
        ended = self._app.call(words, {**self.variables, **variables}, hooked=False, **options)
        assert ended.status == 0, ended.stderr
        return ended

    def leaks(self) -> int:
        """How many times the content has arrived, in any case."""
        return self.receiver.raw_bytes().lower().count(CANARY)


@pytest.fixture
def host(app: App, receiver: OtlpReceiver) -> Host:
    """A host, and where it sends to."""
    return Host(app, receiver)


@EVERY_MODE
@pytest.mark.parametrize("setup", SETUPS)
def test_what_leaves(setup: str, mode: str, host: Host) -> None:
    """In strict no byte of content leaves by any provider; standard takes out what is ours; off nothing."""
    command, code = SETUPS[setup]
    host.run(code, {"OTEL_INCIDENT_GATE": mode}, command=command)
    spans = [span for span in host.receiver.wait_for_spans(1) if span.attributes]
    records = host.receiver.telemetry().events
    assert spans
    assert any(record.attributes.get("incident.id") == "42" for record in records)
    free = {} if mode == "strict" else {"desk.note": "Kanarie is down"}
    ours = {"incident.title": "Kanarie is down"} if mode == "off" else {}
    for span in spans:
        assert span.attributes == {"incident.id": "42", **free, **ours}
        assert [event.attributes for event in span.events] == [span.attributes]
        assert span.status_code == "error"
    for record in records:
        assert "incident.title" not in record.attributes or mode == "off"
    points = [point for point in host.receiver.metrics() if point.name.startswith("desk")]
    assert all(point.attributes == {"incident.id": "42", **free, **ours} for point in points)
    assert bool(points) == (mode != "strict")
    assert (host.leaks() == 0) == (mode == "strict")


@pytest.mark.parametrize("mode", ["standard", "strict", "audit"])
def test_our_events_are_the_same_in_every_mode(mode: str, app: App, receiver: OtlpReceiver) -> None:
    """What the gate would take from a host's record it leaves in ours, whose resource the operator wrote."""
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.grpc_endpoint,
        "OTEL_RESOURCE_ATTRIBUTES": "desk.site=kanarie",
    }
    for each in ("off", mode):
        assert_untouched(app.run({**variables, "OTEL_INCIDENT_GATE": each}))
    events = receiver.wait_for_events(10)
    assert [_timeless(event) for event in events[:5]] == [_timeless(event) for event in events[5:]]
    assert events[5].resource["desk.site"] == "kanarie"
    assert events[5].severity_text == "INFO"


def _timeless(event: LogEvent) -> LogEvent:
    """An event without what is another one each time."""
    own = ("log.record.uid", "incident.duration")
    attributes = {name: value for name, value in event.attributes.items() if name not in own}
    return replace(event, attributes=attributes, timestamp=0, observed_timestamp=0)


def test_a_mode_that_does_not_exist(host: Host) -> None:
    """A value that is none of the modes is strict in a running host, and said once."""
    ended = host.run(GLOBAL, {"OTEL_INCIDENT_GATE": "loose", **ON_STDERR})
    assert ended.stderr.count("OTEL_INCIDENT_GATE='loose' cannot be used") == 1
    host.receiver.wait_for_spans(1)
    assert host.leaks() == 0


@pytest.mark.parametrize("where", ["in the file", "in the environment"])
@pytest.mark.parametrize("mode", ["strict", "standard", "off"])
def test_a_configuration_file(where: str, mode: str, host: Host, app: App) -> None:
    """Providers that `OTEL_CONFIG_FILE` describes are gated, in the mode that it says or the environment."""
    file = app.directory / "otel.yaml"
    exporter = "{otlp_http: {endpoint: '" + host.receiver.http_endpoint + "/v1/%s'}}"
    block = f"{{gate: '{mode}'}}" if where == "in the file" else "{}"
    file.write_text(f"""
file_format: "1.0"
tracer_provider:
  processors:
    - {{batch: {{exporter: {exporter % "traces"}}}}}
    - {{simple: {{exporter: {exporter % "traces"}}}}}
logger_provider:
  processors: [{{batch: {{exporter: {exporter % "logs"}}}}}]
meter_provider:
  readers: [{{periodic: {{exporter: {exporter % "metrics"}}}}}]
instrumentation/development:
  python:
    incident: {block}
""")
    gate = {} if where == "in the file" else {"OTEL_INCIDENT_GATE": mode}
    host.run(GLOBAL, {**gate, "OTEL_CONFIG_FILE": str(file)})
    for span in host.receiver.wait_for_spans(2):
        assert ("incident.title" in span.attributes) == (mode == "off")
        assert ("desk.note" in span.attributes) == (mode != "strict")
    assert host.receiver.telemetry().events
    assert (host.leaks() == 0) == (mode == "strict")


FORKS: Final = f"""
{OWN}
import os
providers = own()
use(providers)
for provider in providers:
    provider.force_flush()
child = os.fork()
use(providers)
if child:
    assert os.waitpid(child, 0)[1] == 0
else:
    for provider in providers:
        provider.force_flush()
    os._exit(0)
"""


@pytest.mark.parametrize("mode", ["strict", "off"])
def test_a_forked_child(mode: str, host: Host) -> None:
    """The gate holds in a child whose batch processors have started again."""
    host.run(FORKS, {"OTEL_INCIDENT_GATE": mode})
    spans = host.receiver.wait_for_spans(3)
    assert [span.attributes["incident.id"] for span in spans] == ["42"] * 3
    assert (host.leaks() == 0) == (mode == "strict")


GEVENT: Final[dict[str, Callable[[str], tuple[str, dict[str, str]]]]] = {
    "by the command": lambda code: (
        code,
        {"OTEL_PYTHON_AUTO_INSTRUMENTATION_EXPERIMENTAL_GEVENT_PATCH": "patch_all"},
    ),
    "by the host": lambda code: (f"from gevent import monkey; monkey.patch_all()\n{code}", {}),
}


@pytest.mark.parametrize("patched", GEVENT)
@pytest.mark.parametrize("mode", ["strict", "standard", "off"])
def test_gevent(patched: str, mode: str, host: Host) -> None:
    """Under gevent's monkey patching spans of greenlets flow, and through the gate."""
    code, variables = GEVENT[patched](f"""
{OWN}
import gevent
providers = own()
gevent.joinall([gevent.spawn(use, providers) for _ in range(3)], raise_error=True)
""")
    host.run(code, {**variables, "OTEL_INCIDENT_GATE": mode})
    spans = host.receiver.wait_for_spans(3)
    assert [span.attributes["incident.id"] for span in spans] == ["42"] * 3
    assert {"incident.title" in span.attributes for span in spans} == {mode == "off"}
    assert (host.leaks() == 0) == (mode == "strict")


LATE_GATE: Final = {"OTEL_PYTHON_DISTRO": "distro"}
"""The operator's own choice, which ours does not take the place of."""

WITHOUT: Final[dict[str, str]] = {
    "its profiles": "otel_incident.profiles",
    "its place in the SDK": "otel_incident.gate.pipelines",
}
"""Modules of ours that cannot be loaded."""


@pytest.mark.parametrize("what", WITHOUT)
def test_a_gate_that_cannot_be_loaded(what: str, host: Host, app: App) -> None:
    """In strict nothing leaves by any provider; the host runs, and one line says so."""
    code = f"import sys\ndef start(): sys.modules[{WITHOUT[what]!r}] = None\n"
    entry_point = "[opentelemetry_pre_instrument]\nacme = acme_first:start\n"
    first = distribution(app.directory / "first", "acme-first", entry_point, {"acme_first": code})
    variables = {"OTEL_INCIDENT_GATE": "strict", **LATE_GATE, **ON_STDERR}
    ended = host.run(f"{GLOBAL}{OWN}\nuse(own())\nprint('end')", variables, before=[first])
    assert host.receiver.requests == ()
    assert ended.stdout == "end\n"
    first_said, line, error = (each for each in ended.stderr.splitlines() if each != "Kanarie is down")
    assert first_said.startswith("OTEL_PYTHON_DISTRO names another distro than incident, ")
    assert line.startswith("The gate (strict) could not be put in place, so the host's own spans, logs and ")
    assert error.startswith("An internal error (ModuleNotFoundError at ")


IN_PLACE: Final = (
    "The gate ({}) is in place: spans, log records and metrics of every provider of the OpenTelemetry SDK in "
    "this process pass it."
)

RAISES: Final = """
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

class Instrumentor(BaseInstrumentor):
    def instrumentation_dependencies(self):
        return ()

    def _instrument(self, **kwargs):
        raise LookupError("a defect of the vendor's")

    def _uninstrument(self, **kwargs):
        pass
"""


@pytest.mark.parametrize("mode", ["strict", "standard", "off"])
def test_another_instrumentor_that_raises(mode: str, host: Host, app: App) -> None:
    """It keeps the command from loading our instrumentor; the gate stands, and one visible line says so."""
    entry_point = "[opentelemetry_instrumentor]\nacme = acme_raises:Instrumentor\n"
    first = distribution(app.directory / "first", "acme-raises", entry_point, {"acme_raises": RAISES})
    ended = host.run(f"{GLOBAL}{OWN}\nuse(own())", {"OTEL_INCIDENT_GATE": mode, **ON_STDERR}, before=[first])
    assert "Instrumenting of acme failed" in ended.stderr
    said = [line for line in ended.stderr.splitlines() if line.startswith("The gate")]
    assert said == ([] if mode == "off" else [IN_PLACE.format(mode)])
    spans = host.receiver.wait_for_spans(2)
    assert [span.attributes["incident.id"] for span in spans] == ["42"] * 2
    assert {"incident.title" in span.attributes for span in spans} == {mode == "off"}
    assert (host.leaks() == 0) == (mode == "strict")


FIRST_RAISES: Final = "def start(): raise LookupError('a defect of the vendor\\'s')\n"


@pytest.mark.parametrize("given", [{}, {"OTEL_PYTHON_DISTRO": "incident"}], ids=["command", "operator"])
@pytest.mark.parametrize("mode", ["strict", "standard", "off"])
def test_another_package_s_start_that_raises(
    mode: str, given: Mapping[str, str], host: Host, app: App
) -> None:
    """In strict the gate stands before it, in other modes if our distro is named; one line says so."""
    entry_point = "[opentelemetry_pre_instrument]\nacme = acme_first:start\n"
    first = distribution(app.directory / "first", "acme-first", entry_point, {"acme_first": FIRST_RAISES})
    variables = {"OTEL_INCIDENT_GATE": mode, **given, **ON_STDERR}
    ended = host.run(f"{GLOBAL}{OWN}\nuse(own())", variables, before=[first])
    assert "Failed to auto initialize OpenTelemetry" in ended.stderr
    gated = mode == "strict" or (mode == "standard" and bool(given))
    said = [line for line in ended.stderr.splitlines() if line.startswith("The gate")]
    assert said == ([IN_PLACE.format(mode)] if gated else [])
    spans = host.receiver.wait_for_spans(2)
    assert [span.attributes["incident.id"] for span in spans] == ["42"] * 2
    assert {"incident.title" in span.attributes for span in spans} == {not gated}
    assert (host.leaks() == 0) == (mode == "strict")


def test_a_server_s_worker_that_is_started_anew(host: Host, app: App) -> None:
    """A child of the same Python, as a reloader or a server of many workers starts it, is gated as well."""
    entry_point = "[opentelemetry_pre_instrument]\nacme = acme_first:start\n"
    first = distribution(app.directory / "first", "acme-first", entry_point, {"acme_first": FIRST_RAISES})
    worker = textwrap.dedent(f"{PLANT}{GLOBAL}")
    code = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {worker!r}], check=True)\n"
    host.run(code, {"OTEL_INCIDENT_GATE": "strict", **ON_STDERR}, before=[first])
    (span,) = host.receiver.wait_for_spans(1)
    assert span.attributes == {"incident.id": "42"}
    assert host.leaks() == 0


def test_who_comes_before_the_gate_is_said_by_the_command(host: Host, app: App) -> None:
    """With a distro of the operator's choice, one line names who may raise, before anything has leaked."""
    entry_point = "[opentelemetry_pre_instrument]\nacme = acme_first:start\n"
    first = distribution(app.directory / "first", "acme-first", entry_point, {"acme_first": FIRST_RAISES})
    ended = host.run(GLOBAL, {"OTEL_INCIDENT_GATE": "strict", **LATE_GATE}, before=[first])
    line = (
        "OTEL_PYTHON_DISTRO names another distro than incident, so what these packages have run comes before "
    )
    assert ended.stderr.startswith(
        f"{line}the gate (strict): acme. If one of them raises, there is no gate, "
    )


@pytest.mark.parametrize("named", ["incident", "distro"])
def test_our_distro_gives_way(named: str, host: Host) -> None:
    """Where ours is named, the one of the installation is loaded as without it: its defaults hold."""
    code = (
        "import os, sys\nfrom opentelemetry.distro import OpenTelemetryDistro\n"
        "print(type(OpenTelemetryDistro._instance).__name__, os.environ['OTEL_LOGS_EXPORTER'])\n"
    )
    assert host.run(code, {"OTEL_PYTHON_DISTRO": named}).stdout == "OpenTelemetryDistro otlp\n"


REFUSED: Final = (
    "The gate (strict) could not be put in place (the instrumentation incident could not be loaded), so the "
    "host's own spans, logs and "
)


@pytest.mark.parametrize(
    ("mode", "module", "line"),
    [
        (
            "strict",
            "otel_incident.instrumentor",
            REFUSED,
        ),
        (
            "strict",
            "otel_incident.config",
            REFUSED,
        ),
        (
            "standard",
            "otel_incident.instrumentor",
            "The gate (standard) is not in place, because the instrumentation incident could not be loaded: ",
        ),
        ("off", "otel_incident.instrumentor", ""),
    ],
)
def test_an_instrumentor_of_ours_that_cannot_be_loaded(
    mode: str, module: str, line: str, host: Host, app: App
) -> None:
    """The command passes it over; in strict nothing leaves, in other modes one line says what is missing."""
    code = f"import sys\ndef start(): sys.modules[{module!r}] = None\n"
    entry_point = "[opentelemetry_pre_instrument]\nacme = acme_first:start\n"
    first = distribution(app.directory / "first", "acme-first", entry_point, {"acme_first": code})
    variables = {"OTEL_INCIDENT_GATE": mode, **LATE_GATE, **ON_STDERR}
    ended = host.run(f"{GLOBAL}{OWN}\nuse(own())\nprint('end')", variables, before=[first])
    assert ended.stdout == "end\n"
    said = [each for each in ended.stderr.splitlines() if "The gate" in each]
    assert [each.startswith(line) for each in said] == ([True] if line else [])
    assert bool(host.receiver.requests) == (mode != "strict")
    assert (host.leaks() == 0) == (mode == "strict")


def test_uninstrumented_under_the_command(host: Host) -> None:
    """The gate that stood before any instrumentor goes with `uninstrument()`."""
    code = (
        "from otel_incident.instrumentor import IncidentInstrumentor\nIncidentInstrumentor().uninstrument()\n"
    )
    host.run(code + GLOBAL, {"OTEL_INCIDENT_GATE": "strict"})
    (span,) = host.receiver.wait_for_spans(1)
    assert span.attributes == {"incident.id": "42", "incident.title": TITLE, "desk.note": TITLE}


SAYS: Final = """
import sys
ours = logging.getLogger("otel_incident")
ours.setLevel(logging.INFO)
ours.addHandler(logging.StreamHandler(sys.stderr))
"""


@pytest.mark.parametrize(
    ("mode", "line"),
    [
        (
            "standard",
            "The gate (standard) has taken 2 things out of spans, 1 out of log records, 1 out of metrics.",
        ),
        ("off", None),
    ],
)
def test_the_line_at_the_end(mode: str, line: str | None, host: Host) -> None:
    """At exit one line sums up what was taken out, including what the last export held."""
    code = "from opentelemetry._logs import get_logger_provider\nspans(trace.get_tracer_provider())\n"
    code += "logs(get_logger_provider())\ncounts(metrics.get_meter_provider())\n"
    variables = {"OTEL_INCIDENT_GATE": mode, **ON_STDERR}
    ended = host.run(SAYS + code, variables)
    said = [each for each in ended.stderr.splitlines() if each.startswith("The gate")]
    assert said == ([] if line is None else [line])


def test_the_line_at_the_end_is_not_sent(host: Host) -> None:
    """OpenTelemetry's handler, whose provider has ended by then, is not asked, and says nothing of it."""
    variables = {**ON_STDERR, "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "true"}
    everybody = "logging.basicConfig(level=logging.INFO, format='%(message)s')\n"
    seen = "print([type(each).__name__ for each in logging.getLogger().handlers])\n"
    ended = host.run(
        f"logging.getLogger('otel_incident').setLevel(logging.INFO)\n{everybody}{seen}"
        "spans(trace.get_tracer_provider())\n",
        variables,
    )
    assert "LoggingHandler" in ended.stdout
    assert ended.stderr == "The gate (standard) has taken 2 things out of spans.\n"


def test_nothing_to_say_at_the_end(host: Host) -> None:
    """Where nothing was taken out, the process ends without a word."""
    ended = host.run(SAYS + "with trace.get_tracer('x').start_as_current_span('x'): pass", {})
    assert ended.stderr == ""


def test_the_line_at_the_start(host: Host, app: App) -> None:
    """An agent that is there when all instrumentors have run is named in one warning on stderr."""
    entry_point = "[opentelemetry_pre_instrument]\nagent = ddtrace:start\n"
    agent = distribution(app.directory / "agent", "ddtrace", entry_point, {"ddtrace": "def start(): pass"})
    ended = host.run("", ON_STDERR, behind=[agent])
    assert ended.stderr == (
        "The gate (standard) is in place, but does not cover: what ddtrace sends by itself.\n"
    )


LATE: Final = """
import logging
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

class Instrumentor(BaseInstrumentor):
    def instrumentation_dependencies(self):
        return ()

    def _instrument(self, **kwargs):
        ours = logging.getLogger("otel_incident")
        ours.setLevel(logging.INFO)
        ours.addHandler(logging.StreamHandler())

    def _uninstrument(self, **kwargs):
        pass
"""


def test_the_line_at_the_start_comes_last(host: Host, app: App) -> None:
    """Where all is covered it is one line of information, after an instrumentor that comes behind us."""
    entry_point = "[opentelemetry_instrumentor]\nacme = acme_late:Instrumentor\n"
    late = distribution(app.directory / "late", "acme-late", entry_point, {"acme_late": LATE})
    ended = host.run("", {"OTEL_INCIDENT_GATE": "strict"}, behind=[late])
    assert ended.stderr.splitlines()[:1] == [
        (
            "The gate (strict) is in place: spans, log records and metrics of every provider of the "
            "OpenTelemetry SDK in this process pass it."
        )
    ]
