"""A small incident desk on Flask, sqlite3 and requests; not one line about telemetry."""

import logging
import os
import sqlite3
from contextlib import closing

import requests
from flask import Flask, request

DATABASE = os.environ["DESK_DATABASE"]  # noqa: TID251  where a host finds its own things is not the package's configuration
PAGER = os.environ["DESK_PAGER"]  # noqa: TID251  where a host finds its own things is not the package's configuration

application = Flask("flask_desk")
logger = logging.getLogger("desk")


@application.post("/incidents/<team>")
def declare(team: str) -> tuple[dict[str, object], int]:
    """Keep an incident and page the team."""
    title, reporter = request.form["title"], request.form["reporter"]
    with closing(sqlite3.connect(DATABASE)) as database, database:
        cursor = database.cursor()
        cursor.execute("create table if not exists incident (id integer primary key, title, reporter)")
        cursor.execute("insert into incident (title, reporter) values (?, ?)", [title, reporter])
    requests.get(f"{PAGER}/page/{team}", params={"title": title}, timeout=5)
    logger.warning("%s declared %s", reporter, title)
    return {"title": title}, 201


@application.get("/incidents")
def search() -> dict[str, int]:
    """Count incidents by a title, as nobody should."""
    statement = f"select count(*) from incident where title = '{request.args['title']}'"  # noqa: S608  a literal in a statement is what a gate has to stop
    with closing(sqlite3.connect(DATABASE)) as database:
        (count,) = database.cursor().execute(statement).fetchone()
    return {"count": count}


@application.post("/incidents/<int:number>/escalate")  # type: ignore[type-var]  # it never returns
def escalate(number: int) -> None:
    """Fail with a message that says what the incident is about."""
    raise LookupError(f"nobody is on call for {request.form['title']}, number {number}")
