"""Model hooks and what Django does in one call: look up and save, await a save, save a relation."""

from contextlib import suppress
from typing import Any, Final

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction

from otel_incident.events import IncidentEvent
from tests.django_host import model, said, user

pytestmark = pytest.mark.usefixtures("ops")

CLOSED: Final = 4


class Refused(Exception):  # noqa: N818  what a host raises to roll back
    """A host's reason to roll back."""


def test_update_or_create(reported: list[IncidentEvent]) -> None:
    """It makes the row with all that it is told, or locks and changes the one that is there."""
    rows = model("Incident").objects
    made, new = rows.update_or_create(title="One", defaults={"status": 1, "commander": user("sam")})
    assert new is True
    assert said(reported) == [("create", made.pk)]
    for status in (CLOSED, CLOSED, 2):
        rows.update_or_create(title="One", defaults={"status": status}, create_defaults={"status": 1})
    assert said(reported[1:]) == [("end", made.pk), ("restart", made.pk)]
    with suppress(Refused), transaction.atomic():
        rows.update_or_create(title="One", defaults={"status": CLOSED})
        rows.update_or_create(title="Two", defaults={"status": CLOSED})
        raise Refused
    assert len(reported) == 3


def test_get_or_create(reported: list[IncidentEvent]) -> None:
    """A creation the first time, nothing the second time."""
    for _ in range(2):
        row, _made = model("Incident").objects.get_or_create(title="One")
    assert said(reported) == [("create", row.pk)]


def test_rows_that_are_locked(reported: list[IncidentEvent]) -> None:
    """Within one transaction what `select_for_update` has read is what the row was."""
    first = model("Incident").objects.create()
    stale = model("Incident").objects.get(pk=first.pk)
    first.status = CLOSED
    first.save()
    with transaction.atomic():
        locked = model("Incident").objects.select_for_update().get(pk=stale.pk)
        if locked.status != CLOSED:
            locked.status = CLOSED
        locked.priority = 2
        locked.save()
        assert len(reported) == 2
    assert said(reported) == [("create", first.pk), ("end", first.pk), ("change_stage", first.pk)]


def test_saves_that_are_awaited(reported: list[IncidentEvent]) -> None:
    """`acreate`, `asave`, `aupdate_or_create`, `abulk_update`: the same as their synchronous ones."""
    rows = model("Incident").objects

    async def host() -> Any:
        made = await rows.acreate()
        read = await rows.aget(pk=made.pk)
        read.status, read.title = CLOSED, "Another"
        await read.asave(update_fields=["title"])
        await read.asave()
        await rows.aupdate_or_create(pk=made.pk, defaults={"status": 1})
        await read.arefresh_from_db()
        read.priority = 3
        await rows.abulk_update([read], ["priority"])
        await rows.abulk_create([model("Incident")(title="Two")])
        return made.pk

    pk = async_to_sync(host)()
    two = rows.get(title="Two").pk
    assert said(reported) == [
        ("create", pk),
        ("end", pk),
        ("restart", pk),
        ("change_stage", pk),
        ("create", two),
    ]


def test_a_row_that_moves_to_another_database(reported: list[IncidentEvent]) -> None:
    """Rows with one key in two databases are two rows: what waits for one says nothing of the other."""
    made = model("Incident").objects.create()
    reported.clear()
    there = model("Incident").objects.get(pk=made.pk)
    with transaction.atomic(using="default"):
        there.save(using="archive")
        assert said(reported) == [("create", made.pk)]
        made.status = CLOSED
        made.save()
        with suppress(Refused), transaction.atomic(using="archive"):
            other = model("Incident").objects.using("archive").get(pk=made.pk)
            other.status = CLOSED
            other.save()
            raise Refused
    assert said(reported) == [("create", made.pk), ("end", made.pk)]


