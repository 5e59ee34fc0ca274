"""Where signals pass in the SDK's pipelines, and how to stand there: the one place for their private names.

What a host has made cannot be found: its providers may be global or not, several, made before us or after,
and tracers keep the processor that they were made with. So no object is looked for and none is changed. The
SDK's *classes* are: a `Field` stands on one and answers, whoever asks an object of that class for the
attribute, with the gated counterpart of what the object holds; a `Method` stands in the place of one. Both
are taken away without a trace, since each object still holds what the host gave it.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import itertools
import weakref
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, final

from opentelemetry.sdk import trace
from opentelemetry.sdk._logs import LoggerProvider, _internal
from opentelemetry.sdk._logs import export as log_export
from opentelemetry.sdk._shared_internal import BatchProcessor
from opentelemetry.sdk.trace import export as span_export

from otel_incident.overlays import put_over, take_out

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_incident.vocabulary import Signal

SPAN_MULTI: Final[tuple[type, ...]] = (
    trace.SynchronousMultiSpanProcessor,
    trace.ConcurrentMultiSpanProcessor,
)
LOG_MULTI: Final[tuple[type, ...]] = (
    _internal.SynchronousMultiLogRecordProcessor,
    _internal.ConcurrentMultiLogRecordProcessor,
)
OF_TRACER: Final = (trace.Tracer, "span_processor")
OF_LOGGER: Final = (_internal.Logger, "_multi_log_record_processor")
"""Where a tracer and a logger keep the processor of their provider."""

BATCH: Final = (BatchProcessor, "_exporter")
"""The exporter of both batch processors, which are shells around this class."""

BEFORE_QUEUE: Final[tuple[tuple[type, str], ...]] = (
    (trace.Span, "end"),
    (_internal.Logger, "emit"),
    (BatchProcessor, "emit"),
    (BatchProcessor, "_export"),
)
"""Methods of the SDK's that see what waits for its exporter, or is on its way there, before the gate."""

SIMPLE_SPAN: Final = (span_export.SimpleSpanProcessor, "span_exporter")
SIMPLE_LOG: Final = (log_export.SimpleLogRecordProcessor, "_exporter")
METRICS_MODULE: Final = "opentelemetry.sdk.metrics"
READER_FIELD: Final = "_collect"
"""How a metric reader of any kind, push or pull, gets its metrics."""

_STORAGES: Final = "_reader_storages"
"""Where a provider's measurements find what is kept for each reader: each change is another mapping."""

_KEPT: Final = "_otel_incident_gated"
_numbers: Final = itertools.count()


def metric_reader() -> type:
    """The base class of all metric readers; only for who knows that the metrics are imported."""
    from opentelemetry.sdk.metrics.export import MetricReader  # noqa: PLC0415  see above

    return MetricReader


def reader_storage() -> tuple[type, str]:
    """The class of what the SDK keeps for each reader, and its method that makes the metrics of it.

    A class without it where this release of the SDK has none; only for who knows that metrics are imported.
    """
    try:
        from opentelemetry.sdk.metrics._internal.metric_reader_storage import (  # noqa: PLC0415  see above
            MetricReaderStorage,
        )
    except ImportError:
        return object, "collect"
    return MetricReaderStorage, "collect"


def is_for(storage: Any, reader: Any) -> bool:
    """Whether this is what the SDK keeps for this reader: they share an object, and nothing else."""
    shared = "_instrument_class_temporality"
    held = vars(storage).get(shared)
    return reader is not None and held is not None and getattr(reader, shared, None) is held


def measurements() -> tuple[type, tuple[str, ...]]:
    """The class that a provider of metrics hands to its instruments, and its methods by which they use it.

    A class without them where this release of the SDK has none; only for who knows that metrics are imported.
    """
    names = ("consume_measurement", "register_asynchronous_instrument")
    try:
        from opentelemetry.sdk.metrics._internal.measurement_consumer import (  # noqa: PLC0415  see above
            SynchronousMeasurementConsumer,
        )
    except ImportError:
        return object, names
    return SynchronousMeasurementConsumer, names


def consumer_of(provider: Any) -> Any:
    """The object of that class that a provider has; None where it has none."""
    return getattr(provider, "_measurement_consumer", None)


def readers_of(consumer: Any) -> tuple[Any, ...]:
    """The metric readers that it measures for."""
    return tuple(getattr(consumer, _STORAGES, ()))


def add_reader(consumer: Any, reader: Any) -> bool:
    """Have it measure for one more metric reader; False where this release of the SDK is made otherwise.

    Not by the SDK's own way of adding one: older releases have none, and it waits for whoever collects, which
    may be the callback that has just measured.
    """
    storage, _ = reader_storage()
    try:
        _, *names = inspect.signature(storage).parameters
        config = consumer._sdk_config  # noqa: SLF001  what this module is for
        made = storage(config, *(getattr(reader, f"_{name}") for name in names))
        setattr(consumer, _STORAGES, {**getattr(consumer, _STORAGES), reader: made})
        setattr(reader, READER_FIELD, consumer.collect)
    except (AttributeError, TypeError, ValueError):
        return False
    return True


def remove_reader(consumer: Any, reader: Any) -> None:
    """Have it measure no more for a reader that was added."""
    left = {each: storage for each, storage in getattr(consumer, _STORAGES).items() if each is not reader}
    setattr(consumer, _STORAGES, left)


def _made_by_nobody() -> None:
    """In the place of a constructor that a class does not have."""


