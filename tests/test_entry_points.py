"""What the installed distribution offers to others: entry points, options of a command, a program."""

from importlib import metadata
from pathlib import Path
from typing import Final

from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined]  # hidden upstream
    BaseInstrumentor,
)
from opentelemetry.sdk.resources import ResourceDetector

from otel_incident import environment_variables, pre_instrument
from otel_incident.identity import IncidentResourceDetector
from otel_incident.instrumentor import IncidentInstrumentor
from otel_incident.version import __version__
from tests.backend import Backend
from tests.zero_code import DIAGNOSTIC_ID, App, Neighbour, assert_untouched, tool
from tests.zero_code import app as app  # noqa: PLC0414  a fixture is used by its name

OPTIONS: Final = (
    "--incident_allowed_attributes",
    "--incident_diagnostic_id",
    "--incident_disabled_hooks",
    "--incident_enabled",
    "--incident_forbidden_attributes",
    "--incident_gate",
    "--incident_hooks",
    "--incident_id_mode",
    "--incident_license_id",
    "--incident_server_version",
    "--incident_span_events",
    "--incident_spool",
    "--incident_spool_dir",
    "--incident_spool_max_age",
    "--incident_spool_max_bytes",
    "--incident_spool_sync",
    "--incident_state_dir",
)


def test_the_entry_points() -> None:
    """The distribution has these entry points and no other; each leads to what its group asks for."""
    found = {(each.group, each.name): each for each in metadata.distribution("otel-incident").entry_points}
    assert {key: each.value for key, each in found.items()} == {
        ("console_scripts", "otel-incident"): "otel_incident.cli:main",
        ("opentelemetry_distro", "incident"): "otel_incident.pre_instrument:distro",
        ("opentelemetry_environment_variables", "incident"): "otel_incident.launching",
        ("opentelemetry_instrumentor", "incident"): "otel_incident.instrumentor:IncidentInstrumentor",
        ("opentelemetry_post_instrument", "incident"): "otel_incident.post_instrument:check",
        ("opentelemetry_pre_instrument", "incident"): "otel_incident.pre_instrument:begin",
        ("opentelemetry_resource_detector", "incident"): "otel_incident.identity:IncidentResourceDetector",
    }
    assert found["opentelemetry_instrumentor", "incident"].load() is IncidentInstrumentor
    assert issubclass(IncidentInstrumentor, BaseInstrumentor)
    assert found["opentelemetry_resource_detector", "incident"].load() is IncidentResourceDetector
    assert issubclass(IncidentResourceDetector, ResourceDetector)
    offered = found["opentelemetry_environment_variables", "incident"].load()
    assert {name for name in dir(offered) if name.startswith("OTEL_")} == {
        name for name in dir(environment_variables) if name.startswith("OTEL_")
    }
    assert found["opentelemetry_distro", "incident"].load() is pre_instrument.distro


def test_the_program(app: App) -> None:
    """`otel-incident` is installed and says its version."""
    ended = app.call([tool("otel-incident"), "--version"])
    assert (ended.status, ended.stdout, ended.stderr) == (0, f"otel-incident {__version__}\n", "")


def test_the_command_lists_our_options(app: App) -> None:
    """`opentelemetry-instrument --help` names each setting of ours once, and no other of that name."""
    ended = app.call([tool("opentelemetry-instrument"), "--help"])
    assert (ended.status, ended.stderr) == (0, "")
    listed = ended.stdout.partition("\noptions:")[2]
    words = [line.split()[0] for line in listed.splitlines() if line.strip()]
    assert sorted(word for word in words if word.startswith("--incident")) == list(OPTIONS)


def test_the_identity_on_the_host_s_own_spans(backend: Backend, app: App, tmp_path: Path) -> None:
    """With `OTEL_EXPERIMENTAL_RESOURCE_DETECTORS=incident` the host's spans name the installation, too."""
    neighbour = Neighbour(tmp_path / "neighbour")
    variables = {
        **neighbour.variables,
        "OTEL_EXPORTER_OTLP_ENDPOINT": backend.grpc_endpoint,
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "incident",
        "OTEL_RESOURCE_ATTRIBUTES": "service.version=7.1",
    }
    assert_untouched(app.run(variables, behind=[neighbour.installed]))
    (span,) = backend.wait_for_spans(1)
    assert (span.name, span.scope_name) == ("acme.start", "acme")
    resource = dict(span.resource)
    del resource["service.instance.id"]  # the SDK's own, another one at each start
    identity = {
        "incident.diagnostic.id": DIAGNOSTIC_ID,
        "incident.plugin.version": __version__,
        "incident.server.version": "7.1",
    }
    assert resource == {
        **identity,
        "service.name": "desk",
        "service.version": "7.1",
        "telemetry.auto.version": metadata.version("opentelemetry-instrumentation"),
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": metadata.version("opentelemetry-sdk"),
    }
    for event in backend.wait_for_events(5):
        assert {name: event.resource[name] for name in identity} == identity
