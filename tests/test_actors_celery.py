"""Who did it in a Celery task: whoever made the request that started it, carried by the message alone."""

from __future__ import annotations

import hashlib
import hmac
import json
from contextlib import contextmanager
from contextvars import copy_context
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import flask
import flask_login
import pytest
from celery import Celery, chain, chord, group, signals
from celery.worker.request import Request
from kombu.simple import SimpleQueue

from otel_incident.config import Config
from otel_incident.events import Actor, Hashed
from otel_incident.hooks.actors import user_reader
from otel_incident.hooks.celery_tasks import HEADER, read
from otel_incident.pipeline import Pipeline
from tests import actor_desk
from tests.actor_desk import reporting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from otel_incident.hooks.celery_tasks import AsSent

ADMIN: Final = SimpleNamespace(id=7, name="Sam", is_superuser=True)
CARRIED: Final = {"user.id": "7", "user.roles": ["system_admin"]}
ACTOR: Final = Actor(id="7", roles=("system_admin",))
HASH: Final = "hmac-0123456789abcdef0123456789abcdef"


class Desk:
    """A host with tasks, and a worker that does one at a time."""

    def __init__(self) -> None:
        self.app = Celery("desk", broker="memory://", backend="cache+memory://", set_as_current=False)
        self.app.conf.broker_transport_options = {"polling_interval": 0}
        self.headers: list[Any] = []
        self.before: Callable[[Any], None] = lambda _: None

        def close(task: Any, *_: Any) -> int:
            self.before(task)
            actor_desk.close(1)
            return 1

        self.close = self.app.task(name="desk.close", bind=True, shared=False)(close)

    def sent(self) -> Any:
        """The header of the task that waits first; it is taken out and not done."""
        with self._message() as message:
            return message.headers.get(HEADER)

    def work(self, times: int = 1) -> None:
        """Do the tasks that wait, as a worker's process does."""
        for _ in range(times):
            with self._message() as message:
                self.headers.append(message.headers.get(HEADER))
                task = self.app.tasks[message.headers["task"]]
                Request(message, app=self.app, task=task, hostname="worker").execute()

    @contextmanager
    def _message(self) -> Iterator[Any]:
        with self.app.connection_for_read() as connection:
            queue: Any = SimpleQueue(connection, "celery")  # type: ignore[no-untyped-call]  # untyped upstream
            message = queue.get(block=False)
            message.ack()
            yield message
            queue.close()


@pytest.fixture
def desk() -> Iterator[Desk]:
    """The host."""
    made = Desk()
    yield made
    with made.app.connection_for_write() as connection:
        connection.default_channel.queue_purge("celery")
    made.app.close()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state directory of the installation, not made yet."""
    return tmp_path / "installation"


@pytest.fixture
def as_sent(state: Path) -> AsSent:
    """What of an actor would leave in an event."""
    return sender(state)


def sender(state: Path, **settings: str) -> AsSent:
    """The same with other settings of the operator's."""
    variables = {"OTEL_LOGS_EXPORTER": "console", "OTEL_INCIDENT_STATE_DIR": str(state), **settings}
    return Pipeline(Config.from_env(variables)).actor_as_sent


@pytest.fixture
def reported(as_sent: AsSent) -> Iterator[list[Actor | None]]:
    """Who did it."""
    with reporting(as_sent=as_sent) as seen:
        yield seen


@contextmanager
def request_of(user: object = ADMIN) -> Iterator[None]:
    """A request, as a framework's adapter makes it known."""
    token = user_reader.set(lambda: user)
    try:
        yield
    finally:
        user_reader.reset(token)


def test_a_task_carries_who_started_it(desk: Desk, reported: list[Actor | None]) -> None:
    """In a header with exactly his id and roles, as JSON holds them; the task is his, and the next is not."""
    with request_of():
        desk.close.delay()
    desk.close.delay()
    desk.work(2)
    assert desk.headers == [CARRIED, None]
    assert reported == [ACTOR, None]
    assert json.loads(json.dumps(CARRIED)) == CARRIED