def has_field(owner: type, name: str) -> bool:
    """Whether objects of a class are made with an attribute of this name, in this release of the SDK."""
    # somebody may have put a wrapper over it
    made = getattr(inspect.unwrap(vars(owner).get("__init__", _made_by_nobody)), "__code__", None)
    over = vars(owner).get(name)
    return made is not None and name in made.co_names and (over is None or type(over) is Field)


def has_method(owner: type, name: str) -> bool:
    """Whether a class has a method of its own by this name, in this release of the SDK."""
    return callable(vars(owner).get(name))


def as_shipped(method: object) -> bool:
    """Whether a method of one of the SDK's classes is the SDK's own, or one of ours that stands before it."""
    # a wrapper may pass for what it wraps in all but its type, or in all but its globals
    if type(method) is not FunctionType:
        return False
    return str(method.__globals__.get("__name__")).startswith(("opentelemetry.sdk.", "otel_incident."))


def changed(owner: type, name: str) -> bool:
    """Whether somebody's own stands in the place of a method of the SDK's, or before or behind ours there.

    It sees what the gate has yet to filter. What it covers up is known as far as each says what it wraps.
    """
    found = vars(owner).get(name)
    while found is not None:
        if not as_shipped(found):
            return True
        found = getattr(found, "__wrapped__", None)
    return False


@final
class Field:
    """Stands on a class and gives, for what an object holds under a name, its gated counterpart.

    Over another one it gives the counterpart of what that one gives, for as long as that one stands.

    Args:
        owner: The class; its objects keep the attribute in their `__dict__`.
        name: The attribute.
        gate: Makes the counterpart of what an object holds: called with both, once for each pair.
    """

    def __init__(self, owner: type, name: str, gate: Callable[[Any, Any], Any]) -> None:
        self._owner = owner
        self._name = name
        self._gate = gate
        self._asked: weakref.WeakSet[Any] = weakref.WeakSet()
        self._key = f"{_KEPT}_{name}_{next(_numbers)}"
        self.below: Field | None = vars(owner).get(name)
        setattr(owner, name, self)

    def __get__(self, holder: Any, _owner: type | None = None) -> Any:
        """The counterpart of what the holder holds now."""
        if holder is None:
            return self
        attributes, below = vars(holder), self.below
        try:
            held = attributes[self._name] if below is None else below.__get__(holder)
        except KeyError:
            raise AttributeError(self._name) from None
        kept = attributes.get(self._key)
        if kept is not None and kept[0] is held:
            return kept[1]
        gated = self._gate(holder, held)
        # beside the attribute: a table of ours that held a callback would keep its holder alive
        attributes[self._key] = (held, gated)
        with contextlib.suppress(TypeError):  # a subclass of the host's that cannot be hashed or referred to
            self._asked.add(holder)
        return gated

    def __set__(self, holder: Any, value: Any) -> None:
        """Let the holder hold something else."""
        vars(holder)[self._name] = value

    def __delete__(self, holder: Any) -> None:
        """Let the holder hold nothing."""
        vars(holder).pop(self._name, None)

    def in_force(self) -> bool:
        """Whether nobody has put anything else there."""
        return vars(self._owner).get(self._name) is self

    def undo(self) -> None:
        """Leave the class and its objects as they were; what stands over it stays, on what it stood on."""
        over = vars(self._owner).get(self._name)
        if over is self and self.below is None:
            delattr(self._owner, self._name)
        elif over is self:
            setattr(self._owner, self._name, self.below)
        while type(over) is Field:
            if over.below is self:
                over.below = self.below
            over = over.below
        for holder in list(self._asked):
            vars(holder).pop(self._key, None)


@final
class Method:
    """Stands in the place of a method of a class.

    Args:
        owner: The class.
        name: The method.
        instead: Called with the method that was there, the object, and the arguments.
    """

    def __init__(self, owner: type, name: str, instead: Callable[..., Any]) -> None:
        self._owner = owner
        self._name = name
        before = vars(owner)[name]
        self._stands = True

        @functools.wraps(before)
        def method(holder: Any, *args: Any, **kwargs: Any) -> Any:
            below = method.__wrapped__
            if self._stands:
                return instead(below, holder, *args, **kwargs)
            return below(holder, *args, **kwargs)  # somebody had put his own over it, and holds on to it

        self._method = method
        put_over(owner, name, method)

    def changed(self) -> str:
        """What it is called where somebody has put his own over it or below; "" where nobody has."""
        return f"{self._owner.__name__}.{self._name}" if changed(self._owner, self._name) else ""

    def in_force(self) -> bool:
        """Whether it is called, be it by somebody who has put his own over it."""
        found = vars(self._owner).get(self._name)
        while found is not None and found is not self._method:
            found = getattr(found, "__wrapped__", None)
        return found is self._method

    def undo(self) -> None:
        """Put back what is below; below somebody's who has put his own over it, do nothing more."""
        self._stands = False
        take_out(self._owner, self._name, self._method, self._method.__wrapped__)


_UNKNOWN: Final = (object(),)


def following(holder: Any, signal: Signal) -> tuple[object, ...]:
    """The processors that a multi-processor hands on to; one of no known type where it hides them."""
    name = "_span_processors" if signal == "spans" else "_log_record_processors"
    processors: tuple[object, ...] = getattr(holder, name, _UNKNOWN)
    return processors


def exports(holder: Any) -> str:
    """What a batch processor says that it exports, `Span` or `Log`; "" where it says nothing."""
    return str(getattr(holder, "_exporting", ""))


def exit_handler(provider: object) -> Callable[[], None] | None:
    """What a provider has registered to be run when the process ends."""
    name = "_at_exit_handler" if isinstance(provider, LoggerProvider) else "_atexit_handler"
    handler: Callable[[], None] | None = getattr(provider, name, None)
    return handler
