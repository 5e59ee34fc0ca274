"""Model hooks for SQLAlchemy and sessions that a host drops without closing them: nothing of ours keeps one.

SQLAlchemy gives a connection back, and ends its transaction, once nobody holds the session any longer. What
leads to a session from something that lives on would lock the host's database, or use up its connections.
"""

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from sqlalchemy.pool import AsyncAdaptedQueuePool, QueuePool

from otel_incident.events import IncidentEvent
from tests.hosts.mapped import Base, Incident
from tests.mapped_host import CASES, INCIDENTS, database, said, transactional, watching
from tests.mapped_host import noted as noted  # noqa: PLC0414  a fixture is used by its name

TIMES = 3


class Refused(Exception):  # noqa: N818  what ends a host's request
    """A host's reason to end a request in the middle."""


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Engine]:
    """A database in a file, to which there is one connection, for which nobody waits."""
    engine = create_engine(
        f"sqlite:///{tmp_path / 'desk.sqlite3'}",
        poolclass=QueuePool,
        pool_size=1,
        max_overflow=0,
        pool_timeout=0,
    )
    transactional(engine)
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


def parts(session: Session, *more: object) -> list[weakref.ref[Any]]:
    """What is to be gone with a session: it, its transaction, its connection, and what is named."""
    transaction = session.get_nested_transaction() or session.get_transaction()
    return [weakref.ref(each) for each in (session, transaction, session.connection(), *more)]


def alive(held: list[weakref.ref[Any]]) -> list[object]:
    """What of it is still there once the garbage is collected."""
    gc.collect()
    return [type(each()).__name__ for each in held if each() is not None]


def flushed(engine: Engine) -> list[weakref.ref[Any]]:
    """A request that fails after a flush."""
    session, made = Session(engine), Incident()
    session.add(made)
    session.flush()
    return parts(session, made)


def savepoint(engine: Engine) -> list[weakref.ref[Any]]:
    """One that fails within a savepoint, after one that was released and one that was rolled back."""
    session, made = Session(engine), Incident()
    session.add(made)
    session.flush()
    with session.begin_nested():
        made.status = "closed"
    with suppress(Refused), session.begin_nested():
        made.status = "open"
        session.flush()
        raise Refused
    session.begin_nested()
    made.priority = 2
    session.flush()
    return parts(session, made)


def between_commits(engine: Engine) -> list[weakref.ref[Any]]:
    """One that has committed before, and reads and deletes."""
    session, made = Session(engine), Incident()
    session.add(made)
    session.commit()
    made.status = "closed"
    session.flush()
    session.refresh(made)
    session.delete(made)
    session.flush()
    return parts(session, made)


def in_a_scope(engine: Engine) -> list[weakref.ref[Any]]:
    """A thread that ends without `remove()`."""
    scope = scoped_session(sessionmaker(engine))
    held: list[weakref.ref[Any]] = []

    def work() -> None:
        made = Incident()
        scope.add(made)
        scope.flush()
        held.extend(parts(scope(), made))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return held


def saved_in_bulk(engine: Engine) -> list[weakref.ref[Any]]:
    """One that writes without a flush."""
    session, made = Session(engine), Incident(id=1)
    session.bulk_save_objects([made])
    return parts(session, made)


@pytest.mark.parametrize("request_", [flushed, savepoint, between_commits, in_a_scope, saved_in_bulk])
def test_a_session_that_is_dropped_is_gone(
    noted: list[IncidentEvent], one: Engine, request_: Callable[[Engine], list[weakref.ref[Any]]]
) -> None:
    """So are its transaction, its connection and its rows, and the next request finds the connection free."""
    for _ in range(TIMES):
        assert alive(request_(one)) == []
        noted.clear()
    with Session(one) as session:
        session.add(Incident(id=9))
        session.commit()
    assert said(noted) == [("create", 9)]


@pytest.mark.parametrize("mode", ["conditional_savepoint", "rollback_only", "create_savepoint"])
@pytest.mark.parametrize("committed", [True, False], ids=["committed", "flushed"])
def test_a_connection_that_is_dropped_with_its_session_is_gone(
    noted: list[IncidentEvent],
    one: Engine,
    mode: Literal["conditional_savepoint", "rollback_only", "create_savepoint"],
    committed: object,
) -> None:
    """A session within a transaction of the connection's: what waits for that does not keep either."""

    def request() -> list[weakref.ref[Any]]:
        connection = one.connect()
        outer = connection.begin()
        session, made = Session(connection, join_transaction_mode=mode), Incident()
        session.add(made)
        session.flush()
        held = [*parts(session, made), weakref.ref(connection), weakref.ref(outer)]
        if committed:
            session.commit()
        return held

    for _ in range(TIMES):
        assert alive(request()) == []
    assert noted == []
    with Session(one) as session:
        session.add(Incident(id=9))
        session.commit()
    assert said(noted) == [("create", 9)]


@pytest.mark.filterwarnings("ignore:The garbage collector is trying to clean up:sqlalchemy.exc.SAWarning")
def test_an_async_session_that_is_dropped_is_gone(noted: list[IncidentEvent], tmp_path: Path) -> None:
    """SQLAlchemy says that it had to close the connection itself, as it does without us."""

    async def request(engine: Any) -> list[weakref.ref[Any]]:
        session, made = AsyncSession(engine), Incident()
        session.add(made)
        await session.flush()
        sync = session.sync_session
        return [*parts(sync, made), weakref.ref(session)]

    async def host() -> None:
        engine = create_async_engine(
            f"sqlite+aiosqlite:///{tmp_path / 'desk.sqlite3'}",
            poolclass=AsyncAdaptedQueuePool,
            pool_size=1,
            max_overflow=0,
            pool_timeout=0,
        )
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        for _ in range(TIMES):
            assert alive(await request(engine)) == []
        async with AsyncSession(engine) as session:
            session.add(Incident(id=9))
            await session.commit()
        await engine.dispose()

    asyncio.run(host())
    assert said(noted) == [("create", 9)]


def test_a_session_is_not_drawn_into_anothers_work(noted: list[IncidentEvent], one: Engine) -> None:
    """What it writes that nobody watches leaves nothing of ours in it, whatever else is at work meanwhile."""
    with database() as other, Session(other) as bystander, Session(one) as session:
        bystander.add(Incident(id=2))
        bystander.commit()
        session.add(Incident(id=1))
        session.flush()
        bystander.get_one(Incident, 2).title = "Another"
        bystander.flush()
        assert (_ours(session), _ours(bystander)) == (["_otel_incident_works"], [])
        session.commit()
        bystander.commit()
    assert said(noted) == [("create", 2), ("create", 1)]


def test_nothing_of_ours_stays_in_a_session(one: Engine) -> None:
    """Neither after a commit, nor a rollback, nor when the hooks are taken away in the middle."""
    with Session(one) as session:
        with watching(INCIDENTS, CASES) as seen:
            for end in (session.commit, session.rollback, session.close):
                session.add(Incident())
                session.flush()
                assert _ours(session) == ["_otel_incident_works"]
                end()
                assert _ours(session) == []
            session.add(Incident())
            session.flush()
        assert _ours(session) == []
        session.commit()
    assert said(seen) == [("create", 1)]


def _ours(session: Session) -> list[str]:
    return [name for name in vars(session) if "otel" in name]
