"""Model hooks and a host that does more at a commit or in a save: nothing is doubled, lost or misplaced."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from django.db import connections, transaction
from django.db.models import signals

from otel_incident.events import IncidentEvent
from tests.django_host import INCIDENTS, actions, model, said, user, watching

pytestmark = pytest.mark.usefixtures("ops")


class Refused(Exception):  # noqa: N818  what a host raises to roll back
    """A host's reason to roll back."""


@pytest.fixture
def incident(reported: list[IncidentEvent]) -> Any:
    """An open incident that was reported already."""
    made = model("Incident").objects.create()
    reported.clear()
    return model("Incident").objects.get(pk=made.pk)


@contextmanager
def received(receiver: Any) -> Iterator[None]:
    """A receiver of the host's for saves of an incident."""
    signals.post_save.connect(receiver, sender=model("Incident"))
    try:
        yield
    finally:
        signals.post_save.disconnect(receiver, sender=model("Incident"))


# -- callbacks of the host's for the commit


@pytest.mark.parametrize("first", [True, False], ids=["before", "after"])
def test_a_callback_that_saves_the_row_again_adds_no_event(
    reported: list[IncidentEvent], incident: Any, first: object
) -> None:
    """A host that notes at the commit that it has told somebody has not ended the incident twice."""

    def notify() -> None:
        incident.title = "Told"
        incident.save()

    with transaction.atomic():
        if first:
            transaction.on_commit(notify)
        incident.status = 4
        incident.save()
        if not first:
            transaction.on_commit(notify)
    assert said(reported) == [("end", incident.pk)]
    assert model("Incident").objects.get(pk=incident.pk).title == "Told"


def test_a_callback_that_changes_the_row_comes_after_the_change(
    reported: list[IncidentEvent], incident: Any
) -> None:
    """End, then the callback's restart; what the row is afterwards is known: it can end again."""

    def reopen() -> None:
        incident.status = 1
        incident.save()

    with transaction.atomic():
        transaction.on_commit(reopen)
        incident.status = 4
        incident.save()
    assert actions(reported) == ["end", "restart"]
    incident.title = "Another"
    incident.save()
    incident.status = 4
    incident.save()
    assert actions(reported) == ["end", "restart", "end"]


def test_a_callback_that_fails_costs_no_event(reported: list[IncidentEvent], incident: Any) -> None:
    """Django skips the callbacks after one that raises; the row is committed, so its event goes out."""

    def fail() -> None:
        raise Refused

    with suppress(Refused), transaction.atomic():
        transaction.on_commit(fail)
        incident.status = 4
        incident.save()
    assert said(reported) == [("end", incident.pk)]


def test_the_hosts_callbacks_keep_their_order(reported: list[IncidentEvent], incident: Any) -> None:
    """They run as they were registered, each once, after the events of the transaction."""
    order: list[object] = []

    def note(what: object) -> None:
        order.append((what, actions(reported)))

    with transaction.atomic():
        for number, status in enumerate((4, 1, 4)):
            transaction.on_commit(lambda number=number: note(number))
            incident.status = status
            incident.save()
    assert order == [(number, ["end"]) for number in range(3)]


def test_a_callback_in_the_place_of_a_change_that_was_rolled_back(
    reported: list[IncidentEvent], incident: Any
) -> None:
    """What stands where a rolled-back change stood is not that change: the second attempt is said."""
    incident.status = 4
    with suppress(Refused), transaction.atomic():
        incident.save()
        raise Refused
    with transaction.atomic():
        transaction.on_commit(lambda: None)
        incident.save()
    assert said(reported) == [("end", incident.pk)]


# -- savepoints by hand


def test_a_savepoint_that_is_rolled_back_by_hand_takes_its_events_with_it(
    reported: list[IncidentEvent], incident: Any
) -> None:
    """What was saved before it stays, what was saved since has not happened, what comes after counts."""
    with transaction.atomic():
        incident.priority = 2
        incident.save()
        savepoint = transaction.savepoint()
        incident.status, incident.priority = 4, 3
        incident.save()
        transaction.savepoint_rollback(savepoint)
        incident.priority = 2
        incident.save()
    assert [(event.action, event.stage_index) for event in reported] == [("change_stage", 1), ("end", None)]
    reported.clear()
    with transaction.atomic():
        savepoint = transaction.savepoint()
        with transaction.atomic():
            incident.status = 1
            incident.save()
        transaction.savepoint_rollback(savepoint)
    assert reported == []


