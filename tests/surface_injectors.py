"""Plants a canary into every place of OTLP that a host can reach through the SDK.

One scenario for each signal. It is deterministic (ids, times and counts are its own), so that two runs that
differ in their content alone can be compared byte by byte.
"""

import inspect
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from tests.canaries import canary
from tests.otlp_wire import Signal

AT: Final = 1_600_000_000_000_000_000
"""When everything happens, in ns since the epoch."""

SPANS: Final = "traces:resource_spans.scope_spans.spans"
LOGS: Final = "logs:resource_logs.scope_logs.log_records"
METRICS: Final = "metrics:resource_metrics.scope_metrics.metrics"
_ROOTS: Final[Mapping[Signal, tuple[str, str]]] = {
    "traces": ("traces:resource_spans", "scope_spans"),
    "logs": ("logs:resource_logs", "scope_logs"),
    "metrics": ("metrics:resource_metrics", "scope_metrics"),
}
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
POINT_KINDS: Final = ("gauge", "sum", "histogram", "exponential_histogram")
_TAKES_EXCEPTION: Final = "exception" in inspect.signature(LogRecord).parameters


class Planter:
    """Makes the canaries of one run, and remembers where each was planted.

    A place is a field of OTLP as otlp_surface.py names it; what comes after a comma tells apart canaries that
    stand in the same field.

    Args:
        salt: Makes the canaries of another run, which share nothing with these.
        wrap: Put before and after each text, where the place takes any text.
    """

    def __init__(self, salt: str = "", wrap: str = "") -> None:
        self._salt = salt
        self._wrap = wrap
        self.texts: dict[str, str] = {}

    def name(self, place: str) -> str:
        """A canary for a place that takes letters alone."""
        return self.texts.setdefault(place, canary(place, self._salt))

    def text(self, place: str) -> str:
        """A canary in a sentence, for a place that takes any text."""
        return f"{self._wrap}{self.name(place)}{self._wrap}"

    def number(self, place: str, size: int) -> int:
        """An id whose `size` bytes are text, the same in every run."""
        text = self.texts.setdefault(place, canary(place)[:size])
        return int.from_bytes(text.encode())

    def attributes(self, place: str, prefix: str = "") -> dict[str, Any]:
        """Attributes with a canary in each place of theirs; `place` is the field that holds them."""
        value = f"{place}.value"
        pairs = f"{value}.kvlist_value.values"
        return {
            self.text(f"{place}.key"): 1,
            f"{prefix}string": self.text(f"{value}.string_value"),
            f"{prefix}bytes": self.text(f"{value}.bytes_value").encode(),
            f"{prefix}array": ("a", self.text(f"{value}.array_value.values")),
            f"{prefix}map": {self.text(f"{pairs}.key"): 1, "b": [{"c": self.text(f"{pairs}.value")}]},
        }

    def resource(self, signal: Signal) -> Resource:
        """A resource."""
        root, _ = _ROOTS[signal]
        attributes = self.attributes(f"{root}.resource.attributes")
        return Resource(attributes, self.text(f"{root}.schema_url"))

    def scope(self, signal: Signal, name: str | None) -> tuple[str, str, str, dict[str, Any]]:
        """The arguments of `get_tracer` and its like; without a name those of a scope without a profile."""
        root, scoped = _ROOTS[signal]
        return (
            name or self.text(f"{root}.{scoped}.scope.name"),
            self.text(f"{root}.{scoped}.scope.version"),
            self.text(f"{root}.{scoped}.schema_url"),
            self.attributes(f"{root}.{scoped}.scope.attributes"),
        )

    def state(self, place: str) -> TraceState:
        """A trace state with a canary as key and as value, beside a sampling probability."""
        key, value = self.name(f"{place}, key").lower(), self.name(place)
        return TraceState([(key, value), ("ot", "th:8")])


class PlantedIds(IdGenerator):
    """Ids that are text, which a host could make too."""

    def __init__(self, plant: Planter) -> None:
        self._span_id = plant.number(f"{SPANS}.span_id", 8)
        self._trace_id = plant.number(f"{SPANS}.trace_id", 16)

    def generate_span_id(self) -> int:
        """Always the same."""
        return self._span_id

    def generate_trace_id(self) -> int:
        """Always the same."""
        return self._trace_id


def plant_spans(provider: TracerProvider, plant: Planter, scope: str | None = None) -> None:
    """End a span with a canary in each of its places, in a scope of this name or one that nobody knows."""
    tracer = provider.get_tracer(*plant.scope("traces", scope))
    parent = SpanContext(
        plant.number(f"{SPANS}.trace_id", 16),
        plant.number(f"{SPANS}.parent_span_id", 8),
        is_remote=True,
        trace_flags=_SAMPLED,
        trace_state=plant.state(f"{SPANS}.trace_state"),
    )
    linked = SpanContext(
        plant.number(f"{SPANS}.links.trace_id", 16),
        plant.number(f"{SPANS}.links.span_id", 8),
        is_remote=True,
        trace_state=plant.state(f"{SPANS}.links.trace_state"),
    )
    span = tracer.start_span(
        plant.text(f"{SPANS}.name"),
        set_span_in_context(NonRecordingSpan(parent), Context()),
        SpanKind.SERVER,
        plant.attributes(f"{SPANS}.attributes"),
        links=[Link(linked, plant.attributes(f"{SPANS}.links.attributes"))],
        start_time=AT,
    )
    span.add_event(plant.text(f"{SPANS}.events.name"), plant.attributes(f"{SPANS}.events.attributes"), AT + 1)
    try:
        raise LookupError(plant.text(f"{SPANS}.events.attributes.value.string_value, of an exception"))  # noqa: TRY301  in a host's code
    except LookupError as error:
        span.record_exception(error, timestamp=AT + 2)
    span.set_status(Status(StatusCode.ERROR, plant.text(f"{SPANS}.status.message")))
    span.end(AT + 3)


