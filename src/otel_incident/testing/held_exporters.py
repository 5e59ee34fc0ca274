"""Holds back what exporters would send in a canary test, and tells what reached them.

Whose an exporter is does not matter: a vendor's or a host's own would send planted texts as OTLP's would. Two
kinds run all the same. One that holds another exporter has its say before that one is held back, since what
it takes out or adds counts. And the SDK's own that keep all in memory are what the test itself may read.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, final

from opentelemetry.sdk._logs.export import (
    InMemoryLogRecordExporter,
    LogRecordExporter,
    LogRecordExportResult,
)
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_incident.exporters import DeferredExporter
from otel_incident.gate import pipelines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from otel_incident.vocabulary import Signal

_BASES: Final[tuple[tuple[Signal, type, str, Any], ...]] = (
    ("spans", SpanExporter, "spans", SpanExportResult.SUCCESS),
    ("logs", LogRecordExporter, "batch", LogRecordExportResult.SUCCESS),
    ("metrics", MetricExporter, "metrics_data", MetricExportResult.SUCCESS),
)
"""The signal, its exporters' base, what that calls a batch, and what it answers."""

_EXPORTERS: Final = tuple(base for _, base, _, _ in _BASES)
_IN_MEMORY: Final = (InMemorySpanExporter, InMemoryLogRecordExporter)
_GATE: Final = "otel_incident.gate."
_OURS: Final = "otel_incident.testing."
_ON_SUBCLASS: Final = "__init_subclass__"


@final
class HeldExporters:
    """The exporters of the process, those whose classes come later too, from `begin` to `undo`.

    Args:
        reached: Told of each export: the signal, and whether it is one of ours, of incident events.
        last: Handed what the last exporter in a row got, with the same.
    """

    def __init__(
        self, reached: Callable[[Signal, bool], None], last: Callable[[Signal, bool, Any], None]
    ) -> None:
        self._reached = reached
        self._last = last
        self._methods: list[pipelines.Method] = []
        self._owners: set[type] = set()
        self._bases: list[Any] = []
        self._thread = threading.local()

    def begin(self) -> None:
        """Hold back."""
        for base in _EXPORTERS:
            for exporter in _subclasses(base):
                self._hold(exporter)
            self._hold_later(base)

    def undo(self) -> None:
        """Leave every class as it was."""
        while self._bases:
            delattr(self._bases.pop(), _ON_SUBCLASS)
        while self._methods:
            self._methods.pop().undo()
        self._owners.clear()

    def _hold_later(self, base: Any) -> None:
        if _ON_SUBCLASS in vars(base):  # a release of the SDK that has one of its own
            return

        def made(exporter: Any, /, **options: Any) -> None:
            super(base, exporter).__init_subclass__(**options)
            self._hold(exporter)

        setattr(base, _ON_SUBCLASS, classmethod(made))
        self._bases.append(base)

    def _hold(self, exporter: type) -> None:
        """Stand in the place of a class's `export`, be it a base's that knows nothing of the SDK."""
        for owner in exporter.__mro__:
            known = owner in _EXPORTERS or owner in self._owners or owner.__module__.startswith(_OURS)
            if not known and pipelines.has_method(owner, "export"):
                self._owners.add(owner)
                self._methods.append(pipelines.Method(owner, "export", self._instead(owner)))

    def _instead(self, owner: type) -> Callable[..., Any]:
        events = owner is DeferredExporter
        gate = owner.__module__.startswith(_GATE)

        def export(before: Callable[..., Any], exporter: Any, *args: Any, **kwargs: Any) -> Any:
            of_base = [of for of in _BASES if isinstance(exporter, of[1])]
            if not of_base:  # the same base has a class that is no exporter of the SDK's
                return before(exporter, *args, **kwargs)
            ((signal, _, name, success), *_) = of_base
            # by name where who hands on says so; a class may have a name of its own for it
            batch = args[0] if args else kwargs.get(name, next(iter(kwargs.values()), ()))
            seen = getattr(self._thread, "seen", 0)
            runs = not events and (isinstance(exporter, _IN_MEMORY) or _holds_another(exporter))
            try:
                return before(exporter, *args, **kwargs) if runs else success
            finally:
                self._reached(signal, events)
                if getattr(self._thread, "seen", 0) == seen and not gate:  # it has not handed on to another
                    self._thread.seen = seen + 1
                    self._last(signal, events, batch)

        return export


def _holds_another(exporter: Any) -> bool:
    """Whether an exporter has another one, or several in a list or a dictionary."""
    for held in _held(exporter):
        several = held.values() if isinstance(held, dict) else held
        if isinstance(held, _EXPORTERS):
            return True
        if isinstance(held, dict | list | tuple) and any(isinstance(each, _EXPORTERS) for each in several):
            return True
    return False


def _held(exporter: Any) -> Iterator[Any]:
    yield from getattr(exporter, "__dict__", {}).values()
    for owner in type(exporter).__mro__:
        slots = vars(owner).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            yield getattr(exporter, name, None)


def _subclasses(base: type) -> Iterable[type]:
    direct: list[type] = base.__subclasses__()
    for each in direct:
        yield each
        yield from _subclasses(each)
