"""An unmodified FireFighter reports its incidents by the preset: declared over REST, then by its models.

Its people do the rest from Slack, in dialogs that call the very methods of its models that are called here.
"""

import os
import secrets
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from pathlib import Path
from typing import Final

import pytest

from otel_incident.version import __version__
from otel_incident.vocabulary import SCHEMA_URL, SCOPE_NAME
from tests.backend import Backend
from tests.firefighter_host import CONTENT, INCIDENT, STAFF, FireFighter, Installation, installed
from tests.host_environment import host_environment
from tests.otlp_receiver import HANG, OK, OtlpReceiver
from tests.postgresql import PostgreSQL, postgresql
from tests.served_host import Served
from tests.telemetry import LogEvent
from tests.test_argus import seen
from tests.test_helpdesk import ULID, bytes_of_logs, exporting
from tests.waiting import wait_until

__all__ = ["postgresql"]

TYPES: Final = {
    "incident.action": "string",
    "incident.active": "bool",
    "incident.checklist.item.count": "int",
    "incident.commander.id": "string",
    "incident.created_at": "string",
    "incident.duration": "double",
    "incident.id": "string",
    "incident.stage.index": "int",
    "log.record.uid": "string",
    "user.id": "string",
    "user.roles": "array",
}

COURSE: Final = """
from firefighter.incidents.models import Incident, User

alex, robin = (User.objects.get(username=name) for name in ("alex", "robin"))

def incident():
    return Incident.objects.get()

incident().update_roles(alex, {"commander": robin, "communication_lead": alex})
incident().update_roles(alex, {"commander": robin})
incident().create_incident_update(message="Called the bank", status=30, created_by=alex)
incident().create_incident_update(message="second provider", title="Checkout is down again", created_by=alex)
incident().create_incident_update(status=40, created_by=alex)
incident().create_incident_update(status=60, created_by=alex)
incident().create_incident_update(message="Called the bank", created_by=alex)
incident().create_incident_update(status=20, created_by=alex)
"""
REPORTED: Final[tuple[tuple[str, dict[str, object]], ...]] = (
    ("create", {"incident.active": True}),
    ("change_commander", {}),
    ("change_stage", {"incident.active": True, "incident.stage.index": 2}),
    ("change_stage", {"incident.active": True, "incident.stage.index": 3}),
    ("end", {"incident.active": False}),
    ("restart", {"incident.active": True}),
)


