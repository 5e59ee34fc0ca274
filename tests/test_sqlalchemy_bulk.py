"""Rows that SQLAlchemy writes without a flush: reported where instances are at hand, else counted."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, cast

import pytest
from sqlalchemy import Connection, Engine, delete, event, insert, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from otel_incident.events import IncidentEvent
from otel_incident.hooks.activation import Activation
from otel_incident.hooks.spec import parse
from tests.hosts.mapped import Base, Case, Drill, Incident, Outage
from tests.mapped_host import INCIDENTS, said, statements, watching
from tests.mapped_host import desk as desk  # noqa: PLC0414  a fixture is used by its name
from tests.processes import succeed

ROWS: Final = "one.toml, hook 'incident': rows of tests.hosts.mapped:Incident were"
PAST: Final = (
    "by a statement of Core's, which no session knows of, so they are not reported. This is said once."
)
TABLE: Final[Any] = Incident.__table__


@pytest.fixture
def session(desk: Engine) -> Iterator[Session]:
    """A session of the host's, with two open incidents and a closed one in the database."""
    with Session(desk) as session:
        session.add_all([Incident(id=1), Incident(id=2), Incident(id=3, status="closed")])
        session.commit()
        yield session


@pytest.fixture
def noted(session: Session) -> Iterator[list[IncidentEvent]]:  # noqa: ARG001  its rows are older
    """What the hooks on `Incident` report."""
    with watching(INCIDENTS) as seen:
        yield seen


# -- instances


@pytest.mark.parametrize("make", [list, iter], ids=["list", "iterator"])
def test_instances_that_are_saved_at_once(session: Session, make: Any) -> None:
    """New ones whose key is known, and changed ones: an event for each transition, once it is committed."""
    with watching(INCIDENTS) as seen:
        one, two, three = session.query(Incident).order_by(Incident.id).all()
        session.expunge_all()
        one.status, two.title, three.status = "closed", "Another", "open"
        three.priority = 4
        session.bulk_save_objects(make([one, two, three, Incident(id=9, commander_id=7), Drill(id=10)]))
        assert seen == []
        session.commit()
    assert sorted(said(seen)) == [
        ("change_stage", 3),
        ("create", 9),
        ("create", 10),
        ("end", 1),
        ("restart", 3),
    ]
    assert next(each for each in seen if each.incident.id == 9).incident.commander_id == 7


def test_what_is_saved_at_once_and_rolled_back(noted: list[IncidentEvent], session: Session) -> None:
    """Neither with the transaction nor with a savepoint; the row is what it was."""
    one = session.get_one(Incident, 1)
    assert one.status == "open"
    session.expunge(one)
    one.status = "closed"
    session.bulk_save_objects([one, Incident(id=9)])
    session.rollback()
    savepoint = session.begin_nested()
    session.bulk_save_objects([one])
    savepoint.rollback()
    session.commit()
    assert noted == []
    session.bulk_save_objects([one])
    session.commit()
    assert said(noted) == [("end", 1)]


def test_what_is_saved_at_once_twice(noted: list[IncidentEvent], session: Session) -> None:
    """SQLAlchemy leaves an instance its history: what it was is what it was saved as, all the same."""
    one = session.get_one(Incident, 1)
    assert one.status == "open"
    session.expunge(one)
    for status in ("closed", "closed", "open", "closed"):
        one.status = status
        session.bulk_save_objects([one])
        session.commit()
    assert said(noted) == [("end", 1), ("restart", 1), ("end", 1)]


class Routed(Session):
    """A host's session that says itself where each thing goes."""

    def __init__(self, to: Engine | Connection, **options: Any) -> None:
        super().__init__(**options)
        self.to, self.asked = to, 0

    def get_bind(self, *_: object, **__: object) -> Any:
        """Where, and how often that was asked."""
        self.asked += 1
        return self.to


