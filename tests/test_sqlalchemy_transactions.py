"""Model hooks for SQLAlchemy and transactions: what is committed is said once, what is not is forgotten."""

import asyncio
import gc
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, delete, event, text, update
from sqlalchemy.engine import Transaction
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from sqlalchemy.pool import NullPool

from otel_incident.events import IncidentEvent
from tests.hosts.mapped import Base, Incident, User
from tests.mapped_host import INCIDENTS, said, transactional, watching
from tests.mapped_host import desk as desk  # noqa: PLC0414  a fixture is used by its name
from tests.mapped_host import noted as noted  # noqa: PLC0414  the same


class Refused(Exception):  # noqa: N818  what a host raises to roll back
    """A host's reason to roll back."""


@pytest.fixture
def session(desk: Engine) -> Iterator[Session]:
    """A session of the host's."""
    with Session(desk) as made:
        yield made


@pytest.fixture
def incident(noted: list[IncidentEvent], session: Session) -> Incident:
    """An open incident that was reported already."""
    made = Incident()
    session.add(made)
    session.commit()
    noted.clear()
    return made


@contextmanager
def rolled_back(session: Session) -> Iterator[None]:
    """A savepoint that an exception rolls back."""
    with suppress(Refused), session.begin_nested():
        yield
        raise Refused


def test_a_change_waits_for_the_commit(
    noted: list[IncidentEvent], session: Session, incident: Incident
) -> None:
    """A flush is none."""
    incident.status = "closed"
    session.flush()
    assert noted == []
    session.commit()
    assert said(noted) == [("end", 1)]


def test_an_automatic_flush_is_one(noted: list[IncidentEvent], session: Session, incident: Incident) -> None:
    """Before a query SQLAlchemy flushes by itself."""
    incident.status = "closed"
    assert session.query(Incident).filter_by(status="closed").count() == 1
    assert noted == []
    session.commit()
    assert said(noted) == [("end", 1)]


def test_what_is_rolled_back_is_forgotten(
    noted: list[IncidentEvent], session: Session, incident: Incident
) -> None:
    """And what the row was before is known again: the same change can be made then."""
    incident.status = "closed"
    session.flush()
    session.refresh(incident)
    session.rollback()
    incident.status = "closed"
    session.commit()
    assert said(noted) == [("end", 1)]


def test_a_session_that_is_closed_has_committed_nothing(
    noted: list[IncidentEvent], session: Session, incident: Incident
) -> None:
    """No rollback is said of it."""
    incident.status = "closed"
    session.flush()
    session.close()
    session.get_one(Incident, 1).title = "Another"
    session.commit()
    assert noted == []


def test_a_flush_that_fails(noted: list[IncidentEvent], session: Session, incident: Incident) -> None:
    """All of it is undone, what was written before the failure too."""
    incident.status = "closed"
    session.add_all([User(id=1), Incident()])
    session.flush()
    session.add_all([Incident(), Incident(id=1)])
    with pytest.raises(IntegrityError), pytest.warns(match="conflicts with persistent instance"):
        session.flush()
    session.rollback()
    session.add(Incident(id=9))
    session.commit()
    assert said(noted) == [("create", 9)]


def test_a_flush_that_fails_late(noted: list[IncidentEvent], session: Session, incident: Incident) -> None:
    """A row that was written by then has not been written, and nothing of it is left for the next flush."""

    def fail(*_: Any) -> None:
        raise Refused

    event.listen(Incident, "after_insert", fail)
    try:
        with suppress(Refused), session.begin_nested():
            session.add(Incident(id=5))
            session.flush()
    finally:
        event.remove(Incident, "after_insert", fail)
    incident.status = "closed"
    session.commit()
    assert said(noted) == [("end", 1)]


