"""Who did it in Starlette and FastAPI: whom middleware has authenticated, or whom the hook file names."""

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Annotated, Any, Final

import fastapi
import pytest
from starlette.applications import Starlette
from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    BaseUser,
    SimpleUser,
    UnauthenticatedUser,
)
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from otel_incident import guard
from otel_incident.events import Actor
from tests import actor_desk
from tests.actor_desk import reporting
from tests.asgi import converse, get

ADMIN: Final = Actor(id="7", roles=("system_admin",))
ENDS: Final = Actor(id="8", roles=("end_user",))


class User(BaseUser):
    """One of the host's."""

    def __init__(self, number: str, *, is_superuser: bool) -> None:
        self._number = number
        self.is_superuser = is_superuser

    @property
    def is_authenticated(self) -> bool:
        """Always."""
        return True

    @property
    def display_name(self) -> str:
        """No id."""
        return "Sam"

    @property
    def identity(self) -> str:
        """What Starlette calls an id."""
        return self._number


class NoIdentity(BaseUser):
    """One who says no more than that he is somebody; Starlette's own class raises for the rest."""

    @property
    def is_authenticated(self) -> bool:
        """Always."""
        return True


class Lazy(BaseUser):
    """One whose every property is a mistake."""

    @property
    def is_authenticated(self) -> bool:
        """Never said."""
        raise LookupError("a text of the host's")


USERS: Final[dict[str, BaseUser]] = {
    "7": User("7", is_superuser=True),
    "8": User("8", is_superuser=False),
    "named": SimpleUser("sam"),
    "nameless": NoIdentity(),
    "nobody": UnauthenticatedUser(),
    "lazy": Lazy(),
}


class Backend(AuthenticationBackend):
    """Believes a header."""

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        """Whoever the header names."""
        user = USERS.get(conn.headers["x-user"])
        return None if user is None else (AuthCredentials(["authenticated"]), user)


AUTHENTICATION: Final = Middleware(AuthenticationMiddleware, backend=Backend())


def application(
    endpoint: Callable[[Request], Response] | Callable[[Request], Awaitable[Response]],
    *middleware: Middleware,
) -> Starlette:
    """A host with one endpoint, `/act`."""
    return Starlette(routes=[Route("/act", endpoint)], middleware=[*middleware, AUTHENTICATION])


async def act(_: Request) -> Response:
    """End an incident."""
    actor_desk.close(1)
    return Response()


def act_in_a_thread(_: Request) -> Response:
    """The same in Starlette's pool of threads."""
    actor_desk.close(1)
    return Response()


@pytest.fixture
def reported() -> Iterator[list[Actor | None]]:
    """Who did it."""
    with reporting() as seen:
        yield seen


@pytest.mark.parametrize("endpoint", [act, act_in_a_thread])
@pytest.mark.parametrize(
    ("user", "actor"),
    [("7", ADMIN), ("8", ENDS), ("named", Actor(id="sam")), ("nameless", None), ("nobody", None), ("", None)],
)
def test_whom_the_middleware_authenticated_did_it(
    reported: list[Actor | None], endpoint: Any, user: str, actor: Actor | None
) -> None:
    """His `identity` (the policy hashes a name), and a role if he says one; never his display name."""
    assert asyncio.run(get(application(endpoint), "/act", user)) == 200
    assert reported == [actor]


def test_a_user_who_cannot_be_looked_at_is_absent(reported: list[Actor | None]) -> None:
    """The event goes out without him, and it is no error."""
    assert asyncio.run(get(application(act), "/act", "lazy")) == 200
    assert reported == [None]
    assert guard.swallowed() == {}


def test_without_authentication_nobody_is_known(reported: list[Actor | None]) -> None:
    """Whatever the host may know by other means."""
    asyncio.run(get(Starlette(routes=[Route("/act", act)]), "/act", "7"))
    assert reported == [None]


def test_authentication_around_the_application(reported: list[Actor | None]) -> None:
    """Where the host wraps it by hand."""
    asyncio.run(
        get(AuthenticationMiddleware(Starlette(routes=[Route("/act", act)]), backend=Backend()), "/act", "8")
    )
    assert reported == [ENDS]


