"""Rows in SQLAlchemy that say what is done with an incident: entries of its history, and people's roles."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from otel_incident.events import Actor, IncidentEvent
from tests.hosts.mapped import Base, Case, Entry, Incident, Phase, Role, RoleKind, User
from tests.mapped_host import CASES, INCIDENTS, ROLES, said, statements, transactional, watching
from tests.mapped_host import desk as desk  # noqa: PLC0414  a fixture is used by its name

ENTRIES: Final = """
[host]
name = "desk"

[[hook]]
name = "entry"
kind = "model"
model = "tests.hosts.mapped:Entry"
incident.id = "self.incident_id"
actor.id = "self.author_id"

[hook.row]
of = "incident"
field = "type"
create = ["START"]
end = ["END", "CLOSE"]
restart = ["REOPEN"]
"""
PRIORITIES: Final = """
[host]
name = "desk"

[[hook]]
name = "priority"
kind = "model"
model = "tests.hosts.mapped:Incident"
incident.id = "self.id"
row = { of = "id" }
stage = { field = "priority", offset = -1 }
commander = { field = "commander" }
"""
COMMANDER: Final = 1
SCRIBE: Final = 2


@pytest.fixture
def session(desk: Engine) -> Iterator[Session]:
    """A session of the host's, with an incident and the kinds of roles in the database."""
    with Session(desk) as session:
        session.add_all([RoleKind(id=COMMANDER, slug="commander"), RoleKind(id=SCRIBE, slug="scribe")])
        session.add(Incident(id=1))
        session.commit()
        yield session


@pytest.fixture
def entries(session: Session) -> Iterator[list[IncidentEvent]]:  # noqa: ARG001  its rows are older
    """What the hook on `Entry` reports."""
    with watching(ENTRIES) as seen:
        yield seen


@pytest.fixture
def roles(session: Session) -> Iterator[list[IncidentEvent]]:  # noqa: ARG001  its rows are older
    """What the hooks on `Incident` and `Role` report."""
    with watching(INCIDENTS, ROLES) as seen:
        yield seen


def keep(session: Session, *rows: Base) -> None:
    """Add and commit."""
    session.add_all(rows)
    session.commit()


def test_a_new_row_means_what_its_field_says(entries: list[IncidentEvent], session: Session) -> None:
    """Each value is its action, in the order of the rows; other values are none; the actor is the row's."""
    for kind in ("START", "END", "NOTE", "REOPEN", "CLOSE", "end"):
        keep(session, Entry(incident_id=1, type=kind, author_id=3))
    assert said(entries) == [("create", 1), ("end", 1), ("restart", 1), ("end", 1)]
    assert {event.actor for event in entries} == {Actor(id=3)}


def test_a_row_that_is_changed_is_no_action(entries: list[IncidentEvent], session: Session) -> None:
    """Whatever becomes of an entry in a later transaction, what it said has happened."""
    entry = Entry(incident_id=1)
    keep(session, entry)
    entry.type = "END"
    session.commit()
    assert entries == []


def test_a_row_that_is_rolled_back_never_was(entries: list[IncidentEvent], session: Session) -> None:
    """Nothing is said of a transaction that ends so, nor of a savepoint."""
    session.add(Entry(incident_id=1, type="END"))
    session.flush()
    session.rollback()
    session.add(Entry(incident_id=1, type="START"))
    savepoint = session.begin_nested()
    session.add(Entry(incident_id=1, type="END"))
    session.flush()
    savepoint.rollback()
    assert entries == []
    session.commit()
    assert said(entries) == [("create", 1)]


def test_a_row_that_is_gone_at_the_commit_says_nothing(
    entries: list[IncidentEvent], session: Session
) -> None:
    """Made and deleted in one transaction, it was never there to anybody else."""
    entry = Entry(incident_id=1, type="END")
    session.add(entry)
    session.flush()
    session.delete(entry)
    session.commit()
    assert entries == []


def test_a_member_of_an_enumeration_means_what_its_value_says(session: Session) -> None:
    """The file names values, in `[hook.row]` and in `[hook.when]`."""
    field = ENTRIES.replace('"type"', '"phase"').replace('"END"', '"over"')
    when = ENTRIES.replace("\n[hook.row]", '\nwhen = { "self.phase" = ["repair"] }\n\n[hook.row]')
    with watching(field) as seen:
        keep(session, Entry(incident_id=1, phase=Phase.OVER), Entry(incident_id=1))
    assert said(seen) == [("end", 1)]
    with watching(when) as seen:
        for phase in (Phase.TRIAGE, Phase.REPAIR):
            keep(session, Entry(incident_id=1, type="END", phase=phase))
    assert said(seen) == [("end", 1)]