@pytest.mark.parametrize(
    ("write", "event"),
    [
        (lambda session: session.bulk_save_objects([Incident(id=9)]), ("create", 9)),
        (lambda session: session.query(Incident).update({"status": "closed"}), ("end", 1)),
    ],
)
@pytest.mark.usefixtures("session")
def test_no_connection_is_opened_for_what_is_written_past_a_flush(
    desk: Engine, write: Callable[[Session], object], event: tuple[str, int]
) -> None:
    """The host's own `get_bind` is asked as often as without us: it may answer otherwise another time."""

    def times_asked(end: Callable[[Session], None]) -> int:
        with Routed(desk) as session:
            held = session.get_one(Incident, 1)
            write(session)
            assert held in session
            end(session)
            return session.asked

    without = times_asked(Session.rollback)
    with watching(INCIDENTS) as seen:
        assert times_asked(Session.commit) == without
    assert said(seen) == [event]


BOUND: Mapping[str, Callable[[Connection], Session]] = {
    "bound": lambda to: Session(to, join_transaction_mode="rollback_only"),
    "bound by class": lambda to: Session(binds={Base: to}, join_transaction_mode="rollback_only"),
    "routed": lambda to: Routed(to, join_transaction_mode="rollback_only"),
}


@pytest.mark.parametrize("kind", BOUND)
def test_what_is_saved_at_once_within_a_transaction_of_the_hosts(
    noted: list[IncidentEvent], desk: Engine, kind: str
) -> None:
    """It waits for the connection, as what is flushed does."""
    with desk.connect() as connection:
        for number, kept in ((8, False), (9, True)):
            with connection.begin() as outer:
                with BOUND[kind](connection) as session:
                    session.bulk_save_objects([Incident(id=number)])
                    session.commit()
                assert noted == []
                if not kept:
                    outer.rollback()
    assert said(noted) == [("create", 9)]


@pytest.mark.parametrize("kind", BOUND)
def test_what_a_statement_writes_within_a_transaction_of_the_hosts(
    noted: list[IncidentEvent], desk: Engine, kind: str
) -> None:
    """It waits for the connection, as what is flushed does."""
    with desk.connect() as connection:
        for status, kept in (("closed", False), ("open", True), ("closed", True)):
            with connection.begin() as outer:
                with BOUND[kind](connection) as session:
                    held = session.get_one(Incident, 1)
                    session.query(Incident).update({"status": status})
                    assert held.status == status
                    session.commit()
                assert noted == []
                if not kept:
                    outer.rollback()
    assert said(noted) == [("end", 1)]


@pytest.mark.parametrize("tell", [True, False], ids=["told", "untold"])
def test_keys_that_the_database_gives(
    noted: list[IncidentEvent], session: Session, tell: object, caplog: pytest.LogCaptureFixture
) -> None:
    """With `return_defaults` an instance knows its key and is reported; else that is said."""
    session.bulk_save_objects([Incident(title="New"), Case()], return_defaults=bool(tell))
    session.commit()
    assert said(noted) == ([("create", 4)] if tell else [])
    why = (
        "inserted by bulk_save_objects without return_defaults, so that nobody knows their keys, and they are"
    )
    assert caplog.messages == ([] if tell else [f"{ROWS} {why} not reported. This is said once."])