def test_a_role_that_is_not_known(desk: Desk, reported: list[Actor | None]) -> None:
    """Is not carried, either."""
    with request_of(SimpleNamespace(id=8)):
        desk.close.delay()
    desk.work()
    assert (desk.headers, reported) == ([{"user.id": "8"}], [Actor(id="8")])


@pytest.mark.parametrize("user", [None, SimpleNamespace(name="Sam"), SimpleNamespace(id=["Sam"])])
def test_nobody_is_not_carried(desk: Desk, reported: list[Actor | None], user: object) -> None:
    """Not logged in, without an id, or with what is none."""
    with request_of(user):
        desk.close.delay()
    desk.work()
    assert (desk.headers, reported) == ([None], [None])


def test_a_name_travels_as_its_hash(
    desk: Desk, reported: list[Actor | None], as_sent: AsSent, state: Path
) -> None:
    """Under the installation's key, into `user.hash`, and is not hashed again for what the task starts."""
    desk.before = lambda task: None if task.request.args else desk.close.delay("another")
    with request_of(SimpleNamespace(id="sam@acme.test")):
        desk.close.delay()
    desk.work(2)
    key = (state / "key").read_bytes()
    hashed = f"hmac-{hmac.new(key, b'sam@acme.test', hashlib.sha256).hexdigest()[:32]}"
    assert desk.headers == [{"user.hash": hashed}] * 2
    assert [(actor, type(actor and actor.id)) for actor in reported] == [
        (Actor(id=Hashed(hashed)), Hashed)
    ] * 2
    assert as_sent(Actor(id=Hashed(hashed)), None) == {"user.hash": hashed}


@pytest.mark.parametrize(("mode", "names"), [("hmac", {"user.hash", "user.roles"}), ("drop", {"user.roles"})])
def test_the_operators_id_mode_holds(desk: Desk, state: Path, mode: str, names: set[str]) -> None:
    """What would not leave in an event goes into no header."""
    with reporting(as_sent=sender(state, OTEL_INCIDENT_ID_MODE=mode)) as reported:
        with request_of():
            desk.close.delay()
        desk.work()
    assert [set(header) for header in desk.headers] == [names]
    assert [actor and actor.roles for actor in reported] == [("system_admin",)]


def test_a_worker_that_drops_what_others_hash(state: Path) -> None:
    """The worker's own settings hold for what it starts and reports."""
    dropping = sender(state, OTEL_INCIDENT_ID_MODE="user.id=drop")
    assert dropping(Actor(id=Hashed(HASH), roles=("end_user",)), None) == {"user.roles": ("end_user",)}


def test_the_hosts_own_shape_of_an_id(desk: Desk, as_sent: AsSent) -> None:
    """What the hook lets pass in an event passes here."""
    with reporting(more='ids."user.id" = "[a-z]{3}"', as_sent=as_sent) as reported:
        with request_of(SimpleNamespace(id="sam")):
            desk.close.delay()
        desk.work()
    assert (desk.headers, reported) == ([{"user.id": "sam"}], [Actor(id="sam")])


def test_where_no_id_leaves_there_is_no_key(desk: Desk, state: Path) -> None:
    """Without an exporter nothing is made on disk, and a name is left out."""
    with (
        reporting(as_sent=sender(state, OTEL_LOGS_EXPORTER="none")),
        request_of(SimpleNamespace(id="sam")),
    ):
        desk.close.delay()
    assert desk.sent() is None
    assert not state.exists()


def test_what_a_hook_says_of_the_user(desk: Desk, as_sent: AsSent) -> None:
    """The paths and the callable of the hook file decide at the request; the worker asks nobody."""
    user = SimpleNamespace(uid=9, staff=False)
    with reporting('id = "user.uid"', 'system_admin = "user.staff"', as_sent=as_sent) as seen:
        with request_of(user):
            desk.close.delay()
        desk.work()
    assert (desk.headers, seen) == (
        [{"user.id": "9", "user.roles": ["end_user"]}],
        [Actor(id="9", roles=("end_user",))],
    )