def test_a_savepoint_that_is_released_by_hand_keeps_its_events(
    reported: list[IncidentEvent], incident: Any
) -> None:
    """A later one that is rolled back takes only its own."""
    with transaction.atomic():
        first = transaction.savepoint()
        incident.status = 4
        incident.save()
        transaction.savepoint_commit(first)
        second = transaction.savepoint()
        incident.status = 1
        incident.save()
        transaction.savepoint_rollback(second)
    assert said(reported) == [("end", incident.pk)]


def test_a_rollback_to_a_savepoint_that_fails_takes_nothing(
    reported: list[IncidentEvent], incident: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database did not go back, so what was saved since still counts."""

    def fail(_: object) -> None:
        raise Refused

    with transaction.atomic():
        savepoint = transaction.savepoint()
        incident.status = 4
        incident.save()
        with monkeypatch.context() as broken, suppress(Refused):
            broken.setattr(connections["default"], "_savepoint_rollback", fail)
            transaction.savepoint_rollback(savepoint)
    assert said(reported) == [("end", incident.pk)]


def test_a_database_without_savepoints_goes_back_to_none(
    reported: list[IncidentEvent], incident: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There Django makes none and rolls none back, so nothing is undone."""
    monkeypatch.setattr(connections["default"], "_savepoint_allowed", lambda: False)
    with transaction.atomic():
        savepoint = transaction.savepoint()
        assert savepoint is None
        incident.status = 4
        incident.save()
        transaction.savepoint_rollback(savepoint)
    assert said(reported) == [("end", incident.pk)]


# -- receivers of the host's, connected before ours


@pytest.mark.parametrize("atomic", [True, False], ids=["in a transaction", "without"])
def test_a_receiver_that_saves_again_comes_after_the_creation(ops: None, atomic: object) -> None:
    """Create comes first; in the same transaction what follows completes it, else it is a change."""
    del ops
    commander = user("sam")

    def assign(instance: Any, *, created: bool, **_: Any) -> None:
        if created:
            instance.commander, instance.priority = commander, 2
            instance.save()

    with received(assign), watching(INCIDENTS) as reported:
        if atomic:
            with transaction.atomic():
                model("Incident").objects.create()
        else:
            model("Incident").objects.create()
    assert actions(reported) == ["create"] + ([] if atomic else ["change_commander", "change_stage"])
    assert reported[0].incident.commander_id == (commander.pk if atomic else None)


def test_a_receiver_that_fails_costs_no_event(ops: None) -> None:
    """In autocommit mode the row is there although `save()` raises; so is the event."""
    del ops

    def fail(**_: Any) -> None:
        raise Refused

    with received(fail), watching(INCIDENTS) as reported:
        with pytest.raises(Refused):
            model("Incident").objects.create()
        assert said(reported) == [("create", model("Incident").objects.get().pk)]


def test_the_hosts_receivers_keep_their_order(ops: None) -> None:
    """Ours goes before them; among themselves nothing changes, nor when ours has gone."""
    del ops
    before = signals.post_save.receivers
    with watching(INCIDENTS):
        assert [each for each in signals.post_save.receivers if each in before] == before
        assert signals.post_save.receivers[0] not in before
    assert signals.post_save.receivers == before


# -- the transaction that makes a row


def test_what_follows_in_the_transaction_that_makes_a_row_completes_its_creation(
    reported: list[IncidentEvent],
) -> None:
    """Commanders and stages are no change there, by whichever instance: it is made with the last ones."""
    with transaction.atomic():
        made = model("Incident").objects.create()
        made.commander = user("sam")
        made.save()
        made.refresh_from_db()
        made.commander = commander = user("kim")
        made.save()
        again = model("Incident").objects.get(pk=made.pk)
        again.priority = 2
        again.save()
        again.priority = 3
        again.save()
    assert [(event.action, event.incident.commander_id) for event in reported] == [("create", commander.pk)]
