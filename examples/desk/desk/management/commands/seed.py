"""Fills an empty desk with the people of `people.json`, so that there is somebody to log in as."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand
from django.db import transaction

from desk.models import Member, Team  # type: ignore[import-not-found]  # on the path when manage.py runs

PEOPLE = Path(__file__).resolve().parent.parent.parent / "people.json"


class Command(BaseCommand):
    """`manage.py seed`."""

    help = "Create the teams and members of people.json, unless they are there."

    @transaction.atomic
    def handle(self, *_: Any, **__: Any) -> None:
        """Create who is missing; nobody is changed."""
        for described in json.loads(PEOPLE.read_text(encoding="utf-8")):
            if Member.objects.filter(username=described["username"]).exists():
                continue
            team, _created = Team.objects.get_or_create(name=described.pop("team"))
            Member.objects.create_user(**described, team=team)
