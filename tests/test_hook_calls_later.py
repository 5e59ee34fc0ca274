"""Call hooks and what does its work after it was returned: reported when done, or refused, never before."""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextvars import Context, ContextVar, copy_context
from types import ModuleType, SimpleNamespace
from typing import Any, Final, NoReturn

import pytest
from django.utils.functional import SimpleLazyObject
from werkzeug.local import Local, LocalProxy, LocalStack

from otel_incident.events import Actor, Incident, IncidentEvent
from otel_incident.guard import swallowed
from otel_incident.hooks.actors import user_reader
from tests.host_package import Watched, hook_file, watching

DONE: Final = SimpleNamespace(id=7)
EVENT: Final = IncidentEvent(action="create", incident=Incident(id=7))
LATER: Final = (
    "hooks.toml, hook 'watched': desk.services:declare gave a generator, a context manager or an awaitable, "
    "which has done nothing by then, so it reports nothing; correct `target` or remove the hook."
)
GENERATOR: Final = (
    "hooks.toml, hook 'watched': desk.services:{} is a generator function, which has done nothing when it "
    "returns, so it reports nothing; correct `target` or remove the hook."
)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of the host's, filled by the test before it is watched."""
    module = ModuleType("desk.services")
    monkeypatch.setitem(sys.modules, "desk.services", module)
    return module


# -- lazy objects


class Classless:
    """An object that does not say what it is."""

    @property  # type: ignore[misc]  # read-only, unlike what it hides
    def __class__(self) -> Any:
        """Fails."""
        raise LookupError


def test_a_lazy_result_stays_lazy(desk: Any) -> None:
    """What a host has not loaded we do not load: no query is ours, and no error of it reaches the host."""

    def load() -> NoReturn:
        raise LookupError

    lazy = SimpleLazyObject(load)
    desk.declare = lambda owner: lazy  # noqa: ARG005  a path reads it
    with watching(hook_file("declare", identifier="arg.owner")) as watched:
        assert desk.declare(3) is lazy
        assert watched.event.incident.id == 3
    with pytest.raises(LookupError):
        str(lazy)


def test_a_result_that_does_not_say_what_it_is(desk: Any) -> None:
    """It is handed on, and reported by what else is known."""
    odd = Classless()
    desk.declare = lambda owner: odd  # noqa: ARG005  a path reads it
    with watching(hook_file("declare", identifier="arg.owner")) as watched:
        assert desk.declare(3) is odd
        assert watched.event.incident.id == 3
    assert swallowed() == {}


