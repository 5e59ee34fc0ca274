"""Model hooks for SQLAlchemy and a session of several databases, in which rows of one key are not one row."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from sqlalchemy.ext.horizontal_shard import ShardedSession

from tests.hosts.mapped import Incident, Role, RoleKind
from tests.mapped_host import INCIDENTS, ROLES, database, said, watching

SHARDS = ("east", "west")


@pytest.fixture
def session() -> Iterator[ShardedSession]:
    """A session of the host's whose rows are in two databases."""
    with ExitStack() as stack:
        shards: Any = {name: stack.enter_context(database()) for name in SHARDS}
        made = ShardedSession(
            shard_chooser=lambda _mapper, row, _clause=None: row.shard,
            identity_chooser=lambda *_, **__: SHARDS,
            execute_chooser=lambda _context: SHARDS,
            shards=shards,
        )
        stack.enter_context(made)
        yield made


def keep(session: ShardedSession, **rows: list[Any]) -> None:
    """Add to the shards, and commit."""
    for shard, each in rows.items():
        for row in each:
            row.shard = shard  # as this host has it
            session.add(row)
    session.commit()


def test_rows_of_one_key_are_made(session: ShardedSession) -> None:
    """Each is created, and the one that is made closed has ended."""
    with watching(INCIDENTS) as seen:
        keep(session, east=[Incident(id=1)], west=[Incident(id=1, status="closed")])
    assert said(seen) == [("create", 1), ("create", 1), ("end", 1)]


@pytest.mark.parametrize("expire", [True, False], ids=["expires", "keeps"])
def test_rows_of_one_key_are_changed(session: ShardedSession, expire: object) -> None:
    """Each is compared with what it was itself."""
    session.expire_on_commit = bool(expire)
    with watching(INCIDENTS) as seen:
        keep(session, east=[Incident(id=1)], west=[Incident(id=1, status="closed")])
        seen.clear()
        east, west = (session.get_one(Incident, 1, identity_token=shard) for shard in SHARDS)
        east.status = "closed"
        session.flush()
        west.status = "open"
        session.commit()
    assert said(seen) == [("end", 1), ("restart", 1)]


def test_one_of_two_rows_of_one_key_is_gone(session: ShardedSession) -> None:
    """The other is there."""
    with watching(INCIDENTS) as seen:
        keep(session, west=[Incident(id=1)])
        seen.clear()
        session.get_one(Incident, 1, identity_token="west").status = "closed"  # noqa: S106  a shard
        east: Any = Incident(id=1)
        east.shard = "east"
        session.add(east)
        session.flush()
        session.delete(east)
        session.commit()
    assert said(seen) == [("end", 1)]


def test_the_first_commander_is_of_the_incident_in_the_same_shard(session: ShardedSession) -> None:
    """A role says who commands the new incident beside it, and is a change of the older one elsewhere."""
    with watching(INCIDENTS, ROLES) as seen:
        keep(session, east=[RoleKind(id=1, slug="commander")], west=[Incident(id=1)])
        seen.clear()
        east, west = (Role(incident_id=1, kind_id=1, person_id=person) for person in (7, 8))
        keep(session, east=[Incident(id=1), east], west=[west])
    assert sorted((event.action, event.incident.id, event.incident.commander_id) for event in seen) == [
        ("change_commander", 1, 8),
        ("create", 1, 7),
    ]
