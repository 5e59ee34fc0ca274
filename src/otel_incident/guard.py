"""The one fail-open boundary between a host and this package.

A host calls into us from hooks, processors and signal receivers. Whatever goes wrong there is ours
to swallow: it is counted by place, said once with the exception's class and the line of ours that
raised it, and the host goes on. The exception's message is never said, since it may quote the
host's data. `BaseException` (exits, interrupts, cancellations) always passes.

The host may be at the end of its stack: swallowing needs few frames, never raises, and where there is
not one frame left for it, whoever calls catches `boundary.no_frame_left` and adds one to `boundary.unseen`.

Tests switch `reraise` on, so that nothing that production swallows hides there.

Two things that could hurt a host without an exception live here too: a line in its log (`say`) and
a lock (`HostLock`).
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Final, Literal, ParamSpec, TypeVar, final

if TYPE_CHECKING:
    from collections.abc import Callable

Place = Literal["emit", "hook", "instrument", "gate", "pipeline", "identity"]
"""Where an error was swallowed; a closed set, since it is counted and logged."""

P = ParamSpec("P")
R = TypeVar("R")

LOCK_SECONDS: Final = 5.0

_PACKAGE: Final = __file__.removesuffix("guard.py")
_logger: Final = logging.getLogger("otel_incident")


@final
class HostLock:
    """A lock that cannot hang a host; a context manager.

    The thread that holds it may come back (from a signal handler, or a log handler that reports an
    incident); a forked child finds it free, whoever held it in the parent; and whoever waits gives
    up after `LOCK_SECONDS` with a `TimeoutError`, since the one who holds it may be waiting for him
    in a lock of the host's own.
    """

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self.renew()
        _locks.add(self)

    def __enter__(self) -> None:
        """Take it; TimeoutError if that takes too long."""
        lock = self._lock
        try:
            if not lock.acquire(timeout=LOCK_SECONDS):
                raise TimeoutError  # noqa: TRY301  a call before it would be such a moment
        except BaseException:  # of a signal handler just when it was had: it must not stay held
            with suppress(RuntimeError):
                lock.release()
            raise

    @property
    def __exit__(self) -> Callable[..., None]:  # noqa: PLE0302, PYI036  the lock's own has them
        """Give back the one that was taken: asked for before, so that nothing of Python's comes between."""
        return self._lock.__exit__

    def renew(self) -> None:
        """Forget who holds it."""
        self._lock = threading.RLock()


_locks: Final[weakref.WeakSet[HostLock]] = weakref.WeakSet()


def renew_locks() -> None:
    """In a forked child: forget who holds any of them."""
    for lock in _locks:
        lock.renew()


os.register_at_fork(after_in_child=renew_locks)


class _Boundary:
    """What the boundary remembers.

    Attributes:
        swallowed: Errors by place.
        unseen: Errors for which there was no frame left; their place is not known.
        no_frame_left: What to catch around `swallow`; nothing where tests want errors raised.
        said: What was said.
        ending: Whether the process is: then no line of ours is given to OpenTelemetry's handlers, which would
            have the SDK send it, and wait for an endpoint that may be the reason for the line.
        reraise: Whether tests want errors raised.
        lock: For the two collections.
    """

    __slots__ = ("ending", "lock", "no_frame_left", "reraise", "said", "swallowed", "unseen")

    def __init__(self) -> None:
        self.lock = HostLock()
        self.swallowed: dict[Place, int] = {}
        self.unseen = 0
        self.no_frame_left: tuple[type[RecursionError], ...] = (RecursionError,)
        self.said: set[tuple[Place, str]] = set()
        self.ending = False
        self.reraise = False


boundary: Final = _Boundary()
"""That of this process. Its attributes are read and written without a call, which would need a frame."""


def swallow(place: Place, error: Exception, line: str = "") -> None:
    """Take an error out of the host's way: count it, say it once, re-raise it in tests only.

    Args:
        place: Where it is swallowed.
        error: What was raised.
        line: What is said where it is not an error of ours; nothing in it comes from outside but names of
            modules and classes.
    """
    if boundary.reraise:
        raise error
    try:
        _count_and_say(place, error, line)
    except Exception:  # noqa: BLE001  it is about the stack's end, or about the lock; there is nobody to tell
        boundary.unseen += 1