def test_one_event_for_each_transition_of_a_transaction(
    noted: list[IncidentEvent], session: Session, incident: Incident
) -> None:
    """From what it was when the transaction began to what it is at its end, however often it was written."""
    for status in ("closed", "open", "resolved", "closed"):
        incident.status = status
        session.flush()
    session.commit()
    assert said(noted) == [("end", 1)]
    noted.clear()
    for status in ("open", "closed"):
        incident.status = status
        session.flush()
    session.commit()
    assert noted == []


def test_events_come_in_the_order_of_their_changes(
    noted: list[IncidentEvent], session: Session, incident: Incident
) -> None:
    """Of several rows, too."""
    other = Incident()
    session.add(other)
    session.flush()
    incident.status = "closed"
    session.flush()
    other.status = "resolved"
    session.flush()
    incident.priority = 2
    session.commit()
    assert said(noted) == [("create", 2), ("end", 1), ("end", 2), ("change_stage", 1)]


def test_savepoints(noted: list[IncidentEvent], session: Session, incident: Incident) -> None:
    """Of one that is released all is kept, of one that is rolled back nothing."""
    with session.begin_nested():
        incident.status = "closed"
    assert noted == []
    with rolled_back(session):
        incident.status = "open"
        incident.priority = 2
        session.add(Incident())
    with rolled_back(session), session.begin_nested():
        incident.priority = 4
    with session.begin_nested(), session.begin_nested():
        incident.priority = 3
    session.commit()
    assert said(noted) == [("end", 1), ("change_stage", 1)]
    assert noted[1].stage_index == 2


def test_a_retry_after_a_savepoint(noted: list[IncidentEvent], session: Session, incident: Incident) -> None:
    """The second attempt is the change, within a savepoint or without."""
    with rolled_back(session):
        incident.status = "closed"
        session.flush()
    incident.status = "closed"
    with rolled_back(session):
        incident.status = "open"
        session.flush()
    session.commit()
    assert said(noted) == [("end", 1)]


def test_a_savepoint_by_hand(noted: list[IncidentEvent], session: Session, incident: Incident) -> None:
    """`rollback()` of the savepoint itself, and a commit that ends what is open."""
    savepoint = session.begin_nested()
    incident.status = "closed"
    session.flush()
    savepoint.rollback()
    session.begin_nested()
    incident.priority = 2
    session.commit()  # of the savepoint and all that is around it
    assert said(noted) == [("change_stage", 1)]


def test_a_rollback_takes_back_what_a_savepoint_has_kept(
    noted: list[IncidentEvent], session: Session, incident: Incident
) -> None:
    """What the row is then is what it was before all of it, though nobody has read it again."""
    for priority in (2, 3):
        incident.status = "closed"
        incident.priority = priority
        session.flush()
    with session.begin_nested():
        incident.status = "open"
    session.rollback()
    incident.status = "closed"
    session.commit()
    assert said(noted) == [("end", 1)]


def test_a_row_that_is_deleted_in_a_savepoint_that_is_not_kept(
    noted: list[IncidentEvent], session: Session
) -> None:
    """It is there all the same."""
    made = Incident()
    session.add(made)
    session.flush()
    with rolled_back(session):
        session.delete(made)
        session.flush()
    session.commit()
    assert said(noted) == [("create", 1)]


def test_a_row_that_is_closed_and_then_deleted(
    noted: list[IncidentEvent], session: Session, incident: Incident
) -> None:
    """It was there before, so that it ended in the same transaction is said."""
    incident.status = "closed"
    session.flush()
    session.delete(incident)
    session.commit()
    assert said(noted) == [("end", 1)]


def test_a_row_that_is_replaced_in_one_flush(noted: list[IncidentEvent], session: Session) -> None:
    """Deleted and added again with its key, it is there: it was made in this transaction, as it is now."""
    made = Incident(id=1)
    session.add(made)
    session.flush()
    session.delete(made)
    session.add(Incident(id=1, status="closed"))
    session.flush()
    session.commit()
    assert said(noted) == [("create", 1), ("end", 1)]


