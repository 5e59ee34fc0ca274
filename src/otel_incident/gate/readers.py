"""The gate between the metrics of a process and its readers: apart, since their SDK takes long to import.

A reader asks for its metrics by what the SDK has put into a field of it, which is where it is handed what is
filtered. But a reader of a host's own may keep that elsewhere. So what a reader is given is looked at where
the SDK makes it, too, and filtered there if it is not on its way through that field.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, final
from weakref import WeakKeyDictionary

from otel_incident.ending import ending
from otel_incident.gate import pipelines
from otel_incident.gate.metric_exporter import without_ours
from otel_incident.gate.metrics import MetricFilter
from otel_incident.gate.rules import FAILED
from otel_incident.guard import swallow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_incident.gate.rules import GateRules

_asking: Final[ContextVar[Any]] = ContextVar("otel_incident_reader", default=None)
"""The reader whose metrics are being collected by who filters them himself."""


@contextmanager
def filtered_elsewhere(reader: Any) -> Iterator[None]:
    """Collect for a reader what whoever asks filters himself."""
    before = _asking.set(reader)
    try:
        yield
    finally:
        _asking.reset(before)


@final
class ReaderGate:
    """What readers are handed.

    Args:
        rules: The gate's.
    """

    def __init__(self, rules: GateRules) -> None:
        self._rules = rules
        # a filter remembers counters: each reader has one of its own
        self._of_storages: WeakKeyDictionary[Any, MetricFilter] = WeakKeyDictionary()

    def of_reader(self, holder: Any, collect: Any) -> Any:
        """What a reader's field gives: the same, filtered."""
        if collect is None:
            return None
        filtered = MetricFilter(self._rules)

        def collected(*args: Any, **kwargs: Any) -> Any:
            with filtered_elsewhere(holder):
                data = collect(*args, **kwargs)
            return self._passed(filtered, data)

        return collected

    def of_storage(self, before: Callable[[Any], Any], storage: Any) -> Any:
        """What the SDK has kept for a reader: filtered, unless its field will do that."""
        data = before(storage)
        if pipelines.is_for(storage, _asking.get()):
            return data
        filtered = self._of_storages.get(storage)
        if filtered is None:
            filtered = self._of_storages[storage] = MetricFilter(self._rules)
        return self._passed(filtered, data)

    def _passed(self, filtered: MetricFilter, data: Any) -> Any:
        try:
            passed = None if data is None else filtered(data)
            return without_ours(passed) if passed is not None and ending.in_vain else passed
        except Exception as error:  # noqa: BLE001  a filter that fails must neither raise nor let through
            self._rules.count("metrics", [FAILED])
            swallow("gate", error)
            return None
