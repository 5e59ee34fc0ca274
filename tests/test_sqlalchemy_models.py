"""Model hooks for SQLAlchemy: which change of a row means what, whatever its columns hold."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
import sqlmodel
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from sqlalchemy import Engine, func
from sqlalchemy.orm import Session, joinedload

from otel_incident.events import Incident as Told
from otel_incident.events import IncidentEvent
from tests.hosts.alarms import Alarm
from tests.hosts.mapped import Case, Drill, Incident, Job, Level, Outage, Part, Phase, Status, User
from tests.mapped_host import CASES, INCIDENTS, said, statements, watching
from tests.mapped_host import desk as desk  # noqa: PLC0414  a fixture is used by its name
from tests.mapped_host import noted as noted  # noqa: PLC0414  the same


@pytest.fixture
def session(desk: Engine) -> Iterator[Session]:
    """A session of the host's."""
    with Session(desk) as made:
        yield made


def kept(session: Session, *rows: Any) -> None:
    """Add and commit."""
    session.add_all(rows)
    session.commit()


def on(target: str, **lines: str) -> str:
    """A hook file for another class or with other tables, made of that for `Incident`."""
    text = INCIDENTS.replace("tests.hosts.mapped:Incident", f"tests.hosts.mapped:{target}")
    for old, new in lines.items():
        text = text.replace(f'field = "{old}"', f'field = "{new}"')
    return text


# -- actions


def test_a_row_that_is_added_is_a_creation(noted: list[IncidentEvent], session: Session) -> None:
    """With the key that the database gave it, and all that the row says."""
    at = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
    user = User(id=7)
    kept(session, Incident(team_id=5, commander=user, created=at))
    (event,) = noted
    assert event.action == "create"
    assert event.incident == Told(id=1, active=True, commander_id=7, team_id=5, created_at=at)
    assert event.actor is None
    assert event.stage_index is None


def test_a_row_that_is_added_closed_has_ended_too(noted: list[IncidentEvent], session: Session) -> None:
    """As an import makes them."""
    kept(session, Incident(status="closed"))
    assert said(noted) == [("create", 1), ("end", 1)]


def test_each_action(noted: list[IncidentEvent], session: Session) -> None:
    """End, restart, another commander, another stage: one event each, of the row as it is then."""
    incident = Incident(commander=User(id=7))
    kept(session, incident, User(id=8))
    noted.clear()
    for name, value in (("status", "closed"), ("status", "open"), ("commander_id", 8), ("priority", 3)):
        setattr(incident, name, value)
        session.commit()
    assert said(noted) == [("end", 1), ("restart", 1), ("change_commander", 1), ("change_stage", 1)]
    assert [event.incident.active for event in noted] == [False, True, True, True]
    assert [event.incident.commander_id for event in noted] == [7, 7, 8, 8]
    assert [event.stage_index for event in noted] == [None, None, None, 2]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "open"),
        ("status", "acknowledged"),
        ("title", "Another"),
        ("priority", 1),
        ("priority", True),
    ],
)
def test_what_is_no_change_says_nothing(
    noted: list[IncidentEvent], session: Session, name: str, value: object
) -> None:
    """The same value again, another open one, or a column that nobody watches."""
    incident = Incident()
    kept(session, incident)
    noted.clear()
    setattr(incident, name, value)
    session.commit()
    assert noted == []


def test_text_is_compared_as_it_is(noted: list[IncidentEvent], session: Session) -> None:
    """`Closed` is not `closed`."""
    incident = Incident()
    kept(session, incident)
    noted.clear()
    incident.status = "Closed"
    session.commit()
    assert noted == []


def test_the_first_commander_in_the_creating_transaction_is_no_change(
    noted: list[IncidentEvent], session: Session
) -> None:
    """It completes the creation; in a later transaction it is a change, though None was never loaded."""
    users = User(id=7), User(id=8)
    first, second = Incident(), Incident()
    session.add_all((*users, first, second))
    session.flush()
    first.commander = users[0]
    session.commit()
    assert said(noted) == [("create", 1), ("create", 2)]
    assert [event.incident.commander_id for event in noted] == [7, None]
    noted.clear()
    second.commander = users[1]
    session.commit()
    assert [(event.action, event.incident.commander_id) for event in noted] == [("change_commander", 8)]


def test_a_deletion_says_nothing(noted: list[IncidentEvent], session: Session) -> None:
    """Nor does a row that is made and deleted in one transaction."""
    incident = Incident()
    kept(session, incident)
    noted.clear()
    session.delete(incident)
    session.commit()
    passing = Incident()
    session.add(passing)
    session.flush()
    session.delete(passing)
    session.commit()
    assert noted == []


def test_a_relation_sets_its_key(noted: list[IncidentEvent], session: Session) -> None:
    """From the other side, too; and without it there is no commander."""
    users = User(id=7), User(id=8)
    incident = Incident(commander=users[0])
    kept(session, incident, *users)
    noted.clear()
    users[1].incidents.append(incident)
    session.commit()
    incident.commander = None
    session.commit()
    assert [(event.action, event.incident.commander_id) for event in noted] == [
        ("change_commander", 8),
        ("change_commander", None),
    ]