@pytest.fixture(scope="module")
def firefighter(postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An installation with its users, without incidents."""
    scratch = tmp_path_factory.mktemp("firefighter")
    return installed(host_environment("firefighter", scratch), postgresql, scratch)


@pytest.fixture
def database() -> str:
    """The name of a database that is the test's own."""
    return f"firefighter_{secrets.token_hex(4)}"


def expected(
    action: str, own: dict[str, object], event: LogEvent, created: datetime, users: dict[str, str]
) -> dict[str, object]:
    """The attributes of an event, all of them; the uid is the event's own."""
    attributes: dict[str, object] = {
        "incident.action": action,
        "incident.checklist.item.count": 0,
        "incident.created_at": f"{created:%Y-%m-%dT%H:%M:%S}.{created.microsecond // 1000:03d}Z",
        "incident.id": "1",
        "log.record.uid": event.attributes["log.record.uid"],
        **own,
    }
    if action == "create":  # only there a request says who it is
        attributes |= {"user.id": users[STAFF], "user.roles": ("end_user",)}
        attributes["incident.commander.id"] = users[STAFF]  # who declares it takes it
    if action == "change_commander":  # of the role's incident FireFighter holds the key alone
        del attributes["incident.created_at"]
        attributes["incident.commander.id"] = users["robin"]
    if action == "end":
        since = (created - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)
        attributes["incident.duration"] = (event.timestamp // 1_000_000 - since) / 1000
    return attributes


def test_a_lifecycle_arrives(
    backend: Backend, firefighter: Installation, database: str, tmp_path: Path
) -> None:
    """Exactly the expected events in order, each with exactly its attributes, and not a word of content."""
    host = FireFighter(firefighter, database, tmp_path / "firefighter", exporting(backend, "grpc"))
    trace_id = secrets.token_hex(16)
    with host.serve() as served:
        assert host.declare(served, STAFF, {**INCIDENT, "title": ""}).status == 400
        answer = host.declare(served, STAFF, INCIDENT, f"00-{trace_id}-{secrets.token_hex(8)}-01")
        assert answer.status == 201, answer
        backend.wait_for_events(1)
        assert served.stop() == 0
    created = datetime.fromisoformat(answer.body["created_at"]).astimezone(UTC)
    ended = host.shell(COURSE)
    assert ended.status == 0, ended.stderr
    assert "firefighter-incident, hook" not in ended.stderr  # no complaint
    events = backend.wait_for_events(len(REPORTED))

    assert [event.event_name for event in events] == [f"incident.{action}" for action, _ in REPORTED]
    users = {name: user.id for name, user in firefighter.users.items()}
    for event, (action, own) in zip(events, REPORTED, strict=True):
        assert event.attributes == expected(action, own, event, created, users)
        assert event.attribute_types == {name: TYPES[name] for name in event.attributes}
        assert ULID.fullmatch(str(event.attributes["log.record.uid"]))
        assert (event.has_body, event.severity_number, event.severity_text) == (False, 9, "INFO")
        assert (event.scope_name, event.scope_version) == (SCOPE_NAME, __version__)
        assert (event.scope_schema_url, event.scope_attributes) == (SCHEMA_URL, {})
        assert event.resource == {
            "incident.diagnostic.id": (host.state / "diagnostic-id").read_text().strip(),
            "incident.plugin.version": __version__,
            "incident.server.version": "0.0.38",
            "service.name": "firefighter",
            "service.version": "0.0.38",
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.version": "1.45.2",
        }
        assert set(event.resource_types.values()) == {"string"}
    assert events[0].trace_id == trace_id
    assert len({event.attributes["log.record.uid"] for event in events}) == len(events)
    assert len(backend.telemetry().events) == len(REPORTED)
    logs = bytes_of_logs(backend)
    assert b"incident.change_commander" in logs
    assert [text for text in CONTENT if text.encode() in logs] == []


SCRIPT: Final = f"""
import os, signal
from django.db import OperationalError, connection, transaction
from firefighter.incidents.models import Incident, IncidentCategory, Priority, User
from firefighter.incidents.models.incident_membership import IncidentRole

morgan, robin = (User.objects.get(username=name) for name in ("morgan", "robin"))
fields = dict(
    title="Checkout is down",
    description="Customers see error 502",
    environment_id={INCIDENT["environment_id"]!r},
    incident_category=IncidentCategory.objects.get(pk={INCIDENT["incident_category_id"]!r}),
    priority=Priority.objects.get(pk={INCIDENT["priority_id"]!r}),
    created_by=morgan,
)

class Undo(Exception):
    pass

first = Incident.objects.declare(**fields)
try:
    with transaction.atomic():
        Incident.objects.declare(**fields)
        first.update_roles(morgan, {{"commander": robin}})
        first.create_incident_update(status=60, created_by=morgan)
        raise Undo
except Undo:
    first.refresh_from_db()
with transaction.atomic():
    second = Incident.objects.declare(**fields)
    second.update_roles(morgan, {{"commander": robin}})
failures = 0
while failures < 2:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("set transaction isolation level repeatable read")
            first.create_incident_update(status=20, created_by=morgan)
            if failures == 0:
                other = connection.copy()
                other.cursor().execute(
                    "update incidents_incident set title = title where id = %s", [second.pk]
                )
                other.close()
            second.create_incident_update(status=10, created_by=morgan)
        break
    except OperationalError:
        failures += 1
        os.write(2, b"tried again\\n")
for each in (first, second):
    each.status = 60
Incident.objects.bulk_update([first, second], ["_status"])
Incident.objects.update(_status=10)
roles = list(IncidentRole.objects.filter(incident=first, role_type__slug="commander"))
for role in roles:
    role.user = robin
IncidentRole.objects.bulk_update(roles, ["user"])
with transaction.atomic():
    Incident.objects.declare(**fields)
    os.kill(os.getpid(), signal.SIGKILL)
"""  # noqa: S608  what is put into it are keys of the tests' own


def test_what_is_not_committed_is_not_reported(
    receiver: OtlpReceiver, firefighter: Installation, database: str, tmp_path: Path
) -> None:
    """Not what is rolled back, nor what a kill before the commit takes; bulk writes of instances are.

    One that is handed over in the transaction that declares it is created with its last commander. One
    transaction is tried again, since another's commit came before its own.
    """
    host = FireFighter(firefighter, database, tmp_path / "firefighter", exporting(receiver, "grpc"))
    ended = host.shell(SCRIPT)
    assert ended.status == -9, ended.stderr
    assert (
        "firefighter-incident, hook 'incident': rows of incidents.Incident were changed by QuerySet.update, "
        "which tells nobody which, so they are not reported. This is said once."
    ) in ended.stderr
    assert ended.stderr.count("tried again") == 1
    assert host.shell("pass").status == 0  # what was left over leaves with whoever comes next
    first, second = "1", "3"  # the number of the one that was rolled back is not given again
    assert seen(receiver, 6, killed=True) == [
        ("create", first),
        ("create", second),
        ("change_stage", first),
        ("end", first),
        ("end", second),
        ("change_commander", first),
    ]
    events = sorted(receiver.wait_for_distinct_events(6), key=lambda event: event.timestamp)
    commanders = [event.attributes.get("incident.commander.id") for event in events]
    assert commanders[1] == commanders[5] != commanders[0]


WAITS: Final = (
    "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    " and query like 'INSERT INTO \"incidents_incidentupdate\"%'"
)


def kill_all(served: Served) -> None:
    """Kill its two workers, and wait until others are in their place."""
    before = set(served.workers())
    for worker in before:
        os.kill(worker, signal.SIGKILL)
    wait_until(lambda: len(set(served.workers()) - before) == 2, 60.0, "workers in their place")


def test_two_workers_that_are_killed(
    receiver: OtlpReceiver, firefighter: Installation, database: str, tmp_path: Path
) -> None:
    """Before the commit nobody hears of it; after it, it arrives, though nobody took it then."""
    host = FireFighter(firefighter, database, tmp_path / "firefighter", exporting(receiver, "grpc"))
    server = firefighter.server
    with host.serve(workers=2) as served:
        with server.transaction("lock table incidents_incidentupdate in exclusive mode", database):
            asking = ThreadPoolExecutor(1).submit(host.declare, served, STAFF, INCIDENT)
            wait_until(lambda: server.ask(WAITS, database) == "1", 60.0, "a worker that waits for the table")
            kill_all(served)
            assert isinstance(asking.exception(30.0), OSError | HTTPException)
        assert server.ask("select count(*) from incidents_incident", database) == "0"
        receiver.answer_with(HANG)
        with ThreadPoolExecutor(2) as several:
            answers = list(several.map(lambda _: host.declare(served, STAFF, INCIDENT), range(2)))
        assert [answer.status for answer in answers] == [201, 201]
        kill_all(served)
        receiver.answer_with(OK)
        assert host.declare(served, STAFF, INCIDENT).status == 201
        seen(receiver, 3, killed=True)
        assert served.stop() == 0
    kept = server.ask("select id from incidents_incident", database).split()
    assert len(kept) == 3
    assert set(seen(receiver, 3, killed=True)) == {("create", number) for number in kept}
