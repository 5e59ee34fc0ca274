"""Model hooks for Django and copies of instances, pickled ones too: what each knows of its row."""

import base64
import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from django.db import transaction

from otel_incident.events import IncidentEvent
from tests.collector import ROOT
from tests.django_host import SETTINGS, actions, model, said

pytestmark = pytest.mark.usefixtures("ops")


@pytest.fixture
def pk(reported: list[IncidentEvent]) -> Any:
    """The key of an open incident that was reported already."""
    made = model("Incident").objects.create(priority=3)
    reported.clear()
    return made.pk


def get(pk: Any) -> Any:
    """The incident, loaded."""
    return model("Incident").objects.get(pk=pk)


def pickled(instance: Any) -> Any:
    """What a cache gives back, or a task is given."""
    return pickle.loads(pickle.dumps(instance))  # noqa: S301  what was pickled just before


COPIES: Final = pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, pickled], ids=["shallow", "deep", "pickled"]
)


def test_copies_of_an_instance_know_what_it_was(reported: list[IncidentEvent], pk: Any) -> None:
    """A shallow copy, a deep one and one that was pickled; changing one changes no other."""
    incident = get(pk)
    copies = copy.copy(incident), copy.deepcopy(incident), pickled(incident)
    for each in copies:
        with transaction.atomic():
            each.status = 4
            each.save()
        each.status = 1
        each.save()
    assert actions(reported) == ["end", "restart"] * 3


def test_copies_of_what_was_read_in_a_transaction(reported: list[IncidentEvent], pk: Any) -> None:
    """One that is changed changes no other, though its row was waiting for the commit when it was read."""
    with transaction.atomic():
        other = get(pk)
        other.priority = 1
        other.save()
        incident = get(pk)
    for each in (copy.copy(incident), incident):
        each.status = 4
        each.save()
    assert actions(reported) == ["change_stage", "end", "end"]


@COPIES
def test_copies_of_what_a_transaction_has_saved(
    reported: list[IncidentEvent], pk: Any, copied: Callable[[Any], Any]
) -> None:
    """Once it is committed, they say nothing of what it has said, and everything that comes after."""
    incident = get(pk)
    with transaction.atomic():
        incident.status = 4
        incident.save()
        first, second = copied(incident), copied(incident)
        second.priority = 1
    assert actions(reported) == ["end"]
    first.save()
    assert actions(reported) == ["end"]
    second.save()
    assert actions(reported) == ["end", "change_stage"]
    first.status = 1
    first.save()
    assert actions(reported) == ["end", "change_stage", "restart"]


@COPIES
def test_copies_of_what_a_transaction_has_made(
    reported: list[IncidentEvent], copied: Callable[[Any], Any]
) -> None:
    """As it was at the end of the transaction, which was later than the copy."""
    with transaction.atomic():
        incident = model("Incident").objects.create()
        incident.status = 4
        incident.save()
        made = copied(incident)
        made.save()
    made.save()
    assert actions(reported) == ["create", "end"]
    made.status = 1
    made.save()
    assert actions(reported) == ["create", "end", "restart"]


@COPIES
def test_copies_of_what_was_rolled_back(
    reported: list[IncidentEvent], pk: Any, copied: Callable[[Any], Any]
) -> None:
    """The row is what it was: to a copy that is made then, and to one that was saved before."""
    incident = get(pk)
    with transaction.atomic():
        incident.status = 4
        incident.save()
        within = copied(incident)
        within.save()
        transaction.set_rollback(True)
    assert reported == []
    for each in (copied(incident), within):
        each.save()
    assert said(reported) == [("end", pk), ("end", pk)]


@COPIES
@pytest.mark.parametrize("before", [True, False], ids=["more was saved", "alone"])
def test_copies_of_what_a_savepoint_took_back(
    reported: list[IncidentEvent], pk: Any, copied: Callable[[Any], Any], before: object
) -> None:
    """The row is what it was before the savepoint."""
    incident = get(pk)
    with transaction.atomic():
        if before:
            incident.priority = 1
            incident.save()
        with transaction.atomic():
            incident.status = 4
            incident.save()
            transaction.set_rollback(True)
        later = copied(incident)
    reported.clear()
    later.save()
    assert said(reported) == [("end", pk)]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy], ids=["shallow", "deep"])
def test_a_copy_hears_of_a_rollback(
    reported: list[IncidentEvent], pk: Any, copied: Callable[[Any], Any]
) -> None:
    """Made before it, unlike a pickle, which takes for committed what was saved."""
    incident = get(pk)
    with transaction.atomic():
        incident.status = 4
        incident.save()
        copies = copied(incident), pickled(incident)
        transaction.set_rollback(True)
    assert reported == []
    for each in copies:
        each.save()
        assert actions(reported) == ["end"]


def test_a_copy_that_makes_a_row_in_the_transaction(reported: list[IncidentEvent], pk: Any) -> None:
    """What becomes of the row that it was copied from is nothing to it."""
    incident = get(pk)
    with transaction.atomic():
        incident.status = 4
        incident.save()
        made = copy.copy(incident)
        made.pk, made.status = None, 1
        made._state.adding = True  # noqa: SLF001  as Django documents it
        made.save()
    for each in (incident, made):
        each.save()
    assert said(reported) == [("end", pk), ("create", made.pk)]


UNPICKLE: Final = """
import base64, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"otel_incident", "opentelemetry", "wrapt"}:
            raise ImportError(name)

sys.meta_path.insert(0, Absent())
import django, pickle
django.setup()
incident = pickle.loads(base64.b64decode(sys.stdin.read()))
print(type(incident).__module__, incident.pk, incident.status)
"""


def test_a_pickled_instance_needs_nothing_of_ours(
    reported: list[IncidentEvent], pk: Any, tmp_path: Path
) -> None:
    """A cache may hand it to a process that has never heard of us."""
    incident = get(pk)
    with transaction.atomic():
        incident.status = 4
        incident.save()
        waiting = pickle.dumps(incident)
    assert actions(reported) == ["end"]
    for each in (waiting, pickle.dumps(incident)):
        done = subprocess.run(  # noqa: S603  the words are the tests' own
            [sys.executable, "-c", UNPICKLE],
            env={"DJANGO_SETTINGS_MODULE": SETTINGS, "OPS_DATA": str(tmp_path), "PYTHONPATH": str(ROOT)},
            input=base64.b64encode(each).decode(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.stderr, done.stdout) == ("", f"tests.hosts.ops.models {pk} 4\n")
