"""What can be done with an incident, each in one transaction; the API only translates requests into these."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction

from .models import Incident, Member, Message, Report, Stage, Task, Team


class RefusedError(Exception):
    """What was asked for cannot be done; the text is for whoever asked."""


@transaction.atomic
def open_incident(
    member: Member,
    *,
    title: str,
    description: str,
    team: int,
    public: bool,
    stages: Sequence[dict[str, Any]],
    report: int | None = None,
) -> Incident:
    """Open an incident commanded by `member`, with its checklist; all of it or nothing."""
    if not stages:
        raise RefusedError("an incident needs at least one stage")
    incident = Incident.objects.create(
        title=title,
        description=description,
        stage=stages[0]["slug"],
        stage_count=len(stages),
        is_public=public,
        team=Team.objects.get(pk=team),
        commander=member,
        report=None if report is None else Report.objects.get(pk=report),
    )
    for position, described in enumerate(stages):
        stage = Stage.objects.create(
            incident=incident, slug=described["slug"], name=described["name"], position=position
        )
        for text, username in described["tasks"]:
            assignee = Member.objects.filter(username=username).first()
            if username and assignee is None:
                raise RefusedError(f"nobody here is called {username}")
            Task.objects.create(stage=stage, text=text, assignee=assignee)
    return incident


@transaction.atomic
def hand_over(incident: Incident, to: Member) -> None:
    """Put another member in command."""
    if not to.is_active:
        raise RefusedError(f"{to} does not work here any more")
    incident.commander = to
    incident.save(update_fields=["commander"])


@transaction.atomic
def move_to(incident: Incident, slug: str) -> None:
    """Go on (or back) to another stage."""
    if not incident.stages.filter(slug=slug).exists():
        raise RefusedError(f"this incident has no stage {slug}")
    incident.stage = slug
    incident.save(update_fields=["stage"])


@transaction.atomic
def monitor(incident: Incident) -> None:
    """It seems to hold: keep watching."""
    incident.status = Incident.Status.MONITORING
    incident.save(update_fields=["status"])


@transaction.atomic
def close(incident: Incident, member: Member, resolution: str) -> None:
    """Call it over, and say what it was."""
    if incident.status == Incident.Status.RESOLVED:
        raise RefusedError("it is closed already")
    incident.status = Incident.Status.RESOLVED
    incident.resolution = resolution
    incident.save()
    Message.objects.create(incident=incident, author=member, text=resolution)


@transaction.atomic
def reopen(incident: Incident, member: Member, reason: str) -> None:
    """It was not over."""
    if incident.status != Incident.Status.RESOLVED:
        raise RefusedError("it is not closed")
    incident.status = Incident.Status.INVESTIGATING
    incident.save(update_fields=["status"])
    Message.objects.create(incident=incident, author=member, text=reason)
