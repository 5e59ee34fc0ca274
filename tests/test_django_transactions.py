"""Model hooks and transactions: an event goes out when its change is committed, and vanishes with it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from django.db import connections, transaction

from otel_incident.events import IncidentEvent
from tests.django_host import CASES, actions, model, said, watching

pytestmark = pytest.mark.usefixtures("ops")


@pytest.fixture
def incident(reported: list[IncidentEvent]) -> Any:
    """An open incident that was reported already."""
    made = model("Incident").objects.create()
    reported.clear()
    return model("Incident").objects.get(pk=made.pk)


class Refused(Exception):  # noqa: N818  what a host raises to roll back
    """A host's reason to roll back."""


@contextmanager
def rolled_back() -> Iterator[None]:
    """A block in a transaction, or a savepoint, that an exception rolls back."""
    with suppress(Refused), transaction.atomic():
        yield
        raise Refused


def test_a_change_is_reported_when_it_is_committed(reported: list[IncidentEvent], incident: Any) -> None:
    """Nothing is said while the transaction is open; then exactly the change."""
    with transaction.atomic():
        incident.status = 4
        incident.save()
        assert reported == []
    assert said(reported) == [("end", incident.pk)]


def test_without_a_transaction_a_change_is_reported_at_once(
    reported: list[IncidentEvent], incident: Any
) -> None:
    """In autocommit mode `save()` has committed when it returns."""
    incident.status = 4
    incident.save()
    assert said(reported) == [("end", incident.pk)]


def test_a_change_that_is_rolled_back_is_not_reported(reported: list[IncidentEvent], incident: Any) -> None:
    """Neither then nor with a later commit."""
    with rolled_back():
        incident.status = 4
        incident.save()
    with transaction.atomic():
        incident.title = "Another"
        incident.save(update_fields=["title"])
    assert reported == []


def test_a_creation_that_is_rolled_back_is_not_reported_and_its_retry_is(
    reported: list[IncidentEvent],
) -> None:
    """The same instance saved again makes a row, and that is said once."""
    made = model("Incident")()
    with rolled_back():
        made.save()
    assert reported == []
    made.save()
    assert said(reported) == [("create", made.pk)]


def test_a_retry_after_a_savepoint_was_rolled_back_is_reported_once(
    reported: list[IncidentEvent], incident: Any
) -> None:
    """What a savepoint took back has not happened: the second attempt is the change."""
    with transaction.atomic():
        incident.status = 4
        with rolled_back():
            incident.save()
        incident.save()
    assert said(reported) == [("end", incident.pk)]


def test_a_rolled_back_savepoint_leaves_what_was_before_it(
    reported: list[IncidentEvent], incident: Any
) -> None:
    """End outside, restart inside and taken back, end again: it ended once."""
    with transaction.atomic():
        incident.status = 4
        incident.save()
        with rolled_back():
            incident.status = 2
            incident.save()
        incident.status = 4
        incident.save()
    assert said(reported) == [("end", incident.pk)]


def test_savepoints_within_savepoints(reported: list[IncidentEvent], incident: Any) -> None:
    """The inner one ends well, the outer one does not: of both nothing is said, of what follows all."""
    with transaction.atomic():
        with rolled_back():
            with transaction.atomic():
                incident.status = 4
                incident.save()
            incident.status = 2
            incident.save()
        incident.status = 2
        incident.priority = 3
        incident.save()
    assert said(reported) == [("change_stage", incident.pk)]


def test_nested_atomic_blocks_wait_for_the_outermost(reported: list[IncidentEvent], incident: Any) -> None:
    """The end of an inner block commits nothing."""
    with transaction.atomic():
        with transaction.atomic():
            incident.status = 4
            incident.save()
        assert reported == []
    assert said(reported) == [("end", incident.pk)]


def test_one_event_for_each_transition_of_a_transaction(reported: list[IncidentEvent], incident: Any) -> None:
    """From what it was when the transaction began to what it is at its end, however often it was saved."""
    with transaction.atomic():
        for status in (4, 2, 3, 4):
            incident.status = status
            incident.save()
    assert said(reported) == [("end", incident.pk)]
    assert reported[0].incident.active is False
    reported.clear()
    with transaction.atomic():
        for status in (1, 4):
            incident.status = status
            incident.save()
    assert reported == []


def test_events_come_in_the_order_of_their_changes(reported: list[IncidentEvent], incident: Any) -> None:
    """Of several rows, too: each at the time and by whom it was made, whatever is saved later."""
    with transaction.atomic():
        other = model("Incident").objects.create()
        incident.status = 4
        incident.save()
        other.status = 4
        other.save()
        incident.priority = 2
        incident.save()
    assert said(reported) == [
        ("create", other.pk),
        ("end", incident.pk),
        ("end", other.pk),
        ("change_stage", incident.pk),
    ]
    times = [event.timestamp or 0 for event in reported]
    assert times == sorted(set(times))


