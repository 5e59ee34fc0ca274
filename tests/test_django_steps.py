"""Model hooks in a long transaction: what a row costs does not grow with the rows before it."""

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from django.db import transaction

from otel_incident import hooks
from otel_incident.events import IncidentEvent
from tests.django_host import actions, model

pytestmark = pytest.mark.usefixtures("ops")

OURS = str(Path(hooks.__file__).parent / "django_")
"""How the files begin whose steps are counted."""


class Refused(Exception):  # noqa: N818  what a host raises to roll back
    """A host's reason to roll back."""


def savepoints(number: int) -> None:
    """Many savepoints, of which every second is rolled back."""
    for turn in range(number):
        with suppress(Refused), transaction.atomic():
            model("Incident").objects.create()
            if turn % 2:
                raise Refused


def deletions(number: int) -> None:
    """Rows that are made, and then deleted one by one."""
    for each in [model("Incident").objects.create() for _ in range(number)]:
        each.delete()


def others(number: int) -> None:
    """Rows that are ended, and others that are deleted one by one."""
    rows = [model("Incident")(pk=pk) for pk in range(1, 2 * number + 1)]
    model("Incident").objects.bulk_create(rows, ignore_conflicts=True)
    ended, gone = rows[:number], rows[number:]
    for each in ended:
        each.status = 4
        each.save()
    for each in gone:
        each.delete()


def steps(work: Callable[[int], None], number: int) -> int:
    """How many lines of our files are executed in one transaction, each turn of a loop among them."""
    count = 0

    def step(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        count += event == "line"
        return step if frame.f_code.co_filename.startswith(OURS) else None

    with suppress(Refused), transaction.atomic():
        before = sys.gettrace()
        sys.settrace(step)
        try:
            work(number)
        finally:
            sys.settrace(before)
        raise Refused
    return count


@pytest.mark.parametrize("work", [savepoints, deletions, others])
def test_steps_grow_as_the_rows_do(reported: list[IncidentEvent], work: Callable[[int], None]) -> None:
    """Twenty rows more cost after forty rows what they cost after twenty."""
    work(2)  # what is done once
    reported.clear()
    few, more, many = (steps(work, number) for number in (20, 40, 60))
    assert few > 0
    assert many - more == more - few
    assert actions(reported) == []
