"""Model hooks and transactions: an event goes out when its change is committed, and vanishes with it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from django.db import transaction

from otel_incident.events import IncidentEvent
from tests.django_host import actions, model, said

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


def test_every_change_of_one_transaction_is_reported(reported: list[IncidentEvent], incident: Any) -> None:
    """End, restart, end: three events in order, each with the state it led to and the time it was made."""
    with transaction.atomic():
        for status in (4, 2, 4):
            incident.status = status
            incident.save()
    assert actions(reported) == ["end", "restart", "end"]
    assert [event.incident.active for event in reported] == [False, True, False]
    times = [event.timestamp for event in reported]
    assert None not in times
    assert times == sorted(times, key=lambda time: time or 0)


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
    """In one transaction a stale instance overwrites the status: what it undid is said, too."""
    with transaction.atomic():
        first, second = (model("Incident").objects.get(pk=incident.pk) for _ in range(2))
        first.status = 4
        first.save()
        second.title = "Another"
        second.save()
    assert actions(reported) == ["end", "restart"]
    assert model("Incident").objects.get(pk=incident.pk).status == 1


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