def test_one_transition_by_two_instances_of_a_transaction_is_one(
    reported: list[IncidentEvent], incident: Any
) -> None:
    """A host that loads the row twice and ends it twice has ended it once."""
    with transaction.atomic():
        first, second = (model("Incident").objects.get(pk=incident.pk) for _ in range(2))
        for each in (first, second):
            each.status = 4
            each.save()
    assert said(reported) == [("end", incident.pk)]


def test_a_second_instance_takes_back_what_the_first_did(
    reported: list[IncidentEvent], incident: Any
) -> None:
    """In one transaction a stale instance overwrites the status: the row is committed as it was."""
    with transaction.atomic():
        first, second = (model("Incident").objects.get(pk=incident.pk) for _ in range(2))
        first.status = 4
        first.save()
        second.title = "Another"
        second.save()
    assert reported == []
    assert model("Incident").objects.get(pk=incident.pk).status == 1


# -- what is read in a transaction


def refreshed(incident: Any) -> Any:
    """The same instance, read again."""
    incident.refresh_from_db()
    return incident


def refreshed_in_part(incident: Any) -> Any:
    """The same, one field alone."""
    incident.refresh_from_db(fields=["status"])
    return incident


def got(incident: Any) -> Any:
    """Another instance of the row."""
    return model("Incident").objects.get(pk=incident.pk)


READ = pytest.mark.parametrize("read", [refreshed, refreshed_in_part, got])


@READ
def test_a_retry_of_what_was_read_back_and_rolled_back(
    reported: list[IncidentEvent], incident: Any, read: Any
) -> None:
    """What an instance has read of a transaction that is rolled back has never been: the retry ends it."""
    with rolled_back():
        incident.status = 4
        incident.save()
        again = read(incident)
        assert again.status == 4
    assert reported == []
    again.status = 4
    again.save()
    assert said(reported) == [("end", incident.pk)]


@READ
@pytest.mark.parametrize("by_hand", [True, False], ids=["by hand", "atomic"])
def test_a_retry_after_a_savepoint_in_which_it_was_read_back(
    reported: list[IncidentEvent], incident: Any, read: Any, by_hand: object
) -> None:
    """The same of a savepoint, in the transaction around it and after it."""
    with rolled_back():
        if by_hand:
            savepoint = transaction.savepoint()
            incident.status = 4
            incident.save()
            again = read(incident)
            transaction.savepoint_rollback(savepoint)
        else:
            with rolled_back():
                incident.status = 4
                incident.save()
                again = read(incident)
        with transaction.atomic():
            again.status = 4
            again.save()
    assert reported == []
    again.status = 4
    again.save()
    assert said(reported) == [("end", incident.pk)]


@READ
def test_what_was_read_of_a_transaction_is_known_once_it_is_committed(
    reported: list[IncidentEvent], incident: Any, read: Any
) -> None:
    """By the instance that has read it: it says nothing of an end that was said, and can restart it."""
    with transaction.atomic():
        with transaction.atomic():
            incident.status = 4
            incident.save()
            again = read(incident)
        with rolled_back():
            incident.status = 1
            incident.save()
            late = read(incident)
    for each in (again, late):
        each.status, each.title = 4, "Another"
        each.save()
    assert said(reported) == [("end", incident.pk)]
    late.status = 1
    late.save()
    assert said(reported[1:]) == [("restart", incident.pk)]


def test_a_field_that_is_first_read_in_a_transaction(reported: list[IncidentEvent], incident: Any) -> None:
    """What the transaction has not written is what was before it."""
    with transaction.atomic():
        partly = model("Incident").objects.only("priority").get(pk=incident.pk)
        partly.priority = 2
        partly.save()
        again = got(incident)
        again.status = 4
        again.save()
    assert said(reported) == [("change_stage", incident.pk), ("end", incident.pk)]


# -- rows that are deleted


def test_a_row_that_is_deleted_where_it_was_made_has_never_been(reported: list[IncidentEvent]) -> None:
    """Neither made nor ended, however it is deleted; what else the transaction makes is reported."""
    rows = model("Incident").objects
    with transaction.atomic():
        made = rows.create()
        made.status = 4
        made.save()
        made.delete()
        rows.create(pk=800)
        rows.filter(pk=800).delete()
        rows.create(title="Twice")
        rows.filter(title="Twice").delete()
        model("Outage").objects.create().delete()
        kept = rows.create()
    assert said(reported) == [("create", kept.pk)]


