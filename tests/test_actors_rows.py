"""Who did it where a user is a row of SQLAlchemy: a commit expires what is loaded, and no query is ours."""

import textwrap
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Final

import flask_login
import pytest
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from otel_incident.events import Actor
from otel_incident.hooks.actors import actor_of
from otel_incident.hooks.authenticated import authenticated
from otel_incident.hooks.spec import parse
from tests.actor_desk import HOOK

NUMBER: Final = 7


class Base(DeclarativeBase):
    """The tables."""


class User(flask_login.UserMixin, Base):  # type: ignore[misc]  # flask-login has no types
    """Authenticated if it is active, which a property reads from its column."""

    __tablename__ = "user"
    id: Mapped[int] = mapped_column("user_id", primary_key=True)
    is_active: Mapped[bool]
    is_superuser: Mapped[bool]


class Nobody(flask_login.AnonymousUserMixin, Base):  # type: ignore[misc]  # the same
    """A row that stands for whoever is not logged in, and says so without a column."""

    __tablename__ = "nobody"
    is_authenticated = False
    id: Mapped[int] = mapped_column(primary_key=True)


class Membership(Base):
    """A key of two columns."""

    __tablename__ = "membership"
    team: Mapped[int] = mapped_column(primary_key=True)
    member: Mapped[int] = mapped_column(primary_key=True)


@pytest.fixture
def engine() -> Iterator[Engine]:
    """A database with one row in each table."""
    made = create_engine("sqlite://")
    Base.metadata.create_all(made)
    with Session(made) as session:
        session.add_all(
            [
                User(id=NUMBER, is_active=True, is_superuser=True),
                Nobody(id=NUMBER),
                Membership(team=1, member=2),
            ]
        )
        session.commit()
    yield made
    made.dispose()


@pytest.fixture
def queries(engine: Engine) -> list[str]:
    """What is asked of the database from now on."""
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *arguments: asked.append(arguments[2]))
    return asked


def actor(user: object, *lines: str) -> Actor | None:
    """Who a hook says it was."""
    table = "\n".join(f"actor.{line}" for line in lines)
    (hook,) = parse(textwrap.dedent(HOOK) + table, "hooks.toml").hooks
    return actor_of(hook, {"user": authenticated(user)})


def test_a_row_that_is_loaded(engine: Engine, queries: list[str]) -> None:
    """Its key and its flag."""
    with Session(engine) as session:
        user = session.get(User, NUMBER)
        queries.clear()
        assert actor(user) == Actor(id=NUMBER, roles=("system_admin",))
    assert queries == []


def test_a_row_that_a_commit_has_expired(engine: Engine, queries: list[str]) -> None:
    """Its key is known all the same, its flag is not."""
    with Session(engine) as session:
        user = session.get(User, NUMBER)
        session.commit()
        queries.clear()
        assert actor(user) == Actor(id=NUMBER)
    assert queries == []


def test_a_row_whose_session_is_closed(engine: Engine) -> None:
    """Where even the host could not load it any more."""
    with Session(engine) as session:
        user = session.get(User, NUMBER)
        session.commit()
    assert actor(user) == Actor(id=NUMBER)


def test_a_row_that_says_it_is_nobody(engine: Engine) -> None:
    """By a class's own flag, which is no property."""
    with Session(engine) as session:
        assert actor(session.get(Nobody, NUMBER)) is None


def test_what_is_no_row_yet() -> None:
    """It has no key, and nothing is known of it."""
    assert actor(User(is_active=True)) is None


def test_a_key_of_several_columns(engine: Engine, queries: list[str]) -> None:
    """Each is found by the name that the host's class gives it, and nothing else is."""
    with Session(engine) as session:
        member = session.get(Membership, (1, 2))
        session.commit()
        queries.clear()
        found = SimpleNamespace(row=member)
        assert actor(found, 'id = "user.row.member"') is None  # a user without `is_authenticated` is nobody
        found.is_authenticated = True
        assert actor(found, 'id = "user.row.member"') == Actor(id=2)
        assert actor(found, 'id = "user.row.team"') == Actor(id=1)
        assert actor(found, 'id = "user.row.other"') is None
    assert queries == []
