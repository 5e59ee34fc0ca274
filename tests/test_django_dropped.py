"""Model hooks for Django and what a host drops in the middle of a transaction: nothing of ours keeps it."""

import gc
import threading
import weakref
from contextlib import suppress
from typing import Any

import pytest
from django.db import connection, connections, transaction

from otel_incident.events import IncidentEvent
from tests.django_host import model

pytestmark = pytest.mark.usefixtures("ops")


class Refused(Exception):  # noqa: N818  what ends a host's request
    """A host's reason to end a request in the middle."""


def work() -> list[Any]:
    """Write, read and delete within a transaction; gives the rows."""
    rows = model("Incident").objects
    made, gone = rows.create(), rows.create()
    made.status = 4
    made.save()
    read = rows.get(pk=made.pk)
    with suppress(Refused), transaction.atomic():
        read.status = 1
        read.save()
        read.refresh_from_db()
        raise Refused
    gone.delete()
    return [made, gone, read]


def alive(held: list[weakref.ref[Any]]) -> list[object]:
    """What of it is still there once the garbage is collected."""
    gc.collect()
    return [type(each()).__name__ for each in held if each() is not None]


def test_a_connection_of_a_thread_that_has_ended_is_gone(reported: list[IncidentEvent]) -> None:
    """With the transaction that it had open, and the rows: the database is free for the next one."""
    held: list[weakref.ref[Any]] = []

    def request() -> None:
        transaction.atomic().__enter__()
        held.extend(weakref.ref(each) for each in (connections["default"], *work()))

    for _ in range(3):
        thread = threading.Thread(target=request)
        thread.start()
        thread.join()
        assert alive(held) == []
    assert reported == []
    model("Incident").objects.create()
    assert [event.action for event in reported] == ["create"]


@pytest.mark.parametrize("kept", [True, False], ids=["committed", "rolled back"])
def test_the_rows_of_a_transaction_that_has_ended_are_gone(
    reported: list[IncidentEvent], kept: object
) -> None:
    """A connection that lives on, as a server's do, keeps none of them."""
    held: list[weakref.ref[Any]] = []
    with transaction.atomic():
        held.extend(weakref.ref(each) for each in work())
        assert alive(held) == []
        transaction.set_rollback(not kept)
    assert [event.action for event in reported] == (["create", "end"] if kept else [])
    assert connection.connection is not None
