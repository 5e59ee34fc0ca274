"""Model hooks for SQLAlchemy in async sessions: the same, and nothing is loaded where loading would fail."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import NullPool

from otel_incident.events import IncidentEvent
from otel_incident.hooks.actors import user_reader
from tests.hosts.mapped import Base, Incident, User
from tests.mapped_host import INCIDENTS, said, transactional, watching
from tests.mapped_host import noted as noted  # noqa: PLC0414  a fixture is used by its name


@asynccontextmanager
async def database(path: Path) -> AsyncIterator[AsyncEngine]:
    """An empty database in a file, each connection of which is one of its own."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{path / 'desk.sqlite3'}", poolclass=NullPool)
    transactional(engine.sync_engine)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    try:
        yield engine
    finally:
        await engine.dispose()


@pytest.mark.parametrize("expire", [True, False], ids=["expires", "keeps"])
def test_async_sessions(noted: list[IncidentEvent], tmp_path: Path, expire: object) -> None:
    """Commit, rollback and savepoint, with attributes that have expired: loading one would raise here."""

    async def host() -> None:
        async with database(tmp_path) as engine:
            maker = async_sessionmaker(engine, expire_on_commit=bool(expire))
            async with maker() as session:
                incident = Incident(commander=User(id=7))
                session.add(incident)
                await session.commit()
                incident.status = "closed"
                await session.commit()
                incident.status = "open"
                await session.flush()
                await session.rollback()
                async with session.begin_nested():
                    incident.status = "open"
                await session.commit()
                savepoint = await session.begin_nested()
                incident.priority = 3
                await session.flush()
                await savepoint.rollback()
                await session.commit()
            async with maker.begin() as session:
                found = await session.get_one(Incident, 1)
                await session.execute(update(Incident).values(status="closed"))
                assert found.status == "closed"

    asyncio.run(host())
    assert said(noted) == [("create", 1), ("end", 1), ("restart", 1), ("end", 1)]
    assert noted[0].incident.commander_id == 7


def test_many_tasks_at_once(tmp_path: Path) -> None:
    """Each has a session, a trace and a user of its own, and its event is of these."""
    tracer = TracerProvider().get_tracer("desk")
    spans: dict[object, int] = {}
    pause = asyncio.Barrier(5)

    async def task(session: AsyncSession, number: int) -> None:
        user = User(id=number, is_superuser=number == 3)
        user_reader.set(lambda: user)
        with tracer.start_as_current_span("task") as span:
            spans[number] = span.get_span_context().span_id
            found = await session.get_one(Incident, number)
            await pause.wait()
            found.status = "closed"
            await session.flush()
            await pause.wait()
        if number != 4:
            await session.commit()

    async def host() -> None:
        async with AsyncExitStack() as stack:
            sessions = []
            for number in range(5):  # of each task one of its own: SQLite lets one write at a time
                (tmp_path / str(number)).mkdir()
                engine = await stack.enter_async_context(database(tmp_path / str(number)))
                sessions.append(await stack.enter_async_context(AsyncSession(engine)))
                sessions[-1].add(Incident(id=number))
                await sessions[-1].commit()
            await asyncio.gather(*(task(session, number) for number, session in enumerate(sessions)))

    text = INCIDENTS.replace("[hook.lifecycle]", '[hook.actor]\nid = "user.id"\n\n[hook.lifecycle]')
    with watching(text) as seen:
        asyncio.run(host())
    ends = [event for event in seen if event.action == "end"]
    assert sorted(event.incident.id for event in ends) == [0, 1, 2, 3]
    for event in ends:
        assert event.actor is not None
        assert event.actor.id == event.incident.id
        assert trace.get_current_span(event.context).get_span_context().span_id == spans[event.incident.id]