def test_a_hook_that_names_somebody_else(desk: Desk, as_sent: AsSent) -> None:
    """Somebody in what it watches is nobody's to carry."""
    with reporting('id = "arg.number"', as_sent=as_sent) as reported:
        with request_of():
            desk.close.delay()
        desk.work()
    assert (desk.headers, reported) == ([None], [Actor(id=1)])


def test_a_task_with_hooks_of_both_kinds(desk: Desk, as_sent: AsSent) -> None:
    """Who made the request is carried for the hook that asks for him, and is nobody to the other."""
    with reporting(more=ANOTHER.format(line='id = "arg.number"'), as_sent=as_sent) as reported:
        with request_of():
            desk.close.delay()
        desk.work()
    assert desk.headers == [CARRIED]
    assert sorted(reported, key=str) == sorted([ACTOR, Actor(id=1)], key=str)


ANOTHER: Final = """
    [[hook]]
    name = "reopen"
    kind = "call"
    target = "tests.actor_desk:close"
    action = "restart"
    incident.id = "arg.number"
    actor.{line}
"""


@pytest.mark.parametrize(
    ("line", "carried"),
    [
        ('id = "user.number"', {"user.id": "7"}),
        ('id = "user.id"', {"user.id": "7"}),
        ('id = "user.badge"', None),
        ('id = "user.nothing"', None),
        ('system_admin = "user.is_superuser"', CARRIED),
        ('system_admin = "user.is_staff"', {"user.id": "7"}),
    ],
)
def test_hooks_that_do_not_agree(desk: Desk, as_sent: AsSent, line: str, carried: object) -> None:
    """On a role: it is left out. On the id: nobody can know who it is."""
    user = SimpleNamespace(id=7, number=7, badge=8, is_superuser=True, is_staff=False)
    with reporting(more=ANOTHER.format(line=line), as_sent=as_sent), request_of(user):
        desk.close.delay()
    assert desk.sent() == carried


def test_a_retry_is_his(desk: Desk, reported: list[Actor | None]) -> None:
    """As often as it takes."""

    def twice(task: Any) -> None:
        if task.request.retries < 2:
            raise task.retry(countdown=0, throw=True)

    desk.before = twice
    with request_of():
        desk.close.delay()
    desk.work(3)
    assert desk.headers == [CARRIED] * 3
    assert reported == [ACTOR]


def test_what_a_task_starts_is_his(desk: Desk, reported: list[Actor | None]) -> None:
    """A chain, a group with what comes after it, and a task that a task starts by itself."""
    close = desk.close
    with request_of():
        chain(close.s(), close.s()).delay()
    desk.work(2)
    with request_of():
        group(close.s(), close.s()).delay()
    desk.work(2)
    with request_of():
        chord([close.s(), close.s()], close.s(), app=desk.app).delay()
    desk.work(3)

    def start(task: Any) -> None:
        if not task.request.args:
            close.delay("another")

    desk.before = start
    with request_of():
        close.delay()
    desk.work(2)
    assert desk.headers == [CARRIED] * 9
    assert reported == [ACTOR] * 9


def test_what_fails_is_forgotten(desk: Desk, reported: list[Actor | None]) -> None:
    """A task that raises, and one that is started without a request after it."""

    def fail(_: Any) -> None:
        actor_desk.close(1)
        raise LookupError("the host's own")

    desk.before = fail
    with request_of():
        desk.close.delay()
    desk.work()
    assert user_reader.get() is None
    desk.before = lambda _: None
    actor_desk.close(1)
    desk.close.delay()
    desk.work()
    assert reported == [ACTOR, None, None]


def test_a_task_of_a_flask_request(desk: Desk, reported: list[Actor | None]) -> None:
    """Carries flask-login's user; a task that works in a request of its own making is still his."""
    app = flask.Flask("desk")
    app.secret_key = "a secret"  # noqa: S105  nobody's
    flask_login.LoginManager(app)
    user = flask_login.UserMixin()
    user.id, user.is_superuser = 7, True
    with app.test_request_context():
        desk.close.delay()
        flask_login.login_user(user)
        desk.close.delay()
    desk.work()

    def within(_: Any) -> None:
        with app.test_request_context():
            actor_desk.close(1)

    desk.before = within
    desk.work()
    assert desk.headers == [None, CARRIED]
    assert reported == [None, ACTOR, ACTOR]