def test_a_row_that_is_made_again_where_it_was_deleted(reported: list[IncidentEvent]) -> None:
    """The last one counts."""
    with transaction.atomic():
        made = model("Incident").objects.create(pk=801)
        made.delete()
        made.pk = 801
        made.save(force_insert=True)
    assert said(reported) == [("create", 801)]


def test_a_deletion_that_is_rolled_back(reported: list[IncidentEvent]) -> None:
    """The row is there all the same."""
    with transaction.atomic():
        made = model("Incident").objects.create()
        pk = made.pk
        with rolled_back():
            made.delete()
    assert said(reported) == [("create", pk)]


def test_a_row_that_was_there_before_its_transaction_deleted_it(
    reported: list[IncidentEvent], incident: Any
) -> None:
    """It was ended before: that has been."""
    pk = incident.pk
    with transaction.atomic():
        incident.status = 4
        incident.save()
        incident.delete()
    assert said(reported) == [("end", pk)]


def test_rows_that_are_deleted_without_a_look_at_them(ops: None) -> None:
    """Django deletes rows to which nothing leads by a statement: by keys, all, or by what nobody tells."""
    del ops
    with watching(CASES) as reported:
        rows = model("Case").objects
        with transaction.atomic():
            one, two, three = (rows.create() for _ in range(3))
            rows.filter(pk=one.pk).delete()
            rows.filter(pk__in=[two.pk]).delete()
            rows.exclude(pk=three.pk).delete()
            rows.filter(pk__gt=three.pk).delete()
        assert said(reported) == [("create", three.pk)]
        reported.clear()
        with transaction.atomic():
            rows.create()
            rows.all().delete()
        assert reported == []
        with transaction.atomic():
            made = rows.create()
            rows.filter(owner=None).delete()
        assert said(reported) == [("create", made.pk)]
        reported.clear()
        with transaction.atomic():
            made = rows.create()
            rows.filter(owner=made.pk).delete()
            rows.filter(pk=made.pk, owner=made.pk).delete()
        assert said(reported) == [("create", made.pk)]


def test_a_table_that_is_emptied_again_adds_nothing(reported: list[IncidentEvent]) -> None:
    """What has never been waits once, however often nothing more is deleted."""
    with transaction.atomic():
        model("Incident").objects.create()
        for _ in range(3):
            model("Incident").objects.all()._raw_delete("default")  # noqa: SLF001  a delete without a look has no public name
        assert len(connections["default"].run_on_commit) == 2
    assert reported == []


def test_the_memory_of_an_instance_follows_the_commit(reported: list[IncidentEvent], incident: Any) -> None:
    """After a transaction that ended it, the same instance can restart it."""
    with transaction.atomic():
        incident.status = 4
        incident.save()
    incident.status = 2
    incident.save()
    assert actions(reported) == ["end", "restart"]


def test_rows_of_one_transaction_do_not_mix(reported: list[IncidentEvent], incident: Any) -> None:
    """Two incidents that end together end each for itself, in the order of the saves."""
    other = model("Incident").objects.create()
    reported.clear()
    with transaction.atomic():
        for each in (other, incident):
            each.status = 4
            each.save()
    assert said(reported) == [("end", other.pk), ("end", incident.pk)]


def test_a_host_that_fails_after_its_save_has_saved(reported: list[IncidentEvent]) -> None:
    """In autocommit mode the row is there although `save()` raises; so is the event."""
    with pytest.raises(RuntimeError, match="fails after it was saved"):
        model("Incident").objects.create(title="fails after it was saved")
    assert said(reported) == [("create", model("Incident").objects.get().pk)]


def test_a_host_that_fails_after_its_save_in_a_transaction_has_not_saved(
    reported: list[IncidentEvent],
) -> None:
    """The exception rolls the row back, and the event with it."""
    with pytest.raises(RuntimeError, match="fails after it was saved"), transaction.atomic():
        model("Incident").objects.create(title="fails after it was saved")
    assert reported == []


def test_transactions_by_hand_are_said_to_be_invisible(
    reported: list[IncidentEvent], incident: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Without autocommit Django tells nobody of the commit: one warning, no event, and the host goes on."""
    transaction.set_autocommit(False)
    try:
        with caplog.at_level(logging.WARNING, logger="otel_incident"):
            for status in (4, 1):
                incident.status = status
                incident.save()
        transaction.commit()
    finally:
        transaction.set_autocommit(True)
    assert reported == []
    (record,) = caplog.records
    assert record.getMessage() == (
        "one.toml, hook 'incident': ops.Incident was saved without autocommit and outside `atomic()`; Django "
        "tells nobody of such a commit, so changes like this are not reported. This is said once."
    )
