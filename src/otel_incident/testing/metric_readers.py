"""The metrics of a canary test: a reader of our own at every provider, so that a host needs none.

The global provider and those that are named are known from the start. One that nobody names is found by what
it is told while the block runs: as with spans and log records, a class of the SDK's is stood in, no object.
"""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any, final

from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from otel_incident.gate import pipelines
from otel_incident.gate.readers import filtered_elsewhere

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


@final
class MetricReaders:
    """Readers of the providers that measure, from `begin` to `undo`."""

    def __init__(self) -> None:
        self.unread = False
        """Whether there are metrics that this release of the SDK keeps where they cannot be read."""

        # a collection of garbage may come in between, and with it a finalizer that measures
        self._lock = threading.RLock()
        self._methods: list[pipelines.Method] = []
        self._added: list[tuple[Any, InMemoryMetricReader]] = []
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()
        self._found: list[Any] = []

    def begin(self, providers: Iterable[Any]) -> None:
        """Read these providers, and from now on each other one that is used.

        Args:
            providers: Those that are known; what is no provider of the SDK's metrics is passed over.
        """
        for consumer in _consumers(providers):
            self._watch(consumer)
        owner, names = pipelines.measurements()
        self._methods += [
            pipelines.Method(owner, name, self._on_use) for name in names if pipelines.has_method(owner, name)
        ]
        self.unread |= len(self._methods) < len(names)

    def flush(self, providers: Iterable[Any]) -> None:
        """Have the host's own readers export what providers measured that are none of these."""
        others = _consumers(providers)
        for consumer in [each for each in self._found if each not in others]:
            for reader in pipelines.readers_of(consumer):
                # it has nothing to send, and what is asked of it now the host's test would miss
                if not isinstance(reader, InMemoryMetricReader):
                    reader.force_flush()

    def read(self) -> Iterator[Any]:
        """What would be exported, through the gate of the process if it has one."""
        yield from (reader.get_metrics_data() for _, reader in self._added)

    def read_ungated(self) -> Iterator[Any]:
        """The same past the gate of the process, which stands on the class."""
        for _, reader in self._added:
            with filtered_elsewhere(reader):
                yield vars(reader)[pipelines.READER_FIELD](reader)

    def undo(self) -> None:
        """Leave the SDK and every provider as they were."""
        while self._methods:
            self._methods.pop().undo()
        while self._added:
            pipelines.remove_reader(*self._added.pop())
        self._found.clear()

    def _on_use(self, before: Callable[..., Any], consumer: Any, *args: Any, **kwargs: Any) -> Any:
        if consumer not in self._known:
            with self._lock:  # a second thread's measurement waits until there is a reader to have it
                if consumer not in self._known:
                    self._found.append(consumer)
                    self._watch(consumer)
        return before(consumer, *args, **kwargs)

    def _watch(self, consumer: Any) -> None:
        reader = InMemoryMetricReader()
        if pipelines.add_reader(consumer, reader):
            self._added.append((consumer, reader))
        else:
            self.unread = True
        self._known.add(consumer)


def _consumers(providers: Iterable[Any]) -> weakref.WeakSet[Any]:
    found = (pipelines.consumer_of(provider) for provider in providers)
    return weakref.WeakSet(each for each in found if each is not None)
