"""An unmodified argus-server reports its incidents by the preset, driven over its own REST API.

Nothing of ours is imported and no hook file is named. It runs on PostgreSQL under gunicorn. It writes bulk
changes past its instances; what happened stands in rows of its own then, and these are what is watched.
"""

import os
import re
import secrets
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

import pytest

from otel_incident.version import __version__
from otel_incident.vocabulary import SCHEMA_URL, SCOPE_NAME
from tests.argus_host import CONTENT, SOURCE, STAFF, SUPERUSER, Argus, Installation, installed
from tests.backend import Backend
from tests.host_environment import host_environment
from tests.otlp_receiver import OtlpReceiver
from tests.postgresql import PostgreSQL, postgresql
from tests.served_host import Served
from tests.telemetry import LogEvent
from tests.test_helpdesk import bytes_of_logs, exporting
from tests.waiting import wait_until

__all__ = ["postgresql"]

STARTED: Final = "2026-01-05T09:00:00.250000Z"
SOON_AFTER: Final = "2026-01-05T09:30:00Z"
INCIDENT: Final = {
    "start_time": STARTED,
    "description": "Checkout is down",
    "level": 3,
    "details_url": "https://wiki.acme.test/checkout",
    "ticket_url": "https://tickets.acme.test/1",
    "tags": [{"tag": "service=payments"}],
    "metadata": {"note": "Payments"},
}
SECOND: Final = {**INCIDENT, "start_time": "2026-01-05T08:00:00Z"}
TYPES: Final = {
    "incident.action": "string",
    "incident.active": "bool",
    "incident.checklist.item.count": "int",
    "incident.created_at": "string",
    "incident.duration": "double",
    "incident.id": "string",
    "incident.stage.index": "int",
    "log.record.uid": "string",
    "user.id": "string",
    "user.roles": "array",
}
ULID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


@dataclass(frozen=True, slots=True)
class Step:
    """One request, and what it is to cause: an event for each, its action, its incident and its stage."""

    user: str
    method: str
    path: str
    body: dict[str, Any]
    status: int
    events: tuple[tuple[str, int], ...] = ()
    stage: int | None = None


def entry(kind: str, at: str = SOON_AFTER, description: str = "Called the bank") -> dict[str, Any]:
    """An entry in the history of an incident."""
    return {"type": kind, "timestamp": at, "description": description}


def bulk(kind: str, *ids: int, at: str = SOON_AFTER, description: str = "Called the bank") -> dict[str, Any]:
    """The same entry for several incidents."""
    return {"ids": list(ids), "event": entry(kind, at, description)}


STEPS: Final = (
    Step(SOURCE, "POST", "mine/", {"description": ""}, 400),
    Step(SOURCE, "POST", "mine/", INCIDENT, 201, (("create", 1),)),
    Step(STAFF, "PATCH", "1/", {"level": 1}, 200, (("change_stage", 1),), stage=0),
    Step(STAFF, "PATCH", "1/", {"level": 1, "description": "Payments, Checkout is down"}, 200),
    Step(STAFF, "POST", "1/acks/", {"timestamp": SOON_AFTER, "description": "second provider"}, 201),
    Step(SOURCE, "POST", "1/events/", entry("END"), 201, (("end", 1),)),
    Step(STAFF, "POST", "1/events/", entry("CLO"), 400),
    Step(SOURCE, "POST", "1/events/", entry("RES"), 201, (("restart", 1),)),
    Step(SUPERUSER, "POST", "1/events/", entry("CLO"), 201, (("end", 1),)),
    # the source does not know that somebody has closed it: Argus keeps the entry, and that is all
    Step(SOURCE, "POST", "1/events/", entry("END", "2026-01-05T09:45:00Z"), 201),
    Step(SUPERUSER, "POST", "1/events/", entry("REO"), 201, (("restart", 1),)),
    # nor that it is open, nor that it has started: the same
    Step(SOURCE, "POST", "1/events/", entry("RES"), 201),
    Step(SOURCE, "POST", "1/events/", entry("STA"), 201),
    Step(STAFF, "POST", "events/bulk/", bulk("REO", 1), 201),
    Step(SOURCE, "POST", "mine/", SECOND, 201, (("create", 2),)),
    # without duration: it is neither open nor closed, ever
    Step(SOURCE, "POST", "mine/", {**SECOND, "end_time": None}, 201),
    Step(SOURCE, "POST", "3/events/", entry("RES"), 201),
    Step(STAFF, "POST", "events/bulk/", bulk("CLO", 1, 2), 201, (("end", 1), ("end", 2))),
    Step(STAFF, "POST", "events/bulk/", bulk("CLO", 1, 2, at="2026-01-05T10:00:00Z"), 201),
    Step(STAFF, "POST", "events/bulk/", bulk("REO", 1, 2), 201, (("restart", 1), ("restart", 2))),
)


NEXT: Final = Step(SOURCE, "POST", "mine/", SECOND, 201, (("create", 2),))
"""As in the course: what makes the second incident."""


