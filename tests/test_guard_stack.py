"""A host at the end of its stack: whatever is left of it, nothing of ours is raised, and it is counted."""

import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from otel_incident import guard
from otel_incident.emitter import IncidentEmitter
from otel_incident.events import Actor, Incident, IncidentEvent
from otel_incident.guard import HostLock, boundary, fail_open, set_reraise, swallow, swallowed
from otel_incident.route import Route
from tests.emitting import Emitting

FRAMES: Final = range(120)
"""Left of the stack when the host calls us: from nothing at all to more than we need."""

INCIDENT: Final = Incident(id=1)
ACTOR: Final = Actor(id=2)
EVENT: Final = IncidentEvent(action="create", incident=INCIDENT)


@pytest.fixture(autouse=True)
def _in_production() -> Iterator[None]:
    """Swallow, as production does; and no tracer, which would need frames of its own where none are left."""
    set_reraise(reraise=False)
    tracer = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(tracer)


def dive(frames: int, call: Callable[[], object]) -> None:
    """Call something that many frames further down."""
    if frames:
        dive(frames - 1, call)
    else:
        call()


def deepest(call: Callable[[], object]) -> int:
    """How deep that can be called at all."""
    low, high = 0, sys.getrecursionlimit()
    while low < high:
        middle = (low + high + 1) // 2
        try:
            dive(middle, call)
        except RecursionError:
            high = middle - 1
        else:
            low = middle
    return low + 1  # this frame is gone by then


def nothing(*_: object, **__: object) -> None:
    """Take a frame, and what a call with names needs."""


def calls(emitter: IncidentEmitter) -> dict[str, Callable[[], object]]:
    """What a host calls."""
    return {
        "create": lambda: emitter.create(INCIDENT, actor=ACTOR),
        "end": lambda: emitter.end(INCIDENT, actor=ACTOR),
        "restart": lambda: emitter.restart(INCIDENT, actor=ACTOR),
        "change_commander": lambda: emitter.change_commander(INCIDENT, actor=ACTOR),
        "change_stage": lambda: emitter.change_stage(INCIDENT, actor=ACTOR),
        "emit": lambda: emitter.emit(EVENT),
    }


@pytest.mark.parametrize("name", calls(IncidentEmitter()))
@pytest.mark.parametrize("settled", [True, False], ids=["settled", "first"])
def test_an_event_at_the_end_of_the_stack(host: Emitting, name: str, *, settled: bool) -> None:
    """The call returns, and the event is sent or counted as lost; nothing stays locked by it."""
    emitter = host.emitter
    floor = deepest(lambda: nothing(INCIDENT, actor=ACTOR))
    if settled:
        emitter.create(INCIDENT)
    sent = len(host.records())
    for left in FRAMES:
        if not settled:
            emitter = IncidentEmitter(logger_provider=host.logger_provider)
        dive(floor - left, calls(emitter)[name])
        gone = len(host.records()) - sent
        lost = sum(swallowed().values()) + boundary.unseen
        assert gone + lost >= left + 1
    assert lost > 0
    assert gone > 0
    emitter.create(INCIDENT)
    assert len(host.records()) == sent + gone + 1


def test_a_boundary_at_the_end_of_the_stack() -> None:
    """What `fail_open` wraps returns None, whatever is left; each error is counted."""

    @fail_open("hook")
    def fails() -> None:
        raise ValueError

    floor = deepest(lambda: nothing(INCIDENT, actor=ACTOR))
    for left in FRAMES:
        before = sum(swallowed().values()) + boundary.unseen
        dive(floor - left, lambda: fails())  # noqa: PLW0108  a frame of the host's, as in all the others
        assert sum(swallowed().values()) + boundary.unseen == before + 1
    assert swallowed()["hook"] > 0
    assert boundary.unseen > 0


def test_what_could_not_be_said_is_said_later(caplog: pytest.LogCaptureFixture) -> None:
    """An error that was counted where there was no stack left for a log line is said the next time."""
    set_reraise(reraise=False)
    floor = deepest(lambda: nothing(INCIDENT, actor=ACTOR))
    error = ValueError()
    for left in FRAMES:
        dive(floor - left, lambda: swallow("hook", error) if left > 2 else None)  # noqa: B023  called at once
        if swallowed():
            break
    assert caplog.messages == []
    swallow("hook", error)
    swallow("hook", error)
    (line,) = caplog.messages
    assert line.startswith("An internal error (ValueError at an unknown line) was swallowed in hook;")


def test_a_lock_at_the_end_of_the_stack_is_given_back() -> None:
    """Who could take a lock with what was left of the stack can give it back too."""
    floor = deepest(lambda: nothing(INCIDENT, actor=ACTOR))
    lock = HostLock()

    def hold() -> None:
        with lock:
            pass

    for left in FRAMES:
        try:
            dive(floor - left, hold)
        except RecursionError:
            continue
    assert lock._lock._is_owned() is False  # type: ignore[attr-defined]  # noqa: SLF001  no public way to ask


def test_a_lock_that_is_not_to_be_had_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the count's own lock is held for too long the host goes on, and the error is counted apart."""

    def held(_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(guard.HostLock, "__enter__", held)
    swallow("hook", ValueError())
    monkeypatch.undo()
    assert (swallowed(), boundary.unseen) == ({}, 1)


def test_tests_see_a_stack_that_ends() -> None:
    """Under `set_reraise` an endless recursion of ours is raised like any error."""
    set_reraise(reraise=True)

    def resolve() -> Route:
        return resolve()

    with pytest.raises(RecursionError):
        IncidentEmitter(route=resolve).create(INCIDENT)


def test_a_log_handler_at_the_end_of_the_stack(caplog: pytest.LogCaptureFixture) -> None:
    """A handler that runs out of stack does not bring that back to the host."""

    class Endless(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            self.emit(record)

    handler: Any = Endless()
    logger = logging.getLogger("otel_incident")
    logger.addHandler(handler)
    try:
        swallow("hook", ValueError())
    finally:
        logger.removeHandler(handler)
    caplog.clear()
    swallow("hook", ValueError())
    assert len(caplog.messages) == 1
