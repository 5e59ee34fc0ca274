"""Off, in a running application: nothing of ours is loaded but what reads the switch."""

import socket
from collections.abc import Iterator
from typing import Final

import pytest

from tests.desk_app import PRINTED
from tests.zero_code import BY_HAND, App, assert_untouched
from tests.zero_code import app as app  # noqa: PLC0414  a fixture is used by its name

SWITCHES: Final = (
    {"OTEL_SDK_DISABLED": "true"},
    {"OTEL_INCIDENT_ENABLED": "false"},
    {"OTEL_INCIDENT_ENABLED": "flase"},
    {"DO_NOT_TRACK": "1"},
)
READING: Final = {
    "otel_incident",
    "otel_incident.announcements",
    "otel_incident.config",
    "otel_incident.config_exporters",
    "otel_incident.config_file",
    "otel_incident.config_spool",
    "otel_incident.config_values",
    "otel_incident.environment_variables",
    "otel_incident.errors",
    "otel_incident.forks",
    "otel_incident.guard",
    "otel_incident.instrumentor",
    "otel_incident.version",
    "otel_incident.vocabulary",
}
"""All of ours that it takes to find out that we are off."""

HEAVY: Final = ("opentelemetry.sdk", "opentelemetry.exporter", "grpc", "requests", "google.protobuf")
MISTYPED: Final = "OTEL_INCIDENT_ENABLED='flase' cannot be used: expected true or false; false holds.\n"


def named(switch: dict[str, str]) -> str:
    """What a test's variant is called."""
    return "=".join(*switch.items())


@pytest.fixture
def endpoint() -> Iterator[dict[str, str]]:
    """An endpoint where any connection is noticed at the end, even one over which nothing is sent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        # no id is given, so that one would have to be made and kept
        yield {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{listener.getsockname()[1]}",
            "OTEL_INCIDENT_DIAGNOSTIC_ID": "",
        }
        with pytest.raises(BlockingIOError):
            listener.accept()


def loaded(modules: frozenset[str], *packages: str) -> set[str]:
    """Which modules are in one of these packages."""
    return {name for name in modules if any(f"{name}.".startswith(f"{package}.") for package in packages)}


def test_disabled_by_name(endpoint: dict[str, str], app: App) -> None:
    """Under `OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=incident` only what the command ends with is loaded."""
    day = app.run({**endpoint, "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "incident"})
    assert_untouched(day)
    assert loaded(day.modules, "otel_incident") == {
        "otel_incident",
        "otel_incident.post_instrument",
        "otel_incident.pre_instrument",
        "otel_incident.version",
    }
    assert not app.state.exists()


@pytest.mark.parametrize(
    ("disabled", "asked", "mode"),
    [
        ("incident", "strict", "strict"),
        ("*", "standard", "standard"),
        ("requests, incident", "strickt", "strict"),
        ("incident", "off", ""),
    ],
)
def test_disabled_by_name_with_a_gate(disabled: str, asked: str, mode: str, app: App) -> None:
    """Whoever asked for a gate is told in one line that it is not there; the application is as without us."""
    day = app.run({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": disabled, "OTEL_INCIDENT_GATE": asked})
    assert (day.status, day.stdout) == (0, PRINTED)
    missing = (
        f"The gate ({mode}) is not in place, because the instrumentation incident was not loaded (see "
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS): the host's own spans, logs and metrics leave as they are.\n"
    )
    assert day.stderr == (missing if mode else "")
    assert not app.state.exists()


@pytest.mark.parametrize("switch", SWITCHES, ids=named)
def test_switched_off(switch: dict[str, str], endpoint: dict[str, str], app: App) -> None:
    """With a switch off there is nothing of ours but what reads it: no thread, no file, no connection."""
    without_us = app.run({**endpoint, "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "incident"})
    day = app.run({**endpoint, **switch})
    assert day.stdout == without_us.stdout
    assert day.stderr == (MISTYPED if "flase" in switch.values() else "")
    assert loaded(day.modules, "otel_incident") == READING | {
        "otel_incident.post_instrument",
        "otel_incident.pre_instrument",
    }
    assert loaded(day.modules, *HEAVY) == loaded(without_us.modules, *HEAVY)
    assert day.threads == without_us.threads
    assert not app.state.exists()


@pytest.mark.parametrize("switch", SWITCHES, ids=named)
def test_switched_off_without_an_sdk(switch: dict[str, str], endpoint: dict[str, str], app: App) -> None:
    """Off in a host that sets up no SDK, we load none either: no exporter, no gRPC, no thread."""
    day = app.run_in_code(BY_HAND, {**endpoint, **switch})
    assert day.stderr == (MISTYPED if "flase" in switch.values() else "")
    assert loaded(day.modules, "otel_incident") == READING
    assert loaded(day.modules, *HEAVY) == set()
    assert day.threads == ()
    assert not app.state.exists()


def test_switched_on_is_seen(app: App) -> None:
    """Without a switch the same host loads the SDK and makes a thread and a file: all this can fail."""
    day = app.run_in_code(BY_HAND, {"OTEL_LOGS_EXPORTER": "console", "OTEL_INCIDENT_DIAGNOSTIC_ID": ""})
    assert loaded(day.modules, "otel_incident") > READING
    assert "opentelemetry.sdk._logs" in day.modules
    assert day.threads == ("OtelBatchLogRecordProcessor",)
    assert (app.state / "diagnostic-id").exists()
