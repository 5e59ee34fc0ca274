"""How the thread that delivers gives way to a thread of the host that is just keeping a record.

Only one thread at a time runs Python, and one that is computing goes on for 5 ms although another waits.
Reading and encoding a batch is computing: a call of the host's that met one would take that much longer.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeVar, final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

SLICE_SECONDS: Final = 0.0005
"""So long delivery goes on though the host waits: one that writes all the time would stop it otherwise."""

_PAUSE_SECONDS: Final = 0.00005  # in which the other thread wakes up


@final
class GivingWay:
    """How one thread goes through what it works on.

    Args:
        is_awaited: Whether a thread of the host is keeping a record.
        now: The clock, seconds; only differences count.
        sleep: Lets other threads run for so many seconds.
    """

    __slots__ = ("_is_awaited", "_now", "_since", "_sleep")

    def __init__(
        self,
        is_awaited: Callable[[], bool] = lambda: False,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._is_awaited = is_awaited
        self._now = now
        self._sleep = sleep
        self._since = now()

    def between(self, items: Iterable[T]) -> Iterator[T]:
        """The items; before each the host may go on, if it waits and this thread has had its slice."""
        is_awaited = self._is_awaited
        for item in items:
            if is_awaited() and self._now() - self._since >= SLICE_SECONDS:
                self._sleep(_PAUSE_SECONDS)
                self._since = self._now()
            yield item


@final
class Interruptible(list[T]):
    """A list whose reader gives way between two items, though it is an encoder that knows nothing of this.

    Args:
        items: What is in it.
        giving_way: How.
    """

    __slots__ = ("_giving_way",)

    def __init__(self, items: Iterable[T], giving_way: GivingWay) -> None:
        super().__init__(items)
        self._giving_way = giving_way

    def __iter__(self) -> Iterator[T]:
        """The items."""
        return self._giving_way.between(super().__iter__())
