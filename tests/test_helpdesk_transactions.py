"""django-helpdesk: what is rolled back, done to many tickets at once or tried again is told as it ended.

It is driven over its own pages and its own REST API, and, where these have nothing of the kind, by its models
as in a command of an operator's.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.helpdesk_host import CONTENT, STAFF, SUPERUSER, USERS, Helpdesk, seeded, variables_of
from tests.host_environment import HostEnvironment, host_environment
from tests.otlp_receiver import OtlpReceiver
from tests.test_argus import seen
from tests.test_helpdesk import TICKET, bytes_of_logs, exporting

MASS: Final = "/tickets/update/"
MERGE: Final = "/tickets/merge?tickets=1&tickets=2&tickets=3"
FIRST: Final = "/api/tickets/1/"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> HostEnvironment:
    """Where the helpdesk is installed, with this package's wheel."""
    return host_environment("helpdesk", tmp_path_factory.mktemp("helpdesk-environment"))


@pytest.fixture(scope="module")
def seed(environment: HostEnvironment, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A helpdesk with two users and a queue."""
    return seeded(environment, tmp_path_factory.mktemp("helpdesk") / "seed")


def nothing_of_its_content_left(receiver: OtlpReceiver) -> None:
    """Of what the helpdesk holds nothing is in the bytes of the events."""
    logs = bytes_of_logs(receiver)
    assert b"incident.create" in logs
    assert [text for text in CONTENT if text.encode() in logs] == []


def trace(number: int) -> str:
    """The trace of the mass change of a number."""
    return f"{number:032x}"


def test_many_tickets_at_once(
    receiver: OtlpReceiver, environment: HostEnvironment, seed: Path, tmp_path: Path
) -> None:
    """Of a mass update and of a merge each ticket that changes is told of once, the others not at all."""
    variables = {**exporting(receiver, "grpc"), "OTEL_TRACES_EXPORTER": "none"}
    with Helpdesk(environment, seed, tmp_path / "helpdesk", variables) as helpdesk:

        def patch(ticket: int, status: int) -> int:
            body = {"status": status}
            return helpdesk.request("PATCH", f"/api/tickets/{ticket}/", body, user=STAFF).status

        for _ in range(3):
            assert helpdesk.request("POST", "/api/tickets/", TICKET, user=STAFF).status == 201
        assert patch(2, 4) == 200
        browser = helpdesk.signed_in(SUPERUSER)
        assign, close, delete = (
            {"action": action, "ticket_id": tickets}
            for action, tickets in (
                (f"assign_{USERS[STAFF]}", (1, 2, 3)),
                ("close", (1, 2, 3)),
                ("delete", (2, 3)),
            )
        )
        for number, fields in enumerate((assign, assign, close, close), start=1):
            assert browser.submit(MASS, fields, f"00-{trace(number)}-{1:016x}-01") == (302, "/tickets/")
        assert patch(3, 2) == 200
        chosen = {"chosen_ticket": 1}
        assert browser.submit(MERGE, chosen, f"00-{trace(5)}-{1:016x}-01") == (302, "/tickets/1/")
        assert browser.submit(MASS, delete, f"00-{trace(6)}-{1:016x}-01") == (302, "/tickets/")
        assert patch(1, 2) == 200
        arrived = seen(receiver, 12)
        ended = helpdesk.stop()
    assert (ended.status, ended.stderr) == (0, "")
    assert arrived == [
        *[("create", ticket) for ticket in ("1", "2", "3")],
        ("end", "2"),
        *[("change_commander", ticket) for ticket in ("1", "2", "3")],
        ("end", "1"),
        ("end", "3"),  # the second was closed already
        ("restart", "3"),
        ("end", "3"),  # a duplicate, from now on; so is the second, which is no news
        ("restart", "1"),
    ]
    events = receiver.telemetry().events
    assert len(events) == len(arrived)
    assert len({event.attributes["log.record.uid"] for event in events}) == len(events)
    changed = [event for event in events if event.trace_id in {trace(number) for number in range(1, 7)}]
    assert sorted(
        (event.trace_id, event.attributes["incident.action"], event.attributes["incident.id"])
        for event in changed
    ) == [
        (trace(1), "change_commander", "1"),
        (trace(1), "change_commander", "2"),
        (trace(1), "change_commander", "3"),
        (trace(3), "end", "1"),
        (trace(3), "end", "3"),
        (trace(5), "end", "3"),
    ]
    for event in changed:
        assert event.attributes["incident.commander.id"] == USERS[STAFF]
        assert event.attributes["user.id"] == USERS[SUPERUSER]
        assert event.attributes["user.roles"] == ("system_admin",)
    nothing_of_its_content_left(receiver)


@contextmanager
def reading(database: Path) -> Iterator[None]:
    """Somebody reads the database: nobody can commit."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("begin")
        connection.execute("select count(*) from helpdesk_ticket").fetchone()
        yield


def test_a_request_that_is_made_again(
    receiver: OtlpReceiver, environment: HostEnvironment, seed: Path, tmp_path: Path
) -> None:
    """What a failed request has undone is not told of, and what its repetition does is, once.

    A request is a transaction there. It fails as the mail of its last change breaks, or as the database
    does not take the commit.
    """
    variables = {
        **exporting(receiver, "grpc"),
        "OTEL_TRACES_EXPORTER": "none",
        "DJANGO_SETTINGS_MODULE": "helpdesk_site.atomic",
    }
    with Helpdesk(environment, seed, tmp_path / "helpdesk", variables) as helpdesk:

        def ask(method: str, path: str, body: object) -> int:
            return helpdesk.request(method, path, body, user=STAFF).status

        # the second mail breaks its request, and the fourth, the sixth
        assert [ask("POST", "/api/tickets/", TICKET) for _ in range(4)] == [201, 500, 201, 500]
        browser = helpdesk.signed_in(SUPERUSER)
        closing_in_public = {"action": "close_public", "ticket_id": [1, 2]}
        assert browser.submit(MASS, closing_in_public) == (500, "")  # at the second ticket
        assert browser.submit(MASS, {"action": "close", "ticket_id": [1, 2]}) == (302, "/tickets/")
        with reading(helpdesk.database):
            assert ask("PATCH", FIRST, {"status": 2}) == 500
        assert [ask("PATCH", FIRST, {"status": 2}) for _ in range(2)] == [200, 200]
        assert ask("PATCH", "/api/tickets/2/", {"status": 2}) == 200
        arrived = seen(receiver, 6)
        assert helpdesk.stop().status == 0
    assert arrived == [
        ("create", "1"),
        ("create", "2"),
        ("end", "1"),
        ("end", "2"),
        ("restart", "1"),
        ("restart", "2"),
    ]
    assert len(receiver.telemetry().events) == len(arrived)
    nothing_of_its_content_left(receiver)


SCRIPT: Final = """
import sqlite3
import django

django.setup()
from django.conf import settings
from django.db import OperationalError, transaction
from helpdesk.models import Queue, Ticket

queue = Queue.objects.get()
fields = dict(title="Checkout is down", submitter_email="jane.doe@acme.test", queue=queue)
first, second = Ticket.objects.bulk_create([Ticket(**fields), Ticket(**fields)])

class Undo(Exception):
    pass

for savepoint in (False, True):
    try:
        with transaction.atomic():
            Ticket.objects.create(**fields)
            first.status = 4
            first.save()
            if savepoint:
                with transaction.atomic():
                    first.assigned_to_id = 2
                    first.save()
            raise Undo
    except Undo:
        first.refresh_from_db()
with transaction.atomic():
    second.priority = 1
    second.save()
    try:
        with transaction.atomic():
            second.status = 4
            second.save()
            raise Undo
    except Undo:
        second.refresh_from_db()

reader = sqlite3.connect(settings.DATABASES["default"]["NAME"], isolation_level=None)
reader.execute("begin")
reader.execute("select count(*) from helpdesk_ticket").fetchone()
third = Ticket(**fields)
failures = 0
for attempt in range(3):
    try:
        with transaction.atomic():
            third.save()
            second.status = 4  # the instance that was written in vain
            second.save()
            again = Ticket.objects.get(pk=first.pk)
            again.assigned_to_id = 2
            again.save()
        break
    except OperationalError:
        failures += 1
        if failures == 2:
            reader.close()
assert failures == 2, failures

first.refresh_from_db()
for each in (first, second):
    each.status = 5
Ticket.objects.bulk_update([first, second], ["status"])
Ticket.objects.update(status=2)
Ticket.objects.filter(pk=first.pk).update(priority=5)
Ticket.objects.update(title="Payments, Checkout is down")
"""
TICKETS: Final = "django-helpdesk, hook 'ticket': rows of helpdesk.Ticket were "


def test_a_transaction_that_is_run_again(
    receiver: OtlpReceiver, environment: HostEnvironment, seed: Path, tmp_path: Path
) -> None:
    """Of a command arrives what its transactions commit, bulk writes of instances too; others are counted."""
    directory = Path(shutil.copytree(seed, tmp_path / "helpdesk"))
    variables = {
        **variables_of(directory),
        **exporting(receiver, "grpc"),
        "OTEL_TRACES_EXPORTER": "none",
        "DJANGO_SETTINGS_MODULE": "helpdesk_site.atomic",
    }
    words = [environment.tool("opentelemetry-instrument"), environment.tool("python"), "-c", SCRIPT]
    ended = environment.run(words, variables, directory)
    assert ended.status == 0, ended.stderr
    assert ended.stderr.splitlines() == [
        (
            f"{TICKETS}changed by QuerySet.update, which tells nobody which, so they are not reported. "
            "This is said once."
        ),
        f"{TICKETS}written by 2 statements in this process.",
    ]
    assert seen(receiver, 7) == [
        ("create", "1"),
        ("create", "2"),
        ("change_stage", "2"),
        ("create", "3"),
        ("end", "2"),
        ("change_commander", "1"),
        ("end", "1"),  # the second was closed already: a duplicate is, too
    ]
    nothing_of_its_content_left(receiver)
