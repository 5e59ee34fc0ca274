"""A host's classes that SQLAlchemy maps, with inheritance, enumerations, relations."""

import datetime as dt
import enum

from sqlalchemy import DateTime, Enum, ForeignKey, func
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    MappedAsDataclass,
    mapped_column,
    relationship,
    synonym,
)


class Base(DeclarativeBase):
    """Of all of them."""


class User(Base):
    """Whoever is on call."""

    __tablename__ = "user"

    id: Mapped[int] = mapped_column(primary_key=True)
    is_superuser: Mapped[bool] = mapped_column(default=False)
    incidents: Mapped[list["Incident"]] = relationship(back_populates="commander")


class Incident(Base):
    """An incident whose status is text."""

    __tablename__ = "incident"
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "incident"}  # noqa: RUF012  as SQLAlchemy has it

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(default="incident")
    title: Mapped[str] = mapped_column(default="Payments are down")
    status: Mapped[str] = mapped_column(default="open")
    state = synonym("status")
    priority: Mapped[int] = mapped_column(default=1)
    team_id: Mapped[int | None]
    commander_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    commander: Mapped[User | None] = relationship(back_populates="incidents")
    created: Mapped[dt.datetime | None] = mapped_column(DateTime(timezone=True))


class Outage(Incident):
    """One in a table joined to that of incidents."""

    __tablename__ = "outage"
    __mapper_args__ = {"polymorphic_identity": "outage"}  # noqa: RUF012  as SQLAlchemy has it

    id: Mapped[int] = mapped_column(ForeignKey("incident.id"), primary_key=True)
    services: Mapped[int] = mapped_column(default=0)


class Drill(Incident):
    """One in the same table."""

    __mapper_args__ = {"polymorphic_identity": "drill"}  # noqa: RUF012  as SQLAlchemy has it


class Phase(enum.Enum):
    """Members that the database knows by their names."""

    TRIAGE = "triage"
    REPAIR = "repair"
    OVER = "over"


class Level(enum.IntEnum):
    """Numbers."""

    LOW = 1
    HIGH = 2


class Part(enum.Enum):
    """Members without a value that a file could name."""

    FIRST = (1, "first")
    SECOND = (2, "second")


class Case(Base):
    """An incident whose status is an enumeration, and the stage the status itself."""

    __tablename__ = "case"

    id: Mapped[int] = mapped_column(primary_key=True)
    phase: Mapped[Phase] = mapped_column(Enum(Phase), default=Phase.TRIAGE)
    level: Mapped[Level] = mapped_column(Enum(Level), default=Level.LOW)
    part: Mapped[Part] = mapped_column(Enum(Part), default=Part.FIRST)
    owner: Mapped[str | None]
    notes: Mapped[str] = mapped_column(default="", deferred=True)
    opened: Mapped[dt.datetime] = mapped_column(server_default=func.now())


class Entry(Base):
    """A line in the history of an incident."""

    __tablename__ = "entry"

    id: Mapped[int] = mapped_column(primary_key=True)
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"))
    incident: Mapped[Incident] = relationship()
    phase: Mapped[Phase | None] = mapped_column(Enum(Phase))
    type: Mapped[str] = mapped_column(default="NOTE")
    author_id: Mapped[int | None]


class RoleKind(Base):
    """What somebody may be in an incident."""

    __tablename__ = "role_kind"

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str]


class Role(Base):
    """Who is what in an incident."""

    __tablename__ = "role"

    id: Mapped[int] = mapped_column(primary_key=True)
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"))
    incident: Mapped[Incident] = relationship()
    kind_id: Mapped[int] = mapped_column(ForeignKey("role_kind.id"))
    kind: Mapped[RoleKind] = relationship()
    person_id: Mapped[int | None]


class Job(MappedAsDataclass, Base):
    """An incident that is a dataclass with defaults of the database's."""

    __tablename__ = "job"

    id: Mapped[int] = mapped_column(primary_key=True, init=False)
    state: Mapped[int] = mapped_column(server_default="1", init=False)
    holder: Mapped[int | None] = mapped_column(default=None)


class Status(enum.StrEnum):
    """Members that are text."""

    OPEN = "open"
    CLOSED = "closed"


class Plain:
    """A class that nobody maps."""
