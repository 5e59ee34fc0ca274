"""`OTEL_CONFIG_FILE` of a running application: it is configured by the file, as the SDK is."""

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

import pytest

from otel_incident.version import __version__
from tests.desk_app import NAMES, PRINTED
from tests.otlp_receiver import OtlpReceiver
from tests.zero_code import BY_HAND, DIAGNOSTIC_ID, App, Day, Neighbour
from tests.zero_code import app as app  # noqa: PLC0414  a fixture is used by its name

FROM_SDK: Final = (
    "OTEL_CONFIG_FILE is set; ignoring configurator kwargs: ['auto_instrumentation_version']",
    "Declarative configuration has disabled=true; skipping SDK setup.",
)
"""What upstream says of a file, whatever is in it and whatever we do."""

INCIDENT: Final = "instrumentation/development:\n  python:\n    incident: "
KNOWN: Final = (
    "enabled, gate, allowed_attributes, forbidden_attributes, hooks, disabled_hooks, id_mode, state_dir, "
    "diagnostic_id, license_id, server_version, span_events, spool, spool_dir, spool_sync, spool_max_bytes, "
    "spool_max_age"
)


@pytest.fixture
def other() -> Iterator[OtlpReceiver]:
    """Where the environment's variables point, which a file takes the place of."""
    with OtlpReceiver() as running:
        yield running


class Described:
    """The application, told by a file where to send."""

    def __init__(self, app: App, receiver: OtlpReceiver, other: OtlpReceiver) -> None:
        """Nothing is written yet.

        Args:
            app: The application.
            receiver: The file's endpoint.
            other: The variables'.
        """
        self.app = app
        self.file = app.directory / "otel.yaml"
        self.receiver = receiver
        self._other = other

    def variables(self, text: str) -> dict[str, str]:
        """The file with a text added is written; the variables that name it."""
        exporter = f'{{otlp_http: {{endpoint: "{self.receiver.http_endpoint}/v1/logs"}}}}'
        provider = f"logger_provider:\n  processors:\n    - batch:\n        exporter: {exporter}\n"
        self.file.write_text(f'file_format: "1.0"\n{provider}{text}\n')
        return {
            "OTEL_CONFIG_FILE": str(self.file),
            "OTEL_EXPORTER_OTLP_ENDPOINT": self._other.grpc_endpoint,
        }

    def run(self, text: str, *, hooked: bool = True) -> Day:
        """A day of it; the variables' endpoint is left alone whatever the file says."""
        day = self.app.run(self.variables(text), hooked=hooked)
        assert (day.status, day.stdout) == (0, PRINTED)
        assert self._other.requests == ()
        return day


@pytest.fixture
def described(app: App, receiver: OtlpReceiver, other: OtlpReceiver) -> Described:
    """An application that a file configures."""
    return Described(app, receiver, other)


def said(day: Day) -> list[str]:
    """The lines that are not upstream's."""
    return [line for line in day.stderr.splitlines() if line not in FROM_SDK]


def test_events_go_where_the_file_says(described: Described) -> None:
    """The file's endpoint gets each event once, with the file's resource and the identity."""
    attributes = "[{name: service.name, value: night desk}, {name: service.version, value: '7.1'}]"
    day = described.run(f"resource:\n  attributes: {attributes}")
    events = described.receiver.wait_for_events(5)
    assert [event.event_name for event in events] == NAMES
    for event in events:
        assert event.resource == {
            "incident.diagnostic.id": DIAGNOSTIC_ID,
            "incident.plugin.version": __version__,
            "incident.server.version": "7.1",
            "service.name": "night desk",
            "service.version": "7.1",
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.version": metadata.version("opentelemetry-sdk"),
        }
    assert said(day) == []


NO_GATE: Final = "No gate is set, and none is in place."


def test_a_file_that_is_disabled(described: Described) -> None:
    """`disabled: true` turns us off with the SDK: nothing is watched, sent or made."""
    day = described.run("disabled: true")
    assert said(day) == []
    assert "otel_incident.instrumentor" in day.modules  # upstream starts us all the same
    assert "otel_incident.hooks" not in day.modules
    assert day.threads == ()
    assert described.receiver.requests == ()


def test_an_instrumentation_that_is_disabled(described: Described) -> None:
    """`incident: {enabled: false}` turns us off alone: the SDK is set up, nothing is watched or sent."""
    day = described.run(INCIDENT + "{enabled: false}")
    assert said(day) == []
    assert "otel_incident.hooks" not in day.modules
    assert day.threads == ("OtelBatchLogRecordProcessor",)  # the host's own
    assert described.receiver.requests == ()


def test_the_options_of_the_file(described: Described, tmp_path: Path) -> None:
    """Hooks, id mode, state directory and versions come from the block, and each event comes once."""
    options = (
        f"{{hooks: ['{described.app.hooks}'], id_mode: {{'': hmac, user.id: drop}}, "
        f"state_dir: '{tmp_path / 'kept'}', server_version: '8.0.1', license_id: 4711}}"
    )
    described.run(INCIDENT + options, hooked=False)
    events = described.receiver.wait_for_events(5)
    assert [event.event_name for event in events] == NAMES
    (incident_id,) = {str(event.attributes["incident.id"]) for event in events}
    assert incident_id.startswith("hmac-")
    assert [event for event in events if {"user.id", "user.hash"} & set(event.attributes)] == []
    assert {event.resource["incident.server.version"] for event in events} == {"8.0.1"}
    assert {event.resource["incident.license.id"] for event in events} == {"4711"}
    assert (tmp_path / "kept" / "key").exists()
    assert not described.app.state.exists()


