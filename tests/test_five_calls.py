"""The whole way in code: the five calls, our own pipeline, a real wire, any OTLP backend."""

from typing import Any, Final

import pytest

from otel_incident import Actor, Incident, IncidentEmitter
from otel_incident.pipeline import default_pipeline
from otel_incident.version import __version__
from otel_incident.vocabulary import ATTRIBUTES
from tests.backend import Backend
from tests.policy_oracle import is_id, is_ulid
from tests.telemetry import LogEvent

WIRE_TYPES: Final = {"string[]": "array", "boolean": "bool"}
EVERY_EVENT: Final[dict[str, Any]] = {
    "incident.id": "mytpaxxhs7dtx8qtc5fzmd4k1a",
    "incident.commander.id": "7",
    "incident.team.id": "123e4567-e89b-12d3-a456-426614174000",
    "incident.created_at": "2020-09-13T12:26:40.000Z",
    "incident.checklist.count": 3,
    "incident.checklist.item.count": 0,
    "user.id": "42",
    "user.roles": ("system_admin",),
}


def of(action: str, **more: Any) -> tuple[str, dict[str, Any]]:
    """Name and attributes of an event."""
    own = {f"incident.{name.replace('_', '.')}": value for name, value in more.items()}
    return f"incident.{action}", {**EVERY_EVENT, "incident.action": action, "incident.active": True, **own}


EXPECTED: Final = (
    of("create", public=True),
    of("change_commander"),
    of("change_stage", stage_index=2),
    of("end", active=False),
    of("restart"),
)


@pytest.fixture(params=["grpc", "http/protobuf"])
def backend_by_protocol(
    request: pytest.FixtureRequest, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> Backend:
    """A backend that the environment points to, over either protocol."""
    endpoint = backend.grpc_endpoint if request.param == "grpc" else backend.http_endpoint
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", request.param)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    monkeypatch.setenv("OTEL_INCIDENT_SERVER_VERSION", "5.4.0")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "incident desk")
    return backend


def test_the_five_calls(backend_by_protocol: Backend) -> None:
    """They arrive once each, in order, with exactly the promised attributes, values and types."""
    events = five_calls(backend_by_protocol)
    found = []
    for event in events:
        attributes = dict(event.attributes)
        uid = attributes.pop("log.record.uid")
        assert isinstance(uid, str)
        assert is_ulid(uid)
        if event.event_name == "incident.end":
            duration = attributes.pop("incident.duration")
            assert type(duration) is float
            assert duration * 1000 == pytest.approx(event.timestamp // 1_000_000 - 1_600_000_000_000)
        found.append((event.event_name, attributes))
    assert found == list(EXPECTED)
    assert len({event.attributes["log.record.uid"] for event in events}) == 5


def test_their_types(backend_by_protocol: Backend) -> None:
    """Each attribute has the type on the wire that the registry promises, and `post.id` is absent."""
    for event in five_calls(backend_by_protocol):
        assert "incident.post.id" not in event.attributes
        for name, kind in event.attribute_types.items():
            promised = ATTRIBUTES[name].type
            assert kind == WIRE_TYPES.get(promised, promised), name


def test_their_envelope(backend_by_protocol: Backend) -> None:
    """No body, severity INFO, both timestamps, no trace; a schema URL on our scope alone."""
    for event in five_calls(backend_by_protocol):
        assert not event.has_body
        assert (event.severity_number, event.severity_text) == (9, "INFO")
        assert 0 < event.timestamp <= event.observed_timestamp
        assert (event.trace_id, event.span_id) == ("", "")
        assert event.dropped_attributes_count == 0
        assert (event.scope_name, event.scope_version) == ("otel_incident", __version__)
        assert event.scope_schema_url == "https://otel-incident.invalid/schemas/0.1.0"
        assert event.scope_attributes == {}
        assert event.resource_schema_url == ""


def test_their_resource(backend_by_protocol: Backend) -> None:
    """The resource is the operator's description, the SDK's name, and the installation's identity."""
    for event in five_calls(backend_by_protocol):
        resource = dict(event.resource)
        assert is_id(str(resource.pop("incident.diagnostic.id")))
        assert str(resource.pop("telemetry.sdk.version"))
        assert resource == {
            "service.name": "incident desk",
            "service.version": "5.4.0",
            "incident.server.version": "5.4.0",
            "incident.plugin.version": __version__,
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": "opentelemetry",
        }
        assert set(event.resource_types.values()) == {"string"}


def five_calls(backend: Backend) -> list[LogEvent]:
    """Report one incident's course, as the documentation shows it, and wait for its arrival."""
    emitter = IncidentEmitter()
    incident = Incident(
        id="mytpaxxhs7dtx8qtc5fzmd4k1a",
        active=True,
        commander_id=7,
        team_id="123e4567-e89b-12d3-a456-426614174000",
        created_at=1_600_000_000_000,
        post_id=None,
        checklist_count=3,
    )
    actor = Actor(id="42", roles=("system_admin",))
    emitter.create(incident, actor=actor, public=True)
    emitter.change_commander(incident, actor=actor)
    emitter.change_stage(incident, actor=actor, stage_index=2)
    emitter.end(incident, actor=actor)
    emitter.restart(incident, actor=actor)
    assert default_pipeline().force_flush()
    events = backend.wait_for_events(5)
    assert len(events) == 5
    return events
