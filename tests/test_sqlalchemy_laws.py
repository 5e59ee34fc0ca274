"""Whatever a host does with sessions, what a commit has changed is reported and nothing else."""

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from otel_incident.events import IncidentEvent
from tests.hosts.mapped import Incident
from tests.mapped_host import INCIDENTS, database, watching

ROWS: Final = 2
VALUES: Final[dict[str, tuple[Any, ...]]] = {
    "status": ("open", "acknowledged", "closed", "resolved"),
    "priority": (1, 2, 3),
    "commander_id": (None, 7, 8),
}
CLOSED: Final = ("closed", "resolved")

Rows = dict[int, dict[str, Any]]

STEPS: Final = st.lists(
    st.one_of(
        st.tuples(st.just("make"), st.integers(1, ROWS)),
        st.tuples(st.just("delete"), st.integers(1, ROWS)),
        *(
            st.tuples(st.just("set"), st.integers(1, ROWS), st.just(name), st.sampled_from(values))
            for name, values in VALUES.items()
        ),
        st.sampled_from(
            [("flush",), ("commit",), ("rollback",), ("begin",), ("release",), ("undo",), ("expire",)]
        ),
        st.sampled_from([("read",), ("forget",), ("close",)]),
    ),
    max_size=25,
)


@dataclass
class Model:
    """What is in the database: as it was committed, as it is at each savepoint, and as it is."""

    committed: Rows = field(default_factory=dict)
    savepoints: list[Rows] = field(default_factory=list)
    now: Rows = field(default_factory=dict)
    told: list[tuple[int, str]] = field(default_factory=list)

    def commit(self) -> None:
        """Everything that is open is kept."""
        for number, row in self.now.items():
            self.told += [(number, action) for action in actions(self.committed.get(number), row)]
        self.savepoints.clear()
        self.committed = deepcopy(self.now)

    def rollback(self) -> None:
        """Nothing that is open is kept."""
        self.savepoints.clear()
        self.now = deepcopy(self.committed)


def actions(was: dict[str, Any] | None, row: dict[str, Any]) -> list[str]:
    """What has become of a row."""
    closed = row["status"] in CLOSED
    if was is None:
        return ["create", "end"] if closed else ["create"]
    found = []
    if (was["status"] in CLOSED) != closed:
        found.append("end" if closed else "restart")
    if was["commander_id"] != row["commander_id"]:
        found.append("change_commander")
    if was["priority"] != row["priority"]:
        found.append("change_stage")
    return found


class Host:
    """A host that takes steps, with the model of what it does."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.model = Model()
        self.savepoints: list[Any] = []
        self.instances: dict[int, Incident] = {}

    def row(self, number: int) -> Incident:
        """The instance that the host holds, expired or not; read only where the session has none."""
        held = self.instances.get(number)
        if held is None or held not in self.session:
            held = self.instances[number] = self.session.get_one(Incident, number)
        return held

    def take(self, step: tuple[Any, ...]) -> None:
        """One step; those that make no sense now are none."""
        getattr(self, step[0])(*step[1:])

    def make(self, number: int) -> None:
        """Make a row, unless it is there; one that was deleted may come again in another transaction."""
        if number not in self.model.now and number not in self.model.committed:
            self.instances[number] = Incident(id=number, status="open", priority=1)
            self.session.add(self.instances[number])
            self.session.flush()
            self.model.now[number] = {"status": "open", "priority": 1, "commander_id": None}

    def delete(self, number: int) -> None:
        """Delete a row."""
        if number in self.model.now:
            self.session.delete(self.row(number))
            self.session.flush()
            del self.model.now[number]

    def set(self, number: int, name: str, value: object) -> None:
        """Set an attribute, whether it has expired or not."""
        if number in self.model.now:
            setattr(self.row(number), name, value)
            self.model.now[number][name] = value

    def flush(self) -> None:
        """Write."""
        self.session.flush()

    def commit(self) -> None:
        """Keep."""
        self.session.commit()
        self.savepoints.clear()
        self.model.commit()

    def rollback(self) -> None:
        """Forget."""
        self.session.rollback()
        self.savepoints.clear()
        self.model.rollback()

    def close(self) -> None:
        """Forget, and drop all instances."""
        self.session.close()
        self.savepoints.clear()
        self.model.rollback()

    def begin(self) -> None:
        """Begin a savepoint, which flushes."""
        self.savepoints.append(self.session.begin_nested())
        self.model.savepoints.append(deepcopy(self.model.now))

    def release(self) -> None:
        """Keep the last savepoint's."""
        if self.savepoints:
            self.savepoints.pop().commit()
            self.model.savepoints.pop()

    def undo(self) -> None:
        """Forget the last savepoint's."""
        if self.savepoints:
            self.savepoints.pop().rollback()
            self.model.now = self.model.savepoints.pop()

    def expire(self) -> None:
        """Have SQLAlchemy forget what it has loaded."""
        self.session.flush()
        self.session.expire_all()

    def read(self) -> None:
        """Have everything in memory."""
        for row in self.session.query(Incident).all():
            assert {name: getattr(row, name) for name in VALUES} == self.model.now[row.id]

    def forget(self) -> None:
        """Drop all instances from the session."""
        self.session.flush()
        self.session.expunge_all()


def told(events: list[IncidentEvent]) -> list[tuple[Any, str]]:
    """The events by row."""
    return [(event.incident.id, event.action) for event in events]


@settings(max_examples=150)
@given(steps=STEPS, expire=st.booleans())
def test_what_is_committed_is_reported(steps: list[tuple[Any, ...]], expire: object) -> None:
    """Of each row each transition between two commits, once, at the second one; and nothing else."""
    with watching(INCIDENTS) as seen, database() as engine:
        with Session(engine, expire_on_commit=bool(expire)) as session:
            host = Host(session)
            for step in steps:
                host.take(step)
                assert sorted(told(seen)) == sorted(host.model.told)
            host.read()
        assert sorted(told(seen)) == sorted(host.model.told)
