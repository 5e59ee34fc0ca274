"""Who did it in Flask: the user that flask-login has loaded, and never one that we would have to load."""

import contextvars
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Final

import flask
import flask_login
import pytest
from flask.testing import FlaskClient

from otel_incident.events import Actor
from tests import actor_desk
from tests.actor_desk import reporting

ADMIN: Final = Actor(id=7, roles=("system_admin",))
ENDS: Final = Actor(id=8, roles=("end_user",))


class User(flask_login.UserMixin):  # type: ignore[misc]  # flask-login has no types
    """One of the host's."""

    def __init__(self, number: int, *, is_superuser: object = None) -> None:
        self.id = number
        if is_superuser is not None:
            self.is_superuser = is_superuser


class Desk:
    """A host on Flask, and what its loader was asked for."""

    def __init__(self) -> None:
        self.app = flask.Flask("desk")
        self.app.secret_key = "a secret"  # noqa: S105  nobody's
        self.users = {
            "7": User(7, is_superuser=True),
            "8": User(8, is_superuser=False),
            "9": User(9),
        }
        self.loaded: list[str] = []
        manager = flask_login.LoginManager(self.app)
        manager.user_loader(self._load)
        self.app.add_url_rule("/login/<number>", view_func=self.login)
        self.app.add_url_rule("/logout", view_func=self.logout)
        self.app.add_url_rule("/seen", view_func=self.seen)
        self.app.add_url_rule("/unseen", view_func=self.unseen)

    def _load(self, number: str) -> User | None:
        self.loaded.append(number)
        return self.users.get(number)

    def client(self, number: int | None = None) -> FlaskClient:
        """A browser, logged in or not."""
        made = self.app.test_client()
        if number is not None:
            with made.session_transaction() as session:
                session["_user_id"] = str(number)
        return made

    def login(self, number: str) -> str:
        """Log in, and end an incident."""
        flask_login.login_user(self.users[number])
        actor_desk.close(1)
        return ""

    def logout(self) -> str:
        """Log out, and end an incident."""
        flask_login.logout_user()
        actor_desk.close(1)
        return ""

    def seen(self) -> str:
        """Look at who it is, and end an incident."""
        said = str(flask_login.current_user.is_authenticated)
        actor_desk.close(1)
        return said

    def unseen(self) -> str:
        """End an incident, whoever it is."""
        actor_desk.close(1)
        return ""


@pytest.fixture
def desk() -> Desk:
    """The host."""
    return Desk()


@pytest.fixture
def reported() -> Iterator[list[Actor | None]]:
    """Who did it."""
    with reporting() as seen:
        yield seen


@pytest.mark.parametrize(("number", "actor"), [(7, ADMIN), (8, ENDS), (9, Actor(id=9))])
def test_the_user_the_host_looked_at_did_it(
    desk: Desk, reported: list[Actor | None], number: int, actor: Actor
) -> None:
    """His `id`, and his role if he says whether he is a superuser."""
    assert desk.client(number).get("/seen").text == "True"
    assert reported == [actor]
    assert desk.loaded == [str(number)]


def test_a_user_nobody_looked_at_is_not_looked_up(desk: Desk, reported: list[Actor | None]) -> None:
    """flask-login would call the host's loader; we do not, so he is absent."""
    desk.client(7).get("/unseen")
    assert reported == [None]
    assert desk.loaded == []


def test_nobody_is_absent(desk: Desk, reported: list[Actor | None]) -> None:
    """A request without a login has a user who is nobody."""
    assert desk.client().get("/seen").text == "False"
    assert reported == [None]


def test_who_logs_in_did_what_follows(desk: Desk, reported: list[Actor | None]) -> None:
    """And who has logged out did not."""
    browser = desk.client()
    browser.get("/login/7")
    browser.get("/logout")
    assert reported == [ADMIN, None]


def test_a_user_of_a_request_loader(desk: Desk, reported: list[Actor | None]) -> None:
    """An authentication by a header is the same to flask-login, and to us."""
    desk.app.login_manager.request_loader(lambda request: desk.users.get(request.headers["x-user"]))  # type: ignore[attr-defined]  # flask-login's
    desk.app.test_client().get("/seen", headers={"x-user": "8"})
    assert reported == [ENDS]


def test_a_user_who_cannot_be_looked_at_is_absent(desk: Desk, reported: list[Actor | None]) -> None:
    """The event goes out without him, and the host does not notice."""

    class Hostile(User):
        @property
        def is_authenticated(self) -> bool:
            raise LookupError("a text of the host's")

    desk.users["7"] = Hostile(7)
    assert desk.client(7).get("/login/7").status_code == 200
    assert reported == [None]