@pytest.mark.parametrize("name", ["commander", "commander_id"])
@pytest.mark.parametrize("status", ["status", "state"])
def test_names_of_one_column(session: Session, name: str, status: str) -> None:
    """A relation and its key, and a synonym, are the same column."""
    incident = Incident(commander=User(id=7))
    kept(session, incident, User(id=8))
    with watching(on("Incident", commander=name, status=status)) as seen:
        assert incident.status == "open"
        incident.commander_id = 8
        incident.status = "closed"
        session.commit()
    assert [event.action for event in seen] == ["change_commander", "end"]


# -- classes


@pytest.mark.parametrize("kind", [Incident, Outage, Drill])
def test_descendants_are_incidents(
    noted: list[IncidentEvent], session: Session, kind: type[Incident]
) -> None:
    """In a table that is joined or in the same one; each once."""
    incident = kind()
    kept(session, incident)
    incident.status = "closed"
    session.commit()
    assert said(noted) == [("create", 1), ("end", 1)]


def test_a_descendant_alone(session: Session) -> None:
    """A hook on it sees neither its parent nor its sibling."""
    with watching(on("Outage")) as seen:
        kept(session, Incident(), Drill(), Outage(id=9))
    assert said(seen) == [("create", 9)]


def test_a_descendant_that_comes_later(noted: list[IncidentEvent], session: Session) -> None:
    """A class that the host makes when the hook is in force is watched with the others."""

    class Rumour(Incident):
        __mapper_args__ = {"polymorphic_identity": "rumour"}  # noqa: RUF012  as SQLAlchemy has it

    try:
        kept(session, Rumour())
        assert said(noted) == [("create", 1)]
    finally:
        Incident.registry._dispose_cls(Rumour)  # noqa: SLF001  a class that a test makes is to go with it


def test_a_class_of_sqlmodel(desk: Engine) -> None:
    """Its sessions and its classes are SQLAlchemy's."""
    sqlmodel.SQLModel.metadata.create_all(desk)
    text = (
        on("Alarm", commander="owner")
        .replace("hosts.mapped:", "hosts.alarms:")
        .replace('[hook.stage]\nfield = "priority"\noffset = -1\n', "")
    )
    with watching(text.replace("self.commander_id", "self.owner")) as seen, sqlmodel.Session(desk) as session:
        alarm = Alarm(owner=7)
        session.add(alarm)
        session.commit()
        alarm.status = Status.CLOSED
        session.commit()
        alarm.sqlmodel_update({"status": Status.OPEN, "owner": 8})
        session.commit()
    assert [(event.action, event.incident.commander_id) for event in seen] == [
        ("create", 7),
        ("end", 7),
        ("restart", 8),
        ("change_commander", 8),
    ]


# -- values


@pytest.mark.parametrize("over", [Phase.OVER, "OVER"], ids=["member", "name"])
def test_an_enumeration_is_its_values(session: Session, over: Any) -> None:
    """A hook file names the values of members; what the database calls a member is the same as the member."""
    with watching(CASES) as seen:
        case = Case()
        kept(session, case)
        case.phase = Phase.REPAIR
        session.commit()
        case.phase = over
        session.commit()
        assert case.phase is Phase.OVER
    assert said(seen) == [("create", 1), ("change_stage", 1), ("end", 1)]
    assert seen[1].stage_index == 1


def test_numbers_of_an_enumeration(session: Session) -> None:
    """An `IntEnum` is its numbers; a member whose value is an object of the host's is its name."""
    levels = CASES.replace(
        'field = "phase"\norder = ["triage", "repair", "over"]', 'field = "level"\noffset = -1'
    )
    parts = CASES.replace('order = ["triage", "repair", "over"]', 'order = ["FIRST", "SECOND"]')
    parts = parts.replace('[hook.stage]\nfield = "phase"', '[hook.stage]\nfield = "part"')
    with watching(levels) as numbers, watching(parts) as names:
        case = Case()
        kept(session, case)
        case.level, case.part = Level.HIGH, Part.SECOND
        session.commit()
    assert [event.stage_index for event in numbers] == [None, 1]
    assert [event.stage_index for event in names] == [None, 1]


def test_what_the_database_computes_is_not_known(noted: list[IncidentEvent], session: Session) -> None:
    """An expression says nothing, until the row is read."""
    incident = Incident()
    kept(session, incident)
    noted.clear()
    incident.status = func.lower("CLOSED")
    incident.priority = Incident.priority + 1
    session.commit()
    assert noted == []
    assert (incident.status, incident.priority) == ("closed", 2)
    incident.status = "open"
    incident.priority = 3
    session.commit()
    assert said(noted) == [("restart", 1), ("change_stage", 1)]
    noted.clear()
    incident.status = func.lower("CLOSED")
    session.commit()
    incident.status = "closed"  # nobody has read it since: it is not known to have been open
    session.commit()
    assert noted == []


