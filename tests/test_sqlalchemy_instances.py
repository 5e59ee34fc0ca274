"""Model hooks for SQLAlchemy and instances: what one is known to have been, in whichever session it is."""

import asyncio
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import Engine, select, update
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, defer, load_only, make_transient_to_detached, selectinload
from sqlalchemy.pool import NullPool
from sqlmodel import Session as SqlModelSession
from sqlmodel import SQLModel
from sqlmodel import select as select_models
from sqlmodel.ext.asyncio.session import AsyncSession as SqlModelAsyncSession

from otel_incident.events import IncidentEvent
from tests.hosts.alarms import Alarm
from tests.hosts.mapped import Case, Incident, Phase, Status, User
from tests.mapped_host import CASES, INCIDENTS, said, statements, transactional, watching
from tests.mapped_host import desk as desk  # noqa: PLC0414  a fixture is used by its name

ALARMS: Final = """
[host]
name = "desk"

[[hook]]
name = "alarm"
kind = "model"
model = "tests.hosts.alarms:Alarm"
incident = { id = "self.id", commander_id = "self.owner" }
lifecycle = { field = "status", closed = ["closed"] }
commander.field = "owner"
"""


@pytest.fixture
def stored(desk: Engine) -> None:
    """An open incident and a case in the database."""
    with Session(desk) as session:
        session.add_all([Incident(id=1, commander=User(id=7)), Case(id=1)])
        session.commit()


@pytest.fixture
def noted(stored: None) -> Iterator[list[IncidentEvent]]:  # noqa: ARG001  these rows are older
    """What the hooks on `Incident` report."""
    with watching(INCIDENTS) as seen:
        yield seen


def test_what_was_deferred_is_not_known(noted: list[IncidentEvent], desk: Engine) -> None:
    """Nobody knows what the status was, so nobody can say that it changed; the priority was loaded."""
    with Session(desk) as session, statements(desk) as asked:
        incident = session.scalars(select(Incident).options(defer(Incident.status))).one()
        incident.status, incident.priority = "closed", 3
        session.commit()
        assert said(noted) == [("change_stage", 1)]
        incident.status = "open"  # what the instance has written is known
        session.commit()
    assert said(noted[1:]) == [("restart", 1)]
    assert [line.split()[0] for line in asked].count("SELECT") <= 2  # the key, which SQLAlchemy reads itself


def test_columns_that_were_not_asked_for(noted: list[IncidentEvent], desk: Engine) -> None:
    """`load_only` the watched column: what was not loaded is absent in the event, and nothing is loaded."""
    with Session(desk) as session:
        incident = session.scalars(select(Incident).options(load_only(Incident.status))).one()
        with statements(desk) as asked:
            incident.status = "closed"
            session.commit()
    assert [line.split()[0] for line in asked] == ["UPDATE"]
    assert said(noted) == [("end", 1)]
    assert noted[0].incident.commander_id is None


def test_a_host_that_refreshes(noted: list[IncidentEvent], desk: Engine) -> None:
    """What another session did in between is what the row was; a change that is refreshed away is none."""
    with Session(desk) as one, Session(desk) as two:
        incident = one.get_one(Incident, 1)
        one.rollback()
        two.get_one(Incident, 1).status = "closed"
        two.commit()
        one.refresh(incident)
        incident.status = "resolved"
        one.commit()
        one.refresh(incident)
        incident.status = "open"
        one.refresh(incident, ["status"])
        one.commit()
    assert said(noted) == [("end", 1)]


def test_two_sessions_that_end_one_incident(noted: list[IncidentEvent], desk: Engine) -> None:
    """Both have read it open and each ends it: two ends, since nobody told the second."""
    rows = []
    for _ in range(2):
        with Session(desk) as session:
            rows.append(session.get_one(Incident, 1))
    for row in rows:
        with Session(desk) as session:
            session.add(row)
            row.status = "closed"
            session.commit()
    assert said(noted) == [("end", 1), ("end", 1)]


def test_an_instance_that_was_detached(noted: list[IncidentEvent], desk: Engine) -> None:
    """Changed without a session, it is reported by the one that it is added to; also if it has expired."""
    with Session(desk) as session:
        incident = session.get_one(Incident, 1)
    incident.status = "closed"
    assert noted == []
    with Session(desk) as session:
        session.add(incident)
        session.commit()
    incident.status = "open"  # expired by the commit, and detached
    with Session(desk) as session:
        session.add(incident)
        session.commit()
    assert said(noted) == [("end", 1), ("restart", 1)]


def test_an_instance_that_was_never_read(noted: list[IncidentEvent], desk: Engine) -> None:
    """`make_transient_to_detached`: what it was is not known, so its first save says nothing."""
    incident = Incident(id=1)
    make_transient_to_detached(incident)
    with Session(desk) as session:
        session.add(incident)
        incident.status = "closed"
        session.commit()
        assert noted == []
        incident.status = "open"
        session.commit()
    assert said(noted) == [("restart", 1)]


