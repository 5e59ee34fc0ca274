"""While the first event looks for its route others wait for it a moment; then theirs are kept for it to send.

Looking takes a moment: settings and the identity are read, the SDK is imported. One does it, for all
emitters of the process. Who else reports meanwhile would have to look for himself: he waits, and goes on as
if he had. He may not wait for ever, since the one who looks may need something that he holds; nor at all if
he is the one who looks (a signal handler that interrupted him, a log handler that heard a line of ours). His
event must not be lost: it stays here with its time and its trace context until the route is known.

Nor may one look who is near the end of his stack: an import that ends there leaves half a module behind, of
the standard library's perhaps, for the rest of the process. A thread with a stack of its own looks for him.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final, final

from opentelemetry.context import get_current

from otel_incident.ending import ending
from otel_incident.guard import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_incident.events import IncidentEvent

MAX_KEPT: Final = 2048
"""As many as the exporters' queue holds by default; a search that takes longer has another trouble."""

WAIT_SECONDS: Final = 5.0
"""So long from its beginning a search is waited for; some 50 ms, and a second with a tenth of a CPU."""

END_SECONDS: Final = 2.0
"""So long the process's end waits for a search that others have left their events to."""

ROOM: Final = 300
"""Frames that must be left of the stack for the imports of a search; about 110 are needed."""


def stack_ends_soon() -> bool:
    """Whether there is less left than `ROOM`, or than half of a stack that is as low as that."""
    limit = sys.getrecursionlimit()
    try:
        sys._getframe(max(limit - ROOM, limit // 2))  # noqa: SLF001  the one way to ask without walking it
    except ValueError:
        return False
    return True


@final
class Settling:
    """Who looks for a route, if somebody does, and what the others reported meanwhile.

    Attributes:
        busy: Held by the one who looks. He gives it back without a function in between: at the end of the
            stack there may be no frame left for one.
        looker: His thread, as soon as that can be said, and until just before he gives it back; else 0.
    """

    __slots__ = ("_began", "_ends", "_helped", "_kept", "_senders", "busy", "looker")

    def __init__(self) -> None:
        self._ends = False  # whether the process's end is heard of
        self.renew()
        os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        """Begin anew: what a forked child finds here is its parent's, which goes on with it."""
        self.busy = threading.Lock()
        self.looker = 0
        self._began = 0.0
        self._helped = False  # whether a thread looks for who could not
        self._senders: set[int] = set()  # threads that send what is kept
        self._kept: deque[tuple[Callable[[IncidentEvent], None], IncidentEvent]] = deque()

    def wait(self) -> bool:
        """Wait for the one who looks, to take `busy` after him; whether this thread has it now."""
        if self.looker == threading.get_ident():
            return False
        left = WAIT_SECONDS - (time.monotonic() - self._began if self.looker else 0.0)
        return left > 0 and self.busy.acquire(timeout=left)

    def begin(self) -> None:
        """Say who has `busy` now."""
        self._hear_of_the_end()
        self._began, self.looker = time.monotonic(), threading.get_ident()

    def keep(self, emit: Callable[[IncidentEvent], None], event: IncidentEvent) -> None:
        """Keep an event as it is now, for `emit` to send.

        Raises:
            OverflowError: So many are kept that this one is lost.
        """
        self._append(emit, event)
        if not self.busy.locked():  # who looked came to an end in between, and may not have seen this one
            self.send()

    def leave(self, emit: Callable[[IncidentEvent], None], event: IncidentEvent) -> None:
        """Keep an event as it is now, for a thread with a stack of its own or for the next event to send.

        Raises:
            OverflowError: So many are kept that this one is lost.
        """
        self._append(emit, event)
        if self._helped:
            return
        self._helped = True
        try:
            # the process ends after it: what was reported is not on disk before
            threading.Thread(target=self._help, name="otel-incident-settling", daemon=False).start()
        except Exception:  # no thread can be started now: the next one who reports tries again
            self._helped = False
            raise

    def _help(self) -> None:
        while True:
            self.send()
            self._helped = False  # before the look: who comes after it starts another thread
            if not self._kept or self.busy.locked():  # who looks sends them
                return
            self._helped = True

    def _append(self, emit: Callable[[IncidentEvent], None], event: IncidentEvent) -> None:
        if len(self._kept) >= MAX_KEPT:
            raise OverflowError
        timestamp = time.time_ns() if event.timestamp is None else event.timestamp
        context = get_current() if event.context is None else event.context
        self._kept.append((emit, replace(event, timestamp=timestamp, context=context)))
        self._hear_of_the_end()

    def _hear_of_the_end(self) -> None:
        """With the first search: what reports from an exit handler then may be the first to use its route."""
        if not self._ends:
            self._ends = True
            atexit.register(self.end)

    def end(self) -> None:
        """At the process's end: send what is kept, when the search that it was left to is over.

        What delivers may have been made only now. It is ended then, in what this has left of an exit's bound.
        """
        begun = time.monotonic()
        if self._kept and self.busy.acquire(timeout=END_SECONDS):
            self.busy.release()
            self.send()
        if self._kept:
            say(
                "%d incident events ended with the process: where they go was still being looked for.",
                len(self._kept),
            )
        ending.left = max(0.0, 1.0 - (time.monotonic() - begun) / END_SECONDS)
        ending.call_late()

    def send(self) -> None:
        """Send what is kept; one whose emitter has no route yet may come back.

        Its search ends here again, in the same thread. That one returns, and the first goes on: else each
        kept event would take a piece of the stack.
        """
        thread = threading.get_ident()
        if thread in self._senders:
            return
        self._senders.add(thread)
        try:
            for _ in range(len(self._kept)):
                try:
                    emit, event = self._kept.popleft()
                except IndexError:  # another thread sent it
                    return
                emit(event)
        finally:
            self._senders.discard(thread)
