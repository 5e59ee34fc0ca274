"""The application of `zero_code.py`, and what its calls mean: text that is written to disk and run."""

import json
from typing import Final

CONTENT: Final = ("Checkout is down", "Called the bank", "Second provider", "It is back", "triage", "morgan")
"""What the application's users write and read."""

DESK: Final = '''
"""An incident desk. It knows nothing of telemetry."""

from datetime import datetime, timezone


class Person:
    def __init__(self, number, name, admin):
        self.number, self.name, self.admin = number, name, admin


class Incident:
    def __init__(self, title, commander):
        self.number, self.title, self.commander, self.post = 41, title, commander, 900
        self.created = datetime(2020, 9, 13, 12, 26, 40, tzinfo=timezone.utc)
        self.checklists = [["page", "call"], ["write"]]
        self.stage, self.open, self.notes = "triage", True, []


class Desk:
    team = 5

    def declare(self, title, commander, by, *, public=True):
        if not title:
            raise ValueError("a title is needed")
        return Incident(title, commander)

    @staticmethod
    async def hand_over(incident, commander, note, by):
        incident.commander = commander
        incident.notes.append(note)
        return incident

    @classmethod
    def reopen(cls, incident, reason, by):
        incident.open = True
        incident.notes.append(reason)
        return cls.team


def move(incident, stage, by):
    incident.stage = stage


async def close(incident, resolution, by):
    incident.open = False
    incident.notes.append(resolution)
    return len(incident.notes)
'''

MAIN: Final = '''
"""A day at the desk; what its calls returned is the one line that it prints."""

import asyncio
import json
import os
import sys
import threading

from app.desk import Desk, Person, close, move


def work():
    chief, helper, returned = Person(3, "morgan", True), Person(7, "alex", False), []
    try:
        Desk().declare("", helper, helper)
    except ValueError as error:
        returned.append(str(error))
    incident = Desk().declare("Checkout is down", helper, chief, public=False)
    returned.append(asyncio.run(Desk.hand_over(incident, chief, "Called the bank", helper)) is incident)
    returned.append(move(incident, "review", helper))
    returned.append(asyncio.run(close(incident, "Second provider", chief)))
    returned.append(Desk.reopen(incident, "It is back", helper))
    return returned


def main():
    returned = work() if "idle" not in sys.argv else []
    threads = sorted(thread.name for thread in threading.enumerate()[1:])
    with open(os.environ["APP_REPORT"], "w") as report:
        json.dump({"modules": sorted(sys.modules), "threads": threads}, report)
    print(json.dumps(returned), flush=True)


if __name__ == "__main__":
    main()
'''

PRINTED: Final = json.dumps(["a title is needed", True, None, 2, 5]) + "\n"
"""What the application prints, with us and without."""

HOOKS: Final = """
[host]
name = "desk"
distribution = "acme-desk"

[[hook]]
name = "declare"
kind = "call"
target = "app.desk:Desk.declare"
action = "create"
[hook.incident]
id = "result.number"
commander_id = "result.commander.number"
team_id = "self.team"
created_at = "result.created"
post_id = "result.post"
checklist_count = "len(result.checklists)"
checklist_item_count = "sum(len(result.checklists[*]))"
[hook.actor]
id = "arg.by.number"
system_admin = "arg.by.admin"
[hook.create]
public = "arg.public"

[[hook]]
name = "hand over"
kind = "call"
target = "app.desk:Desk.hand_over"
action = "change_commander"
[hook.incident]
id = "arg.incident.number"
commander_id = "arg.incident.commander.number"
active = "arg.incident.open"
[hook.actor]
id = "arg.by.number"
system_admin = "arg.by.admin"

[[hook]]
name = "move"
kind = "call"
target = "app.desk:move"
action = "change_stage"
[hook.incident]
id = "arg.incident.number"
[hook.stage]
path = "arg.stage"
order = ["triage", "mitigate", "review"]

[[hook]]
name = "close"
kind = "call"
target = "app.desk:close"
action = "end"
[hook.incident]
id = "arg.incident.number"
created_at = "arg.incident.created"
[hook.actor]
id = "arg.by.number"

[[hook]]
name = "reopen"
kind = "call"
target = "app.desk:Desk.reopen"
action = "restart"
[hook.incident]
id = "arg.incident.number"
team_id = "result"
"""

ACTIONS: Final = ("create", "change_commander", "change_stage", "end", "restart")
"""What happens in a day, in order."""

NAMES: Final = [f"incident.{action}" for action in ACTIONS]