@pytest.fixture(scope="module")
def argus(postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """An installation with its users, without incidents."""
    scratch = tmp_path_factory.mktemp("argus")
    return installed(host_environment("argus", scratch), postgresql, scratch)


@pytest.fixture
def database() -> str:
    """The name of a database that is the test's own."""
    return f"argus_{secrets.token_hex(4)}"


@dataclass(frozen=True, slots=True)
class Cause:
    """What is to cause an event."""

    step: Step
    action: str
    incident: int
    trace_id: str


def play(argus: Argus, served: Served, steps: tuple[Step, ...] = STEPS) -> list[Cause]:
    """Make the requests one after the other; what they are to cause."""
    causes = []
    for step in steps:
        trace_id = secrets.token_hex(16)
        traceparent = f"00-{trace_id}-{secrets.token_hex(8)}-01"
        answer = argus.ask(served, step.user, step.method, step.path, step.body, traceparent)
        assert answer.status == step.status, (step, answer)
        causes += [Cause(step, action, incident, trace_id) for action, incident in step.events]
    return causes


def expected(cause: Cause, event: LogEvent, installation: Installation) -> dict[str, object]:
    """The attributes of an event, all of them; the uid is the event's own."""
    started = datetime.fromisoformat({1: STARTED, 2: str(SECOND["start_time"])}[cause.incident])
    attributes: dict[str, object] = {
        "incident.action": cause.action,
        "incident.checklist.item.count": 0,
        "incident.created_at": f"{started:%Y-%m-%dT%H:%M:%S}.{started.microsecond // 1000:03d}Z",
        "incident.id": str(cause.incident),
        "log.record.uid": event.attributes["log.record.uid"],
        "user.id": installation.users[cause.step.user].id,
        "user.roles": ("system_admin",) if cause.step.user == SUPERUSER else ("end_user",),
    }
    if cause.action == "change_stage":
        attributes["incident.stage.index"] = cause.step.stage
    else:
        attributes["incident.active"] = cause.action != "end"
    if cause.action == "end":
        since = (started - datetime.fromtimestamp(0, UTC)) // timedelta(milliseconds=1)
        attributes["incident.duration"] = (event.timestamp // 1_000_000 - since) / 1000
    return attributes


def test_a_lifecycle_arrives(backend: Backend, argus: Installation, database: str, tmp_path: Path) -> None:
    """Exactly the expected events in order, bulk changes too, each with exactly its attributes."""
    host = Argus(argus, database, tmp_path / "argus", exporting(backend, "grpc"))
    with host.serve() as served:
        causes = play(host, served)
        events = backend.wait_for_events(len(causes))
        backend.wait_for_spans(len(STEPS))
        assert served.stop() == 0
        assert "argus-server, hook" not in served.said  # no complaint
    assert [(event.event_name, event.attributes["incident.id"]) for event in events] == [
        (f"incident.{cause.action}", str(cause.incident)) for cause in causes
    ]
    for event, cause in zip(events, causes, strict=True):
        assert event.attributes == expected(cause, event, argus)
        assert event.attribute_types == {name: TYPES[name] for name in event.attributes}
        assert ULID.fullmatch(str(event.attributes["log.record.uid"]))
        assert event.trace_id == cause.trace_id
        assert (event.has_body, event.severity_number, event.severity_text) == (False, 9, "INFO")
        assert (event.scope_name, event.scope_version) == (SCOPE_NAME, __version__)
        assert (event.scope_schema_url, event.scope_attributes) == (SCHEMA_URL, {})
        assert event.resource == {
            "incident.diagnostic.id": (host.state / "diagnostic-id").read_text().strip(),
            "incident.plugin.version": __version__,
            "incident.server.version": "2.10.2",
            "service.name": "argus",
            "service.version": "2.10.2",
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.version": "1.45.2",
        }
        assert set(event.resource_types.values()) == {"string"}
    assert len({event.attributes["log.record.uid"] for event in events}) == len(events)
    assert len(backend.telemetry().events) == len(causes)
    logs = bytes_of_logs(backend)
    assert b"incident.change_stage" in logs
    assert [text for text in CONTENT if text.encode() in logs] == []


def test_several_that_are_reopened_at_once(
    receiver: OtlpReceiver, argus: Installation, database: str, tmp_path: Path
) -> None:
    """Of which it is not known which were closed: all are reported if one was, and none if none was."""
    host = Argus(argus, database, tmp_path / "argus", exporting(receiver, "grpc"))
    steps = (
        STEPS[1],
        Step(SOURCE, "POST", "mine/", SECOND, 201),
        Step(STAFF, "POST", "1/events/", entry("CLO"), 201),
        Step(STAFF, "POST", "events/bulk/", bulk("REO", 1, 2), 201),
        Step(STAFF, "POST", "events/bulk/", bulk("REO", 1, 2), 201),
        Step(STAFF, "POST", "2/events/", entry("CLO"), 201),
    )
    with host.serve() as served:
        play(host, served, steps)
        arrived = seen(receiver, 6)
        assert served.stop() == 0
    assert arrived == [
        ("create", "1"),
        ("create", "2"),
        ("end", "1"),
        ("restart", "1"),
        ("restart", "2"),
        ("end", "2"),
    ]
    assert len(receiver.telemetry().events) == len(arrived)


def seen(receiver: OtlpReceiver, number: int, *, killed: bool = False) -> list[tuple[object, object]]:
    """The actions and incidents of all events so far in the order of time, as soon as there are so many.

    Args:
        receiver: Where they arrive.
        number: How many.
        killed: Whether a process was killed, so that what it was sending may have come twice: each once then.
    """
    wait = receiver.wait_for_distinct_events if killed else receiver.wait_for_events
    events = sorted(wait(number), key=lambda event: event.timestamp)
    return [(event.attributes["incident.action"], event.attributes["incident.id"]) for event in events]


SCRIPT: Final = """
from django.db import OperationalError, connection, transaction
from argus.incident.models import Event, Incident
from django.contrib.auth import get_user_model
from django.utils import timezone

actor = get_user_model().objects.get(username="morgan")
first, second = Incident.objects.order_by("pk")

class Undo(Exception):
    pass

for savepoint in (False, True):
    try:
        with transaction.atomic():
            if savepoint:
                with transaction.atomic():
                    first.change_level(actor, 4)
            first.set_closed(actor, description="Called the bank")
            raise Undo
    except Undo:
        first.refresh_from_db()
with transaction.atomic():
    second.set_closed(actor)
    try:
        with transaction.atomic():
            first.change_level(actor, 2)
            raise Undo
    except Undo:
        first.refresh_from_db()

failures = 0
while failures < 2:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("set transaction isolation level repeatable read")
            first.change_level(actor, 2)  # when it is tried again: the instance that was written in vain
            if failures == 0:
                other = connection.copy()
                other.cursor().execute(
                    "update argus_incident_incident set level = level where id = %s", [second.pk]
                )
                other.close()
            second.save(update_fields=["level"])
        break
    except OperationalError:
        failures += 1
assert failures == 1, failures

Incident.objects.all().close(actor, timezone.now())
now = timezone.now()
second.end_time = now
Event.objects.bulk_create(
    [Event(incident=second, actor=actor, type=kind, timestamp=now) for kind in ("REO", "OTH", "CLO")]
)
first.level, second.level = 4, 3
Incident.objects.bulk_update([first, second], ["level"])
Incident.objects.update(level=5)
Incident.objects.update(level=1)
"""


LEVEL: Final = "argus-server, hook 'level': rows of argus_incident.Incident were "
UNSEEN: Final = [
    (
        f"{LEVEL}changed by QuerySet.update, which tells nobody which, so they are not reported. "
        "This is said once."
    ),
    f"{LEVEL}written by 2 statements in this process.",
]


def test_what_is_rolled_back_is_not_reported(
    receiver: OtlpReceiver, argus: Installation, database: str, tmp_path: Path
) -> None:
    """Of a script arrives what it commits, bulk writes of instances too; other bulk writes are counted.

    One transaction is tried again, since another's commit came before its own.
    """
    host = Argus(argus, database, tmp_path / "argus", exporting(receiver, "grpc"))
    with host.serve() as served:
        play(host, served, (STEPS[1], NEXT))
        served.stop()
    said = host.run(SCRIPT)
    assert seen(receiver, 8) == [
        ("create", "1"),
        ("create", "2"),
        ("end", "2"),
        ("change_stage", "1"),
        ("end", "1"),
        ("restart", "2"),
        ("end", "2"),
        ("change_stage", "1"),
    ]
    assert said == UNSEEN


WAITS: Final = (
    "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    " and query like 'UPDATE%'"
)


def test_a_kill_before_the_commit_reports_nothing(
    receiver: OtlpReceiver, argus: Installation, database: str, tmp_path: Path
) -> None:
    """Two workers; the one that has closed an incident dies before it commits: nobody ever hears of it."""
    variables = {**exporting(receiver, "grpc"), "ARGUS_ATOMIC_REQUESTS": "1"}
    host = Argus(argus, database, tmp_path / "argus", variables)
    server = argus.server
    closing = bulk("CLO", 1, 2, at="2026-01-05T10:00:00Z", description="second provider")
    with host.serve(workers=2) as served:
        play(host, served, (STEPS[1], NEXT))
        # the second is closed already: what is to be written of it comes after the end of the first
        assert host.ask(served, STAFF, "POST", "2/events/", entry("CLO")).status == 201
        with server.transaction("select 1 from argus_incident_incident where id = 2 for update", database):
            asking = ThreadPoolExecutor(1).submit(host.ask, served, STAFF, "POST", "events/bulk/", closing)
            wait_until(lambda: server.ask(WAITS, database) == "1", 30.0, "a worker that waits for the row")
            before = set(served.workers())
            for worker in before:
                os.kill(worker, signal.SIGKILL)
            assert isinstance(asking.exception(30.0), OSError | HTTPException)
        wait_until(lambda: len(set(served.workers()) - before) == 2, 30.0, "workers in their place")
        assert host.ask(served, STAFF, "POST", "1/events/", entry("CLO")).status == 201
        seen(receiver, 4, killed=True)
        assert served.stop() == 0
    assert seen(receiver, 4, killed=True) == [("create", "1"), ("create", "2"), ("end", "2"), ("end", "1")]