def plant_logs(provider: LoggerProvider, plant: Planter, scope: str | None = None) -> None:
    """Emit records with a canary in each of their places: one record for each kind of body."""
    logger = provider.get_logger(*plant.scope("logs", scope))
    span = SpanContext(
        plant.number(f"{LOGS}.trace_id", 16),
        plant.number(f"{LOGS}.span_id", 8),
        is_remote=False,
        trace_flags=_SAMPLED,
    )
    body = f"{LOGS}.body"
    pairs = f"{body}.kvlist_value.values"
    bodies: list[Any] = [
        plant.text(f"{body}.string_value"),
        plant.text(f"{body}.bytes_value").encode(),
        [1, plant.text(f"{body}.array_value.values")],
        {plant.text(f"{pairs}.key"): 1, "b": [{"c": plant.text(f"{pairs}.value")}]},
    ]
    of_exception = f"{LOGS}.attributes.value.string_value, of an exception"
    # older SDKs have no such parameter
    raised = {"exception": LookupError(plant.text(of_exception))} if _TAKES_EXCEPTION else {}
    for number, content in enumerate(bodies):
        logger.emit(
            LogRecord(
                timestamp=AT + number,
                observed_timestamp=AT + 10 + number,
                context=set_span_in_context(NonRecordingSpan(span), Context()),
                severity_number=SeverityNumber.WARN,
                severity_text=plant.text(f"{LOGS}.severity_text"),
                body=content,
                attributes=plant.attributes(f"{LOGS}.attributes"),
                event_name=plant.text(f"{LOGS}.event_name"),
                **raised,
            )
        )


class Instruments(NamedTuple):
    """Which instruments measure.

    Attributes:
        kinds: The kinds of metrics that they make.
        known: Their name and unit, if it is not a planted one.
    """

    kinds: tuple[str, ...] = POINT_KINDS
    known: tuple[str, str] | None = None

    def name(self, plant: Planter, kind: str) -> str:
        """The name of one."""
        return self.known[0] if self.known else plant.name(f"{METRICS}.name, {kind}")

    def unit(self, plant: Planter) -> str:
        """The unit of each."""
        return self.known[1] if self.known else plant.name(f"{METRICS}.unit")


EVERY_KIND: Final = Instruments()


def views(plant: Planter, instruments: Instruments = EVERY_KIND) -> list[View]:
    """Views that keep the points' own attributes, so that the others go to the exemplars."""
    return [
        View(
            instrument_name=instruments.name(plant, kind),
            attribute_keys=set(_on_points(plant, kind)),
            aggregation=ExponentialBucketHistogramAggregation() if kind.startswith("exp") else None,
        )
        for kind in instruments.kinds
    ]


def plant_metrics(
    provider: MeterProvider, plant: Planter, scope: str | None = None, instruments: Instruments = EVERY_KIND
) -> None:
    """Measure once with each instrument, with a canary in each place of a metric."""
    meter = provider.get_meter(*plant.scope("metrics", scope))
    made: dict[str, Any] = {
        "gauge": meter.create_gauge,
        "sum": meter.create_counter,
        "histogram": meter.create_histogram,
        "exponential_histogram": meter.create_histogram,
    }
    for kind in instruments.kinds:
        instrument = made[kind](
            instruments.name(plant, kind),
            unit=instruments.unit(plant),
            description=plant.text(f"{METRICS}.description"),
        )
        record = instrument.add if kind == "sum" else instrument.set if kind == "gauge" else instrument.record
        exemplars = f"{METRICS}.{kind}.data_points.exemplars"
        span = SpanContext(
            plant.number(f"{exemplars}.trace_id", 16),
            plant.number(f"{exemplars}.span_id", 8),
            is_remote=False,
            trace_flags=_SAMPLED,
        )
        record(
            3,
            {**_on_points(plant, kind), **plant.attributes(f"{exemplars}.filtered_attributes", "filtered.")},
            set_span_in_context(NonRecordingSpan(span), Context()),
        )

    def observe(_: CallbackOptions) -> list[Observation]:
        return [Observation(5, {plant.text(f"{METRICS}.sum.data_points.attributes.key, observed"): 1})]

    meter.create_observable_up_down_counter(plant.name(f"{METRICS}.name, observed"), [observe])


def _on_points(plant: Planter, kind: str) -> dict[str, Any]:
    return plant.attributes(f"{METRICS}.{kind}.data_points.attributes")
