"""Serves the desk: async sessions for most, a plain one for what is old."""

import argparse
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from mapped_desk.models import (  # type: ignore[import-not-found]  # on the host's own path
    Base,
    Incident,
    Status,
    User,
)
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session

POSTGRESQL = os.environ["DESK_POSTGRESQL"].replace("postgresql://", "postgresql+psycopg://")  # noqa: TID251  where a host finds its own things is not the package's configuration

plain = create_engine(POSTGRESQL)
engine = create_async_engine(POSTGRESQL)
sessions = async_sessionmaker(engine)


@asynccontextmanager
async def opened(_: FastAPI) -> AsyncIterator[None]:
    """The tables are there, and nobody is left connected."""
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with sessions.begin() as session:
        session.add_all([User(id=7), User(id=8)])
    yield
    await engine.dispose()


application = FastAPI(lifespan=opened)


@application.post("/incidents")
async def declare(title: str, commander: int) -> int:
    """Keep an incident; its commander is set once it has a number."""
    async with sessions() as session:
        incident = Incident(title=title)
        session.add(incident)
        await session.flush()
        number: int = incident.id
        incident.commander = await session.get_one(User, commander)
        await session.commit()
        return number


@application.post("/incidents/{number}/commander")
async def hand_over(number: int, commander: int) -> None:
    """To somebody who may not exist: then the commit fails."""
    async with sessions.begin() as session:
        incident = await session.get_one(Incident, number)
        incident.commander_id = commander


@application.post("/incidents/{number}/stage")
async def advance(number: int) -> None:
    """To the next stage; the attempt before is taken back."""
    async with sessions.begin() as session:
        incident = await session.get_one(Incident, number)
        attempt = await session.begin_nested()
        incident.stage = 5
        await session.flush()
        await attempt.rollback()
        await session.refresh(incident)
        incident.stage += 1


@application.post("/incidents/{number}/end")
async def end(number: int, *, sure: bool = True) -> None:
    """End it, if the caller is sure; who is not learns of it late."""
    async with sessions.begin() as session:
        incident = await session.get_one(Incident, number)
        incident.status = Status.CLOSED
        await session.flush()
        if not sure:
            raise LookupError(f"nobody ends {incident.title}")


@application.post("/incidents/{number}/restart")
def restart(number: int) -> None:
    """In a thread, with a plain session."""
    with Session(plain) as session:
        session.get_one(Incident, number).status = Status.OPEN
        session.commit()


def main() -> None:
    """Serve until a signal; the port goes into a file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True)
    options = parser.parse_args()
    # the server hands the signal that ends it on, and without this nobody would run what is due at exit
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    listener = socket.create_server(("127.0.0.1", 0))
    partial = options.port_file.with_suffix(".partial")
    partial.write_text(str(listener.getsockname()[1]))
    partial.rename(options.port_file)  # whoever waits for the file finds it whole
    try:
        uvicorn.Server(uvicorn.Config(application, log_level="warning")).run([listener])
    finally:
        options.report.write_text(json.dumps({"threads": [each.name for each in threading.enumerate()]}))


if __name__ == "__main__":
    main()
