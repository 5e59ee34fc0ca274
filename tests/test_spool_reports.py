"""What the host's log is told of an endpoint that comes and goes: each outage that lasts, and no flood."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from otel_incident.spool.answers import Answer
from otel_incident.spool.reports import Reports
from tests.spool_backlog import DELIVERED, DOWN, Course, Endpoint

OUTAGE: Final = (
    "Log records wait in the spool: the exporter x cannot deliver them (HTTP 503). This is said once for an "
    "outage."
)
AGAIN: Final = "The exporter x delivers again."


def told(
    directory: Path, caplog: pytest.LogCaptureFixture, answers: Sequence[Answer]
) -> list[tuple[int, str]]:
    """What is logged of an endpoint with an attempt every ten seconds, and in which second."""
    course = Course(directory, Endpoint(*answers), batch_size=1)
    course.write(*range(len(answers)))
    now = 0
    reports = Reports("x", now=lambda: float(now))
    found = []
    for _ in answers:
        caplog.clear()
        course.delivery.step()
        reports.say_what_happened(course.delivery, {})
        found += [(now, message) for message in caplog.messages]
        now += 10
    return found


def test_an_endpoint_that_flaps(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of one that refuses every other attempt for twenty minutes there is one pair of lines in five."""
    assert told(tmp_path, caplog, [DOWN, DELIVERED] * 60) == [
        (second + more, line) for second in (0, 300, 600, 900) for more, line in ((0, OUTAGE), (10, AGAIN))
    ]


def test_an_outage_that_comes_soon_and_lasts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is told of once, five minutes after the line of the former one, and so is its end."""
    answers = [DOWN, DELIVERED, *[DOWN] * 100, DELIVERED]
    assert told(tmp_path, caplog, answers) == [(0, OUTAGE), (10, AGAIN), (300, OUTAGE), (1020, AGAIN)]


def test_an_outage_whose_next_attempt_is_far_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is told of when it is time, by whoever looks after the directory meanwhile."""
    course = Course(tmp_path, Endpoint(DOWN, DELIVERED, DOWN), batch_size=1)
    course.write(1, 2)
    now = [0.0]
    reports = Reports("x", now=lambda: now[0])
    for _ in range(3):
        course.delivery.step()
        reports.say_what_happened(course.delivery, {})
    found = []
    for now[0] in (299.0, 300.0, 305.0):
        caplog.clear()
        reports.say_what_came_too_soon()
        found.append(caplog.messages)
    assert found == [[], [OUTAGE], []]
