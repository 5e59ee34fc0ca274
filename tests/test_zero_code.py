"""`opentelemetry-instrument python -m app`, a hook file, `OTEL_*` variables, and events arrive."""

import json
import re
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from typing import Final

import pytest

from otel_incident.version import __version__
from otel_incident.vocabulary import SCHEMA_URL, SCOPE_NAME
from tests.backend import Backend
from tests.desk_app import ACTIONS, CONTENT, NAMES, PRINTED
from tests.otlp_receiver import OtlpReceiver
from tests.telemetry import LogEvent
from tests.zero_code import DIAGNOSTIC_ID, App, assert_untouched
from tests.zero_code import app as app  # noqa: PLC0414  a fixture is used by its name

CREATED: Final = "2020-09-13T12:26:40.000Z"
CREATED_MS: Final = 1_600_000_000_000
COMMON: Final = {"incident.id": "41", "incident.checklist.item.count": 0}
OF_ACTION: Final[dict[str, dict[str, object]]] = {
    "create": {
        "incident.active": True,
        "incident.checklist.count": 2,
        "incident.checklist.item.count": 3,
        "incident.commander.id": "7",
        "incident.created_at": CREATED,
        "incident.post.id": "900",
        "incident.public": False,
        "incident.team.id": "5",
        "user.id": "3",
        "user.roles": ("system_admin",),
    },
    "change_commander": {
        "incident.active": True,
        "incident.commander.id": "3",
        "user.id": "7",
        "user.roles": ("end_user",),
    },
    "change_stage": {"incident.stage.index": 2},
    "end": {"incident.active": False, "incident.created_at": CREATED, "user.id": "3"},
    "restart": {"incident.active": True, "incident.team.id": "5"},
}
"""What an event of each action has besides `COMMON`, its action, its uid and, at an end, the duration."""

NOT_TEXT: Final = {
    "incident.active": "bool",
    "incident.public": "bool",
    "incident.checklist.count": "int",
    "incident.checklist.item.count": "int",
    "incident.stage.index": "int",
    "incident.duration": "double",
    "user.roles": "array",
}
"""The OTLP kinds that are not `string`."""

RESOURCE: Final = {
    "incident.diagnostic.id": DIAGNOSTIC_ID,
    "incident.plugin.version": __version__,
    "incident.server.version": "5.4.0",
    "service.name": "desk",
    "service.version": "5.4.0",
    "telemetry.sdk.language": "python",
    "telemetry.sdk.name": "opentelemetry",
    "telemetry.sdk.version": metadata.version("opentelemetry-sdk"),
}
ULID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


@pytest.fixture
def other() -> Iterator[OtlpReceiver]:
    """A second receiver, to which something goes or must not."""
    with OtlpReceiver() as running:
        yield running


def expected(action: str, event: LogEvent) -> dict[str, object]:
    """All attributes of an event; its uid and the time it happened are its own."""
    attributes = {
        **COMMON,
        **OF_ACTION[action],
        "incident.action": action,
        "log.record.uid": event.attributes["log.record.uid"],
    }
    if action == "end":
        attributes["incident.duration"] = (event.timestamp // 1_000_000 - CREATED_MS) / 1000
    return attributes


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_a_day_arrives(protocol: str, backend: Backend, app: App) -> None:
    """Each action of an unchanged application is one exact event, in order, and nothing else leaves."""
    endpoint = backend.grpc_endpoint if protocol == "grpc" else backend.http_endpoint
    started = time.time_ns()
    day = app.run({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol})
    ended = time.time_ns()
    assert_untouched(day)
    events = backend.wait_for_events(len(ACTIONS))
    assert [event.event_name for event in events] == NAMES
    for event, action in zip(events, ACTIONS, strict=True):
        assert event.attributes == expected(action, event)
        assert event.attribute_types == {name: NOT_TEXT.get(name, "string") for name in event.attributes}
        assert ULID.fullmatch(str(event.attributes["log.record.uid"]))
        assert started <= event.timestamp <= event.observed_timestamp <= ended
        assert (event.trace_id, event.span_id, event.flags) == ("", "", 0)
        assert (event.has_body, event.severity_number, event.severity_text) == (False, 9, "INFO")
        assert (event.scope_name, event.scope_version) == (SCOPE_NAME, __version__)
        assert (event.scope_schema_url, event.scope_attributes) == (SCHEMA_URL, {})
        assert (event.dropped_attributes_count, event.resource_schema_url) == (0, "")
        assert event.resource == RESOURCE
        assert set(event.resource_types.values()) == {"string"}
    times = [event.timestamp for event in events]
    assert times == sorted(times)
    assert len({event.attributes["log.record.uid"] for event in events}) == len(ACTIONS)

    telemetry = backend.telemetry()
    assert (len(telemetry.events), telemetry.spans, telemetry.metrics) == (len(ACTIONS), (), ())
    left = backend.raw_bytes()
    assert b"incident.change_stage" in left
    assert [text for text in CONTENT if text.encode() in left] == []


def test_the_application_is_as_without_us(app: App) -> None:
    """What it prints and how it ends is the same when it is started without `opentelemetry-instrument`."""
    bare = app.call([sys.executable, "-m", "app"])
    assert (bare.status, bare.stdout, bare.stderr) == (0, PRINTED, "")


def test_the_metrics_travel_with_the_host_s(receiver: OtlpReceiver, app: App) -> None:
    """With a metrics exporter the counts and the duration arrive, without any id, and no other metric."""
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.grpc_endpoint, "OTEL_METRICS_EXPORTER": "otlp"}
    assert_untouched(app.run(endpoint))
    points = receiver.wait_for_metrics(len(ACTIONS) + 1)
    counts = [(point.attributes, point.value) for point in points if point.name == "incident.events"]
    assert counts == [({"incident.action": action}, 1) for action in ACTIONS]
    (duration,) = [point for point in points if point.name == "incident.duration"]
    others = {point.name for point in points} - {"incident.events", "incident.duration"}
    assert {name for name in others if not name.startswith("otel_incident.spool.")} == set()
    assert [point for point in points if "41" in map(str, point.attributes.values())] == []
    (end,) = [event for event in receiver.wait_for_events(5) if event.event_name == "incident.end"]
    assert (duration.name, duration.unit, duration.attributes) == ("incident.duration", "s", {})
    assert (duration.count, duration.sum) == (1, end.attributes["incident.duration"])