@pytest.mark.parametrize("maker", ["in bulk", "expunged", "gone"])
def test_a_row_that_is_deleted_by_another_instance(
    noted: list[IncidentEvent], session: Session, maker: str
) -> None:
    """It has never been, though the instance that made it never had a session, has left it, or is no more."""
    made = Incident(id=1)
    if maker == "in bulk":
        session.bulk_save_objects([made])
    else:
        session.add(made)
        session.flush()
        session.expunge(made)
    if maker == "gone":
        del made
        gc.collect()
    session.delete(session.get_one(Incident, 1))
    session.commit()
    assert noted == []


@pytest.mark.parametrize("synchronize", ["evaluate", "fetch"])
def test_a_row_that_a_statement_deletes_in_its_transaction(
    noted: list[IncidentEvent], session: Session, synchronize: Any
) -> None:
    """Of a row that nobody else has ever seen nothing is said, but of one that such a statement leaves."""
    made, user = [Incident(), Incident()], User(id=2)
    session.add_all([*made, user])
    session.flush()
    statement = delete(Incident).where(Incident.id == made[0].id)
    session.execute(statement, execution_options={"synchronize_session": synchronize})
    session.execute(delete(User))
    session.commit()
    assert said(noted) == [("create", 2)]


def test_sessions_do_not_hear_of_one_another(noted: list[IncidentEvent], desk: Engine) -> None:
    """Two threads of a web server: what one commits says nothing of the other's."""
    one, two = Session(desk), Session(desk)
    one.add(Incident(id=1))
    one.flush()
    assert noted == []
    two.close()
    one.commit()
    one.close()
    assert said(noted) == [("create", 1)]


def test_sessions_of_a_maker_and_of_a_scope(noted: list[IncidentEvent], desk: Engine) -> None:
    """Each maker makes a class of its own."""
    maker = sessionmaker(desk)
    with maker.begin() as session:
        session.add(Incident(id=1))
    scope = scoped_session(maker)
    scope.add(Incident(id=2))
    scope.commit()
    scope.remove()
    assert said(noted) == [("create", 1), ("create", 2)]


def test_without_expiry_at_the_commit(noted: list[IncidentEvent], desk: Engine) -> None:
    """`expire_on_commit=False` is what async hosts have."""
    with Session(desk, expire_on_commit=False) as session:
        incident = Incident()
        session.add(incident)
        session.commit()
        incident.status = "closed"
        session.commit()
        incident.status = "closed"
        session.commit()
    assert said(noted) == [("create", 1), ("end", 1)]


def test_an_instance_that_is_gone_before_the_commit(
    noted: list[IncidentEvent], session: Session, incident: Incident
) -> None:
    """The host need not keep it: what was written is committed."""
    incident.status = "closed"
    session.flush()
    session.expunge(incident)
    session.commit()
    assert said(noted) == [("end", 1)]


@pytest.mark.parametrize(
    ("end", "events"),
    [
        ("commit", []),
        ("rollback", [("end", 1)]),
        ("rollback of a savepoint", [("end", 1)]),
        ("close", [("end", 1)]),
        ("rollback of the connection", [("end", 1)]),
    ],
)
def test_an_instance_that_has_read_what_is_then_rolled_back(
    noted: list[IncidentEvent],
    desk: Engine,
    incident: Incident,  # noqa: ARG001  its row
    end: str,
    events: list[tuple[str, object]],
) -> None:
    """The instance that has written it is gone: this one knows that its row is what it was before that."""
    joined = end == "rollback of the connection"
    with desk.connect() as connection, Session(connection if joined else desk) as session:
        outer = connection.begin() if joined else None
        savepoint = session.begin_nested() if end == "rollback of a savepoint" else session
        session.get_one(Incident, 1).status = "closed"
        session.flush()
        gc.collect()
        read = session.get_one(Incident, 1)
        assert read.status == "closed"
        if outer is not None:
            session.commit()
            outer.rollback()
        else:
            getattr(savepoint, end.split(maxsplit=1)[0])()
        noted.clear()
        session.close()
    with Session(desk) as later:
        later.add(read)
        later.expire(read)
        read.status = "closed"
        later.commit()
    assert said(noted) == events