def test_a_condition_that_finds_nothing_is_said(session: Session, caplog: pytest.LogCaptureFixture) -> None:
    """Which row is not known is not reported, and said once, without a value."""
    text = ENTRIES.replace("\n[hook.row]", '\nwhen = { "self.incident.id" = 3 }\n\n[hook.row]')
    with watching(text) as seen:
        for _ in range(2):
            keep(session, Entry(incident_id=1, type="END"))
    assert seen == []
    (said_of_it,) = caplog.messages
    assert said_of_it == (
        "one.toml, hook 'entry': nothing is found at self.incident.id (when) for a row, so it is not "
        "reported; correct the path, or have the host load it. This is said once."
    )


@pytest.mark.parametrize("condition", ['"self.author_id" = 3', '"self.id" = { path = "self.author_id" }'])
def test_a_row_that_holds_nothing_there_is_not_meant(
    session: Session, caplog: pytest.LogCaptureFixture, condition: str
) -> None:
    """NULL is none of the values and the same as nothing, which is no mistake that is to be said."""
    text = ENTRIES.replace("\n[hook.row]", f"\nwhen = {{ {condition} }}\n\n[hook.row]")
    with watching(text) as seen:
        keep(session, Entry(incident_id=1, type="END", author_id=None))
        assert seen == []
        keep(session, Entry(id=3, incident_id=1, type="END", author_id=3))
    assert said(seen) == [("end", 1)]
    assert caplog.messages == []


@pytest.mark.parametrize("of", ["incident", "incident_id"])
def test_the_first_commander_of_a_new_incident_is_no_change(session: Session, of: str) -> None:
    """In the transaction that makes the incident; another person in it is a change, and so is a later row."""
    with watching(INCIDENTS, ROLES.replace('of = "incident"', f'of = "{of}"')) as roles:
        commander = session.get_one(RoleKind, COMMANDER)
        role = Role(incident=Incident(id=5), person_id=7, kind=commander)
        session.add(role)
        session.flush()
        savepoint = session.begin_nested()
        session.add(Role(incident_id=5, person_id=8, kind=commander))
        savepoint.commit()
        session.commit()
        assert said(roles) == [("create", 5)]
        role.person_id = 8
        session.commit()
        keep(session, Role(incident_id=1, person_id=9, kind=commander))
    assert said(roles[1:]) == [("change_commander", 5), ("change_commander", 1)]
    assert [event.incident.commander_id for event in roles[1:]] == [8, 9]


def test_a_creation_says_who_its_first_commander_is(roles: list[IncidentEvent], session: Session) -> None:
    """Whose row is made in the same transaction and stays, unless the incident itself has one."""
    commander, scribe = (session.get_one(RoleKind, kind) for kind in (COMMANDER, SCRIBE))
    session.add(Incident(id=5))
    session.flush()
    held = Role(incident_id=5, person_id=6, kind=commander)
    session.add_all([Role(incident_id=5, person_id=9, kind=scribe), held])
    session.flush()
    held.person_id = 7
    session.commit()
    session.add(Incident(id=6))
    session.flush()
    savepoint = session.begin_nested()
    session.add(Role(incident_id=6, person_id=8, kind=commander))
    session.flush()
    savepoint.rollback()
    session.commit()
    keep(
        session, User(id=9), Incident(id=8, commander_id=9), Role(incident_id=8, person_id=7, kind=commander)
    )
    keep(session, Incident(id=9), Incident(id=10), Role(incident_id=10, person_id=7, kind=commander))
    session.add(Incident(id=11))
    session.commit()
    keep(session, Role(incident_id=11, person_id=7, kind=commander))
    keep(session, Incident(id=12, status="closed"), Role(incident_id=12, person_id=7, kind=commander))
    assert [(event.action, event.incident.id, event.incident.commander_id) for event in roles] == [
        ("create", 5, 7),
        ("create", 6, None),
        ("create", 8, 9),
        ("create", 9, None),
        ("create", 10, 7),
        ("create", 11, None),
        ("change_commander", 11, 7),
        ("create", 12, 7),
        ("end", 12, None),
    ]


def test_a_row_of_another_table_has_another_commander(session: Session) -> None:
    """Rows of two tables that are made in one transaction may have one key."""
    with watching(INCIDENTS, ROLES, CASES) as seen:
        commander = session.get_one(RoleKind, COMMANDER)
        keep(session, Incident(id=77), Case(id=77), Role(incident_id=77, person_id=7, kind=commander))
    assert sorted((event.action, str(event.incident.commander_id)) for event in seen) == [
        ("create", "7"),
        ("create", "None"),
    ]


def test_a_creation_does_not_name_who_commands_it_no_longer(
    roles: list[IncidentEvent], session: Session
) -> None:
    """A role that is taken away in the transaction that makes the incident."""
    session.add(Incident(id=5))
    session.flush()
    held = Role(incident_id=5, person_id=7, kind=session.get_one(RoleKind, COMMANDER))
    session.add(held)
    session.flush()
    session.delete(held)
    session.commit()
    assert [(event.action, event.incident.id, event.incident.commander_id) for event in roles] == [
        ("create", 5, None)
    ]


