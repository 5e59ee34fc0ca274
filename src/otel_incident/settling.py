"""What is reported while the first event looks for its route is kept, and sent by the one who looks.

Looking takes a moment: settings and the identity are read, the SDK is imported. One does it, for all
emitters of the process. Who else reports meanwhile (another thread, a signal handler that interrupted the
one who looks, a log handler that heard a line of ours) must neither wait for him nor look for himself, and
his event must not be lost: it stays here with its time and its trace context until the route is known.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Final, final

from opentelemetry.context import get_current

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_incident.events import IncidentEvent

MAX_KEPT: Final = 2048
"""As many as the exporters' queue holds by default; a search that takes longer has another trouble."""


@final
class Settling:
    """Who looks for a route, if somebody does, and what the others reported meanwhile.

    Attributes:
        busy: Held by the one who looks, and taken without waiting. He takes it and gives it back without a
            function in between: at the end of the stack there may be no frame left for one.
    """

    __slots__ = ("_kept", "busy")

    def __init__(self) -> None:
        self.renew()
        os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        """Begin anew: what a forked child finds here is its parent's, which goes on with it."""
        self.busy = threading.Lock()
        self._kept: deque[tuple[Callable[[IncidentEvent], None], IncidentEvent]] = deque()

    def keep(self, emit: Callable[[IncidentEvent], None], event: IncidentEvent) -> None:
        """Keep an event as it is now, for `emit` to send.

        Raises:
            OverflowError: So many are kept that this one is lost.
        """
        if len(self._kept) >= MAX_KEPT:
            raise OverflowError
        timestamp = time.time_ns() if event.timestamp is None else event.timestamp
        context = get_current() if event.context is None else event.context
        self._kept.append((emit, replace(event, timestamp=timestamp, context=context)))
        if not self.busy.locked():  # who looked came to an end in between, and may not have seen this one
            self.send()

    def send(self) -> None:
        """Send what is kept; one whose emitter has no route yet may come back."""
        for _ in range(len(self._kept)):
            try:
                emit, event = self._kept.popleft()
            except IndexError:  # another thread sent it
                return
            emit(event)
