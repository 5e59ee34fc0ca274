"""One read model for telemetry that arrived, whatever it arrived as.

The recording receiver keeps OTLP protobuf (or OTLP/JSON), the real collector writes OTLP/JSON lines. A test
states the same exact expectation of both in these values; `otlp_decoding.py` makes them.
Attribute values keep their type in Python (arrays are tuples, key-value lists dicts, no value is None); the
OTLP kind stands beside each, because `1`, `1.0` and `True` are equal in Python and are not on the wire.
"""

from dataclasses import dataclass
from typing import Final, Literal

Attributes = dict[str, object]
Types = dict[str, str]

SPAN_KINDS: Final = ("unspecified", "internal", "server", "client", "producer", "consumer")
STATUS_CODES: Final = ("unset", "ok", "error")
TEMPORALITIES: Final = ("unspecified", "delta", "cumulative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What every item says about where it comes from."""

    scope_name: str
    scope_version: str
    scope_attributes: Attributes
    scope_schema_url: str
    resource: Attributes
    resource_types: Types
    resource_schema_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEvent(Origin):
    """A log record. Times in ns since the epoch, 0 if absent; ids in hex, "" if absent."""

    event_name: str
    attributes: Attributes
    attribute_types: Types
    """OTLP kind for each attribute: string, int, bool, double, array, bytes, kvlist, or none for no value."""
    body: object
    has_body: bool
    """False without a body and for an empty value, which is how the collector passes on a missing one."""
    severity_number: int
    severity_text: str
    timestamp: int
    observed_timestamp: int
    trace_id: str
    span_id: str
    flags: int
    dropped_attributes_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanEvent:
    """An event inside a span."""

    name: str
    timestamp: int
    attributes: Attributes
    attribute_types: Types
    dropped_attributes_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanLink:
    """A link from a span to another."""

    trace_id: str
    span_id: str
    tracestate: str
    attributes: Attributes
    attribute_types: Types
    dropped_attributes_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanData(Origin):
    """A span. Times in ns since the epoch; ids in hex, "" if absent."""

    name: str
    kind: str
    """One of `SPAN_KINDS`."""
    attributes: Attributes
    attribute_types: Types
    events: tuple[SpanEvent, ...]
    links: tuple[SpanLink, ...]
    status_code: str
    """One of `STATUS_CODES`."""
    status_message: str
    trace_id: str
    span_id: str
    parent_span_id: str
    tracestate: str
    flags: int
    start: int
    end: int
    dropped_attributes_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPoint(Origin):
    """A data point with its metric. What its kind does not have is None or empty."""

    name: str
    unit: str
    description: str
    kind: Literal["gauge", "sum", "histogram", "exponential_histogram", "summary"]
    attributes: Attributes
    attribute_types: Types
    value: int | float | None
    """Of a gauge or sum."""
    count: int | None
    sum: float | None
    min: float | None
    max: float | None
    bounds: tuple[float, ...]
    bucket_counts: tuple[int, ...]
    temporality: str
    """One of `TEMPORALITIES`."""
    is_monotonic: bool
    exemplar_count: int
    start: int
    timestamp: int


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What one request held, or several."""

    events: tuple[LogEvent, ...] = ()
    spans: tuple[SpanData, ...] = ()
    metrics: tuple[MetricPoint, ...] = ()

    def __add__(self, other: "Telemetry") -> "Telemetry":
        """This, then the other."""
        return Telemetry(self.events + other.events, self.spans + other.spans, self.metrics + other.metrics)
