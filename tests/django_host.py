"""The Django project `tests.hosts.ops` in the tests' own process, and hooks on its models.

Django can be configured once for a process, so every test shares it; what a test leaves in the databases
is deleted after it. What needs another configuration runs in a process of its own (`script`).
"""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import django
import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import connections

from otel_incident.events import IncidentEvent
from otel_incident.hooks.activation import Activation
from otel_incident.hooks.spec import parse
from tests.processes import Ended, succeed

SETTINGS: Final = "tests.hosts.ops.settings"

INCIDENTS: Final = """
[host]
name = "ops"

[[hook]]
name = "incident"
kind = "model"
model = "ops.Incident"

[hook.incident]
id = "self.pk"
commander_id = "self.commander_id"
team_id = "self.team"
created_at = "self.created"

[hook.lifecycle]
field = "status"
closed = [3, 4, 5]

[hook.commander]
field = "commander"

[hook.stage]
field = "priority"
offset = -1
"""
"""An incident of `Incident`: integers, as django-helpdesk has them."""

CASES: Final = """
[host]
name = "ops"

[[hook]]
name = "case"
kind = "model"
model = "ops.Case"

[hook.incident]
id = "self.pk"
commander_id = "self.owner"

[hook.lifecycle]
field = "phase"
closed = ["over", "dropped"]

[hook.commander]
field = "owner"

[hook.stage]
field = "phase"
order = ["triage", "repair", "review"]
"""
"""An incident of `Case`: choices that are text, and the stage is the status itself."""

JOBS: Final = """
[host]
name = "ops"

[[hook]]
name = "job"
kind = "model"
model = "ops.Job"

[hook.incident]
id = "self.pk"
created_at = "self.opened"

[hook.lifecycle]
field = "state"
closed = [2]
"""
"""An incident of `Job`: the status is a row of a table."""

ENTRIES: Final = """
[host]
name = "ops"

[[hook]]
name = "entry"
kind = "model"
model = "ops.Entry"

[hook.incident]
id = "self.incident_id"
commander_id = "self.author_id"

[hook.commander]
field = "author"

[hook.row]
of = "incident"
"""
"""A commander of `Incident` in a row of its own."""


@contextmanager
def project(data: Path) -> Iterator[None]:
    """Django, configured and with its tables made, until the end of the tests.

    Args:
        data: Where the databases are.
    """
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("OPS_DATA", str(data))
        described = importlib.import_module(SETTINGS)
    # not by DJANGO_SETTINGS_MODULE: that would set the time zone of the tests' process
    settings.configure(**{name: value for name, value in vars(described).items() if name.isupper()})
    django.setup()
    for alias in connections:
        call_command("migrate", run_syncdb=True, verbosity=0, database=alias)
    yield
    connections.close_all()


def empty() -> None:
    """Delete every row, without a signal."""
    for alias in connections:
        with connections[alias].constraint_checks_disabled():
            for model in apps.get_models():
                model._base_manager.using(alias).all()._raw_delete(alias)  # noqa: SLF001  a delete without a signal has no public name


@contextmanager
def watching(*files: str) -> Iterator[list[IncidentEvent]]:
    """Events of hook files, as long as the block lasts.

    Args:
        files: The files' texts; `one.toml`, `two.toml` in messages.
    """
    seen: list[IncidentEvent] = []
    names = ("one.toml", "two.toml", "three.toml")
    activation = Activation(
        [parse(text, name) for text, name in zip(files, names, strict=False)], seen.append
    )
    activation.install()
    try:
        yield seen
    finally:
        activation.uninstall()


def said(events: list[IncidentEvent]) -> list[tuple[str, object]]:
    """What happened to which incident, in order."""
    return [(event.action, event.incident.id) for event in events]


def actions(events: list[IncidentEvent]) -> list[str]:
    """What happened, in order."""
    return [event.action for event in events]


_PRELUDE: Final = """
import os, sys, logging
from pathlib import Path
from otel_incident.guard import set_reraise
from otel_incident.hooks.activation import Activation
from otel_incident.hooks.spec import parse

logging.basicConfig(format="%(levelname)s %(message)s")
set_reraise(reraise=True)
events = []

def watch(text, source="one.toml", preset=False):
    activation = Activation([parse(text, source, preset=preset)], events.append)
    activation.install()
    return activation

def setup():
    import django
    django.setup()
    from django.core.management import call_command
    call_command("migrate", run_syncdb=True, verbosity=0)

"""


def script(code: str, data: Path, variables: dict[str, str] | None = None, **texts: str) -> Ended:
    """Run code in a process of its own, which must succeed.

    It finds `watch(text)` (hooks, as instrumentation starts them), `events` and `setup()` (Django's).

    Args:
        code: The code, not indented.
        data: Where the databases are.
        variables: Of its environment.
        texts: What it finds under these names.
    """
    given = "".join(f"{name} = {value!r}\n" for name, value in texts.items())
    settings = {"DJANGO_SETTINGS_MODULE": SETTINGS, "OPS_DATA": str(data)}
    return succeed(_PRELUDE + given + code, {**settings, **(variables or {})})


def user(name: str, **fields: Any) -> Any:
    """A user of the project, saved."""
    return model("auth.User").objects.create(username=name, **fields)


def model(name: str) -> Any:
    """A model of the project by name: its module can be imported only once Django is configured."""
    return apps.get_model(name if "." in name else f"ops.{name}")
