"""How a hook finds the class that it names, what it says if there is none, and what it leaves: nothing."""

import logging
import sys
import textwrap
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import Connection, Engine, insert, update
from sqlalchemy.engine import Transaction
from sqlalchemy.orm import Session, configure_mappers

from otel_incident.hooks.activation import Activation
from otel_incident.hooks.spec import parse
from otel_incident.hooks.sqlalchemy_versions import too_old
from tests.hosts.mapped import Case, Drill, Incident
from tests.mapped_host import CASES, INCIDENTS, said, watching
from tests.mapped_host import desk as desk  # noqa: PLC0414  a fixture is used by its name
from tests.processes import succeed

START: Final = "one.toml, hook 'incident':"
NOT_MAPPED: Final = "is no class that SQLAlchemy maps (a model of Django's is named as in desk.Incident)"
ABSENT: Final = "so it reports nothing; correct `model` or remove the hook."


def on(target: str) -> str:
    """A hook on another target, of its id alone."""
    return f"""
[host]
name = "desk"

[[hook]]
name = "incident"
kind = "model"
model = "{target}"
incident.id = "self.id"
"""


@pytest.fixture
def configured() -> None:
    """The host has used one of its classes."""
    configure_mappers()


def at_the_end(text: str, *, preset: bool = False) -> None:
    """The process ends while a file is in force."""
    activation = Activation([parse(text, "one.toml", preset=preset)], lambda _: None)
    activation.install()
    activation._ended()  # noqa: SLF001  what the interpreter calls
    activation.uninstall()


# -- what is wrong


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("tests.hosts.mapped:Nobody", "does not exist"),
        ("tests.hosts.mapped:Base.nobody", "does not exist"),
        ("tests.hosts.mapped:DateTime.python_type", "is not a class"),
        ("tests.hosts.mapped:Plain", NOT_MAPPED),
        ("tests.hosts.mapped:Base", NOT_MAPPED),
        ("tests.hosts.nobody:Incident", "is in a module that cannot be found"),
        ("tests.hosts.serve:Incident", "is in a module that was not imported in this process"),
    ],
)
def test_a_target_that_is_none(target: str, why: str, caplog: pytest.LogCaptureFixture) -> None:
    """One line, when it is known."""
    sys.modules.pop("tests.hosts.serve", None)
    at_the_end(on(target))
    assert caplog.messages == [f"{START} {target} {why}, {ABSENT}"]
    assert caplog.records[0].levelno == logging.WARNING


@pytest.mark.parametrize("target", ["tests.hosts.mapped:Nobody", "tests.hosts.nobody:Incident"])
def test_a_preset_says_nothing(target: str, caplog: pytest.LogCaptureFixture) -> None:
    """Versions of a host differ."""
    text = on(target).replace('name = "desk"', 'name = "desk"\nmodule = "tests.hosts.mapped"')
    at_the_end(text, preset=True)
    assert caplog.messages == []


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("field", ["nobody", "incidents", "metadata"])
def test_a_field_that_is_none(field: str, caplog: pytest.LogCaptureFixture) -> None:
    """Neither a column nor a relation whose key is in the row."""
    text = on("tests.hosts.mapped:User") + f'commander.field = "{field}"\n'
    at_the_end(text)
    assert caplog.messages == [
        (
            f"{START} the model tests.hosts.mapped:User has no column '{field}', nor a relation of this name "
            "whose key is in the row, so the hook reports nothing; correct it."
        )
    ]


@pytest.mark.usefixtures("configured")
def test_a_path_that_leads_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    """It begins with nothing that is mapped."""
    with watching(INCIDENTS.replace("self.team_id", "self.taem_id")):
        pass
    assert caplog.messages == [
        (
            f"{START} the model tests.hosts.mapped:Incident has neither a column nor a relation at the "
            "beginning of self.taem_id, which finds nothing unless the host sets it on its instances; "
            "correct the path."
        )
    ]