def test_the_detectors_of_the_file(described: Described, tmp_path: Path) -> None:
    """Detectors in the file are for the host: its spans get the identity, our events no more than that."""
    neighbour = Neighbour(tmp_path / "neighbour")
    exporter = f'{{otlp_http: {{endpoint: "{described.receiver.http_endpoint}/v1/traces"}}}}'
    text = f"""
tracer_provider:
  processors:
    - simple:
        exporter: {exporter}
resource:
  detection/development:
    detectors: [{{incident: }}, {{process: }}]
{INCIDENT}{{server_version: '8.0.1'}}
"""
    variables = {**described.variables(text), **neighbour.variables}
    day = described.app.run(variables, behind=[neighbour.installed])
    assert (day.status, day.stdout, said(day)) == (0, PRINTED, [])
    identity = {
        "incident.diagnostic.id": DIAGNOSTIC_ID,
        "incident.plugin.version": __version__,
        "incident.server.version": "8.0.1",
    }
    (span,) = described.receiver.wait_for_spans(1)
    assert {name: span.resource.get(name) for name in identity} == identity
    assert "process.pid" in span.resource
    for event in described.receiver.wait_for_events(5):
        assert {name: event.resource.get(name) for name in identity} == identity
        assert [name for name in event.resource if name.startswith("process.")] == []


def test_called_twice(described: Described) -> None:
    """With a block in the file upstream calls us twice: each event comes once, and nothing is said of it."""
    day = described.run(INCIDENT + "{}")
    assert said(day) == []
    assert [event.event_name for event in described.receiver.wait_for_events(5)] == NAMES
    assert day.threads == ("OtelBatchLogRecordProcessor", "otel-incident-otlp_proto_http")  # the host's, ours


def test_gate_off(described: Described) -> None:
    """`gate: off` as YAML reads it, as a false, is the gate `off`."""
    assert said(described.run(INCIDENT + "{gate: off}")) == []
    assert [event.event_name for event in described.receiver.wait_for_events(5)] == NAMES


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (
            "{titel: x}",
            (
                "The option 'titel' of the incident instrumentation is not known; "
                f"known are {KNOWN}. Correct or remove it."
            ),
        ),
        (
            "{server_version: 5.4}",
            (
                "The option 'server_version' of the incident instrumentation has the wrong type (float). "
                "Write it as a text, in quotes."
            ),
        ),
        (
            "{hooks: [1]}",
            (
                "The option 'hooks' of the incident instrumentation has the wrong type (list). "
                "Write it as a text, in quotes, or as a list of them."
            ),
        ),
        (
            "{id_mode: [hmac]}",
            (
                "The option 'id_mode' of the incident instrumentation has the wrong type (list). "
                "Write it as a text, in quotes, or as a table of modes by attribute."
            ),
        ),
    ],
)
def test_a_block_that_cannot_be_used(options: str, line: str, described: Described) -> None:
    """A mistake in our block is one line with the file, the option and what to do, and we stay off."""
    day = described.run(INCIDENT + options)
    assert said(day) == [
        f"OTEL_CONFIG_FILE ({described.file}): {line} Incident telemetry stays off. {NO_GATE}"
    ]
    assert "otel_incident.hooks" not in day.modules
    assert described.receiver.requests == ()


def test_a_value_that_cannot_be_used(described: Described) -> None:
    """A value that no option takes is one line, and the events come under the rule that the line names."""
    day = described.run(INCIDENT + "{id_mode: hash}")
    assert said(day) == [
        (
            "The option id_mode='hash' cannot be used: expected plain, hmac or drop, alone or as "
            "<id attribute>=<mode>, separated by commas; it is passed over, and plain holds."
        )
    ]
    assert [event.event_name for event in described.receiver.wait_for_events(5)] == NAMES


def test_a_file_that_cannot_be_read(described: Described) -> None:
    """A host that instruments itself is told in one line that the file cannot be read, and runs."""
    day = described.app.run_in_code(BY_HAND, described.variables("tracer_provider: 5"))
    assert (day.status, day.stdout) == (0, PRINTED)
    assert day.stderr == (
        f"OTEL_CONFIG_FILE ({described.file}) cannot be read (ConfigurationError: Configuration does not "
        "match schema: 5 is not of type 'object' (at tracer_provider)). Incident telemetry stays off. "
        f"{NO_GATE}\n"
    )
    assert described.receiver.requests == ()


def test_a_file_that_the_sdk_refuses(described: Described) -> None:
    """Under the command the SDK gives up first and says why; the host runs, and has one module of ours."""
    day = described.run("tracer_provider: 5")
    assert day.stderr.splitlines()[-1] == (
        "opentelemetry.configuration._exceptions.ConfigurationError: Configuration does not match schema: "
        "5 is not of type 'object' (at tracer_provider)"
    )
    assert {name for name in day.modules if name.startswith("otel_incident")} == {
        "otel_incident",
        "otel_incident.pre_instrument",  # asked whether it is the distro
        "otel_incident.version",
    }
    assert described.receiver.requests == ()