def _count_and_say(place: Place, error: Exception, other: str) -> None:
    where = other or f"{type(error).__name__} at {_our_line(error)}"
    with boundary.lock:
        boundary.swallowed[place] = boundary.swallowed.get(place, 0) + 1
        first = (place, where) not in boundary.said
        boundary.said.add((place, where))
    line = (
        "An internal error (%s) was swallowed in %s; the host is not affected, the event may be missing. "
        "Please report this line."
    )
    if first and not (_say("%s", other) if other else _say(line, where, place)):
        boundary.said.discard((place, where))  # for the next time, when there is more of the stack


def say(message: str, *arguments: object) -> None:
    """Log one warning; what a log handler of the host's raises stays there."""
    _say(message, *arguments)


def _handlers() -> tuple[list[logging.Handler], bool]:
    """The handlers that a line of ours reaches without OpenTelemetry's, and whether there is one of these."""
    others: list[logging.Handler] = []
    sends = False
    logger: logging.Logger | None = _logger
    while logger is not None:
        for handler in logger.handlers:
            if type(handler).__module__.startswith("opentelemetry."):
                sends = True
            else:
                others.append(handler)
        logger = logger.parent if logger.propagate else None
    return others, sends


def _say(message: str, *arguments: object) -> bool:
    """Whether the stack was deep enough for it."""
    try:
        (others, sends), ending = _handlers(), boundary.ending  # read once: it may change in between
        if not ending:
            _logger.warning(message, *arguments, stacklevel=3)
        if ending or (sends and not others):  # a line that is sent alone, nobody on the machine sees
            _say_here(others, logging.WARNING, message, arguments)
    except RecursionError:
        return False
    except Exception:  # noqa: BLE001, S110  a handler of anybody's; to say that would be to ask it again
        pass
    return True


def inform_at_end(message: str, *arguments: object) -> None:
    """Log one line of information when the process and its providers have ended: not by OpenTelemetry's."""
    try:
        others, _ = _handlers()
        _say_here(others, logging.INFO, message, arguments)
    except Exception:  # noqa: BLE001, S110  a handler of anybody's; to say that would be to ask it again
        pass


def _say_here(
    handlers: list[logging.Handler], level: int, message: str, arguments: tuple[object, ...]
) -> None:
    """Give a line to handlers, or to that of last resort, as the logger would."""
    record = _logger.makeRecord(_logger.name, level, __file__, 0, message, arguments, None)
    if not _logger.isEnabledFor(level) or not _logger.filter(record):
        return
    for handler in handlers or ([] if logging.lastResort is None else [logging.lastResort]):
        if record.levelno >= handler.level:
            handler.handle(record)


def fail_open(place: Place) -> Callable[[Callable[P, R]], Callable[P, R | None]]:
    """Make a function return None where it would raise into the host."""

    def decorate(function: Callable[P, R]) -> Callable[P, R | None]:
        @wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R | None:
            try:
                return function(*args, **kwargs)
            except Exception as error:  # noqa: BLE001  this is the boundary
                try:
                    swallow(place, error)
                except boundary.no_frame_left:
                    boundary.unseen += 1
                return None

        return guarded

    return decorate


def swallowed() -> dict[Place, int]:
    """How many errors each place has swallowed in this process."""
    with boundary.lock:
        return dict(boundary.swallowed)


def set_reraise(*, reraise: bool) -> bool:
    """Choose whether errors pass (tests) or are swallowed (production); returns the setting before."""
    before, boundary.reraise = boundary.reraise, reraise
    boundary.no_frame_left = () if reraise else (RecursionError,)
    return before


def _our_line(error: Exception) -> str:
    """`module.py:line` of the deepest frame that is ours: enough to find a bug, nothing of the host's."""
    line = "an unknown line"
    frame = error.__traceback__
    while frame is not None:
        path = frame.tb_frame.f_code.co_filename
        if path.startswith(_PACKAGE):
            line = f"{path.removeprefix(_PACKAGE).replace(os.sep, '/')}:{frame.tb_lineno}"
        frame = frame.tb_next
    return line