def test_what_is_merged(noted: list[IncidentEvent], desk: Engine) -> None:
    """Compared with what is loaded for it; without `load` it is the row as it stands, and no change."""
    with Session(desk) as session:
        detached = session.scalars(select(Incident).options(selectinload(Incident.commander))).one()
    with Session(desk) as session:
        merged = session.merge(detached, load=False)
        session.commit()
        assert noted == []
        merged.status = "closed"
        session.commit()
    detached.status = "resolved"
    with Session(desk) as session:
        session.merge(detached)
        session.commit()
        detached.status = "open"
        session.merge(detached)
        session.commit()
    assert said(noted) == [("end", 1), ("restart", 1)]


@pytest.mark.parametrize("expire", [True, False], ids=["expires", "keeps"])
def test_an_enumeration_that_has_expired(desk: Engine, stored: None, expire: object) -> None:  # noqa: ARG001  its row
    """Members are compared as members, and a deferred column beside them is not loaded."""
    with watching(CASES) as seen, Session(desk, expire_on_commit=bool(expire)) as session:
        case = session.get_one(Case, 1)
        session.commit()
        for phase in (Phase.TRIAGE, Phase.REPAIR, Phase.OVER, Phase.OVER, Phase.TRIAGE):
            case.phase = phase
            with statements(desk) as asked:
                session.commit()
            assert not any("notes" in line for line in asked)
    assert said(seen) == [("change_stage", 1), ("end", 1), ("restart", 1)]
    assert seen[0].stage_index == 1


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_an_instance_that_was_unpickled(noted: list[IncidentEvent], desk: Engine, end: str) -> None:
    """What it held when it came into a session is what it was, also after the end of a transaction."""
    with Session(desk) as session:
        job = pickle.dumps(session.get_one(Incident, 1))
    incident = pickle.loads(job)  # noqa: S301  the test's own
    with Session(desk) as session:
        session.add(incident)
        incident.title = "Another"
        getattr(session, end)()
        incident.status = "closed"
        session.commit()
    assert said(noted) == [("end", 1)]


# -- SQLModel


def test_a_session_of_sqlmodel(desk: Engine) -> None:
    """`exec`, a savepoint that is rolled back, a rollback, and nobody who was before at the creation."""
    SQLModel.metadata.create_all(desk)
    with watching(ALARMS) as seen, SqlModelSession(desk) as session:
        session.add(Alarm())
        session.flush()
        alarm = session.exec(select_models(Alarm)).one()
        alarm.owner = 3
        session.commit()
        assert said(seen) == [("create", 1)]
        assert seen[0].incident.commander_id == 3
        savepoint = session.begin_nested()
        alarm.status = Status.CLOSED
        session.flush()
        savepoint.rollback()
        session.commit()
        alarm.owner = 4
        session.rollback()
        session.exec(update(Alarm).values(status=Status.CLOSED))
        session.commit()
        assert said(seen) == [("create", 1)]  # the row had expired, so nobody knows what it was
        session.refresh(alarm)
        alarm.sqlmodel_update({"status": Status.OPEN, "owner": 5})
        session.commit()
    assert said(seen[1:]) == [("restart", 1), ("change_commander", 1)]


@pytest.mark.parametrize("expire", [True, False], ids=["expires", "keeps"])
def test_an_async_session_of_sqlmodel(tmp_path: Path, expire: object) -> None:
    """The same without a load, which would raise: commit, rollback, savepoint, statement."""

    async def host() -> None:
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'desk.sqlite3'}", poolclass=NullPool)
        transactional(engine.sync_engine)
        async with engine.begin() as connection:
            await connection.run_sync(SQLModel.metadata.create_all)
        maker: Any = async_sessionmaker(engine, class_=SqlModelAsyncSession, expire_on_commit=bool(expire))
        async with maker() as session:
            alarm = Alarm(owner=3)
            session.add(alarm)
            await session.commit()
            alarm.status = Status.CLOSED
            await session.rollback()
            alarm.owner = 4
            savepoint = await session.begin_nested()
            alarm.status = Status.CLOSED
            await session.flush()
            await savepoint.rollback()
            await session.commit()
        async with maker() as session:
            found = (await session.exec(select_models(Alarm))).one()
            assert (found.owner, found.status) == (4, Status.OPEN)
            await session.exec(update(Alarm).values(status=Status.CLOSED))
            await session.commit()
        await engine.dispose()

    with watching(ALARMS) as seen:
        asyncio.run(host())
    assert said(seen) == [("create", 1), ("change_commander", 1), ("end", 1)]
