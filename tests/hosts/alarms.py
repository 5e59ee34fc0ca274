"""A host's class of SQLModel's, apart from those of SQLAlchemy's own: it needs a newer one than hooks do."""

from sqlmodel import Field, SQLModel

from tests.hosts.mapped import Status


class Alarm(SQLModel, table=True):
    """One of SQLModel's."""

    id: int | None = Field(default=None, primary_key=True)
    status: Status = Status.OPEN
    owner: int | None = None