def test_a_task_that_never_ended(desk: Desk, reported: list[Actor | None]) -> None:
    """Where a worker lost one half-way, the next task of nobody's is nobody's."""
    desk.close.delay()
    with request_of():  # what it would have left
        desk.work()
    assert reported == [None]


def test_what_a_task_leaves_behind_is_nobodys(desk: Desk, reported: list[Actor | None]) -> None:
    """A context that was copied in it may live for ever."""
    left: list[Any] = []
    desk.before = lambda _: left.append(copy_context())
    with request_of():
        desk.close.delay()
    desk.work()
    left[0].run(actor_desk.close, 1)
    assert reported == [ACTOR, None]


def test_eager_tasks_and_direct_calls(desk: Desk, reported: list[Actor | None]) -> None:
    """Run in the request, and are the request's; nothing of it is changed for what comes after."""
    with request_of():
        desk.close.apply()
        desk.app.conf.task_always_eager = True
        desk.close.delay()
        desk.close()
        actor_desk.close(1)
    desk.close.apply()
    desk.close()
    known = Actor(id=7, roles=("system_admin",))
    assert reported == [known, known, known, known, None, None]


def test_an_eager_task_within_a_task(desk: Desk, reported: list[Actor | None]) -> None:
    """Is the task's, and so is what comes after it."""

    def within(task: Any) -> None:
        if not task.request.is_eager:
            desk.close.apply()

    desk.before = within
    with request_of():
        desk.close.delay()
    desk.work()
    assert reported == [ACTOR, ACTOR]


@pytest.mark.parametrize(
    ("header", "actor"),
    [
        (CARRIED, ACTOR),
        ({"user.id": "sam"}, Actor(id="sam")),  # for the policy, which may know its shape
        ({"user.id": "7", "user.roles": ("end_user",)}, Actor(id="7", roles=("end_user",))),
        ({"user.hash": HASH}, Actor(id=Hashed(HASH))),
        ({"user.roles": ["end_user"]}, Actor(roles=("end_user",))),
        ({"user.id": "7", "user.roles": ["root"], "user.name": "Sam"}, Actor(id="7")),
        ({"user.id": "7", "user.roles": "end_user"}, Actor(id="7")),
        ({"user.id": "7", "user.roles": [["end_user"]]}, Actor(id="7")),
        ({"user.id": "x" * 64}, Actor(id="x" * 64)),
        ({"user.id": "x" * 65}, None),
        ({"user.id": "é"}, None),
        ({"user.id": ""}, None),
        ({"user.id": 7}, None),
        ({"user.id": 7, "user.roles": ["end_user"]}, None),
        ({"user.hash": "sam"}, None),
        ({"user.hash": "sam", "user.roles": ["end_user"]}, None),
        ({}, None),
        ([], None),
        ("user.id=7", None),
        (None, None),
    ],
)
def test_what_is_taken_from_a_header(header: object, actor: Actor | None) -> None:
    """No more than what we put there, whoever wrote it."""
    assert read(header) == actor


def test_is_silent_without_a_sender(desk: Desk) -> None:
    """Where nothing may leave by tasks, nothing does."""
    with reporting() as reported:
        with request_of():
            desk.close.delay()
        desk.work()
    assert (desk.headers, reported) == ([None], [None])


def test_listens_no_more_after_it_ends(as_sent: AsSent) -> None:
    """Celery's signals have the receivers that they had."""
    watched = (signals.before_task_publish, signals.task_prerun, signals.task_postrun)
    before = [list(signal.receivers or ()) for signal in watched]
    with reporting(as_sent=as_sent):
        assert [len(signal.receivers) for signal in watched] == [len(each) + 1 for each in before]
    assert [list(signal.receivers or ()) for signal in watched] == before
