"""What a `model` hook adds to a save that changes nothing it watches, and to a read: SQLAlchemy and Django.

Two classes of the same columns in one process, one of them watched; saves of the one and the other in turn,
the order changing each time. What is said is the median of the differences between neighbours: a machine's
noise lasts longer than two saves. What a hook costs the class that it does not watch is seen beside another
process, without any hook. The databases are SQLite's, in memory: a save is as cheap as it can be.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import django
from django.conf import settings
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool

from otel_incident.hooks.activation import Activation
from otel_incident.hooks.spec import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Pair = tuple[Callable[[int], object], Callable[[int], object]]

_NS_IN_US: Final = 1000
_TARGET: Final = 5.0
_HOOKS: Final = """
[host]
name = "bench"

[[hook]]
name = "incident"
kind = "model"
model = "{}"
incident.id = "self.id"
lifecycle = {{ field = "status", closed = ["closed"] }}
commander.field = "commander"
stage.field = "stage"
"""


def watch(model: str) -> None:
    """Put a hook on a model in place; it must report nothing."""
    Activation([parse(_HOOKS.format(model), "bench.toml")], _refuse).install()


def _refuse(event: object) -> None:
    raise AssertionError(event)


class Base(DeclarativeBase):
    """Of both classes."""


class Watched(Base):
    """On which there is a hook."""

    __tablename__ = "watched"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(default="")
    status: Mapped[str] = mapped_column(default="open")
    commander: Mapped[int | None]
    stage: Mapped[int] = mapped_column(default=0)


class Plain(Base):
    """On which there is none."""

    __tablename__ = "plain"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(default="")
    status: Mapped[str] = mapped_column(default="open")
    commander: Mapped[int | None]
    stage: Mapped[int] = mapped_column(default=0)


def database() -> Session:
    """A session on an empty database of SQLAlchemy's."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    Base.metadata.create_all(engine)
    return Session(engine, expire_on_commit=False)


def sqlalchemy_pairs(session: Session, *, hooked: bool) -> dict[str, Pair]:
    """A flush, a commit and a read."""
    session.add_all([Watched(), Plain()])
    session.commit()
    session.expunge_all()
    # a module of its own, since the program itself is never imported
    sys.modules["bench_models"] = module = ModuleType("bench_models")
    vars(module)["Watched"] = Watched
    if hooked:
        watch("bench_models:Watched")
    rows = session.get_one(Watched, 1), session.get_one(Plain, 1)

    def flushed(row: Any) -> Callable[[int], object]:
        def save(index: int) -> None:
            row.title = f"{index}"
            session.flush()

        return save

    def committed(row: Any) -> Callable[[int], object]:
        def save(index: int) -> None:
            row.title = f"{index}."
            session.commit()

        return save

    def read(kind: Any) -> Callable[[int], object]:
        def load(_: int) -> None:
            session.get_one(kind, 1, populate_existing=True)

        return load

    return {
        "SQLAlchemy, flush": (flushed(rows[0]), flushed(rows[1])),
        "SQLAlchemy, flush and commit": (committed(rows[0]), committed(rows[1])),
        "SQLAlchemy, read": (read(Watched), read(Plain)),
    }


def django_pairs(*, hooked: bool) -> dict[str, Pair]:
    """A save, a save within a transaction, and a read."""
    settings.configure(DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})
    django.setup()
    from django.db import connection, models, transaction  # noqa: PLC0415  once it is configured

    def made(name: str) -> Any:
        columns = {
            "title": models.CharField(max_length=200, default=""),
            "status": models.CharField(max_length=20, default="open"),
            "commander": models.IntegerField(null=True),
            "stage": models.IntegerField(default=0),
            "Meta": type("Meta", (), {"app_label": "bench"}),
            "__module__": __name__,
        }
        model = type(name, (models.Model,), columns)
        with connection.schema_editor() as editor:
            editor.create_model(model)
        return model

    kinds = made("Watched"), made("Plain")
    for kind in kinds:
        kind.objects.create()
    if hooked:
        watch("bench.Watched")
    rows = [kind.objects.get() for kind in kinds]

    def saved(row: Any) -> Callable[[int], object]:
        def save(index: int) -> None:
            row.title = f"{index}"
            row.save()

        return save

    def atomic(row: Any) -> Callable[[int], object]:
        def save(index: int) -> None:
            row.title = f"{index}"
            with transaction.atomic():
                row.save()

        return save

    def read(kind: Any) -> Callable[[int], object]:
        return lambda _: kind.objects.get(pk=1)

    return {
        "Django, save": (saved(rows[0]), saved(rows[1])),
        "Django, save in a transaction": (atomic(rows[0]), atomic(rows[1])),
        "Django, read": (read(kinds[0]), read(kinds[1])),
    }


@contextmanager
def waiting(session: Session) -> Iterator[None]:
    """Another watched row of each that was changed and is not committed: in a session, in the transaction."""
    from django.apps import apps  # noqa: PLC0415  once it is configured
    from django.db import transaction  # noqa: PLC0415  the same

    with transaction.atomic():
        session.add(Watched())
        session.flush()
        row = apps.all_models["bench"]["watched"].objects.create()
        row.status = "closed"
        row.save()
        yield
        transaction.set_rollback(True)
    session.rollback()


def measure(pair: Pair, count: int) -> tuple[float, float]:
    """The median of the plain one and the median of what the watched one takes more, in µs."""
    clock = time.perf_counter_ns
    taken: tuple[list[int], list[int]] = ([], [])
    for index in range(count + count // 10):
        for which in (0, 1) if index % 2 else (1, 0):
            call = pair[which]
            before = clock()
            call(index)
            taken[which].append(clock() - before)
    watched, plain = (each[count // 10 :] for each in taken)
    more = [one - other for one, other in zip(watched, plain, strict=True)]
    return statistics.median(plain) / _NS_IN_US, statistics.median(more) / _NS_IN_US


def bare(count: int) -> dict[str, float]:
    """What each takes in a process without any hook, in µs."""
    words = [sys.executable, "-m", "benchmarks.hooks", "--bare", "-n", str(count)]
    done = subprocess.run(words, capture_output=True, check=True)  # noqa: S603  this program
    return dict(json.loads(done.stdout))


def main() -> None:
    """Run all and say whether the target is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=5000, help="calls of each")
    parser.add_argument("--bare", action="store_true", help="without any hook: what each takes, as JSON")
    given = parser.parse_args()
    without = None if given.bare else bare(given.n)
    session = database()
    pairs = {**sqlalchemy_pairs(session, hooked=not given.bare), **django_pairs(hooked=not given.bare)}
    measured = {name: measure(pair, given.n) for name, pair in pairs.items()}
    with database() as other, waiting(other):
        name = "SQLAlchemy, flush"
        measured[f"{name}, while another session's change waits"] = measure(pairs[name], given.n)
    with waiting(session):
        for name in ("SQLAlchemy, flush", "SQLAlchemy, read", "Django, save", "Django, read"):
            measured[f"{name}, while another row's change waits"] = measure(pairs[name], given.n)
    if without is None:
        sys.stdout.write(json.dumps({name: plain for name, (plain, _) in measured.items()}))
        return
    lines = [
        "| what | no hook µs | unwatched µs | watched, more µs | target µs | |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for name, (plain, more) in measured.items():
        verdict = " | " if "read" in name else f"{_TARGET:.0f} | {'met' if more <= _TARGET else 'MISSED'}"
        lines.append(f"| {name} | {without[name]:.1f} | {plain:.1f} | {more:.1f} | {verdict} |")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
