"""Model hooks and instances: what one is known to have been, without a query of ours."""

import re
import uuid
from collections.abc import Callable
from typing import Any, Final

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from otel_incident.events import IncidentEvent
from tests.django_host import CASES, INCIDENTS, actions, model, said, user, watching

pytestmark = pytest.mark.usefixtures("ops")


@pytest.fixture
def pk(reported: list[IncidentEvent]) -> Any:
    """The key of an open incident that was reported already."""
    made = model("Incident").objects.create(priority=3)
    reported.clear()
    return made.pk


def get(pk: Any, *, only: tuple[str, ...] = (), defer: tuple[str, ...] = ()) -> Any:
    """The incident, loaded; with the other fields deferred, or these."""
    rows = model("Incident").objects.defer(*defer)
    return (rows.only(*only) if only else rows).get(pk=pk)


def test_fields_that_are_not_saved_have_not_changed(reported: list[IncidentEvent], pk: Any) -> None:
    """`update_fields` without the changed field says nothing; the save that writes it does."""
    incident = get(pk)
    incident.status, incident.title = 4, "Another"
    incident.save(update_fields=["title"])
    assert reported == []
    incident.save()
    assert said(reported) == [("end", pk)]


@pytest.mark.parametrize("name", ["commander", "commander_id"])
def test_update_fields_takes_both_names_of_a_relation(
    reported: list[IncidentEvent], pk: Any, name: str
) -> None:
    """`commander` and `commander_id` are the same field."""
    incident = get(pk)
    incident.commander = user("sam")
    incident.save(update_fields=[name])
    assert said(reported) == [("change_commander", pk)]


def test_what_was_deferred_is_not_known(reported: list[IncidentEvent], pk: Any) -> None:
    """Nobody knows what the status was, so nobody can say that it changed; the priority was loaded."""
    incident = get(pk, only=("title", "priority"))
    incident.status, incident.priority = 4, 1
    incident.save()
    assert [(event.action, event.incident.active) for event in reported] == [("change_stage", False)]


def test_what_was_deferred_is_known_once_it_was_saved(reported: list[IncidentEvent], pk: Any) -> None:
    """What the instance wrote itself it knows."""
    incident = get(pk, defer=("status",))
    incident.status = 4
    incident.save()
    incident.status = 2
    incident.save()
    assert said(reported) == [("restart", pk)]


def test_what_was_deferred_is_known_once_the_host_has_looked(reported: list[IncidentEvent], pk: Any) -> None:
    """Django then loads that field, and with it what it was."""
    incident = get(pk, only=("title",))
    assert incident.status == 1
    incident.status = 4
    incident.save()
    assert said(reported) == [("end", pk)]


def test_looking_at_a_deferred_field_keeps_what_another_was(reported: list[IncidentEvent], pk: Any) -> None:
    """A change that waits for its save is not forgotten when Django loads another field."""
    incident = get(pk, defer=("title",))
    incident.status = 4
    assert incident.title == "Payments are down"
    incident.save()
    assert said(reported) == [("end", pk)]


def test_reading_some_fields_again_keeps_what_the_others_were(reported: list[IncidentEvent], pk: Any) -> None:
    """`refresh_from_db(fields=...)` replaces those alone, by name or by position."""
    incident = get(pk)
    incident.status, incident.priority = 4, 1
    incident.refresh_from_db(fields=["priority"])
    incident.refresh_from_db(None, ("title", "commander"))
    incident.save()
    assert actions(reported) == ["end"]


def test_reading_the_row_again_forgets_what_was_not_saved(reported: list[IncidentEvent], pk: Any) -> None:
    """What another instance did in between is what the row was."""
    stale, other = get(pk), get(pk)
    other.status = 4
    other.save()
    stale.priority = 1
    stale.refresh_from_db()
    stale.status = 2
    stale.save()
    assert actions(reported) == ["end", "restart"]


def test_a_row_that_is_read_again_is_still_new(reported: list[IncidentEvent]) -> None:
    """In the transaction that makes it, a host that reads it back, then sets the commander, completes it."""
    with transaction.atomic():
        made = model("Incident").objects.create()
        made.refresh_from_db()
        made.commander = user("sam")
        made.save()
    assert actions(reported) == ["create"]


def test_a_stale_instance_reports_what_it_did_as_it_knew_the_row(
    reported: list[IncidentEvent], pk: Any
) -> None:
    """Two requests that load the row open and each end it are two ends: nobody told the second."""
    first, second = get(pk), get(pk)
    for each in (first, second):
        each.status = 4
        each.save()
    assert said(reported) == [("end", pk), ("end", pk)]


