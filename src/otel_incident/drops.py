"""Counts what the policy took out, says each kind once, and offers the counts as a metric.

What is counted and said comes from closed sets (signal, reason, rule, and the registered name of an
attribute): never a key or a value from outside. `otel_incident.testing` turns a drop into an error,
but for the hash of an id, by which nothing is lost.
"""

from __future__ import annotations

import contextlib
import os
import weakref
from collections import Counter, deque
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias, final

from opentelemetry.metrics import MeterProvider, Observation, get_meter_provider

from otel_incident.errors import PolicyViolation
from otel_incident.guard import HostLock, fail_open, say
from otel_incident.version import __version__
from otel_incident.vocabulary import (
    ATTRIBUTES,
    METRIC_OTEL_INCIDENT_POLICY_DROPPED,
    METRICS,
    OTEL_INCIDENT_REASON,
    OTEL_INCIDENT_RULE,
    OTEL_INCIDENT_SIGNAL,
    SCHEMA_URL,
    SCOPE_NAME,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.metrics import CallbackOptions

    from otel_incident.policy import Drop
    from otel_incident.vocabulary import Reason, Signal


_NOTED: Final = 512

Kind: TypeAlias = "tuple[Signal, str, str]"
"""Signal, reason and rule."""


@final
class _Totals:
    """What all that count for one meter provider have counted, offered as metrics when they are collected.

    Counting must cost a host's thread next to nothing: no instrument is called and no lock taken, what was
    taken out is noted and added up later. And the SDK keeps one callback for a name: it is this one.
    """

    __slots__ = ("__weakref__", "_lock", "_noted", "counts")

    def __init__(self) -> None:
        self.counts: dict[str, Counter[Kind]] = {}
        self._noted: deque[tuple[Counter[Kind], str, Signal, Sequence[Drop]]] = deque()
        self._lock = HostLock()
        _totals.add(self)

    def note(self, own: Counter[Kind], name: str, signal: Signal, drops: Sequence[Drop]) -> None:
        """Note what was taken out, to be counted in `own` and in the metric."""
        self._noted.append((own, name, signal, drops))
        if len(self._noted) >= _NOTED:
            self.add_up()

    def add_up(self) -> None:
        """Count what was noted."""
        with self._lock, contextlib.suppress(IndexError):  # until nothing is left
            while True:
                own, name, signal, drops = self._noted.popleft()
                for drop in drops:
                    kind = (signal, drop.reason, drop.rule)
                    own[kind] += 1
                    self.counts[name][kind] += 1

    def begin_at_zero(self) -> None:
        """Forget all."""
        self._noted.clear()
        for name in self.counts:
            self.counts[name] = Counter()

    @fail_open("pipeline")
    def offer(self, provider: MeterProvider, name: str) -> None:
        """Register the metric; where it is registered already, or the provider fails, nothing happens."""
        self.counts.setdefault(name, Counter())
        metric = METRICS[name]
        meter = provider.get_meter(SCOPE_NAME, __version__, SCHEMA_URL)
        meter.create_observable_counter(name, [partial(self._observe, name)], metric.unit, metric.brief)

    def _observe(self, name: str, _: CallbackOptions) -> list[Observation]:
        self.add_up()
        return [
            Observation(
                count,
                {OTEL_INCIDENT_SIGNAL: signal, OTEL_INCIDENT_REASON: reason, OTEL_INCIDENT_RULE: rule},
            )
            for (signal, reason, rule), count in self.counts[name].copy().items()
        ]


@final
class Drops:
    """The counts of one who takes things out.

    Args:
        meter_provider: Where the counts are offered as a metric; None is the global one.
        metric: The metric's name.
        strict: Raise `PolicyViolation` on the first drop of an own event, for tests; a hashed id is none.
        announce: Say each kind of drop once in the log.
    """

    __slots__ = ("_announce", "_counts", "_lock", "_metric", "_said", "_strict", "_totals")

    def __init__(
        self,
        meter_provider: MeterProvider | None = None,
        metric: str = METRIC_OTEL_INCIDENT_POLICY_DROPPED,
        *,
        strict: bool = False,
        announce: bool = True,
    ) -> None:
        self._lock = HostLock()
        self._counts: Counter[Kind] = Counter()
        self._said: set[Drop] = set()
        self._strict = strict
        self._announce = announce
        self._metric = metric
        provider = get_meter_provider() if meter_provider is None else meter_provider
        if provider is get_meter_provider():  # it may be a placeholder now, and another object later
            self._totals = _global
        else:
            self._totals = _totals_of(provider)
        self._totals.offer(provider, metric)

    def record(self, signal: Signal, drops: Sequence[Drop]) -> None:
        """Count drops, and say those not said before.

        Raises:
            PolicyViolation: When strict and a drop is no hash; it names attribute, reason and rule, no value.
        """
        self._totals.note(self._counts, self._metric, signal, drops)
        if self._strict or self._announce:
            self._say(drops)

    def counts(self) -> dict[Kind, int]:
        """How often each (signal, reason, rule) occurred."""
        self._totals.add_up()
        return dict(self._counts)

    def _say(self, drops: Sequence[Drop]) -> None:
        for drop in drops:
            with self._lock:
                first = drop not in self._said
                self._said.add(drop)
            sentence = _sentence(drop)
            if self._strict and drop.reason != "hashed":
                raise PolicyViolation(sentence)
            if first:
                say("%s This is said once; the metric otel_incident.policy.dropped counts on.", sentence)


_totals: Final[weakref.WeakSet[_Totals]] = weakref.WeakSet()
_global: Final = _Totals()
_by_provider: Final[weakref.WeakKeyDictionary[MeterProvider, _Totals]] = weakref.WeakKeyDictionary()


def _totals_of(provider: MeterProvider) -> _Totals:
    try:
        return _by_provider.setdefault(provider, _Totals())
    except TypeError:  # a host's own that has no hash, or no room for weak references: each counts for itself
        return _Totals()


def _begin_at_zero() -> None:
    """What a parent counted before a fork, the parent reports."""
    for totals in _totals:
        totals.begin_at_zero()


os.register_at_fork(after_in_child=_begin_at_zero)


_SENTENCES: Final[dict[Reason, str]] = {
    "missing_required": "An event lacks {name}, which is required, and was dropped.",
    "hashed": "{name} is no id that a machine made and was replaced by its keyed hash.",
    "wrong_type": "{name} is not of the type that its rule ({rule}) asks for and was left out.",
    "bad_value": "{name} does not keep its rule ({rule}) and was left out.",
    "unknown_key": "{name} does not belong to its event and was left out.",
    "internal_error": "The policy failed on {name} and left it out.",
}
"""What is said of an event of ours; of the host's own signals nothing is."""

_RANGES: Final = {"timestamp": "timestamp, from 1970 to 9999"}
"""What is said of a rule where a value of the right type may be out of its range."""


def _sentence(drop: Drop) -> str:
    name = drop.attribute or "An attribute that is not registered"
    rule: str = drop.rule
    if drop.reason == "bad_value":
        rule = _RANGES.get(rule, rule)
        members = ATTRIBUTES[drop.attribute].members if drop.attribute in ATTRIBUTES else ()
        rule += f" of {', '.join(members)}" if members else ""
    return _SENTENCES[drop.reason].format(name=name, rule=rule)