def test_a_proxy_of_werkzeug_s_is_what_it_stands_for(desk: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Where it is bound to a context: the host gets the proxy, and the event what lies there."""
    variable: ContextVar[Any] = ContextVar("variable")
    place, stack = Local(), LocalStack[Any]()
    variable.set(SimpleNamespace(incident=DONE))
    place.incident = DONE
    stack.push(DONE)
    given: list[object] = [LocalProxy(variable, "incident"), LocalProxy(place, "incident"), LocalProxy(stack)]
    desk.declare = iter(given).__next__
    with watching(hook_file("declare")) as watched:
        for proxy in given:
            assert desk.declare() is proxy
    assert watched.events == [EVENT] * 3
    assert caplog.messages == []


def test_a_proxy_of_what_is_late_is_late(desk: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A future behind a proxy is reported when it is done, an awaitable is refused."""
    future: Future[Any] = Future()
    place = Local()
    place.future, place.awaitable = future, Awaitable()
    given: list[object] = [LocalProxy(place, "future"), LocalProxy(place, "awaitable")]
    desk.declare = iter(given).__next__
    with watching(hook_file("declare")) as watched:
        desk.declare()
        assert watched.events == []
        future.set_result(DONE)
        assert watched.event == EVENT
        desk.declare()
    assert watched.event == EVENT
    assert caplog.messages == [LATER]


def test_a_proxy_that_would_run_the_host_s_code_is_not_asked(desk: Any) -> None:
    """The call has returned and is reported by what else is known; what is bound to nothing likewise."""

    def load() -> NoReturn:
        raise LookupError

    def unbound(name: str) -> object:
        return LocalProxy(Local(), name)

    class Own(LocalProxy[Any]):
        """A class of the host's own may do anything, and is no plain value."""

    asked: list[object] = []
    given: list[object] = [LocalProxy(load), unbound("incident"), LocalProxy(lambda: asked.append(1))]
    results = iter([*given, Own(load)])
    desk.declare = lambda owner: next(results)  # noqa: ARG005  a path reads it
    more = 'incident.team_id = "result.id"\n'
    with watching(hook_file("declare", more, identifier="arg.owner")) as watched:
        for proxy in given:
            assert desk.declare(7) is proxy
        assert watched.events == [EVENT] * 3
        desk.declare(7)
        assert watched.events == [EVENT] * 3
    assert asked == []
    assert swallowed() == {}


# -- generators, context managers, awaitables


def stream() -> Iterator[int]:
    """Works as long as it is iterated."""
    yield 7


async def stream_async() -> Any:
    """The same, some time."""
    yield 7


class Streams:
    """Methods that are generators."""

    @classmethod
    def of_class(cls) -> Iterator[int]:
        """One."""
        yield 7

    @staticmethod
    def of_none() -> Iterator[int]:
        """Another."""
        yield 7


@pytest.mark.parametrize("target", ["stream", "stream_async", "Streams.of_class", "Streams.of_none"])
def test_a_generator_function_is_refused(desk: Any, target: str, caplog: pytest.LogCaptureFixture) -> None:
    """One line that names it; the function is the host's own."""
    desk.stream, desk.stream_async, desk.Streams = stream, stream_async, Streams
    with watching(hook_file(target)) as watched:
        assert (desk.stream, desk.stream_async) == (stream, stream_async)
        assert [list(desk.stream()), list(Streams.of_class()), list(Streams.of_none())] == [[7]] * 3
    assert watched.events == []
    assert caplog.record_tuples == [("otel_incident", logging.WARNING, GENERATOR.format(target))]


class Awaitable:
    """What a host awaits, and no coroutine."""

    def __await__(self) -> Iterator[None]:
        """Nothing to wait for."""
        yield


LAZY: Final[dict[str, Callable[[], object]]] = {
    "generator": stream,
    "asynchronous generator": stream_async,
    "context manager": contextlib.contextmanager(stream),
    "asynchronous context manager": contextlib.asynccontextmanager(stream_async),
    "awaitable": Awaitable,
}


@pytest.mark.parametrize("kind", LAZY)
def test_what_does_its_work_later_is_not_reported(
    desk: Any, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The host gets the very object; nothing has happened yet, and that is said once."""
    given = LAZY[kind]()
    desk.declare = lambda: given
    with watching(hook_file("declare")) as watched:
        assert desk.declare() is given
        assert desk.declare() is given
    assert watched.events == []
    assert caplog.record_tuples == [("otel_incident", logging.WARNING, LATER)]


def test_a_context_manager_of_the_hosts_own_is_a_result(desk: Any) -> None:
    """What a host's class can do besides does not make it late."""

    class Incident(contextlib.ExitStack):
        id = 7

    desk.declare = lambda _=None: Incident()
    with watching(hook_file("declare")) as watched:
        assert type(desk.declare()) is Incident
        assert watched.event == EVENT


# -- futures


def test_a_future_is_reported_when_it_is_done(desk: Any) -> None:
    """The host gets the very future; while it is pending nothing has happened."""
    future: Future[Any] = Future()
    desk.declare = lambda: future
    with watching(hook_file("declare")) as watched:
        assert desk.declare() is future
        assert watched.events == []
        future.set_result(DONE)
        assert watched.event == EVENT
        assert desk.declare() is future  # done already
        assert ids(watched) == [7, 7]


def test_a_future_that_fails_or_is_cancelled_is_not_reported(
    desk: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing has happened, and whoever waits for it gets what he would have got."""
    failed: Future[Any] = Future()
    cancelled: Future[Any] = Future()
    error = ValueError("the host's own")
    for future, end in ((failed, lambda: failed.set_exception(error)), (cancelled, cancelled.cancel)):
        desk.declare = lambda future=future: future
        with watching(hook_file("declare")) as watched:
            desk.declare()
            end()
            assert watched.events == []
    assert failed.exception() is error
    assert cancelled.cancelled()
    assert (swallowed(), caplog.records) == ({}, [])


def test_a_task_is_reported_when_it_is_done(desk: Any) -> None:
    """The host gets the very task, which it may cancel, name and compare."""

    async def work() -> object:
        await asyncio.sleep(0)
        return DONE

    async def host(events: list[IncidentEvent]) -> None:
        task = asyncio.ensure_future(work())
        desk.give = task
        assert desk.declare() is task
        assert events == []
        assert await task is DONE
        await asyncio.sleep(0)
        assert events == [EVENT]
        task = desk.give = asyncio.ensure_future(work())
        desk.declare().cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert events == [EVENT]

    desk.declare = lambda: desk.give
    with watching(hook_file("declare")) as watched:
        asyncio.run(host(watched.events))


def test_a_task_that_fails_unseen_is_still_told(desk: Any) -> None:
    """The loop tells of an exception that nobody asked for; we do not ask in the host's place."""
    told: list[str] = []

    async def work() -> NoReturn:
        raise ValueError

    async def host() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["message"]))
        desk.give = asyncio.ensure_future(work())
        desk.declare()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        desk.give = None

    desk.declare = lambda: desk.give
    with watching(hook_file("declare")) as watched:
        asyncio.run(host())
    assert told == ["Task exception was never retrieved"]
    assert watched.events == []


def test_a_future_is_of_whoever_made_the_call(desk: Any) -> None:
    """The thread that completes it knows of no request; the call did."""
    future: Future[Any] = Future()
    desk.declare = lambda: future
    user = SimpleNamespace(pk=42, is_superuser=False)
    with watching(hook_file("declare")) as watched:
        token = user_reader.set(lambda: user)
        desk.declare()
        user_reader.reset(token)
        future.set_result(DONE)
        assert watched.event.actor == Actor(id=42, roles=("end_user",))


def test_what_is_done_after_the_hooks_have_gone_is_not_reported(desk: Any) -> None:
    """Neither a future nor a coroutine that was under way."""
    future: Future[Any] = Future()

    async def work() -> object:
        return DONE

    desk.declare, desk.declare_async = lambda: future, work
    with watching(hook_file("declare"), hook_file("declare_async")) as watched:
        desk.declare()
        pending = desk.declare_async()
    future.set_result(DONE)
    assert asyncio.run(pending) is DONE
    assert watched.events == []


# -- calls within calls


def ended(identifier: object) -> SimpleNamespace:
    """A result of the host's."""
    return SimpleNamespace(id=identifier)


def ids(watched: Watched) -> list[object]:
    """Which incidents were reported, in order."""
    return [event.incident.id for event in watched.events]


def test_a_function_that_calls_itself_reports_once(desk: Any) -> None:
    """With what the outermost call was about; the next call is another one."""

    def declare(owner: int) -> object:
        return desk.declare(owner - 1) if owner else DONE

    desk.declare = declare
    with watching(hook_file("declare", 'incident.commander_id = "arg.owner"')) as watched:
        assert desk.declare(3) is DONE
        desk.declare(2)
    assert [event.incident for event in watched.events] == [
        Incident(id=7, commander_id=3),
        Incident(id=7, commander_id=2),
    ]


def test_a_function_that_calls_itself_for_others_reports_each(desk: Any) -> None:
    """Whoever ends an incident and what hangs on it has ended each; the inner ones happened first."""

    def end(identifier: int) -> object:
        for child in range(identifier * 10 + 1, identifier * 10 + 3) if identifier < 10 else ():
            desk.end(child)
        return ended(identifier)

    desk.end = end
    with watching(hook_file("end", action="end")) as watched:
        desk.end(1)
    assert ids(watched) == [11, 12, 1]
    first, second, last = (event.timestamp for event in watched.events)
    assert (type(first), type(second), last) == (int, int, None)  # None is now, when it is handed on


def test_the_outermost_call_reports_last(desk: Any) -> None:
    """Its event takes the place of an inner one on the same incident, and comes when it has returned."""

    def end(*identifiers: int) -> object:
        for each in identifiers[1:]:
            desk.end(each)
        return ended(identifiers[0])

    desk.end = end
    with watching(hook_file("end", action="end")) as watched:
        desk.end(1, 1, 2)
    assert ids(watched) == [2, 1]


def test_what_inner_calls_have_done_stays_done(desk: Any) -> None:
    """If the outermost call raises it has done nothing; what returned before has happened."""

    def end(identifier: int) -> object:
        if identifier == 1:
            desk.end(2)
            raise ValueError(identifier)
        return ended(identifier)

    desk.end = end
    with watching(hook_file("end", action="end")) as watched, pytest.raises(ValueError, match=r"^1$"):
        desk.end(1)
    assert ids(watched) == [2]


def test_two_hooks_do_not_hide_each_other(desk: Any) -> None:
    """A call within a call of another hook is another action."""
    desk.inner = lambda: DONE
    desk.outer = lambda _=None: desk.inner()
    with watching(hook_file("inner"), hook_file("outer", action="end")) as watched:
        desk.outer()
    assert [event.action for event in watched.events] == ["create", "end"]


def test_a_coroutine_that_awaits_itself_reports_once(desk: Any) -> None:
    """In its own task, and in tasks that it waits for."""

    async def declare(depth: int) -> object:
        if depth == 1:
            return (await asyncio.gather(desk.declare(0), desk.declare(0)))[0]
        return await desk.declare(depth - 1) if depth else DONE

    desk.declare = declare
    with watching(hook_file("declare")) as watched:
        assert asyncio.run(desk.declare(3)) is DONE
    assert watched.events == [EVENT]


def test_what_a_call_leaves_behind_reports_for_itself(desk: Any) -> None:
    """A task that lives on is no longer within the call that has made it."""

    async def declare(depth: int) -> object:
        if depth:
            desk.task = asyncio.ensure_future(later())
        return DONE

    async def later() -> None:
        await desk.go_on.wait()
        await desk.declare(0)

    async def host(events: list[IncidentEvent]) -> None:
        desk.go_on = asyncio.Event()
        await desk.declare(1)
        assert events == [EVENT]
        desk.go_on.set()
        await desk.task
        assert events == [EVENT, EVENT]

    desk.declare = declare
    with watching(hook_file("declare")) as watched:
        asyncio.run(host(watched.events))


def test_ended_calls_are_not_carried_on() -> None:
    """Of calls each of which leaves a task behind that makes the next one, only the last is remembered."""
    from otel_incident.hooks.nesting import Nesting, _open  # noqa: PLC0415  the state itself is what is looked at

    hook, context = Nesting(lambda _: None), copy_context()

    def call() -> Context:
        outermost = hook.begin()
        left = copy_context()
        hook.end(outermost)
        return left

    for _ in range(3):
        context = context.run(call)
        assert len(context[_open]) == 1


def test_a_coroutine_that_is_ended_in_another_context(desk: Any) -> None:
    """A host may drive it by hand and close it elsewhere: no event, and no error."""

    class Step:
        def __await__(self) -> Generator[None, None, None]:
            yield

    async def declare() -> object:
        await Step()
        return DONE

    desk.declare = declare
    with watching(hook_file("declare")) as watched:
        pending = desk.declare()
        copy_context().run(pending.send, None)
        pending.close()
        assert watched.events == []
        assert asyncio.run(desk.declare()) is DONE
        assert watched.events == [EVENT]
    assert swallowed() == {}