def test_what_changes_of_a_row_before_the_commit(noted: list[IncidentEvent], session: Session) -> None:
    """Its event says what the row is then, of columns that are not watched, too."""
    made = Incident(id=1)
    session.add(made)
    session.flush()
    made.team_id = 9
    session.commit()
    assert [(event.action, event.incident.team_id) for event in noted] == [("create", 9)]


def test_merged_instances(noted: list[IncidentEvent], session: Session, incident: Incident) -> None:
    """What is merged is compared with what is loaded for it; what has no row makes one."""
    session.expunge(incident)
    session.merge(Incident(id=1, status="closed", priority=1, title="Payments are down"))
    session.merge(Incident(id=5))
    session.commit()
    assert sorted(said(noted)) == [("create", 5), ("end", 1)]


# -- within a transaction of a connection's


@pytest.mark.parametrize("mode", ["conditional_savepoint", "rollback_only", "create_savepoint"])
def test_a_session_within_a_transaction_of_the_hosts(
    noted: list[IncidentEvent], desk: Engine, mode: Any
) -> None:
    """Its commit is none: what it did is reported when the connection commits, and only then."""
    with desk.connect() as connection:
        with connection.begin() as outer:
            with Session(connection, join_transaction_mode=mode) as session:
                incident = Incident(id=1)
                session.add(incident)
                session.commit()
                incident.status = "closed"
                session.commit()
            assert noted == []
            outer.commit()
        assert said(noted) == [("create", 1), ("end", 1)]
        noted.clear()
        with Session(connection, join_transaction_mode=mode) as session, connection.begin() as outer:
            incident = session.get_one(Incident, 1)
            incident.status = "open"
            session.commit()
            outer.rollback()
        assert noted == []
        with Session(connection, join_transaction_mode="control_fully") as session:
            session.get_one(Incident, 1).status = "open"
            session.commit()
    assert said(noted) == [("restart", 1)]


@pytest.mark.parametrize("kept", [True, False])
def test_a_session_that_is_closed_within_a_transaction_of_the_hosts(
    noted: list[IncidentEvent], desk: Engine, *, kept: bool
) -> None:
    """What it has flushed is in the transaction, and is reported or forgotten with it."""
    with desk.connect() as connection:
        outer = connection.begin()
        with Session(connection) as session:
            session.add(Incident(id=1))
            session.flush()
            with rolled_back(session):
                session.add(Incident(id=2))
            with session.begin_nested(), session.begin_nested():
                session.add(Incident(id=3))
            with rolled_back(session), session.begin_nested():
                session.add(Incident(id=4))
        with Session(connection) as session, session.begin_nested():
            session.add(Incident(id=5))
        assert noted == []
        if kept:
            outer.commit()
        else:
            outer.rollback()
    assert said(noted) == ([("create", 1), ("create", 3), ("create", 5)] if kept else [])


def test_a_session_that_takes_its_work_back_within_a_transaction_of_the_hosts(
    noted: list[IncidentEvent], desk: Engine
) -> None:
    """Its rollback is one, and so is its end where it has a savepoint of its own, or ends all itself."""
    with desk.connect() as connection:
        with connection.begin() as outer, Session(connection) as session:
            session.add(Incident(id=1))
            session.flush()
            session.rollback()
            assert not outer.is_active
        for mode in ("create_savepoint", "control_fully"):
            with connection.begin(), Session(connection, join_transaction_mode=mode) as session:
                session.add(Incident(id=2))
                session.flush()
        with connection.begin():
            connection.begin_nested()
            with Session(connection, join_transaction_mode="rollback_only") as session:
                session.add(Incident(id=3))
                session.flush()
                session.rollback()
    assert noted == []


