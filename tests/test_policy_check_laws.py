"""`policy check` never disagrees with the gate: the same telemetry, as a payload and as objects."""

import base64
import json
from typing import Any, Final

from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from otel_incident.gate import GateRules, Mode
from otel_incident.gate.logs import LogFilter
from otel_incident.gate.metrics import MetricFilter
from otel_incident.gate.spans import SpanFilter
from otel_incident.policy_cli.check import Checked, check
from otel_incident.policy_cli.payload import requests_in

SCOPES: Final = (
    "opentelemetry.instrumentation.django",
    "opentelemetry.instrumentation.sqlite3.below",
    "otel_incident",
    "desk",
)
KEYS: Final = (
    *(
        "http.request.method",
        "http.route",
        "http.target",
        "db.operation.name",
        "error.type",
        "exception.type",
    ),
    *("incident.id", "incident.active", "incident.title", "otel_incident.x", "user.roles", "desk.title"),
)
VALUES: Final = st.one_of(
    st.sampled_from(("GET", "SELECT", "incident/<int:id>/", "42", "ValueError", "a sentence", "", "\u0663")),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(allow_nan=False),
    st.binary(max_size=3),
    st.lists(st.sampled_from(("end_user", "system_admin", "x")), max_size=3).map(tuple),
    st.dictionaries(st.sampled_from(("a", "b")), st.sampled_from(("x", 1)), max_size=2),
)
ATTRIBUTES: Final = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4)
NAMES: Final = st.sampled_from(
    ("GET incident/<int:id>/", "GET /a?b", "incident.create", "exception", "event")
)
SCOPE: Final = st.builds(
    InstrumentationScope, st.sampled_from(SCOPES), st.sampled_from((None, "1.2", "a b")), st.none(), st.none()
)
RESOURCE: Final = st.builds(
    Resource, st.dictionaries(st.sampled_from(("service.name", "host.name")), st.just("desk"), max_size=2)
)
CONTEXT: Final = st.builds(
    SpanContext,
    st.just(0xABC),
    st.integers(1, 9),
    st.just(value=False),
    st.just(TraceFlags(1)),
    st.sampled_from(
        (TraceState(), TraceState([("ot", "th:8")]), TraceState([("vendor", "x"), ("ot", "th:8")]))
    ),
)
SPANS: Final = st.builds(
    ReadableSpan,
    name=NAMES,
    context=CONTEXT,
    resource=RESOURCE,
    attributes=ATTRIBUTES,
    events=st.lists(st.builds(Event, NAMES, ATTRIBUTES, st.just(1)), max_size=2),
    # of a link OTLP's encoder writes no trace state, so a payload cannot show that one would go
    links=st.lists(st.builds(Link, st.just(SpanContext(0xABC, 5, is_remote=False)), ATTRIBUTES), max_size=2),
    kind=st.sampled_from(SpanKind),
    status=st.sampled_from((Status(), Status(StatusCode.ERROR, "why"), Status(StatusCode.ERROR))),
    start_time=st.just(1),
    end_time=st.just(2),
    instrumentation_scope=SCOPE,
)
RECORDS: Final = st.builds(
    ReadableLogRecord,
    st.builds(
        LogRecord,
        timestamp=st.just(1),
        observed_timestamp=st.just(2),
        severity_text=st.sampled_from((None, "INFO", "loud")),
        severity_number=st.sampled_from(SeverityNumber),
        body=st.one_of(st.none(), VALUES),
        attributes=ATTRIBUTES,
        event_name=st.sampled_from((None, "incident.end", "a sentence")),
    ),
    RESOURCE,
    SCOPE,
)
METRICS: Final = st.builds(
    Metric,
    st.sampled_from(("http.server.active_requests", "incident.events", "people")),
    st.sampled_from(("", "a sentence")),
    st.sampled_from(("{request}", "{event}", "")),
    st.builds(
        Sum,
        st.lists(
            st.builds(NumberDataPoint, ATTRIBUTES, st.just(1), st.just(2), st.integers(0, 9)),
            min_size=1,
            max_size=3,
        ),
        st.just(AggregationTemporality.CUMULATIVE),
        st.booleans(),
    ),
)
DATA: Final = st.builds(
    lambda resource, scope, metrics: MetricsData(
        [ResourceMetrics(resource, [ScopeMetrics(scope, metrics, "")], "")]
    ),
    RESOURCE,
    SCOPE,
    st.lists(METRICS, min_size=1, max_size=2),
)
MODES: Final = st.sampled_from(("strict", "standard"))