@pytest.mark.parametrize("late", [False, True], ids=["saved in the transaction", "saved after it"])
@pytest.mark.parametrize("reloaded", [False, True], ids=["read", "read again"])
@pytest.mark.parametrize(
    ("here", "there", "now", "expected"),
    [
        (1, CLOSED, 1, ["end", "restart"]),
        (1, CLOSED, CLOSED, ["end"]),
        (1, 1, CLOSED, ["end", "end"]),
        (CLOSED, 1, 1, ["restart"]),
    ],
)
def test_rows_of_one_key_in_two_databases(
    reported: list[IncidentEvent],
    here: int,
    there: int,
    now: int,
    expected: list[str],
    reloaded: object,
    late: object,
) -> None:
    """The one that is read while the other waits for its commit is what it was in its own database."""
    rows = model("Incident").objects
    made = rows.create(status=here)
    rows.using("archive").create(pk=made.pk, status=there)
    reported.clear()
    read = rows.using("archive").get(pk=made.pk)
    with transaction.atomic():
        made.status = 1 if here == CLOSED else CLOSED
        made.save()
        if reloaded:
            read.refresh_from_db()
        else:
            read = rows.using("archive").get(pk=made.pk)
        read.status = now
        if not late:
            read.save()
    if late:
        read.save()
    assert sorted(said(reported)) == [(action, made.pk) for action in expected]


def test_rows_of_one_key_that_wait_in_two_databases(reported: list[IncidentEvent]) -> None:
    """Each is again what it was in its own, once both are rolled back."""
    aliases, rows = ("default", "archive"), model("Incident").objects
    for alias in aliases:
        rows.using(alias).bulk_create([model("Incident")(pk=1)])
    reported.clear()
    read: list[Any] = []
    with suppress(Refused), transaction.atomic(using="default"), transaction.atomic(using="archive"):
        for alias in aliases:
            ended = rows.using(alias).get(pk=1)
            ended.status = CLOSED
            ended.save()
        read.extend(rows.using(alias).get(pk=1) for alias in aliases)
        raise Refused
    for each in read:
        each.save()
        assert each.status == CLOSED
    assert said(reported) == [("end", 1), ("end", 1)]


@pytest.mark.parametrize("kept", [True, False], ids=["committed", "rolled back"])
def test_a_row_that_is_read_from_a_replica(reported: list[IncidentEvent], kept: object) -> None:
    """What is saved to the database that was just written is compared with what that has, or has again."""
    rows = model("Incident").objects
    made = rows.create()
    rows.using("archive").bulk_create([model("Incident")(pk=made.pk)])
    reported.clear()
    with transaction.atomic():
        made.status = CLOSED
        made.save()
        read = rows.using("archive").get(pk=made.pk)
        transaction.set_rollback(not kept)
    for status in (1, CLOSED):
        read.status = status
        read.save(using="default")
    expected = ["end", "restart", "end"] if kept else ["end"]
    assert said(reported) == [(action, made.pk) for action in expected]


def test_fields_of_a_parent_that_are_saved_alone(reported: list[IncidentEvent]) -> None:
    """A child with a table of its own writes its parent's field, or only its own."""
    made = model("Outage").objects.create()
    outage = model("Outage").objects.defer("region").get(pk=made.pk)
    outage.status, outage.region = CLOSED, "us"
    outage.save(update_fields=["region"])
    assert said(reported) == [("create", made.pk)]
    outage.save(update_fields=["status"])
    outage.save()
    assert said(reported) == [("create", made.pk), ("end", made.pk)]
    alarm = model("Alarm").objects.only("status").get(pk=made.pk)  # the same row
    alarm.status = 1
    alarm.save()
    assert said(reported[2:]) == [("restart", made.pk)]


@pytest.mark.parametrize("bulk", [True, False], ids=["statement", "instances"])
def test_rows_that_a_relation_saves(
    reported: list[IncidentEvent], bulk: object, caplog: pytest.LogCaptureFixture
) -> None:
    """`add()` of a reverse relation is a statement, which is said, unless it saves each instance."""
    made = model("Incident").objects.create()
    reported.clear()
    user("sam").incident_set.add(made, bulk=bool(bulk))
    assert said(reported) == ([] if bulk else [("change_commander", made.pk)])
    assert len(caplog.messages) == (1 if bulk else 0)
