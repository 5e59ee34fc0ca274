"""Counts what the policy took out, says each kind once, and offers the counts as a metric.

What is counted and said comes from closed sets (signal, reason, rule, and the registered name of an
attribute): never a key or a value from outside. `otel_incident.testing` turns a drop into an error.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, final

from otel_incident.errors import PolicyViolation
from otel_incident.guard import HostLock, say
from otel_incident.vocabulary import (
    METRIC_OTEL_INCIDENT_POLICY_DROPPED,
    METRICS,
    OTEL_INCIDENT_REASON,
    OTEL_INCIDENT_RULE,
    OTEL_INCIDENT_SIGNAL,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.metrics import Counter as MetricCounter
    from opentelemetry.metrics import Meter

    from otel_incident.policy import Drop
    from otel_incident.vocabulary import Signal


@final
class Drops:
    """The counts of one process.

    Args:
        meter: Where `otel_incident.policy.dropped` is recorded; None counts in memory alone.
        strict: Raise `PolicyViolation` on the first drop of an own event, for tests.
        announce: Say each kind of drop once in the log.
    """

    __slots__ = ("_announce", "_counter", "_counts", "_lock", "_said", "_strict")

    def __init__(self, meter: Meter | None = None, *, strict: bool = False, announce: bool = True) -> None:
        self._lock = HostLock()
        self._counts: Counter[tuple[Signal, str, str]] = Counter()
        self._said: set[Drop] = set()
        self._strict = strict
        self._announce = announce
        self._counter: MetricCounter | None = None
        if meter is not None:
            metric = METRICS[METRIC_OTEL_INCIDENT_POLICY_DROPPED]
            self._counter = meter.create_counter(metric.name, metric.unit, metric.brief)

    def record(self, signal: Signal, drops: Iterable[Drop]) -> None:
        """Count drops, and say those not said before.

        Raises:
            PolicyViolation: When strict; it names attribute, reason and rule, never the value.
        """
        for drop in drops:
            with self._lock:
                self._counts[signal, drop.reason, drop.rule] += 1
                first = drop not in self._said
                self._said.add(drop)
            if self._counter is not None:
                attributes = {
                    OTEL_INCIDENT_SIGNAL: signal,
                    OTEL_INCIDENT_REASON: drop.reason,
                    OTEL_INCIDENT_RULE: drop.rule,
                }
                self._counter.add(1, attributes)
            sentence = _sentence(drop)
            if self._strict:
                raise PolicyViolation(sentence)
            if first and self._announce:
                say("%s This is said once; the metric otel_incident.policy.dropped counts on.", sentence)

    def counts(self) -> dict[tuple[Signal, str, str], int]:
        """How often each (signal, reason, rule) occurred."""
        with self._lock:
            return dict(self._counts)


def _sentence(drop: Drop) -> str:
    name = drop.attribute or "An attribute that is not registered"
    match drop.reason:
        case "missing_required":
            return f"An event lacks {name}, which is required, and was dropped."
        case "hashed":
            return f"{name} is no id that a machine made and was replaced by its keyed hash."
        case "wrong_type":
            return f"{name} is not of the type that its rule ({drop.rule}) asks for and was left out."
        case "bad_value":
            return f"{name} does not keep its rule ({drop.rule}) and was left out."
        case "unknown_key":
            return f"{name} does not belong to its event and was left out."
        case "internal_error":
            return f"The policy failed on {name} and left it out."