def payload(message: Any) -> str:
    """A request as OTLP/JSON."""

    def with_hex_ids(value: Any) -> Any:
        if isinstance(value, list):
            return [with_hex_ids(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {
            key: base64.b64decode(item).hex()
            if key in {"traceId", "spanId", "parentSpanId"}
            else with_hex_ids(item)
            for key, item in value.items()
        }

    return json.dumps(with_hex_ids(MessageToDict(message, use_integers_for_enums=True)))


def answer(message: Any, mode: Mode) -> Checked:
    """What `policy check` says of a request."""
    return check(requests_in(payload(message), "payload"), GateRules(mode), "payload")


def removed(checked: Checked, *, everything: bool) -> int:
    """How many of the things taken the gate counts, too: attributes, or everything that goes."""
    return sum(
        everything or taken.field.rpartition(".")[2] in {"attributes", "filteredAttributes"}
        for taken in checked.taken
    )


@given(SPANS, MODES)
def test_spans_lose_what_the_gate_says(span: ReadableSpan, mode: Mode) -> None:
    """As many things are named as the gate counts, and none where it takes no text."""
    rules = GateRules(mode)
    passed = SpanFilter(rules)(span)
    checked = answer(encode_spans([span]), mode)

    assert removed(checked, everything=mode == "strict") == sum(rules.dropped.counts().values())
    assert (checked.taken == []) == (texts(encode_spans([passed])) == texts(encode_spans([span])))


@given(RECORDS, MODES)
def test_log_records_lose_what_the_gate_says(came: ReadableLogRecord, mode: Mode) -> None:
    """As many things are named as the gate counts, and none where it passes the same record."""
    rules = GateRules(mode)
    entry = LogFilter(rules)(came.log_record, came.resource, came.instrumentation_scope)
    checked = answer(encode_logs([came]), mode)

    assert removed(checked, everything=mode == "strict") == sum(rules.dropped.counts().values())
    if entry is None:
        assert checked.taken == []
    else:
        passed = ReadableLogRecord(entry.record, entry.resource, entry.scope)
        assert (checked.taken == []) == (texts(encode_logs([passed])) == texts(encode_logs([came])))


@given(DATA, MODES)
def test_metrics_lose_something_where_the_gate_says_so(data: MetricsData, mode: Mode) -> None:
    """Where the gate counts nothing and passes every text, nothing is named, and the other way round."""
    rules = GateRules(mode)
    passed = MetricFilter(rules)(data)
    checked = answer(encode_metrics(data), mode)

    # as sets: of two points that came with one identity the gate makes one, and takes no text for it
    # and what strict adds to a metric of ours, such as its description, is nothing that it took
    same = passed is not None and set(texts(encode_metrics(passed))) >= set(texts(encode_metrics(data)))
    assert (checked.taken == []) == (same and rules.dropped.counts() == {})


def texts(message: Any) -> list[str]:
    """Every text of a message and every attribute, in order; numbers do not matter."""
    found = []
    for field, value in message.ListFields():
        for each in value if field.is_repeated else [value]:
            if field.message_type is not None and field.message_type.name in {"KeyValue", "AnyValue"}:
                if field.message_type.name == "KeyValue" or each.WhichOneof("value"):
                    found.append(f"{field.name} {each}")
            elif field.message_type is not None:
                found += [f"{field.name}", *texts(each)]
            elif field.type in (field.TYPE_STRING, field.TYPE_BYTES):
                found.append(f"{field.name} {each!r}")
    return found
