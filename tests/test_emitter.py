"""The five calls: exactly these attributes, these types, this envelope, and nothing else."""

import uuid
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any, Final

import pytest
from opentelemetry._logs import SeverityNumber

from otel_incident.events import Actor, Hashed, Incident, IncidentEvent
from otel_incident.pipeline import default_pipeline
from otel_incident.ulids import new_ulid
from otel_incident.version import __version__
from tests import strategies
from tests.emitting import Emitting
from tests.policy_oracle import is_hash, is_ulid

INCIDENT: Final = Incident(
    id="mytpaxxhs7dtx8qtc5fzmd4k1a",
    active=True,
    commander_id=7,
    team_id=uuid.UUID(int=9),
    created_at=1_600_000_000_000,
    post_id="abcdef012345",
    checklist_count=3,
    checklist_item_count=12,
)
ACTOR: Final = Actor(id="42", roles=("system_admin",))
ALL: Final[dict[str, Any]] = {
    "incident.id": "mytpaxxhs7dtx8qtc5fzmd4k1a",
    "incident.active": True,
    "incident.commander.id": "7",
    "incident.team.id": "00000000-0000-0000-0000-000000000009",
    "incident.created_at": "2020-09-13T12:26:40.000Z",
    "incident.post.id": "abcdef012345",
    "incident.checklist.count": 3,
    "incident.checklist.item.count": 12,
    "user.id": "42",
    "user.roles": ("system_admin",),
}
AT: Final = 1_600_000_123_456_789_012