def test_an_id_that_is_not_found(desk: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """Said once."""
    text = INCIDENTS.replace('id = "self.id"', 'id = "self.commander.id"')
    with watching(text) as seen, Session(desk) as session:
        session.add_all([Incident(), Incident()])
        session.commit()
    assert [event.incident.id for event in seen] == [None, None]
    assert caplog.messages == [
        (
            f"{START} nothing is found at self.commander.id (incident.id), so its event is dropped, and each "
            "without an id; correct the path. This is said once."
        )
    ]


@pytest.mark.parametrize("preset", [True, False])
def test_a_sqlalchemy_that_is_too_old(
    desk: Engine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, *, preset: bool
) -> None:
    """One line for the hook, and nothing of SQLAlchemy's is touched."""
    monkeypatch.setattr("sqlalchemy.__version__", "1.4.54")
    before = {each: dict(vars(each)) for each in (Connection, Session, Transaction)}
    text = INCIDENTS.replace('name = "desk"', 'name = "desk"\nmodule = "tests.hosts.mapped"')
    activation = Activation([parse(text, "one.toml", preset=preset)], lambda _: None)
    activation.install()
    with Session(desk) as session:
        session.add(Incident())
        session.commit()
    assert not activation.matched
    assert {each: dict(vars(each)) for each in before} == before
    listeners = (
        Incident.__mapper__.dispatch.after_update,
        Session().dispatch.after_commit,
        Session().dispatch.persistent_to_deleted,
    )
    assert [len(each) for each in listeners] == [0, 0, 0]
    activation._ended()  # noqa: SLF001  what the interpreter calls
    activation.uninstall()
    assert caplog.messages == [
        (
            f"{START} the model tests.hosts.mapped:Incident is to be SQLAlchemy's, of which 1.4.54 is "
            "installed, and hooks on models need 2.0 or newer, so it reports nothing; upgrade SQLAlchemy, or "
            "watch a function (kind `call`) instead."
        )
    ]


@pytest.mark.parametrize(
    ("version", "found"),
    [("1.4.54", "1.4.54"), ("1.3.24b1", "1.3.24"), ("2.0.0b1", ""), ("2.1.9", ""), ("10.1", ""), ("", "")],
)
def test_which_versions_are_too_old(version: str, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """All before 2.0, by their numbers alone."""
    monkeypatch.setattr("sqlalchemy.__version__", version)
    assert too_old() == found


# -- statements


def test_statements_are_counted(desk: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """What they write past the session nobody can report: a line at the first, a number at the end."""
    activation = Activation([parse(INCIDENTS, "one.toml")], lambda _: None)
    activation.install()
    with Session(desk) as session:
        session.execute(update(Incident).values(title="Another"))
        session.execute(update(Case).values(owner="nobody"))
        session.query(Incident).all()
        session.query(Incident).delete()
        assert caplog.messages == []
        session.execute(update(Incident).values({Incident.status: "closed"}))
        session.query(Drill).update({"priority": 3})
        session.execute(insert(Incident), [{"title": "One"}, {"title": "Two"}])
        session.commit()
    activation._ended()  # noqa: SLF001  what the interpreter calls
    activation.uninstall()
    start = f"{START} rows of tests.hosts.mapped:Incident were"
    assert caplog.messages == [
        (
            f"{start} changed by a statement; those that its session holds are reported, others are not. "
            "This is said once."
        ),
        (
            f"{start} inserted by a statement, which tells nobody their keys, so they are not reported. "
            "This is said once."
        ),
        f"{start} written by 3 statements in this process.",
    ]


# -- coming and going


def test_nothing_is_left_behind(desk: Engine) -> None:
    """After the hooks were taken away nothing of ours is called, and put in place again they report once."""
    with Session(desk) as session:
        with watching(INCIDENTS, CASES) as first:
            incident = Incident()
            session.add(incident)
            session.flush()
        session.commit()
        incident.status = "closed"
        session.commit()
        assert first == []
        with watching(INCIDENTS, CASES) as second:
            incident.status = "open"
            assert incident.status == "open"
            incident.priority = 2
            session.commit()
            incident.status = "closed"
            session.commit()
    assert first == []
    assert said(second) == [("end", 1)]
    listeners = Incident.__mapper__.dispatch.after_update, Session().dispatch.after_commit
    assert [len(each) for each in listeners] == [0, 0]


def test_two_hooks_on_one_class(desk: Engine) -> None:
    """Of two files the second is refused elsewhere; two classes of one table are each their own."""
    outages = on("tests.hosts.mapped:Drill")
    with watching(INCIDENTS, outages) as seen, Session(desk) as session:
        session.add(Drill())
        session.commit()
    assert said(seen) == [("create", 1), ("create", 1)]


HOST: Final = """
from sqlalchemy import Column, ForeignKey, Integer, String, Table, create_engine
from sqlalchemy.orm import Session, declarative_base, registry, relationship

Base = declarative_base()


class Incident(Base):
    __tablename__ = "incident"
    id = Column(Integer, primary_key=True)
    status = Column(String, default="open")
    commander_id = Column(ForeignKey("user.id"))
    commander = relationship("User")


class Ticket:
    def __init__(self):
        self.status = "open"


def main():
    import desk.users
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        incident, ticket = Incident(commander=desk.users.User()), Ticket()
        session.add_all([incident, ticket])
        session.commit()
        incident.status = ticket.status = "closed"
        session.commit()
"""
USERS: Final = """
from sqlalchemy import Column, Integer, String, Table
from sqlalchemy.orm import registry

from desk import models


class User(models.Base):
    __tablename__ = "user"
    id = Column(Integer, primary_key=True)


table = Table(
    "ticket", models.Base.metadata, Column("id", Integer, primary_key=True), Column("status", String)
)
registry(metadata=models.Base.metadata).map_imperatively(models.Ticket, table)
"""
PROGRAM: Final = """
import sys
from otel_incident.guard import set_reraise
from otel_incident.hooks.activation import Activation
from otel_incident.hooks.spec import parse

set_reraise(reraise=True)
sys.path.insert(0, {path!r})
{first}
seen = []
Activation([parse({text!r}, "one.toml")], seen.append).install()
print("sqlalchemy" in sys.modules)
import desk.models
desk.models.main()
print([(event.action, type(event.incident.id).__name__) for event in seen])
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A host whose classes name one another before they are all imported, and that maps one later."""
    home = tmp_path / "desk"
    home.mkdir()
    (home / "__init__.py").write_text("")
    (home / "models.py").write_text(textwrap.dedent(HOST))
    (home / "users.py").write_text(textwrap.dedent(USERS))
    return tmp_path


@pytest.mark.parametrize("first", ["", "import desk.models"], ids=["hooks first", "host first"])
@pytest.mark.parametrize("name", ["Incident", "Ticket"])
def test_a_host_that_maps_its_classes_later(package: Path, first: str, name: str) -> None:
    """SQLAlchemy is the host's to import, and its mappers are the host's to configure."""
    text = on(f"desk.models:{name}") + 'lifecycle.field = "status"\nlifecycle.closed = ["closed"]\n'
    done = succeed(PROGRAM.format(path=str(package), first=first, text=text))
    assert done.stdout == f"{bool(first)}\n[('create', 'int'), ('end', 'int')]\n"
    assert done.stderr == ""


def test_a_class_that_is_not_used(package: Path) -> None:
    """A process that imports a host's classes and does nothing with them says nothing at its end."""
    program = PROGRAM.format(path=str(package), first="", text=on("desk.models:Incident"))
    done = succeed(program.replace("desk.models.main()", ""))
    assert done.stdout == "False\n[]\n"
    assert done.stderr == ""


def test_without_sqlalchemy(tmp_path: Path) -> None:
    """A hook for a library that is not installed is the operator's mistake, said at the end."""
    code = f"""
    import importlib.util, sys
    find = importlib.util.find_spec
    importlib.util.find_spec = lambda name, *more: None if name == "sqlalchemy" else find(name, *more)
    from otel_incident.hooks.activation import Activation
    from otel_incident.hooks.spec import parse
    Activation([parse({on("desk.models:Incident")!r}, "one.toml")], print).install()
    """
    done = succeed(code, {"HOME": str(tmp_path)})
    assert done.stdout == ""
    assert done.stderr == (
        f"{START} the model desk.models:Incident is to be SQLAlchemy's, which is not installed; correct or "
        "remove the hook.\n"
    )