def test_a_middleware_with_a_task_of_its_own(reported: list[Actor | None]) -> None:
    """Starlette's `BaseHTTPMiddleware` runs what is below it in another task."""

    async def through(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    asyncio.run(get(application(act, Middleware(BaseHTTPMiddleware, dispatch=through)), "/act", "7"))
    assert reported == [ADMIN]


def test_a_mounted_application(reported: list[Actor | None]) -> None:
    """A Starlette in a Starlette knows whom the outer one authenticated."""
    inner = Starlette(routes=[Route("/act", act)])
    outer = Starlette(routes=[Mount("/inner", inner)], middleware=[AUTHENTICATION])
    asyncio.run(get(outer, "/inner/act", "8"))
    assert reported == [ENDS]


def test_around_a_mounted_application(reported: list[Actor | None]) -> None:
    """Once the inner one has answered, the outer one's request is at hand again."""

    async def after(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        actor_desk.close(1)
        return response

    inner = Starlette(routes=[Route("/act", act)])

    async def around(scope: Any, receive: Any, send: Any) -> None:
        await inner(scope, receive, send)
        actor_desk.close(1)

    middleware = [Middleware(BaseHTTPMiddleware, dispatch=after), AUTHENTICATION]
    asyncio.run(get(Starlette(routes=[Mount("/inner", around)], middleware=middleware), "/inner/act", "8"))
    assert reported == [ENDS, ENDS, ENDS]


def test_after_the_answer(reported: list[Actor | None]) -> None:
    """Background tasks and what is sent piece by piece are of the request, in a thread or not."""

    async def later() -> None:
        actor_desk.close(1)

    async def background(_: Request) -> Response:
        return Response(background=BackgroundTask(later))

    async def background_thread(_: Request) -> Response:
        return Response(background=BackgroundTask(actor_desk.close, 1))

    async def streamed(_: Request) -> Response:
        async def pieces() -> Any:
            actor_desk.close(1)
            yield b"done"

        return StreamingResponse(pieces())

    for endpoint in (background, background_thread, streamed):
        asyncio.run(get(application(endpoint), "/act", "7"))
    assert reported == [ADMIN, ADMIN, ADMIN]


def test_a_websocket(reported: list[Actor | None]) -> None:
    """As long as it is open."""

    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()
        actor_desk.close(int(await websocket.receive_text()))
        await websocket.send_text("done")

    host = Starlette(routes=[WebSocketRoute("/talk", talk)], middleware=[AUTHENTICATION])
    assert asyncio.run(converse(host, "/talk", "8", "1")) == ["done"]
    assert reported == [ENDS]


def test_a_lifespan_is_nobodys(reported: list[Actor | None]) -> None:
    """Start and end of the server are no request."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        actor_desk.close(1)
        yield
        actor_desk.close(1)

    async def serve() -> None:
        messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

        async def receive() -> Any:
            return messages.pop(0)

        async def send(_: Any) -> None:
            pass

        await Starlette(lifespan=lifespan)({"type": "lifespan", "state": {}}, receive, send)

    asyncio.run(serve())
    assert reported == [None, None]


def test_outside_a_request_nobody_is_known(reported: list[Actor | None]) -> None:
    """Before one, after one, and after one that failed, in the same task."""

    def fail(_: Request) -> Response:
        actor_desk.close(1)
        raise LookupError("the host's own")

    async def scenario() -> None:
        actor_desk.close(1)
        await get(application(act), "/act", "7")
        actor_desk.close(1)
        with pytest.raises(LookupError, match="the host's own"):
            await get(application(fail), "/act", "8")
        actor_desk.close(1)

    asyncio.run(scenario())
    assert reported == [None, ADMIN, None, ENDS, None]


def test_what_a_request_leaves_behind_is_nobodys(reported: list[Actor | None]) -> None:
    """A task, or a context for a thread, inherits the request's context, but may live for ever."""
    left: list[Any] = []
    go_on = asyncio.Event()

    async def leave(_: Request) -> Response:
        async def later() -> None:
            await go_on.wait()
            actor_desk.close(1)

        left.extend([asyncio.create_task(later()), contextvars.copy_context()])
        return Response()

    async def scenario() -> None:
        await get(application(leave), "/act", "7")
        task, context = left
        context.run(actor_desk.close, 1)
        go_on.set()
        await task

    asyncio.run(scenario())
    assert reported == [None, None]


def test_requests_in_two_tasks_do_not_see_each_other(reported: list[Actor | None]) -> None:
    """Both are authenticated before either acts, and each acts again after the other."""

    async def scenario() -> None:
        together = asyncio.Barrier(2)

        async def together_at(_: Request) -> Response:
            for _turn in range(2):
                await together.wait()
                actor_desk.close(1)
            return Response()

        host = application(together_at)
        await asyncio.gather(get(host, "/act", "7"), get(host, "/act", "8"))

    asyncio.run(scenario())
    assert sorted(reported, key=str) == sorted([ADMIN, ADMIN, ENDS, ENDS], key=str)
    assert set(reported[:2]) == {ADMIN, ENDS}


def test_requests_in_two_threads_do_not_see_each_other(reported: list[Actor | None]) -> None:
    """In one loop, with endpoints in its pool of threads."""
    together = threading.Barrier(2, timeout=20)

    def at_once(_: Request) -> Response:
        together.wait()
        actor_desk.close(1)
        together.wait()
        return Response()

    async def scenario() -> None:
        host = application(at_once)
        await asyncio.gather(get(host, "/act", "7"), get(host, "/act", "8"))

    asyncio.run(scenario())
    assert sorted(reported, key=str) == sorted([ADMIN, ENDS], key=str)


def fastapi_host() -> fastapi.FastAPI:
    """A host whose dependency finds the user and keeps him in the state, as FastAPI's users do."""
    host = fastapi.FastAPI()
    found = {
        "7": SimpleNamespace(id=7, email="sam@acme.test", admin=True),
        "8": SimpleNamespace(id=8, email="kim@acme.test", admin=False),
    }

    async def current_user(connection: HTTPConnection) -> SimpleNamespace | None:
        user = found.get(connection.headers["x-user"])
        connection.state.user = user
        return user

    @host.get("/act")
    async def handle(_user: Annotated[Any, fastapi.Depends(current_user)]) -> None:
        await asyncio.sleep(0)
        actor_desk.close(1)

    @host.get("/thread")
    def handle_in_a_thread(_user: Annotated[Any, fastapi.Depends(current_user)]) -> None:
        actor_desk.close(1)

    @host.websocket("/talk")
    async def talk(
        websocket: fastapi.WebSocket, _user: Annotated[Any, fastapi.Depends(current_user)]
    ) -> None:
        await websocket.accept()
        actor_desk.close(int(await websocket.receive_text()))

    return host


def test_a_dependency_is_not_guessed(reported: list[Actor | None]) -> None:
    """What a host keeps in `request.state` is no authenticated user unless the hook file says so."""
    asyncio.run(get(fastapi_host(), "/act", "7"))
    assert reported == [None]


def test_a_user_in_the_state() -> None:
    """`state.user`, set by a dependency, in coroutines, threads and websockets; absent where it is None."""

    async def scenario() -> None:
        host = fastapi_host()
        await get(host, "/act", "7")
        await get(host, "/thread", "8")
        await converse(host, "/talk", "7", "1")
        await get(host, "/act", "unknown")
        actor_desk.close(1)

    with reporting('id = "state.user.id"', 'system_admin = "state.user.admin"') as reported:
        asyncio.run(scenario())
    assert reported == [
        Actor(id=7, roles=("system_admin",)),
        Actor(id=8, roles=("end_user",)),
        Actor(id=7, roles=("system_admin",)),
        None,
        None,
    ]


def test_fastapi_with_starlettes_authentication(reported: list[Actor | None]) -> None:
    """FastAPI is a Starlette."""
    host = fastapi_host()
    host.add_middleware(AuthenticationMiddleware, backend=Backend())
    asyncio.run(get(host, "/act", "7"))
    asyncio.run(get(host, "/thread", "8"))
    assert reported == [ADMIN, ENDS]


def test_is_put_back() -> None:
    """The method of the class is what it was, and a host goes on."""
    before = vars(Starlette)["__call__"]
    with reporting():
        assert vars(Starlette)["__call__"] is not before
    assert vars(Starlette)["__call__"] is before
    assert asyncio.run(get(application(act), "/act", "7")) == 200