def test_what_fails_says_nothing(
    noted: list[IncidentEvent], session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    """The host's own error, and no event; what is no iterable of instances is the host's error, too."""
    with suppress(IntegrityError):
        session.bulk_save_objects([Incident(id=9), Incident(id=1)])
    session.rollback()
    for wrong in (1, [1], None):
        with pytest.raises(Exception, match=r"NoneType|int"):
            session.bulk_save_objects(wrong)  # type: ignore[arg-type]  # what this test is about
    with pytest.raises(KeyError, match="of the host"):
        session.bulk_save_objects(failing())
    session.commit()
    assert noted == []
    assert caplog.messages == []


def failing() -> Iterator[Incident]:
    """A generator of the host's that fails."""
    yield Incident(id=8)
    raise KeyError("of the host")


# -- mappings and statements


def test_mappings_are_counted(desk: Engine, session: Session, caplog: pytest.LogCaptureFixture) -> None:
    """By a mapper or its class, of a generator, too; not what writes nothing that is watched."""
    activation = Activation([parse(INCIDENTS, "one.toml")], lambda _: None)
    activation.install()
    session.bulk_update_mappings(Incident, [{"id": 1, "title": "Another"}])
    session.bulk_update_mappings(Case, [])
    session.bulk_insert_mappings(Case, [{"owner": "kim"}])
    session.bulk_insert_mappings(Incident, [])
    assert caplog.messages == []
    scope = scoped_session(sessionmaker(desk))
    session.commit()
    scope.bulk_update_mappings(Incident.__mapper__, ({"id": each, "status": "closed"} for each in (1, 2)))
    scope.commit()
    session.bulk_insert_mappings(mapper=Outage, mappings=[{"services": 3}])
    session.bulk_insert_mappings(Incident, iter([{"title": "New"}]))
    session.commit()
    assert [row.status for row in session.query(Incident)] == ["closed"] * 3 + ["open"] * 2
    activation._ended()  # noqa: SLF001  what the interpreter calls
    activation.uninstall()
    assert caplog.messages == [
        (
            f"{ROWS} changed by bulk_update_mappings, which has no instances, so they are not reported. "
            "This is said once."
        ),
        (
            f"{ROWS} inserted by bulk_insert_mappings, which has no instances, so they are not reported. "
            "This is said once."
        ),
        f"{ROWS} written by 3 statements in this process.",
    ]


CHANGED: Final = f"{ROWS} changed {PAST}"
INSERTED: Final = f"{ROWS} inserted {PAST}"


@pytest.mark.parametrize(
    ("statement", "parameters", "line"),
    [
        (update(TABLE).values(status="closed"), None, CHANGED),
        (update(TABLE).values({TABLE.c.status: "closed"}), None, CHANGED),
        (update(TABLE), {"status": "closed"}, CHANGED),
        (update(TABLE), {"title": "Another"}, ""),
        (update(TABLE).where(TABLE.c.id == 1), [{"priority": 3}, {"priority": 4}], CHANGED),
        (update(Incident).values(status="closed"), None, CHANGED),
        (insert(TABLE), {"title": "New", "kind": "incident", "status": "open", "priority": 1}, INSERTED),
        (update(TABLE).values(title="Another"), None, ""),
        (update(TABLE).where(TABLE.c.id == 99).values(status="closed"), None, ""),
        (update(cast("Any", Case.__table__)).values(owner="kim"), None, ""),
        (delete(TABLE), None, ""),
        (TABLE.select(), None, ""),
        (text("UPDATE incident SET status = 'closed'"), None, ""),
    ],
)
def test_statements_past_all_sessions(
    desk: Engine,
    session: Session,
    caplog: pytest.LogCaptureFixture,
    statement: Any,
    parameters: Any,
    line: str,
) -> None:
    """An UPDATE of a watched column that has found rows, or an INSERT, is said, by whichever way it comes."""
    session.commit()
    with watching(INCIDENTS), desk.connect() as connection:
        connection.execute(statement, parameters)
    with watching(INCIDENTS), desk.connect() as connection:
        connection.execute(statement=statement, parameters=parameters)
    assert caplog.messages == ([line] * 2 if line else [])


def test_the_arguments_of_a_connection_are_the_hosts(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are passed on as they came, whatever the signature is."""
    seen: list[tuple[object, object]] = []

    def execute(_connection: Connection, *args: object, **kwargs: object) -> None:
        seen.append((args, kwargs))

    monkeypatch.setattr(Connection, "execute", execute)
    with watching(INCIDENTS):
        connection: Any = session.connection()
        connection.execute()
        connection.execute("select 1", {"a": 1}, {"a": 2})
        connection.execute(statement="select 1", b=1)
    assert seen == [((), {}), (("select 1", {"a": 1}, {"a": 2}), {}), ((), {"statement": "select 1", "b": 1})]


def test_a_row_that_a_statement_gives_back(desk: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """An INSERT that tells the key that it was given has inserted, too."""
    with watching(INCIDENTS), Session(desk) as session:
        session.get(Incident, 1)
        row = {"title": "New", "kind": "incident", "status": "open", "priority": 1}
        assert session.connection().scalar(insert(TABLE).returning(TABLE.c.id), row) == 1
    assert caplog.messages == [INSERTED]


def test_a_statement_of_core_in_a_session(session: Session, caplog: pytest.LogCaptureFixture) -> None:
    """On the table and not on the class: the session does not know of it."""
    with watching(INCIDENTS):
        session.execute(update(TABLE).values(status="closed"))
        session.rollback()
    assert caplog.messages == [CHANGED]


def test_a_statement_is_said_once(session: Session, caplog: pytest.LogCaptureFixture) -> None:
    """What the session tells of, and what a flush or a `bulk_*` method executes, is not told again."""
    activation = Activation([parse(INCIDENTS, "one.toml")], lambda _: None)
    activation.install()
    session.get_one(Incident, 1).status = "closed"
    session.add(Incident(id=9))
    session.flush()
    session.bulk_save_objects([Incident(id=10)])
    assert caplog.messages == []
    session.execute(update(Incident).values(status="resolved"))
    session.commit()
    activation._ended()  # noqa: SLF001  what the interpreter calls
    activation.uninstall()
    (line,) = caplog.messages
    assert line == (
        f"{ROWS} changed by a statement; those that its session holds are reported, others are not. "
        "This is said once."
    )


# -- harmless


def test_nothing_is_asked_for_what_is_saved_at_once(session: Session, desk: Engine) -> None:
    """The database sees the same statements with a hook and without."""

    def work() -> None:
        rows = session.query(Incident).all()
        for row in rows:
            row.status = "resolved" if row.status == "open" else "open"
        session.expunge_all()
        session.bulk_save_objects([*rows, Incident(title="New")])
        session.bulk_update_mappings(Incident, [{"id": 1, "priority": 2}])
        session.execute(update(TABLE).values(priority=3))
        session.rollback()

    with statements(desk) as unwatched:
        work()
    with statements(desk) as watched, watching(INCIDENTS):
        work()
    assert watched == unwatched


@pytest.mark.usefixtures("session")
def test_methods_are_put_back() -> None:
    """Those of sessions and those of connections."""
    methods = [
        *((Session, f"bulk_{name}") for name in ("save_objects", "insert_mappings", "update_mappings")),
        *((Connection, name) for name in ("execute", "scalar", "scalars")),
    ]
    before = [getattr(*method) for method in methods]
    with watching(INCIDENTS):
        for method, own in zip(methods, before, strict=True):
            assert getattr(*method) is not own
    assert [getattr(*method) for method in methods] == before


def test_a_listener_of_the_hosts_sees_its_own_parameters(desk: Engine, session: Session) -> None:
    """One that is told of statements is told the same."""
    told: list[object] = []

    def execute(_connection: Any, statement: Any, many: Any, one: Any, _options: Any) -> Any:
        told.append((many, one))
        return statement, many, one

    event.listen(desk, "before_execute", execute, retval=True)
    with watching(INCIDENTS):
        session.execute(update(TABLE).where(TABLE.c.id == 1), {"status": "closed"})
    assert told == [([], {"status": "closed"})]


FIRST: Final = """
import logging
from sqlalchemy import create_engine, event, insert, select, update
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool
from otel_incident.guard import set_reraise
from otel_incident.hooks.activation import Activation
from otel_incident.hooks.spec import parse
from tests.hosts.mapped import Base, Incident
from tests.mapped_host import INCIDENTS, said

logging.basicConfig(format="%(message)s")
set_reraise(reraise=True)
seen = []
activation = Activation([parse({file}, "one.toml")], seen.append)
activation.install()
end = activation.uninstall
engine = create_engine("sqlite://", poolclass=StaticPool)
Base.metadata.create_all(engine)
ROW = dict(id=7, kind="incident", title="x", status="open", priority=1)
RAW = "INSERT INTO incident (id, kind, title, status, priority) VALUES (7, 'incident', 'x', 'open', 1)"
raw = lambda session: session.connection().exec_driver_sql(RAW)
with Session(engine) as session:
    {writes}
    session.commit()
print(said(seen))
"""
WRITTEN: Final = (
    "one.toml, hook 'incident': rows of tests.hosts.mapped:Incident were {}. This is said once.\n"
)


@pytest.mark.parametrize(
    ("writes", "events", "line"),
    [
        ("session.bulk_save_objects([Incident(id=7)])", "[('create', 7)]", ""),
        (
            "session.bulk_insert_mappings(Incident, [ROW])",
            "[]",
            "inserted by bulk_insert_mappings, which has no instances, so they are not reported",
        ),
        (
            "session.execute(insert(Incident), [ROW])",
            "[]",
            "inserted by a statement, which tells nobody their keys, so they are not reported",
        ),
        (
            "session.execute(update(Incident).values(status='closed'))",
            "[]",
            "changed by a statement; those that its session holds are reported, others are not",
        ),
        (
            "session.connection().execute(Incident.__table__.insert(), ROW)",
            "[]",
            "inserted by a statement of Core's, which no session knows of, so they are not reported",
        ),
        (
            "raw(session); session.connection().execute(Incident.__table__.update(), {'title': 'y'})",
            "[]",
            "",
        ),
        (
            "raw(session); session.connection().execute(Incident.__table__.update(), {'status': 'closed'})",
            "[]",
            "changed by a statement of Core's, which no session knows of, so they are not reported",
        ),
        (
            "end(); session.execute(insert(Incident), [ROW]); session.bulk_update_mappings(Incident, [ROW])",
            "[]",
            "",
        ),
    ],
    ids=["objects", "mappings", "insert", "update", "core", "core of others", "core update", "off"],
)
def test_the_first_use_of_a_processs_classes(writes: str, events: str, line: str) -> None:
    """What configures the mappers may be in the arguments of the very call that writes."""
    done = succeed(FIRST.format(file="INCIDENTS", writes=writes))
    assert done.stdout == f"{events}\n"
    assert done.stderr == (WRITTEN.format(line) if line else "")


def test_a_wrong_hook_on_the_first_use_of_a_processs_classes() -> None:
    """SQLAlchemy is calling its listeners when the hook turns out to be wrong, and the host goes on."""
    file = """INCIDENTS.replace('field = "priority"', 'field = "elsewhere"')"""
    writes = "session.bulk_save_objects([Incident()]); session.bulk_insert_mappings(Incident, [ROW])"
    done = succeed(FIRST.format(file=file, writes=writes))
    assert done.stdout == "[]\n"
    assert done.stderr == (
        "one.toml, hook 'incident': the model tests.hosts.mapped:Incident has no column 'elsewhere', nor a "
        "relation of this name whose key is in the row, so the hook reports nothing; correct it.\n"
    )


def test_the_first_use_of_a_processs_classes_in_a_listener_of_the_hosts() -> None:
    """SQLAlchemy tells of a statement, and the host's own listener is the first to use a class."""
    writes = (
        "event.listen(Session, 'do_orm_execute', lambda _: Incident()); session.execute(select(Incident)); "
        "session.bulk_save_objects([Incident(id=7)])"
    )
    done = succeed(FIRST.format(file="INCIDENTS", writes=writes))
    assert done.stdout == "[('create', 7)]\n"
