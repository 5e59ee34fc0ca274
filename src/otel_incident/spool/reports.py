"""What the host's log is told of a delivery: each thing once, however long it goes on."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final, Literal, final

from otel_incident.guard import say

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_incident.spool.delivery import Delivery
    from otel_incident.spool.retention import Reason

OUTAGE_SECONDS: Final = 300.0
"""So long after the line of an outage there is none of another one: an endpoint may come and go for days."""

What = Literal[
    "outage",
    "quarantined",
    "not kept",
    "quarantine full",
    "rejected",
    "dropped",
    "lease",
    "segment",
    "cursor",
]

_LINES: Final[dict[What, str]] = {
    "outage": "Log records wait in the spool: the exporter %s cannot deliver them (%s). This is said once "
    "for an outage.",
    "quarantined": "Log records that the exporter %s can never deliver are set aside in its quarantine (%s). "
    "This is said once.",
    "not kept": "Log records that the exporter %s can never deliver cannot be set aside on disk, and wait.",
    "quarantine full": "The quarantine of the exporter %s is full, so what it can never deliver waits, and "
    "everything behind it: send it again (otel-incident spool requeue), or move its files away. This is said "
    "once.",
    "rejected": "Of the log records that the exporter %s has delivered some were refused. This is said once.",
    "dropped": "Log records that the exporter %s had not delivered were dropped: too many wait, or for too "
    "long. This is said once.",
    "lease": "The exporter %s delivers nothing from disk, since it cannot use %s (%s): give it to the user "
    "of this process, or move it away. This is said once.",
    "segment": "The exporter %s cannot read %s (%s), so what is in it waits: give it to the user of this "
    "process. This is said once.",
    "cursor": "The exporter %s cannot use %s (%s), so the next start may deliver again what has been "
    "delivered: give it to the user of this process, or move it away. This is said once.",
}


@final
class Reports:
    """What was said of one exporter in this process.

    Args:
        name: The exporter's.
        now: The clock, seconds; only differences count.
    """

    def __init__(self, name: str, now: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._now = now
        self._outage = -math.inf  # when its line was said
        self._too_soon: tuple[object, ...] | None = None  # why the outage is that is not said yet
        self._said: set[What] = set()

    def say(self, what: What, *arguments: object) -> None:
        """Say one thing, unless it was said; another outage that comes too soon once it is time."""
        if what in self._said:
            return
        if what == "outage":
            if self._now() - self._outage < OUTAGE_SECONDS:
                self._too_soon = arguments
                return
            self._outage, self._too_soon = self._now(), None
        self._said.add(what)
        say(_LINES[what], self._name, *arguments)

    def say_what_came_too_soon(self) -> None:
        """One line for an outage that goes on, once it is time: its next attempt may be far away."""
        if self._too_soon is not None:
            self.say("outage", *self._too_soon)

    def say_what_happened(self, delivery: Delivery, dropped: Mapping[Reason, int]) -> None:
        """One line for an outage and one for its end, and one for each other thing that costs records."""
        if delivery.outage.attempts:
            self.say("outage", delivery.outage.reason)
        else:
            self._too_soon = None
            if "outage" in self._said and delivery.counts.delivered:
                self._said.discard("outage")
                say("The exporter %s delivers again.", self._name)
        if delivery.backlog.unusable is not None:
            self.say("segment", *delivery.backlog.unusable)
        if delivery.backlog.cursor.unusable is not None:
            self.say("cursor", *delivery.backlog.cursor.unusable)
        if delivery.backlog.quarantined:
            self.say("quarantined", delivery.backlog.reason)
        if delivery.counts.rejected:
            self.say("rejected")
        if dropped:
            self.say("dropped")
