"""The collector's half of the gate says of the same telemetry what the half in the process says."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from otel_incident.gate import GateRules
from otel_incident.gate.beside import TASK_ACTION, TASK_RUN
from otel_incident.gate.grammars import ASKED_PATH_KEYS
from otel_incident.gate.logs import LogFilter
from otel_incident.gate.spans import SpanFilter
from otel_incident.profiles import PROFILES
from otel_incident.version import __version__
from otel_incident.vocabulary import ATTRIBUTES, EVENTS, RESOURCE, SCOPE_NAME
from tests.collector import ROOT, Collector
from tests.otlp_client import post
from tests.otlp_decoding import decode_protobuf

COUNT: Final = 400
SEED: Final = 20_260_101
SCOPES: Final = (
    *(scope for profile in PROFILES for scope in profile.scopes),
    *(f"{profile.scopes[-1]}.below" for profile in PROFILES),
    *(SCOPE_NAME, "desk", "opentelemetry.instrumentation.djangoish", "opentelemetry.instrumentation"),
)
KEYS: Final = (
    *ATTRIBUTES,
    *dict.fromkeys(name for profile in PROFILES for name in profile.attributes),
    *("exception.type", "exception.message", "http.target", "db.statement", "incident.title"),
)
WORDS: Final = (
    *dict.fromkeys(
        value for profile in PROFILES for each in profile.attributes.values() for value in each.values
    ),
    *dict.fromkeys(member for attribute in ATTRIBUTES.values() for member in attribute.members),
    *("42", "0" * 12, "01KDWT9H4C6FBA3F4H9CG6XJF6", "hmac-" + "0f" * 16, "2026-01-01T12:00:00.000Z", "1.2.3"),
    *(
        "ybndrfg8ejkmcpqxot1uwisza3",
        "8f14e45f-ceea-467f-a9d8-5b2b3c1c7a11",
        "django.db.utils.DataError",
        "404",
    ),
    *(
        "^api/(?P<pk>[^/.]+)/$",
        "/incident/{id}",
        "a sentence",
        "GET\n",
        "\u0661\u0662",
        "GET ",
        "",
        "42001",
        "x" * 300,
    ),
)
ROUTE: Final = "/incident/{id}"
TASK: Final = "desk.close"
PATHS: Final = (
    *("/incident/42", "/incident/7/", "/incident/{id}", "/incident/%7Bid%7D", "/incident/42\n", "a path"),
    *("", "/", 42, b"/incident/42", ("/incident/42",)),
)
NUMBERS: Final = (-1, 0, 1, 99, 100, 200, 599, 600, 65_535, 65_536, 2**31 - 1, 2**31, -(2**63), 2**63 - 1)
OTHERS: Final = (
    *(True, False, 0.0, 1.5, -0.5, 3.2e9, 3.3e9, float("inf"), float("nan"), b"GET", {"a": "GET"}),
    *(
        (),
        ("end_user",),
        ("end_user", "system_admin"),
        ("end_user", "x"),
        ("end_user",) * 3,
        (1,),
        ("GET", 1),
    ),
)
NAMES: Final = (
    *(*EVENTS, "exception", "a sentence", "event"),
    *("GET", "GET /a", "POST incident/<int:id>/", "SELECT x", "connect", "getting", "run a.b", "GET\nGET"),
)
STATES: Final = (
    "",
    "ot=th:8",
    "vendor=x,ot=rv:00000000000001;th:c",
    "vendor=th:8",
    "ot=secret",
    "ot=th:8,a=b",
)


@pytest.fixture
def gated(collector_path: Path, tmp_path: Path) -> Iterator[Collector]:
    """The local collector with the gate's configuration."""
    gate = ROOT / "collector-config" / "gate.yaml"
    with Collector(collector_path, tmp_path / "gated", also=[gate]) as running:
        yield running


def attributes(chance: random.Random) -> dict[str, Any]:
    """Some keys that may pass, with values that may."""
    pools = (WORDS, WORDS, NUMBERS, OTHERS)
    found = {key: chance.choice(chance.choice(pools)) for key in chance.sample(KEYS, chance.randint(0, 12))}
    if chance.randint(0, 1):  # an instrumentation of ASGI's says which path was asked for beside the route
        found["http.route"] = chance.choice((ROUTE, ROUTE, ""))  # the root's is empty
        found |= {key: chance.choice(PATHS) for key in ASKED_PATH_KEYS if chance.randint(0, 3)}
    if chance.randint(0, 1):  # and Celery's whether a task is sent or run
        found |= {TASK_ACTION: chance.choice((TASK_RUN, "apply_async", 1)), "celery.task_name": TASK}
    return found


def scope(chance: random.Random) -> InstrumentationScope:
    """A scope, of a version that may pass or not; of ours the process says its own."""
    name = chance.choice(SCOPES)
    other = chance.choice(("0.66b2", "1.2.3.dev1", "a version"))
    return InstrumentationScope(name, __version__ if name == SCOPE_NAME else other)


