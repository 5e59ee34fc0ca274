"""Who did it where the hook file names a callable: it is asked at the event, at nobody's expense."""

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any, Final

import flask
import flask_login
import pytest

from otel_incident import guard
from otel_incident.events import Actor
from otel_incident.hooks.actors import user_reader
from tests import actor_desk
from tests.actor_desk import reporting

CALLABLE: Final = 'callable = "desk_auth:Session.current_user"'


@pytest.fixture
def auth(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The host's `desk_auth.Session`, to be given a `current_user`."""
    module: Any = ModuleType("desk_auth")
    module.Session = SimpleNamespace()
    monkeypatch.setitem(sys.modules, "desk_auth", module)
    found: SimpleNamespace = module.Session
    return found


@pytest.fixture
def reported() -> Iterator[list[Actor | None]]:
    """Who did it, by the callable."""
    with reporting(CALLABLE) as seen:
        yield seen


@pytest.mark.parametrize(
    ("user", "actor"),
    [
        (SimpleNamespace(id=7), Actor(id=7)),
        (SimpleNamespace(pk=7, id="other", is_superuser=True), Actor(id=7, roles=("system_admin",))),
        (SimpleNamespace(id=7, is_authenticated=True, is_superuser=False), Actor(id=7, roles=("end_user",))),
        ({"id": 7, "is_superuser": True}, Actor(id=7, roles=("system_admin",))),
        (SimpleNamespace(id=7, is_authenticated=False), None),
        (SimpleNamespace(name="Sam"), None),
        (None, None),
    ],
)
def test_what_it_returns_is_the_user(
    auth: SimpleNamespace, reported: list[Actor | None], user: object, actor: Actor | None
) -> None:
    """His id and role by their usual names; nobody if he says so, and if there is none, without a word."""
    auth.current_user = lambda: user
    actor_desk.close(1)
    assert reported == [actor]


def test_is_asked_at_each_event(auth: SimpleNamespace, reported: list[Actor | None]) -> None:
    """And found at each event: a host may put another in its place."""
    numbers = iter((7, 8))
    auth.current_user = lambda: SimpleNamespace(id=next(numbers))
    actor_desk.close(1)
    actor_desk.close(1)
    auth.current_user = lambda: SimpleNamespace(id=9)
    actor_desk.close(1)
    assert reported == [Actor(id=7), Actor(id=8), Actor(id=9)]


def test_paths_into_what_it_returns(auth: SimpleNamespace) -> None:
    """`user` is what it returned, an id itself too; a role goes with the id if both are named."""
    auth.current_user = lambda: SimpleNamespace(uid=7, is_admin=True)
    with reporting(CALLABLE, 'id = "user.uid"', 'system_admin = "user.is_admin"') as reported:
        actor_desk.close(1)
        auth.current_user = lambda: SimpleNamespace(uid=8, is_admin="yes")
        actor_desk.close(1)
    assert reported == [Actor(id=7, roles=("system_admin",)), Actor(id=8)]
    auth.current_user = lambda: 9
    with reporting(CALLABLE, 'id = "user"') as reported:
        actor_desk.close(1)
    assert reported == [Actor(id=9)]


def test_the_requests_user_is_not_taken_in_its_place(
    auth: SimpleNamespace, reported: list[Actor | None]
) -> None:
    """Where a hook says whom to ask, nobody else is guessed."""
    auth.current_user = lambda: None
    token = user_reader.set(lambda: SimpleNamespace(id=42))
    actor_desk.close(1)
    user_reader.reset(token)
    assert reported == [None]


def left_out(why: str) -> str:
    """What is said of a callable that cannot be asked."""
    return (
        f"hooks.toml, hook 'close': desk_auth:Session.current_user {why}, so who did it is left out; "
        "correct `actor.callable`."
    )


def fails() -> None:
    """Raise what says something of the host's."""
    raise LookupError("Jane is not logged in")


async def asynchronous() -> SimpleNamespace:
    """Say who it is, some time."""
    return SimpleNamespace(id=7)


class Awaitable:
    """Not a coroutine, and nothing that can be waited for here either."""

    id = 7

    def __await__(self) -> Iterator[None]:
        """Never called."""
        raise AssertionError


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (fails, "raised LookupError"),
        (asynchronous, "is asynchronous, and nobody can wait for it"),
        (Awaitable, "is asynchronous, and nobody can wait for it"),
        (lambda _missing: None, "raised TypeError"),
        (7, "raised TypeError"),
        (None, "does not exist"),
    ],
)
def test_what_cannot_be_asked_is_said_once(
    auth: SimpleNamespace,
    reported: list[Actor | None],
    caplog: pytest.LogCaptureFixture,
    function: Callable[[], object] | None,
    why: str,
) -> None:
    """The event goes out without an actor; the line says which callable, and nothing of the host's."""
    if function is not None:
        auth.current_user = function
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING, "otel_incident"):
        warnings.simplefilter("error")  # a coroutine that nobody awaits
        actor_desk.close(1)
        actor_desk.close(1)
    assert reported == [None, None]
    assert caplog.messages == [left_out(why)]
    assert guard.swallowed() == {}


def test_a_module_that_is_not_there_is_not_imported(
    reported: list[Actor | None], caplog: pytest.LogCaptureFixture
) -> None:
    """To import it would be to start the host; it is said once."""
    actor_desk.close(1)
    assert reported == [None]
    assert caplog.messages == [left_out("is in a module that was not imported when an event came")]


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_passes(
    auth: SimpleNamespace, reported: list[Actor | None], kind: type[BaseException]
) -> None:
    """As everywhere: what ends a host is not ours to swallow."""

    def interrupted() -> None:
        raise kind

    auth.current_user = interrupted
    with pytest.raises(kind):
        actor_desk.close(1)
    assert reported == []


def test_one_that_changes_an_incident_itself(auth: SimpleNamespace, reported: list[Actor | None]) -> None:
    """It is not asked about what it does itself, or it would be asked without end."""

    def closes() -> SimpleNamespace:
        actor_desk.close(2)
        return SimpleNamespace(id=7)

    auth.current_user = closes
    actor_desk.close(1)
    assert sorted(reported, key=str) == sorted([Actor(id=7), None], key=str)


def test_one_that_returns_current_user(auth: SimpleNamespace, reported: list[Actor | None]) -> None:
    """The proxy is not loaded by us; who was loaded is known."""
    app = flask.Flask("desk")
    app.secret_key = "a secret"  # noqa: S105  nobody's
    user = flask_login.UserMixin()
    user.id = 7
    flask_login.LoginManager(app).user_loader(lambda _: user)
    auth.current_user = lambda: flask_login.current_user
    with app.test_request_context():
        flask.session["_user_id"] = "7"
        actor_desk.close(1)
        assert flask_login.current_user.id == 7
        actor_desk.close(1)
    assert reported == [None, Actor(id=7)]