@pytest.mark.parametrize(
    ("own", "general", "transport"),
    [
        ("http/protobuf", "grpc", "http"),
        ("grpc", "http/protobuf", "grpc"),
        ("", "http/protobuf", "http"),
        ("", "", "grpc"),
    ],
)
def test_the_protocol_of_the_logs_comes_first(
    own: str, general: str, transport: str, receiver: OtlpReceiver, app: App
) -> None:
    """The variable for logs comes before the general one, and without both it is gRPC."""
    endpoint = receiver.grpc_endpoint if transport == "grpc" else receiver.http_endpoint
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": own,
        "OTEL_EXPORTER_OTLP_PROTOCOL": general,
    }
    assert_untouched(app.run(variables))
    assert [event.event_name for event in receiver.wait_for_events(5)] == NAMES
    assert {(request.transport, request.signal) for request in receiver.requests} == {(transport, "logs")}


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_the_endpoint_of_the_logs_comes_first(
    protocol: str, receiver: OtlpReceiver, other: OtlpReceiver, app: App
) -> None:
    """Events go to the endpoint for logs alone; the general one gets nothing of them."""
    if protocol == "grpc":
        own, general = receiver.grpc_endpoint, other.grpc_endpoint
    else:  # the specification has the path added to the general endpoint only
        own, general = f"{receiver.http_endpoint}/v1/logs", other.http_endpoint
    variables = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": own,
        "OTEL_EXPORTER_OTLP_ENDPOINT": general,
    }
    assert_untouched(app.run(variables))
    assert [event.event_name for event in receiver.wait_for_events(5)] == NAMES
    assert other.requests == ()


def test_the_operator_s_resource_is_on_the_events(receiver: OtlpReceiver, app: App) -> None:
    """`OTEL_SERVICE_NAME` comes before `OTEL_RESOURCE_ATTRIBUTES`; the identity is ours alone."""
    described = (
        "service.name=other,service.version=7.1,deployment.environment.name=on%20call,"
        "incident.diagnostic.id=77,incident.title=secret"
    )
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.grpc_endpoint,
        "OTEL_SERVICE_NAME": "incident desk",
        "OTEL_RESOURCE_ATTRIBUTES": described,
        "OTEL_INCIDENT_LICENSE_ID": "0123456789abcdef",
    }
    assert_untouched(app.run(variables))
    for event in receiver.wait_for_events(5):
        assert event.resource == {
            **RESOURCE,
            "deployment.environment.name": "on call",
            "incident.license.id": "0123456789abcdef",
            "incident.server.version": "7.1",
            "service.name": "incident desk",
            "service.version": "7.1",
        }


def test_the_identity_is_kept(receiver: OtlpReceiver, app: App) -> None:
    """Two runs of one installation have the same diagnostic id, kept in its state directory."""
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.grpc_endpoint,
        "OTEL_INCIDENT_DIAGNOSTIC_ID": "",
    }
    for _ in range(2):
        assert app.run(variables).stdout == PRINTED
    found = {str(event.resource["incident.diagnostic.id"]) for event in receiver.wait_for_events(10)}
    assert found == {(app.state / "diagnostic-id").read_text().strip()}


def test_every_setting_of_ours_is_an_option_of_the_command(receiver: OtlpReceiver, app: App) -> None:
    """`opentelemetry-instrument --incident_hooks FILE` does what the variable does."""
    options = ("--incident_hooks", str(app.hooks), "--incident_id_mode", "plain,user.id=drop")
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.grpc_endpoint}
    assert_untouched(app.run(variables, options=options, hooked=False))
    events = receiver.wait_for_events(5)
    assert [event.event_name for event in events] == NAMES
    assert [event for event in events if "user.id" in event.attributes] == []
    assert [event.attributes["incident.id"] for event in events] == ["41"] * 5


def test_two_hook_files(receiver: OtlpReceiver, app: App) -> None:
    """Several hook files are all in force, separated as in PATH."""
    first, second = app.directory / "first.toml", app.directory / "second.toml"
    head, *hooks = app.hooks.read_text().split("[[hook]]")
    for path, part in ((first, hooks[:2]), (second, hooks[2:])):
        path.write_text("[[hook]]".join([head, *part]))
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.grpc_endpoint,
        "OTEL_INCIDENT_HOOKS": f"{first}:{second}",
    }
    assert_untouched(app.run(variables))
    assert [event.event_name for event in receiver.wait_for_events(5)] == NAMES


def test_an_application_that_reports_nothing_pays_nothing(receiver: OtlpReceiver, app: App) -> None:
    """Switched on but without an event, there is no request, no file, and no thread that we added."""
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.grpc_endpoint, "OTEL_INCIDENT_DIAGNOSTIC_ID": ""}
    without_us = app.run({**variables, "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "incident"}, words=["idle"])
    idle = app.run(variables, words=["idle"])
    assert json.loads(idle.stdout) == []
    assert "otel_incident.hooks.activation" in idle.modules
    assert idle.threads == without_us.threads
    assert receiver.requests == ()
    assert not app.state.exists()