def resource(chance: random.Random) -> Resource:
    """A resource that may pass or not."""
    values = ("desk", "a name", "\u00e9", "x" * 200, "1.2", 1)
    keys = (*RESOURCE, "service.name", "service.instance.id", "host.name", "telemetry.sdk.language")
    return Resource({key: chance.choice(values) for key in chance.sample(keys, 3)})


def comparable(request: bytes, signal: Any) -> dict[str, Any]:
    """What passed, by span id, in all that both halves can say the same of."""
    decoded = decode_protobuf(signal, request)
    items: tuple[Any, ...] = (*decoded.events, *decoded.spans)
    return {each.span_id: without(each) for each in items}


def without(item: Any) -> dict[str, Any]:
    """An item but for schema URL and body, which are out of the collector's reach, and NaN as a word."""
    names = [name for cls in type(item).__mro__ for name in getattr(cls, "__slots__", ())]
    out_of_reach = {"scope_schema_url", "resource_schema_url", "body", "has_body"}
    return (
        {name: repr(getattr(item, name)) for name in names if name not in out_of_reach}
        | {name: sorted(getattr(item, name).items(), key=repr) for name in ("attributes", "resource")}
        | {
            "attribute_types": sorted(item.attribute_types.items()),
            "resource_types": sorted(item.resource_types.items()),
            "events": [
                (each.name, sorted(each.attributes.items(), key=repr), each.dropped_attributes_count)
                for each in getattr(item, "events", ())
            ],
        }
    )


def test_spans_pass_alike(gated: Collector) -> None:
    """Name, scope, attributes with their types, events, status, trace state and counts are the same."""
    chance = random.Random(SEED)  # noqa: S311  the same spans in every run
    spans = [
        ReadableSpan(
            name=chance.choice(NAMES),
            context=SpanContext(
                7,
                number,
                is_remote=False,
                trace_flags=TraceFlags(1),
                trace_state=TraceState.from_header([chance.choice(STATES)]),
            ),
            resource=resource(chance),
            attributes=attributes(chance),
            events=[Event(chance.choice(NAMES), attributes(chance), 5) for _ in range(chance.randint(0, 3))],
            kind=chance.choice(list(SpanKind)),
            status=Status(StatusCode.ERROR, "a sentence"),
            start_time=1,
            end_time=2,
            instrumentation_scope=scope(chance),
        )
        for number in range(1, COUNT + 1)
    ]
    gate = SpanFilter(GateRules("strict"))

    answer = post(gated.http_endpoint, encode_spans(spans).SerializeToString(), signal="traces")

    assert answer.status == 200
    passed = {each.span_id: without(each) for each in gated.wait_for_spans(COUNT)}
    expected = comparable(encode_spans([gate(span) for span in spans]).SerializeToString(), "traces")
    assert passed.keys() == expected.keys()
    for number, each in passed.items():
        assert each == expected[number]
    asgi = [dict(each["attributes"]) for each in passed.values() if "asgi" in each["scope_name"]]
    assert {each.get("http.route") for each in asgi} == {None, ROUTE}
    celery = [dict(each["attributes"]) for each in passed.values() if "celery" in each["scope_name"]]
    assert {each.get("celery.task_name") for each in celery} == {None, TASK}


def test_log_records_pass_alike(gated: Collector) -> None:
    """Name, scope, attributes with their types, severity and counts are the same."""
    chance = random.Random(SEED)  # noqa: S311  the same records in every run
    records = [
        ReadableLogRecord(
            LogRecord(
                timestamp=1,
                observed_timestamp=2,
                context=set_span_in_context(
                    NonRecordingSpan(SpanContext(7, number, is_remote=False, trace_flags=TraceFlags(1)))
                ),
                severity_text=chance.choice((None, "INFO", "loud")),
                body=chance.choice((None, "a sentence", {"a": "b"})),
                attributes=attributes(chance),
                event_name=chance.choice((None, *NAMES)),
            ),
            resource(chance),
            scope(chance),
        )
        for number in range(1, COUNT + 1)
    ]
    gate = LogFilter(GateRules("strict"))
    entries = [gate(each.log_record, each.resource, each.instrumentation_scope) for each in records]

    answer = post(gated.http_endpoint, encode_logs(records).SerializeToString(), signal="logs")

    assert answer.status == 200
    passed = {each.span_id: without(each) for each in gated.wait_for_events(COUNT)}
    kept = [ReadableLogRecord(entry.record, entry.resource, entry.scope) for entry in entries if entry]
    expected = comparable(encode_logs(kept).SerializeToString(), "logs")
    taken = {f"{number:016x}": entry.taken for number, entry in enumerate(entries, 1) if entry}
    assert passed.keys() == expected.keys() == taken.keys()
    for number, each in passed.items():
        assert each == expected[number] | {"dropped_attributes_count": str(taken[number])}