def exactly(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """The same names, values and types."""
    assert found == expected
    assert {name: type(value) for name, value in found.items()} == {
        name: type(value) for name, value in expected.items()
    }


def test_create(host: Emitting) -> None:
    """`incident.create` says everything of the incident, who did it, and whether it is public."""
    host.emitter.create(INCIDENT, actor=ACTOR, public=False)
    (found,) = host.attributes()
    exactly(found, {**ALL, "incident.action": "create", "incident.public": False})


def test_end(host: Emitting) -> None:
    """`incident.end` is no longer active and says the duration in seconds, as a float."""
    host.emitter.emit(IncidentEvent(action="end", incident=INCIDENT, actor=ACTOR, timestamp=AT))
    (found,) = host.attributes()
    exactly(found, {**ALL, "incident.active": False, "incident.action": "end", "incident.duration": 123.456})


def test_restart(host: Emitting) -> None:
    """`incident.restart` is active again, whatever the host still believes."""
    host.emitter.restart(Incident(id="1", active=False))
    (found,) = host.attributes()
    exactly(found, minimal("restart", active=True))


def test_change_commander(host: Emitting) -> None:
    """`incident.change_commander` says who commands now, and what the host says of its being active."""
    host.emitter.change_commander(INCIDENT, actor=ACTOR)
    (found,) = host.attributes()
    exactly(found, {**ALL, "incident.action": "change_commander"})


def test_change_stage(host: Emitting) -> None:
    """`incident.change_stage` says the position of the stage, counted from 0."""
    host.emitter.change_stage(INCIDENT, actor=ACTOR, stage_index=0)
    (found,) = host.attributes()
    exactly(found, {**ALL, "incident.action": "change_stage", "incident.stage.index": 0})


def minimal(action: str, *, active: bool | None = None) -> dict[str, Any]:
    """What an incident says of which only the id is known."""
    said: dict[str, Any] = {
        "incident.id": "1",
        "incident.action": action,
        "incident.checklist.item.count": 0,
    }
    return said if active is None else {**said, "incident.active": active}


def test_what_the_host_does_not_say_is_absent(host: Emitting) -> None:
    """An incident of which only the id is known goes out with what its action knows, and 0 items."""
    incident = Incident(id=1)
    host.emitter.create(incident)
    host.emitter.change_commander(incident)
    host.emitter.change_stage(incident)
    host.emitter.end(incident)
    host.emitter.restart(incident)
    expected = [
        minimal("create", active=True),
        minimal("change_commander"),
        minimal("change_stage"),
        minimal("end", active=False),
        minimal("restart", active=True),
    ]
    for found, wanted in zip(host.attributes(), expected, strict=True):
        exactly(found, wanted)
    assert host.names() == [
        "incident.create",
        "incident.change_commander",
        "incident.change_stage",
        "incident.end",
        "incident.restart",
    ]


@pytest.mark.parametrize("actor", [None, Actor(), Actor(id=None, roles=())])
def test_nobody_is_absent(host: Emitting, actor: Actor | None) -> None:
    """Without an actor, or with one of whom nothing is known, there is no `user.` attribute."""
    host.emitter.create(Incident(id="1"), actor=actor)
    assert not [name for name in host.attributes()[0] if name.startswith("user.")]


def test_an_actor_of_whom_only_the_roles_are_known(host: Emitting) -> None:
    """Roles go out without an id, as a tuple even if the host has a list."""
    roles: Any = ["end_user", "system_admin"]
    host.emitter.create(Incident(id="1"), actor=Actor(roles=roles))
    exactly(
        host.attributes()[0],
        {**minimal("create", active=True), "user.roles": ("end_user", "system_admin")},
    )


class Role(StrEnum):
    """As a host may have its own. A set of both holds them in this order: not the alphabet's."""

    ADMIN = "system_admin"
    USER = "end_user"

    def __hash__(self) -> int:
        """The same in every process, where that of a text differs."""
        return [*Role].index(self)


@pytest.mark.parametrize(
    "roles",
    [
        (Role.USER, Role.ADMIN),
        [Role.USER, "system_admin"],
        {Role.USER, Role.ADMIN},
        frozenset({Role.USER, Role.ADMIN}),
        (Role.ADMIN, "end_user", "system_admin", Role.USER),
    ],
    ids=["members", "list", "set", "frozenset", "twice"],
)
def test_roles_are_taken_by_their_text(host: Emitting, roles: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Members of an enumeration are what they hold, as with ids; each leaves once, in alphabetical order."""
    host.emitter.create(Incident(id="1"), actor=Actor(roles=roles))
    assert host.attributes() == [
        {**minimal("create", active=True), "user.roles": ("end_user", "system_admin")},
    ]
    sent = host.attributes()[0]["user.roles"]
    assert [type(each) for each in sent] == [str, str]
    assert default_pipeline().actor_as_sent(Actor(roles=roles), None) == {"user.roles": sent}
    assert caplog.messages == []


def test_a_role_that_is_none_of_ours_is_said_with_those_that_are(
    host: Emitting, caplog: pytest.LogCaptureFixture
) -> None:
    """Who has a role of another name sees in the log which there are, and not his own."""

    class Rank(StrEnum):
        ROOT = "root"

    roles: Any = (Rank.ROOT,)
    host.emitter.create(Incident(id="1"), actor=Actor(id="2", roles=roles))
    (line,) = caplog.messages
    assert line == (
        "user.roles does not keep its rule (enum_list of end_user, system_admin) and was left out. This is "
        "said once; the metric otel_incident.policy.dropped counts on."
    )


def test_an_actor_of_whom_only_the_hash_is_known(host: Emitting) -> None:
    """It leaves as `user.hash`, as exact text, and is not hashed again."""
    hashed = "hmac-0123456789abcdef0123456789abcdef"
    host.emitter.restart(Incident(id="1"), actor=Actor(id=Hashed(hashed), roles=("end_user",)))
    (attributes,) = host.attributes()
    assert {name: value for name, value in attributes.items() if name.startswith("user.")} == {
        "user.hash": hashed,
        "user.roles": ("end_user",),
    }
    assert type(attributes["user.hash"]) is str


def test_a_name_in_an_id_s_place_is_hashed(host: Emitting) -> None:
    """An id that no machine made leaves as its keyed hash, `user.id` as `user.hash`; the same each time."""
    for _ in range(2):
        host.emitter.create(Incident(id="payments-outage-acme"), actor=Actor(id="jane.doe"))
    first, second = host.attributes()
    assert first == second
    assert is_hash(first["incident.id"])
    assert is_hash(first["user.hash"])
    assert first["user.hash"] != first["incident.id"]
    assert "user.id" not in first


@pytest.mark.parametrize(
    "created_at",
    [
        1_600_000_000_000,
        datetime(2020, 9, 13, 12, 26, 40, tzinfo=UTC),
        datetime(2020, 9, 13, 14, 26, 40, 999, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_created_at(host: Emitting, created_at: Any) -> None:
    """Milliseconds and aware datetimes of any zone mean the same instant, and give the duration."""
    incident = Incident(id="1", created_at=created_at)
    host.emitter.emit(IncidentEvent(action="end", incident=incident, timestamp=AT))
    exactly(
        host.attributes()[0],
        {
            **minimal("end", active=False),
            "incident.created_at": "2020-09-13T12:26:40.000Z",
            "incident.duration": 123.456,
        },
    )


def test_an_end_before_its_creation_has_no_duration(host: Emitting, caplog: pytest.LogCaptureFixture) -> None:
    """Clocks that disagree make no negative duration: it is left out and said."""
    incident = Incident(id="1", created_at=AT // 1_000_000 + 1)
    host.emitter.emit(IncidentEvent(action="end", incident=incident, timestamp=AT))
    assert "incident.duration" not in host.attributes()[0]
    assert "incident.created_at" in host.attributes()[0]
    (said,) = caplog.records
    assert said.getMessage() == (
        "incident.duration does not keep its rule (seconds) and was left out. This is said once; the metric "
        "otel_incident.policy.dropped counts on."
    )


def test_the_envelope(host: Emitting) -> None:
    """No body, severity INFO (9), and our scope with version and schema URL; the resource is the host's."""
    host.emitter.create(INCIDENT)
    (record,) = host.records()
    assert record.log_record.body is None
    assert record.log_record.severity_number is SeverityNumber.INFO
    assert SeverityNumber.INFO.value == 9
    assert record.log_record.severity_text == "INFO"
    assert record.log_record.event_name == "incident.create"
    assert record.instrumentation_scope is not None
    assert record.instrumentation_scope.name == "otel_incident"
    assert record.instrumentation_scope.version == __version__
    assert record.instrumentation_scope.schema_url == "https://otel-incident.invalid/schemas/0.1.0"
    assert not record.instrumentation_scope.attributes
    assert dict(record.resource.attributes) == {"service.name": "host"}
    assert record.dropped_attributes == 0


def test_when_it_happened_and_when_it_was_queued(host: Emitting) -> None:
    """`timestamp` is when the change was made, `observed_timestamp` when it was queued, both in ns."""
    host.emitter.emit(IncidentEvent(action="create", incident=INCIDENT, timestamp=AT))
    host.emitter.create(INCIDENT)
    earlier, now = (record.log_record for record in host.records())
    assert earlier.timestamp == AT
    assert earlier.observed_timestamp is not None
    assert now.observed_timestamp is not None
    assert earlier.observed_timestamp > AT
    assert now.timestamp == now.observed_timestamp >= earlier.observed_timestamp
    uid = str((earlier.attributes or {})["log.record.uid"])
    assert uid[:10] == new_ulid(earlier.observed_timestamp)[:10]


@pytest.mark.parametrize("timestamp", [-1, 2**63, 2**70, True, 1.5, "now"])
def test_a_time_that_cannot_be_sent_is_now(host: Emitting, timestamp: Any) -> None:
    """A time that OTLP cannot encode would cost its whole batch: the event is of now instead."""
    host.emitter.emit(IncidentEvent(action="create", incident=INCIDENT, timestamp=timestamp))
    (record,) = host.records()
    assert record.log_record.timestamp == record.log_record.observed_timestamp


def test_the_uid_is_another_each_time(host: Emitting) -> None:
    """`log.record.uid` is a ULID, unique, and made of the time at which the event was queued."""
    for _ in range(1000):
        host.emitter.create(INCIDENT)
    records = [record.log_record for record in host.records()]
    uids = [str((record.attributes or {})["log.record.uid"]) for record in records]
    assert all(is_ulid(uid) for uid in uids)
    assert len(set(uids)) == 1000
    times = [uid[:10] for uid in uids]
    assert times == sorted(times)
    assert times == [new_ulid(record.observed_timestamp or 0)[:10] for record in records]


@pytest.mark.parametrize("name", ["title", "name", "description", "body", "attributes", "message"])
@pytest.mark.parametrize("method", ["create", "end", "restart", "change_commander", "change_stage"])
def test_no_method_takes_content(host: Emitting, method: str, name: str) -> None:
    """Passing a title to any of the five calls is a TypeError, at the call that is wrong."""
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
        getattr(host.emitter, method)(INCIDENT, **{name: strategies.CONTENT})


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("end", "public"),
        ("restart", "public"),
        ("create", "stage_index"),
        ("change_commander", "stage_index"),
    ],
)
def test_no_method_takes_what_belongs_to_another(host: Emitting, method: str, name: str) -> None:
    """`public` is create's alone and `stage_index` change_stage's."""
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
        getattr(host.emitter, method)(INCIDENT, **{name: 1})
