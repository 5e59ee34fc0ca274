"""A small incident desk on FastAPI, SQLAlchemy, psycopg, sqlite3 and requests.

It counts with OpenTelemetry's own API, as applications do; what is exported, and how, is the operator's.
"""

import argparse
import json
import logging
import os
import signal
import socket
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Annotated

import psycopg  # type: ignore[import-not-found]  # not installed here
import requests
import uvicorn
from fastapi import FastAPI, Form
from opentelemetry import metrics
from sqlalchemy import create_engine, text
from starlette.responses import PlainTextResponse
from starlette.routing import Host
from starlette.types import Receive, Scope, Send

POSTGRESQL = os.environ["DESK_POSTGRESQL"]  # noqa: TID251  where a host finds its own things is not the package's configuration
ARCHIVE = os.environ["DESK_DATABASE"]  # noqa: TID251  where a host finds its own things is not the package's configuration
PAGER = os.environ["DESK_PAGER"]  # noqa: TID251  a host of the tests, which is set up so

application = FastAPI()
engine = create_engine(POSTGRESQL.replace("postgresql://", "postgresql+psycopg://"))
logger = logging.getLogger("desk")
declared = metrics.get_meter("desk").create_counter("desk.declared")

TABLE = "create table if not exists incident (id serial primary key, title text, detail text, reporter text)"


@application.post("/incidents/{team}", status_code=201)
def declare(
    team: str,
    title: Annotated[str, Form()],
    detail: Annotated[str, Form()],
    reporter: Annotated[str, Form()],
) -> dict[str, str]:
    """Keep an incident, page the team, and count."""
    fields = {"title": title, "detail": detail, "reporter": reporter}
    with engine.begin() as connection:
        connection.execute(text(TABLE))
        connection.execute(
            text("INSERT INTO incident (title, detail, reporter) VALUES (:title, :detail, :reporter)"), fields
        )
    with closing(sqlite3.connect(ARCHIVE)) as archive, archive:
        cursor = archive.cursor()
        cursor.execute(f'create table if not exists "archive of {team}" (fields text)')
        cursor.execute(f"insert into \"archive of {team}\" values ('{json.dumps(fields)}')")  # noqa: S608  a literal in a statement is what a gate has to stop
    requests.get(f"{PAGER}/page/{team}", params={"title": title}, timeout=5)
    logger.warning("%s declared %s", reporter, title, extra={"detail": detail})
    declared.add(1, {"title": title, "reporter": reporter})
    return fields


@application.get("/incidents")
def search(title: str) -> dict[str, int]:
    """Count by a title, slowly, and as nobody should."""
    statement = f"SELECT count(*), pg_sleep(0.2) FROM incident WHERE title = '{title}'"  # noqa: S608  a literal in a statement is what a gate has to stop
    with psycopg.connect(POSTGRESQL) as connection:
        (count, _) = connection.execute(statement).fetchone()
    with engine.connect() as connection:
        connection.execute(text(statement))
    return {"count": count}


@application.post("/incidents/{number}/escalate")
def escalate(number: int, title: Annotated[str, Form()]) -> None:
    """Fail with a message that says what the incident is about, after a handled failure of the database."""
    try:
        with engine.connect() as connection:
            connection.execute(text(f'SELECT * FROM "{title}"'))  # noqa: S608  a literal in a statement is what a gate has to stop
    except Exception:
        logger.exception("no such table for %s", title)
    raise LookupError(f"nobody is on call for {title}, number {number}")


async def page(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer whatever path is asked for."""
    await PlainTextResponse("a page")(scope, receive, send)


# Starlette knows no template of what is behind a host, and the instrumentation reports the path in its place.
application.router.routes.append(Host("{tenant}.pages.test", app=page))


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