def test_a_user_without_an_id_is_absent(desk: Desk, reported: list[Actor | None]) -> None:
    """What a user is called is no id."""
    nameless = User(7)
    del nameless.id
    nameless.get_id = lambda: "sam"
    desk.users["7"] = nameless
    desk.client().get("/login/7")
    assert reported == [None]


def test_outside_a_request_nobody_is_known(desk: Desk, reported: list[Actor | None]) -> None:
    """After one, before one, and in a context of the application's for a command."""
    desk.client(7).get("/seen")
    actor_desk.close(1)
    with desk.app.app_context():
        flask.g._login_user = desk.users["7"]  # noqa: SLF001  as flask-login would
        actor_desk.close(1)
    assert reported == [ADMIN, None, None]


def test_what_a_request_leaves_behind_is_nobodys(desk: Desk, reported: list[Actor | None]) -> None:
    """A context that was copied in the view outlives the request, and may live for ever."""
    left: list[contextvars.Context] = []

    @desk.app.after_request
    def leave(response: flask.Response) -> flask.Response:
        left.append(contextvars.copy_context())
        return response

    desk.client(7).get("/seen")
    left[0].run(actor_desk.close, 1)
    assert reported == [ADMIN, None]


def test_an_answer_that_is_streamed(desk: Desk, reported: list[Actor | None]) -> None:
    """What is done while it is sent is his, if the host keeps the request's context for it."""

    @desk.app.get("/streamed")
    def streamed() -> flask.Response:
        assert flask_login.current_user.id == 7

        def pieces() -> Iterator[str]:
            actor_desk.close(1)
            yield "done"

        return flask.Response(flask.stream_with_context(pieces()))

    assert desk.client(7).get("/streamed").text == "done"
    assert reported == [ADMIN]


def test_an_asynchronous_view(desk: Desk, reported: list[Actor | None]) -> None:
    """Flask runs it in a loop of its own, in which the request's context is."""

    async def asynchronous() -> str:
        return desk.seen()

    desk.app.add_url_rule("/asynchronous", view_func=asynchronous)
    desk.client(8).get("/asynchronous")
    assert reported == [ENDS]


def test_requests_in_two_threads_do_not_see_each_other(desk: Desk) -> None:
    """Both have looked at their user before either acts."""
    together = threading.Barrier(2, timeout=20)

    @desk.app.get("/together")
    def at_once() -> str:
        assert flask_login.current_user.is_authenticated
        together.wait()
        actor_desk.close(1)
        together.wait()
        return ""

    with reporting() as reported:
        threads = [threading.Thread(target=desk.client(number).get, args=("/together",)) for number in (7, 8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(reported, key=str) == sorted([ADMIN, ENDS], key=str)


def test_what_the_host_keeps_in_g(desk: Desk) -> None:
    """Only a hook that names it finds it there; without flask-login, and while the request lasts."""

    @desk.app.get("/kept")
    def kept() -> str:
        flask.g.user = SimpleNamespace(id=4, admin=True)
        actor_desk.close(1)
        return ""

    with reporting() as reported:
        desk.client().get("/kept")
        assert reported == [None]
    with reporting('id = "g.user.id"') as reported:
        desk.client().get("/kept")
        actor_desk.close(1)
        assert reported == [Actor(id=4), None]
    with reporting('id = "g.user.id"', 'system_admin = "g.user.admin"') as reported:
        desk.client().get("/kept")
        assert reported == [Actor(id=4, roles=("system_admin",))]


def test_current_user_stays_lazy_wherever_it_is(desk: Desk) -> None:
    """`g.user = current_user` is an idiom, and to look into it loads the user: we do only if he is loaded."""

    def lazily() -> str:
        flask.g.user = flask_login.current_user
        if flask.request.args:
            assert flask.g.user.id == 7
        actor_desk.close(1)
        return ""

    desk.app.add_url_rule("/lazily", view_func=lazily)
    with reporting('id = "g.user.id"') as reported:
        desk.client(7).get("/lazily")
        assert (reported, desk.loaded) == ([None], [])
        desk.client(7).get("/lazily?loaded=1")
        assert (reported, desk.loaded) == ([None, Actor(id=7)], ["7"])


def test_current_user_as_an_argument_stays_lazy(desk: Desk) -> None:
    """The same of what a hook finds elsewhere."""

    def handed(number: Any = None) -> str:
        actor_desk.close(flask_login.current_user if number is None else number)
        return ""

    desk.app.add_url_rule("/handed", view_func=handed)
    with reporting('id = "arg.number.id"') as reported:
        desk.client(7).get("/handed")
        assert (reported, desk.loaded) == ([None], [])