def test_a_default_of_the_database(session: Session) -> None:
    """What it gives a new row is known as far as it is handed back; the row can end then."""
    text = on("Job", status="state", commander="holder").replace('["closed", "resolved"]', "[2]")
    text = text.replace('[hook.stage]\nfield = "priority"\noffset = -1\n', "")
    with watching(text.replace("self.commander_id", "self.holder")) as seen:
        job = Job()
        kept(session, job)
        assert job.state == 1
        job.state = 2
        session.commit()
    assert said(seen) == [("create", 1), ("end", 1)]


def test_what_was_not_loaded_is_absent(session: Session, desk: Engine) -> None:
    """A path finds what is in memory: no relation, no column is loaded for an event."""
    kept(session, Incident(commander=User(id=7)))
    session.close()
    for path, found in (("self.commander.id", None), ("self.commander_id", 7)):
        text = INCIDENTS.replace('commander_id = "self.commander_id"', f'commander_id = "{path}"')
        with watching(text) as seen, Session(desk) as other:
            incident = other.get_one(Incident, 1)
            incident.status = "open" if incident.status == "closed" else "closed"
            other.commit()
        assert [event.incident.commander_id for event in seen] == [found]
    with watching(text.replace("self.commander_id", "self.commander.id")) as seen, Session(desk) as other:
        incident = other.get_one(Incident, 1, options=[joinedload(Incident.commander)])
        incident.priority = 2
        other.commit()
    assert [event.incident.commander_id for event in seen] == [7]


# -- what is asked of the database


def busy(session: Session) -> None:
    """Much of what a host does, with attributes that have expired and were never loaded."""
    users = User(id=7), User(id=8)
    incident = Incident(commander=users[0])
    kept(session, incident, *users)
    incident.status = "closed"  # it has expired with the commit
    session.commit()
    incident.commander = users[1]
    session.flush()
    incident.priority = 2
    session.rollback()
    incident.status = "open"
    session.commit()
    session.expire(incident, ["status"])
    incident.status = "closed"
    session.commit()
    session.expunge_all()
    merged = session.merge(Incident(id=1, status="open"))
    session.commit()
    session.delete(merged)
    session.commit()


def test_nothing_is_asked_for_us(session: Session, desk: Engine) -> None:
    """The database sees the same statements with a hook and without."""
    with statements(desk) as without:
        busy(session)
    with Session(desk) as other:
        other.query(User).delete()
        other.commit()
    with watching(INCIDENTS) as seen, Session(desk) as again, statements(desk) as watched:
        busy(again)
    assert [event.action for event in seen] == ["create", "end", "restart", "end", "restart"]
    assert watched == without


def test_a_value_that_has_expired_is_what_it_was(noted: list[IncidentEvent], session: Session) -> None:
    """After a commit SQLAlchemy has forgotten it, and is not asked to load it."""
    incident = Incident()
    kept(session, incident)
    noted.clear()
    incident.status = "open"
    session.commit()
    assert noted == []
    incident.status = "closed"
    session.commit()
    assert said(noted) == [("end", 1)]


def test_what_nobody_knows_has_not_changed(session: Session) -> None:
    """A row that was loaded before it was watched, and has expired, may have been anything."""
    incident = Incident()
    kept(session, incident)
    with watching(INCIDENTS) as seen:
        incident.status = "closed"
        session.commit()
        assert seen == []
        incident.status = "open"
        session.commit()
        assert said(seen) == [("restart", 1)]


@pytest.mark.parametrize(
    ("unknown", "first", "second"),
    [
        ('unknown = "open"', [], [("end", 1), ("end", 2)]),
        ('unknown = "closed"', [("restart", 1)], [("end", 1)]),
        ("", [], [("end", 1)]),
    ],
    ids=["open", "closed", "unsaid"],
)
def test_what_nobody_knows_is_what_the_hook_says(
    session: Session, unknown: str, first: list[object], second: list[object]
) -> None:
    """A row whose status was never known is taken for an open one, or a closed one, if the file says so."""
    one, two = Incident(id=1, status="acknowledged"), Incident(id=2)
    kept(session, one, two)
    with watching(INCIDENTS.replace('field = "status"\n', f'field = "status"\n{unknown}\n')) as seen:
        one.status = "open"
        session.commit()
        assert said(seen) == first
        seen.clear()
        one.status = two.status = "closed"
        session.commit()
    assert said(seen) == second


def test_time_and_trace_are_those_of_the_change(noted: list[IncidentEvent], session: Session) -> None:
    """The flush is when it was made, the commit is not."""
    tracer = TracerProvider().get_tracer("desk")
    incident = Incident()
    with tracer.start_as_current_span("change") as span:
        session.add(incident)
        session.flush()
    with tracer.start_as_current_span("more") as other:
        incident.status = "closed"
        incident.team_id = 5
        session.flush()
    with tracer.start_as_current_span("commit"):
        session.commit()
    create, end = noted
    assert create.timestamp is not None
    assert end.timestamp is not None
    assert create.timestamp < end.timestamp
    spans = [trace.get_current_span(event.context).get_span_context() for event in noted]
    assert [each.span_id for each in spans] == [
        span.get_span_context().span_id,
        other.get_span_context().span_id,
    ]
    assert [event.incident.team_id for event in noted] == [5, 5]
