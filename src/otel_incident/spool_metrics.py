"""What the spools of this process hold and have done, offered as metrics when they are collected.

Nothing is counted on a host's thread for it: the figures are read where they are. The SDK keeps one callback
for a name, so those for a meter provider are of all spools that report to it; what has ended counts on, since
a counter must not fall. The kinds of exporters are a closed list: their names are the operator's.
"""

from __future__ import annotations

import time
import weakref
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Final, final

from opentelemetry.metrics import MeterProvider, Observation, get_meter_provider

from otel_incident.forks import forget_in_children
from otel_incident.guard import HostLock, fail_open, swallow
from otel_incident.version import __version__
from otel_incident.vocabulary import (
    EXPORTERS,
    METRIC_OTEL_INCIDENT_SPOOL_DELIVERED,
    METRIC_OTEL_INCIDENT_SPOOL_DROPPED,
    METRIC_OTEL_INCIDENT_SPOOL_OLDEST_AGE,
    METRIC_OTEL_INCIDENT_SPOOL_QUARANTINED,
    METRIC_OTEL_INCIDENT_SPOOL_REJECTED,
    METRIC_OTEL_INCIDENT_SPOOL_RETRIED,
    METRIC_OTEL_INCIDENT_SPOOL_WAITING,
    METRICS,
    OTEL_INCIDENT_EXPORTER,
    OTEL_INCIDENT_REASON,
    SCHEMA_URL,
    SCOPE_NAME,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.metrics import CallbackOptions

    from otel_incident.spool.spool import Spool
    from otel_incident.vocabulary import Exporter

_NS: Final = 1e9
_BY_FIGURE: Final = {
    METRIC_OTEL_INCIDENT_SPOOL_DELIVERED: "delivered",
    METRIC_OTEL_INCIDENT_SPOOL_REJECTED: "rejected",
    METRIC_OTEL_INCIDENT_SPOOL_RETRIED: "retried",
    METRIC_OTEL_INCIDENT_SPOOL_QUARANTINED: "quarantined",
}


@final
class SpoolMetrics:
    """The metrics of all spools that report to one meter provider.

    Args:
        now: The clock, seconds since the epoch.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._lock = HostLock()
        self._spools: list[Spool] = []
        self._ended: dict[str, Counter[str]] = {}
        forget_in_children(self)

    @fail_open("pipeline")
    def add(self, spool: Spool, provider: MeterProvider) -> None:
        """Report a spool; instruments are made where they are not there yet and the provider can."""
        with self._lock:
            self._spools.append(spool)
        meter = provider.get_meter(SCOPE_NAME, __version__, SCHEMA_URL)
        makers = {
            "counter": meter.create_observable_counter,
            "updowncounter": meter.create_observable_up_down_counter,
            "gauge": meter.create_observable_gauge,
        }
        observers: tuple[tuple[str, Callable[[], list[Observation]]], ...] = (
            (METRIC_OTEL_INCIDENT_SPOOL_WAITING, self._waiting),
            (METRIC_OTEL_INCIDENT_SPOOL_OLDEST_AGE, self._oldest_age),
            (METRIC_OTEL_INCIDENT_SPOOL_DROPPED, partial(self._counted, METRIC_OTEL_INCIDENT_SPOOL_DROPPED)),
            *((name, partial(self._counted, name)) for name in _BY_FIGURE),
        )
        for name, observe in observers:
            metric = METRICS[name]
            makers[metric.instrument](name, [partial(_safely, observe)], metric.unit, metric.brief)

    def end(self, spool: Spool) -> None:
        """Report what a spool has done in the end, and nothing more of it."""
        with self._lock:
            if spool in self._spools:
                for name in (METRIC_OTEL_INCIDENT_SPOOL_DROPPED, *_BY_FIGURE):
                    self._ended.setdefault(name, Counter()).update(_counts(name, spool))
                self._spools.remove(spool)

    def forget(self) -> None:
        """In a forked child: what was done before, the parent reports."""
        self._ended.clear()

    def _counted(self, name: str) -> list[Observation]:
        with self._lock:
            total = Counter(self._ended.get(name))
            for spool in self._spools:
                total.update(_counts(name, spool))
        key = OTEL_INCIDENT_REASON if name == METRIC_OTEL_INCIDENT_SPOOL_DROPPED else OTEL_INCIDENT_EXPORTER
        return [Observation(count, {key: value}) for value, count in total.items()]

    def _waiting(self) -> list[Observation]:
        total: Counter[str] = Counter()
        for spool in self._reported():
            total.update({kind_of(name): 0 for name in spool.figures()})
            for name, waits in spool.backlog().items():
                total[kind_of(name)] += waits.bytes
        return [Observation(count, {OTEL_INCIDENT_EXPORTER: kind}) for kind, count in total.items()]

    def _oldest_age(self) -> list[Observation]:
        oldest: dict[str, float] = {}
        for spool in self._reported():
            for name, waits in spool.backlog().items():
                age = max(0.0, self._now() - waits.since / _NS) if waits.since else 0.0
                oldest[kind_of(name)] = max(age, oldest.get(kind_of(name), 0.0))
        return [Observation(age, {OTEL_INCIDENT_EXPORTER: kind}) for kind, age in oldest.items()]

    def _reported(self) -> list[Spool]:
        with self._lock:
            return [*self._spools]


def kind_of(name: str) -> Exporter:
    """The kind of an exporter, by its name among those of a process."""
    for kind in EXPORTERS:
        if name == kind or (name.startswith(f"{kind}-") and name[len(kind) + 1 :].isdecimal()):
            return kind
    return "other"


def report(spool: Spool, meter_provider: MeterProvider | None) -> SpoolMetrics:
    """Report a spool; returns what is to be told when it has ended.

    Args:
        spool: Which one.
        meter_provider: Where the metrics are offered; None is the global one.
    """
    provider = get_meter_provider() if meter_provider is None else meter_provider
    # the global one may be a placeholder now, and another object later
    metrics = _global if provider is get_meter_provider() else _metrics_of(provider)
    metrics.add(spool, provider)
    return metrics


def _counts(name: str, spool: Spool) -> dict[str, int]:
    if name == METRIC_OTEL_INCIDENT_SPOOL_DROPPED:
        return {str(reason): count for reason, count in spool.dropped().items()}
    counts: Counter[str] = Counter()
    for exporter, figures in spool.figures().items():
        counts[kind_of(exporter)] += getattr(figures, _BY_FIGURE[name])
    return dict(counts)


def _safely(observe: Callable[[], list[Observation]], _: CallbackOptions) -> Iterable[Observation]:
    """What is observed; an error of ours must not fill the host's log at each collection."""
    try:
        return observe()
    except Exception as error:  # noqa: BLE001  the boundary
        swallow("pipeline", error)
        return []


_global: Final = SpoolMetrics()
_by_provider: Final[weakref.WeakKeyDictionary[MeterProvider, SpoolMetrics]] = weakref.WeakKeyDictionary()


def _metrics_of(provider: MeterProvider) -> SpoolMetrics:
    try:
        return _by_provider.setdefault(provider, SpoolMetrics())
    except TypeError:  # a host's own that has no hash, or no room for weak references: each counts for itself
        return SpoolMetrics()
