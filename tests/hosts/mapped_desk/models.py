"""What the desk keeps."""

import datetime as dt
import enum

from sqlalchemy import DateTime, ForeignKey, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    """Of all classes."""


class Status(enum.Enum):
    """Of an incident."""

    OPEN = "open"
    CLOSED = "closed"


class User(Base):
    """Whoever is on call."""

    __tablename__ = "user"

    id: Mapped[int] = mapped_column(primary_key=True)


class Incident(Base):
    """An incident; whether its commander exists is asked at the commit."""

    __tablename__ = "incident"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    status: Mapped[Status] = mapped_column(default=Status.OPEN)
    stage: Mapped[int] = mapped_column(default=0)
    commander_id: Mapped[int | None] = mapped_column(
        ForeignKey("user.id", deferrable=True, initially="DEFERRED")
    )
    commander: Mapped[User | None] = relationship()
    created: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