def hand_over(session: Session, person: int) -> None:
    """Roles are made, read again, expire, and are somebody else's then."""
    kinds = session.query(RoleKind).all()
    keep(session, *[Role(incident_id=1, kind_id=kind.id, person_id=person) for kind in kinds])
    session.expunge_all()
    found = session.query(Role).where(Role.person_id == person).all()
    session.commit()
    for role in found:
        role.person_id = person + 1
    session.commit()


def test_a_kind_that_the_host_has_read_before(session: Session, desk: Engine) -> None:
    """The role holds its kind's key alone, or not even that: what it is called is known without a query."""
    with statements(desk) as unwatched:
        hand_over(session, 5)
    with statements(desk) as watched, watching(INCIDENTS, ROLES) as roles:
        hand_over(session, 7)
    assert watched == unwatched
    assert said(roles) == [("change_commander", 1), ("change_commander", 1)]
    assert [event.incident.commander_id for event in roles] == [7, 8]


def test_a_kind_that_is_no_longer_a_roles(session: Session) -> None:
    """What a condition asks about is known as it was last written, though the instance holds it no longer."""
    with watching(ROLES) as roles:
        kinds = session.query(RoleKind).all()
        role = Role(incident_id=1, kind_id=COMMANDER, person_id=7)
        keep(session, role)
        assert said(roles) == [("change_commander", 1)]
        session.refresh(role)
        role.kind_id = kinds[1].id
        session.flush()
        session.expire(role, ["kind_id"])
        role.person_id = 8
        session.commit()
    assert said(roles) == [("change_commander", 1)]


def test_the_incident_itself_without_its_lifecycle(session: Session) -> None:
    """With `of = "id"` only what changes is reported, not that the row is new, nor what it is made with."""
    with watching(PRIORITIES) as seen:
        incident = Incident(id=2, priority=2)
        session.add(incident)
        session.flush()
        incident.priority = 4
        session.commit()
        assert seen == []
        incident.priority = 3
        session.commit()
    assert [(event.action, event.stage_index) for event in seen] == [("change_stage", 2)]


def test_a_commander_that_an_incident_is_made_with(session: Session) -> None:
    """Its creation is said elsewhere, and nobody has taken over from nobody."""
    with watching(PRIORITIES.replace('"commander" }', '"team_id" }')) as seen:
        incident = Incident(id=2, team_id=7)
        keep(session, incident)
        assert seen == []
        incident.team_id = 8
        session.commit()
    assert said(seen) == [("change_commander", 2)]


@pytest.mark.parametrize(
    "wrong", [('of = "incident"', 'of = "elsewhere"'), ('"type"', '"elsewhere"')], ids=["of", "field"]
)
def test_a_field_that_is_not_there(
    session: Session, caplog: pytest.LogCaptureFixture, wrong: tuple[str, str]
) -> None:
    """The hook reports nothing, which is said with the name of the field."""
    with watching(ENTRIES.replace(*wrong)) as seen:
        keep(session, Entry(incident_id=1, type="END"))
    assert seen == []
    (said_of_it,) = caplog.messages
    assert said_of_it == (
        "one.toml, hook 'entry': the model tests.hosts.mapped:Entry has no column 'elsewhere', nor a "
        "relation of this name whose key is in the row, so the hook reports nothing; correct it."
    )


def test_nothing_of_ours_is_left_on_related_classes(session: Session) -> None:
    """After the hooks were taken away, what is read of a kind is not remembered."""
    with watching(ROLES):
        pass
    with watching(ROLES) as seen:
        keep(session, Role(incident_id=1, kind_id=COMMANDER, person_id=7))
    assert seen == []  # nobody has read the kind since
    assert not RoleKind.__mapper__.class_manager.dispatch.load


def test_async_sessions(tmp_path: Path) -> None:
    """The same: a role is taken and handed over without a load, which would raise here."""

    async def host() -> None:
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'desk.sqlite3'}", poolclass=NullPool)
        transactional(engine.sync_engine)
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        maker = async_sessionmaker(engine)
        async with maker.begin() as session:
            session.add_all([RoleKind(id=COMMANDER, slug="commander"), Incident(id=1)])
        async with maker() as session:
            role = Role(incident_id=1, kind_id=COMMANDER, person_id=7)
            session.add(role)
            await session.commit()
            role.person_id = 8
            await session.commit()
        await engine.dispose()

    with watching(INCIDENTS, ROLES) as seen:
        asyncio.run(host())
    assert said(seen) == [("create", 1), ("change_commander", 1), ("change_commander", 1)]
