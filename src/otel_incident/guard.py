"""The one fail-open boundary between a host and this package.

A host calls into us from hooks, processors and signal receivers. Whatever goes wrong there is ours
to swallow: it is counted by place, said once with the exception's class and the line of ours that
raised it, and the host goes on. The exception's message is never said, since it may quote the
host's data. `BaseException` (exits, interrupts, cancellations) always passes.

Tests switch `reraise` on, so that nothing that production swallows hides there.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from functools import wraps
from pathlib import PurePath
from typing import TYPE_CHECKING, Final, Literal, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Place = Literal["emit", "hook", "instrument", "gate", "pipeline", "identity"]
"""Where an error was swallowed; a closed set, since it is counted and logged."""

P = ParamSpec("P")
R = TypeVar("R")

_PACKAGE: Final = PurePath(__file__).parent.name
_logger: Final = logging.getLogger("otel_incident")


class _State:
    """What the boundary remembers: counts by place, what was said, and whether tests want it raised."""

    __slots__ = ("lock", "reraise", "said", "swallowed")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.swallowed: Counter[Place] = Counter()
        self.said: set[tuple[Place, str]] = set()
        self.reraise = False


_state: Final = _State()


def swallow(place: Place, error: Exception) -> None:
    """Take an error of ours out of the host's way: count it, say it once, re-raise it in tests only."""
    if _state.reraise:
        raise error
    where = f"{type(error).__name__} at {_our_line(error)}"
    with _state.lock:
        _state.swallowed[place] += 1
        first = (place, where) not in _state.said
        _state.said.add((place, where))
    if first:
        _logger.warning(
            "An internal error (%s) was swallowed in %s; the host is not affected, the event may be missing. "
            "Please report this line.",
            where,
            place,
        )


def fail_open(place: Place) -> Callable[[Callable[P, R]], Callable[P, R | None]]:
    """Make a function return None where it would raise into the host."""

    def decorate(function: Callable[P, R]) -> Callable[P, R | None]:
        @wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R | None:
            try:
                return function(*args, **kwargs)
            except Exception as error:  # noqa: BLE001  this is the boundary
                swallow(place, error)
                return None

        return guarded

    return decorate


def swallowed() -> dict[Place, int]:
    """How many errors each place has swallowed in this process."""
    with _state.lock:
        return dict(_state.swallowed)


def set_reraise(*, reraise: bool) -> bool:
    """Choose whether errors pass (tests) or are swallowed (production); returns the setting before."""
    before, _state.reraise = _state.reraise, reraise
    return before


def _our_line(error: Exception) -> str:
    """`module.py:line` of the deepest frame that is ours: enough to find a bug, nothing of the host's."""
    line = "an unknown line"
    frame = error.__traceback__
    while frame is not None:
        path = PurePath(frame.tb_frame.f_code.co_filename)
        if _PACKAGE in path.parts:
            inner = path.parts[len(path.parts) - path.parts[::-1].index(_PACKAGE) :]
            line = f"{'/'.join(inner)}:{frame.tb_lineno}"
        frame = frame.tb_next
    return line