@pytest.mark.parametrize("end", [Session.commit, Session.close])
@pytest.mark.parametrize("kept", [True, False])
def test_a_statement_within_a_transaction_of_the_hosts(
    noted: list[IncidentEvent], desk: Engine, incident: Incident, end: Any, *, kept: bool
) -> None:
    """What it has made of the rows that its session holds waits for the connection, too."""
    with desk.connect() as connection:
        outer = connection.begin()
        session = Session(connection)
        incident = session.get_one(Incident, 1)
        session.execute(update(Incident).values(status="closed"))
        assert incident.status == "closed"
        end(session)
        assert noted == []
        if kept:
            outer.commit()
        else:
            outer.rollback()
    assert said(noted) == ([("end", 1)] if kept else [])


def test_a_commit_that_the_database_refuses(
    noted: list[IncidentEvent], desk: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is reported before the database has committed, nor if it refuses: the next attempt counts."""
    reported_by_then: list[int] = []
    commit, refuses = desk.dialect.do_commit, [False]

    def asked(connection: Any) -> None:
        reported_by_then.append(len(noted))
        if refuses[0]:  # as of a deferred constraint
            connection.rollback()
            raise sqlite3.OperationalError
        commit(connection)

    monkeypatch.setattr(desk.dialect, "do_commit", asked)
    with desk.connect() as connection, Session(connection, join_transaction_mode="rollback_only") as session:
        outer = connection.begin()
        session.add(Incident(id=1))
        session.commit()
        refuses[0] = True
        with suppress(OperationalError):
            outer.commit()
        outer.rollback()
        assert noted == []
        refuses[0] = False
        with connection.begin():
            session.add(Incident(id=1))
            session.commit()
        assert reported_by_then == [0, 0]
        assert said(noted) == [("create", 1)]


def test_an_async_connection(noted: list[IncidentEvent], tmp_path: Path) -> None:
    """The same for a session within a transaction of an async connection."""

    async def host() -> None:
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path / 'desk.sqlite3'}", poolclass=NullPool)
        transactional(engine.sync_engine)
        async with engine.connect() as connection:
            await connection.run_sync(Base.metadata.create_all)
            await connection.commit()
            for number, kept in ((1, False), (2, True)):
                async with AsyncSession(connection, join_transaction_mode="rollback_only") as session:
                    outer = await connection.begin()
                    session.add(Incident(id=number))
                    await session.commit()
                    assert noted == []
                    await (outer.commit() if kept else outer.rollback())
        await engine.dispose()

    asyncio.run(host())
    assert said(noted) == [("create", 2)]


def test_connections_are_left_as_they_were(desk: Engine) -> None:
    """SQLAlchemy's own method is put back."""
    commit = Transaction.commit
    with watching(INCIDENTS) as seen:
        with (
            desk.begin() as connection,
            Session(connection, join_transaction_mode="rollback_only") as session,
        ):
            session.add(Incident(id=1))
            session.commit()
        assert Transaction.commit is not commit
    assert said(seen) == [("create", 1)]
    assert Transaction.commit is commit


def test_savepoints_around_a_session(noted: list[IncidentEvent], desk: Engine) -> None:
    """What the host takes back to a savepoint of its own is forgotten, whenever the savepoint was made."""
    with desk.connect() as connection, connection.begin():
        for number, kept in ((1, False), (2, True), (3, False), (4, True)):
            savepoint = connection.begin_nested()
            with Session(connection, join_transaction_mode="create_savepoint") as session:
                session.add(Incident(id=number))
                session.commit()
            if kept:
                savepoint.commit()
            else:
                savepoint.rollback()
        assert noted == []
    assert said(noted) == [("create", 2), ("create", 4)]


def test_what_the_host_takes_back_was_not(noted: list[IncidentEvent], desk: Engine) -> None:
    """The row is what it was, for the instance that outlives it too."""
    with Session(desk) as session:
        session.add(Incident(id=1))
        session.commit()
    noted.clear()
    with desk.connect() as connection, Session(connection, join_transaction_mode="rollback_only") as session:
        outer = connection.begin()
        incident = session.get_one(Incident, 1)
        incident.status = "closed"
        session.commit()
        outer.rollback()
        connection.begin()
        incident.status = "closed"
        session.commit()
        connection.commit()
    assert said(noted) == [("end", 1)]


# -- what a host does beside


def test_a_listener_that_fails_costs_no_event(
    noted: list[IncidentEvent], desk: Engine, session: Session, incident: Incident
) -> None:
    """SQLAlchemy skips listeners after one that raises; the row is committed, so its event goes out."""

    def fail(_session: Any) -> None:
        raise Refused

    event.listen(Session, "after_commit", fail)
    try:
        with watching(INCIDENTS) as seen, suppress(Refused):
            assert incident.status == "open"
            incident.status = "closed"
            session.commit()
    finally:
        event.remove(Session, "after_commit", fail)
    assert said(seen) == [("end", 1)]
    assert said(noted) == [("end", 1)]
    with desk.connect() as connection:
        assert connection.execute(text("select status from incident")).scalar_one() == "closed"


def test_a_listener_that_changes_rows_at_the_flush(
    noted: list[IncidentEvent], session: Session, incident: Incident
) -> None:
    """What it changes before is part of the flush, what it changes after is part of the next one."""

    def before(_session: Session, *_: Any) -> None:
        incident.priority = 2

    def after(_session: Session, *_: Any) -> None:
        incident.status = "closed"

    event.listen(session, "before_flush", before)
    event.listen(session, "after_flush_postexec", after, once=True)
    incident.title = "Another"
    session.flush()
    session.commit()
    assert sorted(said(noted)) == [("change_stage", 1), ("end", 1)]


# -- statements


@pytest.mark.parametrize("synchronize", ["auto", "evaluate", "fetch"])
def test_a_statement_on_rows_that_the_session_holds(
    noted: list[IncidentEvent], session: Session, incident: Incident, synchronize: Any
) -> None:
    """SQLAlchemy brings them up to date, so what they were and are is known; of the others nothing is."""
    other = Incident(status="closed")
    session.add_all([other, Incident()])
    session.commit()
    noted.clear()
    assert (incident.status, other.status) == ("open", "closed")
    statement = update(Incident).values(status="resolved")
    session.execute(statement, execution_options={"synchronize_session": synchronize})
    assert noted == []
    session.commit()
    assert said(noted) == [("end", 1)]


def test_a_statement_that_is_rolled_back(
    noted: list[IncidentEvent], session: Session, incident: Incident
) -> None:
    """As any other change."""
    assert incident.status == "open"
    session.execute(update(Incident).values(status="closed"))
    session.rollback()
    assert noted == []
    incident.status = "closed"
    session.commit()
    assert said(noted) == [("end", 1)]


def test_a_statement_by_primary_key(noted: list[IncidentEvent], session: Session, incident: Incident) -> None:
    """Many rows in one statement, each by its key."""
    assert incident.status == "open"
    session.execute(update(Incident), [{"id": 1, "status": "closed", "priority": 3}])
    session.commit()
    assert said(noted) == [("change_stage", 1), ("end", 1)]


def test_a_statement_on_what_has_expired(
    noted: list[IncidentEvent], session: Session, incident: Incident
) -> None:
    """What the row is then nobody knows: the next change is compared with nothing."""
    session.execute(update(Incident).values(status="closed"))
    incident.status = "open"
    session.commit()
    assert noted == []
    incident.status = "closed"
    session.commit()
    assert said(noted) == [("end", 1)]
