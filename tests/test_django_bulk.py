"""Writes of many rows at once: reported where instances are at hand, else said once and counted."""

from pathlib import Path
from typing import Any, Final

import pytest
from django.core.exceptions import FieldDoesNotExist
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.manager import BaseManager

from otel_incident.events import IncidentEvent
from tests.django_host import INCIDENTS, model, said, script, watching

pytestmark = pytest.mark.usefixtures("ops")

ROWS: Final = "one.toml, hook 'incident': rows of ops.Incident were "
ONCE: Final = "This is said once."
UPDATED: Final = (
    f"{ROWS}changed by QuerySet.update, which tells nobody which, so they are not reported. {ONCE}"
)
CONFLICTS: Final = (
    f"{ROWS}made by bulk_create with conflicts, which tells nobody which of them are new. {ONCE}"
)


def incidents(number: int) -> list[Any]:
    """New ones, not saved."""
    return [model("Incident")() for _ in range(number)]


def test_rows_that_are_made_at_once_are_reported(reported: list[IncidentEvent]) -> None:
    """A create for each, with the key that the database has given it, in their order."""
    made = model("Incident").objects.bulk_create(incidents(3), batch_size=2)
    assert said(reported) == [("create", each.pk) for each in made]


def test_rows_that_are_changed_at_once_are_reported(reported: list[IncidentEvent]) -> None:
    """What each instance held before is known: only a change is said, only of the fields that are written."""
    one, two, three = model("Incident").objects.bulk_create(incidents(3))
    reported.clear()
    one.status, two.status, three.priority = 4, 2, 5
    with transaction.atomic():
        changed = model("Incident").objects.bulk_update(iter((one, two, three)), iter(["status"]))
        assert reported == []
    assert changed == 3
    assert said(reported) == [("end", one.pk)]
    model("Incident").objects.bulk_update(objs=[one, two], fields=["status"])
    assert said(reported) == [("end", one.pk)]


def test_arguments_by_place_are_what_they_are_by_name(
    reported: list[IncidentEvent], caplog: pytest.LogCaptureFixture
) -> None:
    """A flag for conflicts that is False is none, however it is given; one that is True is said."""
    rows = model("Incident").objects
    without, conflicts = (100, False), (100, True)
    made = [*rows.bulk_create(incidents(1), *without), *rows.bulk_create(incidents(1), *without, False)]  # noqa: FBT003  by place
    assert said(reported) == [("create", each.pk) for each in made]
    assert caplog.messages == []
    rows.bulk_create(incidents(1), *conflicts)
    assert len(reported) == 2
    assert caplog.messages == [CONFLICTS]


def test_bulk_writes_that_are_rolled_back_never_were(reported: list[IncidentEvent]) -> None:
    """Neither is said, and a row is what it was before."""
    (one,) = model("Incident").objects.bulk_create(incidents(1))
    reported.clear()
    with transaction.atomic():
        one.status = 4
        model("Incident").objects.bulk_update([one], ["status"])
        model("Incident").objects.bulk_create(incidents(1))
        transaction.set_rollback(True)
    assert reported == []


WRITES: Final = """
setup()
activation = watch(text)
from django.apps import apps
incidents = apps.get_model("ops.Incident").objects
made = incidents.bulk_create([incidents.model() for _ in range(2)])
del events[:]
incidents.filter(pk=-1).update(status=4)
incidents.update(title="Checkout is down")
incidents.bulk_update(made, ["status"])
assert events == []
incidents.update(status=4)
incidents.update(commander=None)
incidents.update(commander_id=None)
incidents.bulk_create([incidents.model(pk=made[0].pk), incidents.model()], ignore_conflicts=True)
assert events == []
activation._ended()
"""


def test_what_nobody_can_tell_is_said_once_and_counted(tmp_path: Path) -> None:
    """A watched field by either of its names, rows that may be there already; not what changes nothing."""
    ended = script(WRITES, tmp_path, text=INCIDENTS)
    assert ended.stderr.splitlines() == [
        f"WARNING {UPDATED}",
        f"WARNING {CONFLICTS}",
        f"WARNING {ROWS}written by 4 statements in this process.",
    ]


def test_rows_that_are_gone_are_not_reported(reported: list[IncidentEvent]) -> None:
    """Where nothing was changed, nothing has happened."""
    (one,) = model("Incident").objects.bulk_create(incidents(1))
    model("Incident").objects.all().delete()
    reported.clear()
    one.status = 4
    assert model("Incident").objects.bulk_update([one], ["status"]) == 0
    assert reported == []


def test_managers_made_meanwhile_have_the_methods() -> None:
    """Of query sets of the host's own, too: Django looks for functions, and finds ours."""
    names = {"bulk_create", "bulk_update", "update", "abulk_create", "abulk_update", "aupdate"}
    with watching(INCIDENTS):
        made = BaseManager.from_queryset(type("Kept", (QuerySet,), {}))
    assert {name for name in names if callable(getattr(made, name, None))} == names


def test_nothing_stays_behind() -> None:
    """Django's own methods are put back."""
    before = {name: vars(QuerySet)[name] for name in ("bulk_create", "bulk_update", "update")}
    with watching(INCIDENTS):
        assert all(vars(QuerySet)[name] is not method for name, method in before.items())
    assert {name: vars(QuerySet)[name] for name in before} == before


def test_a_host_that_errs_hears_what_it_would_hear_without_us(reported: list[IncidentEvent]) -> None:
    """The host's own error, and nothing is said."""
    one = model("Incident").objects.create()
    reported.clear()
    with pytest.raises(ValueError, match="Field names must be given to bulk_update"):
        model("Incident").objects.bulk_update([one], [])
    with pytest.raises(TypeError, match="objs"):
        model("Incident").objects.bulk_update(fields=["status"])
    with pytest.raises(FieldDoesNotExist):
        model("Incident").objects.update(nothing=1)
    assert reported == []
