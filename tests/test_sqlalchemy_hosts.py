"""A desk on FastAPI, SQLAlchemy and PostgreSQL under the command: exactly what it has committed arrives."""

from pathlib import Path
from typing import Final

import pytest

from tests.canaries import canary, found
from tests.desk_hosts import TRACE_ID, DeskHost, traced
from tests.host_environment import HostEnvironment, host_environment
from tests.host_packages import HOSTS
from tests.otlp_receiver import OtlpReceiver
from tests.postgresql import PostgreSQL
from tests.postgresql import postgresql as postgresql  # noqa: PLC0414  a fixture is used by its namefrom tests.telemetry import LogEvent
from tests.telemetry import LogEvent

TITLE: Final = canary("title")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> HostEnvironment:
    """Where the desk, OpenTelemetry's instrumentations and this package's wheel are installed."""
    return host_environment("instrumented", tmp_path_factory.mktemp("instrumented"))


def incidents(receiver: OtlpReceiver) -> list[LogEvent]:
    """The incident events, in the order of their times."""
    events = receiver.telemetry().events
    return sorted((event for event in events if event.event_name), key=lambda event: event.timestamp)


def test_a_day_of_the_desk(
    environment: HostEnvironment, postgresql: PostgreSQL, receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """Each action once, in the trace of its request; of what failed, even at the commit itself, nothing."""
    variables = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint,
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_INCIDENT_GATE": "strict",
        "OTEL_INCIDENT_HOOKS": str(HOSTS / "mapped_desk" / "hooks.toml"),
        "DESK_POSTGRESQL": postgresql.url(),
    }
    command = ["opentelemetry-instrument", environment.tool("python"), "-m", "mapped_desk"]
    with DeskHost(environment, tmp_path / "desk", command, variables) as host:

        def ask(path: str) -> int:
            return host.request("POST", path, headers=traced())[0]

        answers = [
            ask(f"/incidents?title={TITLE}&commander=7"),
            ask("/incidents/1/commander?commander=8"),
            ask("/incidents/1/commander?commander=9"),  # who does not exist: refused at the commit
            ask("/incidents/1/stage"),
            ask("/incidents/1/end?sure=no"),
            ask("/incidents/1/end"),
            ask("/incidents/1/end"),
            ask("/incidents/1/restart"),
        ]
        said = host.stop()
    assert answers == [200, 200, 500, 200, 500, 200, 200, 200], said
    assert "internal error" not in said
    receiver.wait_for(lambda seen: len(incidents(seen)) >= 5)
    told = incidents(receiver)
    assert [event.event_name for event in told] == [
        "incident.create",
        "incident.change_commander",
        "incident.change_stage",
        "incident.end",
        "incident.restart",
    ]
    assert {event.attributes["incident.id"] for event in told} == {"1"}
    assert [event.attributes["incident.commander.id"] for event in told] == ["7", "8", "8", "8", "8"]
    assert told[2].attributes["incident.stage.index"] == 1
    assert all("incident.created_at" in event.attributes for event in told)
    assert {event.trace_id for event in told} == {TRACE_ID}
    assert found(receiver.raw_bytes(), [TITLE]) == {}
