"""Hooks on the classes of `tests.hosts.mapped` in the tests' own process, on databases in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from otel_incident.events import IncidentEvent
from otel_incident.hooks.activation import Activation
from otel_incident.hooks.spec import parse
from tests.hosts.mapped import Base

INCIDENTS: Final = """
[host]
name = "desk"

[[hook]]
name = "incident"
kind = "model"
model = "tests.hosts.mapped:Incident"

[hook.incident]
id = "self.id"
commander_id = "self.commander_id"
team_id = "self.team_id"
created_at = "self.created"

[hook.lifecycle]
field = "status"
closed = ["closed", "resolved"]

[hook.commander]
field = "commander"

[hook.stage]
field = "priority"
offset = -1
"""
"""An incident of `Incident`: text and integers, and a relation."""

CASES: Final = """
[host]
name = "desk"

[[hook]]
name = "case"
kind = "model"
model = "tests.hosts.mapped:Case"

[hook.incident]
id = "self.id"
commander_id = "self.owner"
created_at = "self.opened"

[hook.lifecycle]
field = "phase"
closed = ["over"]

[hook.commander]
field = "owner"

[hook.stage]
field = "phase"
order = ["triage", "repair", "over"]
"""
"""An incident of `Case`: the status is an enumeration, and the stage."""

ROLES: Final = """
[host]
name = "desk"

[[hook]]
name = "role"
kind = "model"
model = "tests.hosts.mapped:Role"
incident = { id = "self.incident_id", commander_id = "self.person_id" }
when = { "self.kind.slug" = "commander" }
row = { of = "incident" }
commander = { field = "person_id" }
"""
"""Who commands an incident of `Incident`: whoever has that role in it."""


@contextmanager
def watching(*files: str) -> Iterator[list[IncidentEvent]]:
    """Events of hook files, as long as the block lasts.

    Args:
        files: The files' texts; `one.toml`, `two.toml`, `three.toml` in messages.
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


@contextmanager
def database() -> Iterator[Engine]:
    """An empty database in memory, with all tables."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    transactional(engine)
    Base.metadata.create_all(engine)
    try:
        yield engine
    finally:
        engine.dispose()


def transactional(engine: Engine) -> None:
    """Have Python's sqlite3 begin transactions where SQLAlchemy does, or savepoints would not hold."""

    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None

    def begun(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begun)


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """What the database is asked, as long as the block lasts."""
    asked: list[str] = []

    def execute(*given: Any) -> None:
        asked.append(given[2])

    event.listen(engine, "before_cursor_execute", execute)
    try:
        yield asked
    finally:
        event.remove(engine, "before_cursor_execute", execute)


def said(events: list[IncidentEvent]) -> list[tuple[str, object]]:
    """What happened to which incident, in order."""
    return [(event.action, event.incident.id) for event in events]


@pytest.fixture
def desk() -> Iterator[Engine]:
    """An empty database of the host's."""
    with database() as engine:
        yield engine


@pytest.fixture
def noted() -> Iterator[list[IncidentEvent]]:
    """What the hooks on its `Incident` report."""
    with watching(INCIDENTS) as seen:
        yield seen