def test_an_instance_that_was_loaded_before_it_was_watched(ops: None) -> None:
    """What it was is not known, so its first save says nothing; from then on it is known."""
    del ops
    model("Incident").objects.create()
    incident = model("Incident").objects.get()
    with watching(INCIDENTS) as reported:
        incident.status = 4
        incident.save()
        assert reported == []
        incident.status = 2
        incident.save()
    assert actions(reported) == ["restart"]


def test_a_copy_that_makes_a_row_creates(reported: list[IncidentEvent], pk: Any) -> None:
    """Django's way to copy a row: another incident."""
    incident = get(pk)
    incident.pk = None
    incident._state.adding = True  # noqa: SLF001  as Django documents it
    incident.save()
    assert actions(reported) == ["create"]
    assert incident.pk != pk


# -- no query of ours


def _lifecycle() -> None:
    incident = model("Incident").objects.create(priority=3)
    for name, value in (("priority", 1), ("status", 4), ("status", 3), ("status", 1), ("title", "t")):
        setattr(incident, name, value)
        incident.save()


def _loaded() -> None:
    incident = model("Incident").objects.create()
    incident = get(incident.pk)
    incident.status = 4
    incident.save()


def _deferred() -> None:
    pk = model("Incident").objects.create().pk
    for incident in (get(pk, only=("title",)), get(pk, defer=("commander", "team", "created"))):
        incident.status = 4
        incident.save()


def _relations() -> None:
    commander = user("sam")
    model("Incident").objects.create(commander=commander)
    incident = model("Incident").objects.get()
    incident.status = 4
    incident.save()


def _refreshed() -> None:
    incident = model("Incident").objects.create()
    incident.refresh_from_db()
    incident.refresh_from_db(fields=["status"])
    incident.status = 4
    incident.save(update_fields=["status"])


def _transactions() -> None:
    with transaction.atomic():
        incident = model("Incident").objects.create()
        with transaction.atomic():
            incident.status = 4
            incident.save()
        transaction.set_rollback(True)
    incident.save()


def _in_bulk() -> None:
    rows = model("Incident").objects.bulk_create([model("Incident")() for _ in range(3)])
    list(model("Incident").objects.all())
    list(model("Incident").objects.select_related("commander").only("commander__username"))
    model("Incident").objects.update(status=4)
    model("Incident").objects.bulk_update(rows, ["status"])
    model("Incident").objects.all().delete()


def _descendants() -> None:
    for name in ("Alarm", "Outage"):
        made = model(name).objects.create()
        incident = get(made.pk)
        incident.status = 4
        incident.save()


def _deleted() -> None:
    for name, key in (("Incident", 1), ("Case", uuid.UUID(int=1))):
        rows = model(name).objects
        with transaction.atomic():
            rows.create(pk=key).delete()
            rows.filter(pk=rows.create(pk=key).pk).delete()
            rows.create(pk=key)
            rows.all().delete()


def _read_back() -> None:
    with transaction.atomic():
        incident = model("Incident").objects.create()
        incident.refresh_from_db()
        incident = get(incident.pk, only=("title",))
        incident.status = 4
        incident.save()
        get(incident.pk)


SCENARIOS: Final = (
    _lifecycle,
    _loaded,
    _deferred,
    _relations,
    _refreshed,
    _transactions,
    _in_bulk,
    _descendants,
    _deleted,
    _read_back,
)


def queries(scenario: Callable[[], None]) -> list[str]:
    """The statements of a scenario on empty tables, without their numbers."""
    for name in ("Outage", "Incident", "auth.User"):
        model(name).objects.all().delete()
    with (
        CaptureQueriesContext(connection) as captured,
        CaptureQueriesContext(connections["archive"]) as others,
    ):
        scenario()
    assert others.captured_queries == []
    return [re.sub("[0-9]+", "N", query["sql"]) for query in captured.captured_queries]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__.strip("_"))
def test_the_hooks_make_no_query(ops: None, scenario: Callable[[], None]) -> None:
    """The same statements, watched and not; what a path names through a relation is not fetched either."""
    del ops
    related = INCIDENTS.replace("self.commander_id", "self.commander.pk").replace(
        "self.team", "self.outage.pk"
    )
    bare = queries(scenario)
    with watching(INCIDENTS, related, CASES):
        watched = queries(scenario)
    assert watched == bare
    assert bare
