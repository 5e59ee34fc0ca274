"""`collector-config/gate.yaml` in the real collector, with no gate of ours before it."""

import base64
import contextlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from otel_incident.config import Config
from otel_incident.policy_cli.collector import collector_config
from otel_incident.preview import preview
from otel_incident.profiles import PROFILES
from otel_incident.vocabulary import ATTRIBUTES, EVENTS, METRICS
from tests.collector import LOCAL_CONFIG, ROOT, Collector
from tests.otlp_client import post
from tests.otlp_decoding import decode_json
from tests.otlp_filling import Filler
from tests.otlp_wire import Signal

GATE: Final = ROOT / "collector-config" / "gate.yaml"
CANARY: Final = "kanarie "  # a space and a letter that no grammar lets through
WORD: Final = CANARY + "\N{LATIN SMALL LETTER U WITH DIAERESIS}"
SIGNALS: Final[tuple[Signal, ...]] = ("logs", "traces", "metrics")


@pytest.fixture
def gated(collector_path: Path, tmp_path: Path) -> Iterator[Collector]:
    """The local collector with the gate's configuration merged into it."""
    with Collector(collector_path, tmp_path / "gated", also=[GATE]) as running:
        yield running


def texts(value: Any) -> Iterator[str]:
    """Every string of a JSON value, keys and all, and what it is in base64."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value
        with contextlib.suppress(ValueError):
            yield base64.b64decode(value, validate=True).decode()


def lines(collector: Collector) -> list[Any]:
    """The requests in the collector's file, stopped so that it has written all."""
    collector.stop()
    return [json.loads(line) for line in collector.raw_bytes().splitlines()]


def canaries(found: list[Any]) -> set[str]:
    """Every canary in these requests."""
    return {text for text in texts(found) if CANARY in text}


def send(collector: Collector, signal: Signal, request: Any) -> None:
    """Send a request, which must be taken."""
    answer = post(collector.http_endpoint, request.SerializeToString(), signal=signal)
    assert answer.status == 200


def send_json(collector: Collector, signal: Signal, request: dict[str, Any]) -> None:
    """Send a request in OTLP/JSON, which must be taken."""
    answer = post(
        collector.http_endpoint,
        json.dumps(request).encode(),
        signal=signal,
        headers={"content-type": "application/json"},
    )
    assert answer.status == 200


def test_the_configuration_is_what_the_command_prints() -> None:
    """`collector-config/gate.yaml` is the output of `otel-incident policy collector`, byte for byte."""
    assert GATE.read_text(encoding="utf-8") == collector_config()


def test_the_collector_takes_it_beside_another(collector_path: Path) -> None:
    """`otelcol validate` finds nothing wrong with `local.yaml` and it together."""
    done = subprocess.run(  # noqa: S603  our own words
        [collector_path, "validate", "--config", LOCAL_CONFIG, "--config", GATE],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("signal", SIGNALS)
def test_without_it_every_canary_leaves(collector: Collector, signal: Signal) -> None:
    """The payload of the next test is none that the collector itself would empty."""
    filler = Filler(WORD)
    send(collector, signal, filler.request(signal))

    assert len(filler.texts) > 300
    assert canaries(lines(collector)) == set(filler.texts)


@pytest.mark.parametrize("signal", SIGNALS)
def test_no_canary_of_a_strange_payload_leaves(gated: Collector, signal: Signal) -> None:
    """Of a request that is a canary wherever a text can be, none is left."""
    send(gated, signal, Filler(WORD).request(signal))

    assert canaries(lines(gated)) == set()


SCOPES: Final = tuple(profile.scopes[0] for profile in PROFILES)
KEYS: Final = (
    *ATTRIBUTES,
    *dict.fromkeys(name for profile in PROFILES for name in profile.attributes),
    *("exception.type", "service.name", "service.instance.id", "telemetry.sdk.version"),
)


def plant(filler: Filler, attributes: Any) -> None:
    """Give attributes every key that may pass, with a canary in every kind of value."""
    for key in KEYS:
        for value in filler.values():
            attributes.add(key=key).value.CopyFrom(value)


def known(filler: Filler, signal: Signal) -> Any:
    """A request whose scopes, names and keys are such as pass, so that nothing is dropped as a whole."""
    request = filler.request(signal)
    for group in getattr(request, request.DESCRIPTOR.fields[0].name):
        plant(filler, group.resource.attributes)
        (scoped,) = getattr(group, group.DESCRIPTOR.fields_by_number[2].name)
        items = getattr(scoped, scoped.DESCRIPTOR.fields_by_number[2].name)
        for item in items:
            fit = {"logs": fit_log, "traces": fit_span, "metrics": fit_metric}[signal]
            fit(filler, item)
        scoped.scope.name = "opentelemetry.instrumentation.django.and.below"
        group_scopes = getattr(group, group.DESCRIPTOR.fields_by_number[2].name)
        for name in (*SCOPES, "otel_incident", filler.text()):
            group_scopes.add().CopyFrom(scoped)
            group_scopes[-1].scope.name = name
    return request


def fit_log(filler: Filler, record: Any) -> None:
    """Give a record the name of an event, and the keys that pass."""
    record.event_name = "incident.create"
    plant(filler, record.attributes)


def fit_span(filler: Filler, span: Any) -> None:
    """Take a span's links, and give it the keys that pass; its events are of three names."""
    del span.links[:]
    plant(filler, span.attributes)
    for event, name in zip(span.events, ("exception",), strict=False):
        event.name = name
        plant(filler, event.attributes)
    for name in ("incident.create", filler.text()):
        span.events.add().CopyFrom(span.events[0])
        span.events[-1].name = name


def fit_metric(filler: Filler, metric: Any) -> None:
    """Give a metric a name that passes, and its points the keys that do."""
    metric.name = "http.server.duration"
    data = getattr(metric, metric.WhichOneof("data"))
    for point in data.data_points:
        plant(filler, point.attributes)
        if metric.HasField("histogram"):
            point.bucket_counts.append(1)


@pytest.mark.parametrize("signal", SIGNALS)
def test_no_canary_leaves_where_everything_else_is_known(gated: Collector, signal: Signal) -> None:
    """Behind names and keys that pass, in every kind of value, none is left either, and items are."""
    send(gated, signal, known(Filler(WORD), signal))

    found = lines(gated)
    assert canaries(found) == set()
    assert json.dumps(found).count('"scope"') == (3 if signal == "metrics" else len(SCOPES) + 3)


def fields(value: Any, path: str = "") -> Iterator[str]:
    """Where something stands in a request: `spans.name` and the like."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from fields(item, key if path in GROUPS else f"{path}.{key}")
    elif isinstance(value, list):
        for item in value:
            yield from fields(item, path)
    elif path and value:
        yield path


GROUPS: Final = frozenset(
    f"{level}{kind}" for level in ("resource", "scope") for kind in ("Logs", "Spans", "Metrics")
) | {""}
_EXEMPLARS: Final = {
    f"exemplars.{field}" for field in ("asDouble", "asInt", "spanId", "timeUnixNano", "traceId")
}
LEFT: Final = {
    "logs": {"scope.name", "scope.droppedAttributesCount"}
    | {
        f"logRecords.{field}"
        for field in (
            *("timeUnixNano", "observedTimeUnixNano", "severityNumber", "flags", "droppedAttributesCount"),
            *("traceId", "spanId", "eventName", "body.stringValueStrindex"),
        )
    },
    "traces": {"scope.name", "scope.droppedAttributesCount"}
    | {
        f"spans.{field}"
        for field in (
            *("name", "kind", "status.code", "flags", "traceId", "spanId", "parentSpanId"),
            *("startTimeUnixNano", "endTimeUnixNano"),
            *("droppedAttributesCount", "droppedEventsCount", "droppedLinksCount"),
            *("events.name", "events.timeUnixNano", "events.droppedAttributesCount"),
        )
    },
    "metrics": {"scope.name", "scope.droppedAttributesCount", "metrics.name", "metrics.unit"}
    | {"metrics.sum.isMonotonic", "metrics.sum.aggregationTemporality"}
    | {"metrics.histogram.aggregationTemporality"}
    | {
        f"metrics.{kind}.dataPoints.{field}"
        for kind, fields in {
            "sum": {"asDouble"},
            "histogram": {"bucketCounts", "count", "explicitBounds", "max", "min", "sum"},
        }.items()
        for field in fields | {"startTimeUnixNano", "timeUnixNano", "flags"} | _EXEMPLARS
    },
}
"""Names that are of closed lists; everything else is a number, an enum, a flag or an id."""


@pytest.mark.parametrize("signal", SIGNALS)
def test_what_is_out_of_its_reach_is_numbers(gated: Collector, signal: Signal) -> None:
    """What is left of a request that had everything is what the output says, and names from closed lists."""
    send(gated, signal, known(Filler(WORD), signal))

    assert set(fields(lines(gated))) == LEFT[signal]


def test_our_events_pass_whole(gated: Collector, tmp_path: Path) -> None:
    """One event of each kind arrives with each attribute and its type, in a trace and out of one."""
    identity = Config(diagnostic_id="2" * 12, license_id="1" * 12, server_version="7.8.1")
    sent = preview(replace(identity, state_dir=tmp_path / "state"))
    records = sent["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    records[0] |= {"traceId": "01" * 16, "spanId": "02" * 8, "flags": 1}

    send_json(gated, "logs", sent)

    events = decode_json(json.dumps(sent)).events
    assert gated.wait_for_events(5) == [replace(event, scope_schema_url="") for event in events]
    assert [event.event_name for event in events] == list(EVENTS)


def spans_of(scope: str, *spans: dict[str, Any]) -> dict[str, Any]:
    """What one scope sends."""
    return {"scope": {"name": scope, "version": "0.66b2"}, "spans": list(spans)}


def span(name: str, kind: int, number: int, parent: int, **attributes: Any) -> dict[str, Any]:
    """A span of one trace."""
    return {
        "traceId": "0a" * 16,
        "spanId": f"{number:016x}",
        "parentSpanId": f"{parent:016x}" if parent else "",
        "traceState": f"{CANARY.strip()}=1,ot=th:8,other=x",
        "name": name,
        "kind": kind,
        "startTimeUnixNano": str(1_600_000_000_000_000_000 + number),
        "endTimeUnixNano": str(1_600_000_000_000_000_900 - number),
        "status": {"code": 2, "message": CANARY},
        "attributes": [
            {
                "key": key.replace("__", "."),
                "value": {"intValue" if type(value) is int else "stringValue": value},
            }
            for key, value in attributes.items()
        ],
    }


def test_a_trace_keeps_its_tree_and_what_is_safe_to_know(gated: Collector) -> None:
    """A request to Django with its query: ids, times, kinds, status, method, route, operation; no values."""
    table = f"SELECT {CANARY}"
    scopes = [
        spans_of(
            "opentelemetry.instrumentation.django.middleware",
            span(
                "GET incident/<int:id>/", 2, 1, 0, http__request__method="GET", http__status_code=500,
                http__route="incident/<int:id>/", http__target=f"/incident/7/?q={CANARY}", url__path=CANARY,
            ),
            span(f"POST {CANARY}", 2, 2, 1, http__route=CANARY),
            span(CANARY, 3, 3, 1, http__method="PATCH"),
        ),
        spans_of(
            "opentelemetry.instrumentation.sqlalchemy",
            span(table, 3, 4, 1, db__system="postgresql", db__statement=table, db__operation="SELECT"),
            span(table, 3, 5, 1, db__system="postgresql", http__route="incident/"),
        ),
        spans_of("opentelemetry.instrumentation.djangoish", span("GET", 1, 6, 1, http__method="GET")),
    ]  # fmt: skip
    sent = {"resourceSpans": [{"resource": {}, "scopeSpans": scopes}]}

    send_json(gated, "traces", sent)

    passed = {int(each.span_id, 16): each for each in gated.wait_for_spans(6)}
    assert {number: (each.scope_name, each.scope_version, each.name) for number, each in passed.items()} == {
        1: ("opentelemetry.instrumentation.django", "0.66b2", "GET incident/<int:id>/"),
        2: ("opentelemetry.instrumentation.django", "0.66b2", "POST"),
        3: ("opentelemetry.instrumentation.django", "0.66b2", "PATCH"),
        4: ("opentelemetry.instrumentation.sqlalchemy", "0.66b2", "SELECT"),
        5: ("opentelemetry.instrumentation.sqlalchemy", "0.66b2", "SELECT"),
        6: ("other", "", "internal"),
    }
    assert {number: each.attributes for number, each in passed.items()} == {
        1: {
            "http.request.method": "GET",
            "http.status_code": 500,
            "http.route": "incident/<int:id>/",
        },
        2: {},
        3: {"http.method": "PATCH"},
        4: {"db.system": "postgresql", "db.operation": "SELECT"},
        5: {"db.system": "postgresql"},
        6: {},
    }
    assert [passed[number].dropped_attributes_count for number in sorted(passed)] == [2, 1, 0, 1, 1, 1]
    for number, each in passed.items():
        assert each.trace_id == "0a" * 16
        assert each.parent_span_id == ("" if number == 1 else f"{1:016x}")
        assert each.start == 1_600_000_000_000_000_000 + number
        assert each.end == 1_600_000_000_000_000_900 - number
        assert (each.status_code, each.status_message, each.tracestate) == ("error", "", "ot=th:8")


def point(value: int, **attributes: str) -> dict[str, Any]:
    """A number at one time."""
    return {
        "startTimeUnixNano": "1600000000000000000",
        "timeUnixNano": "1600000000000000009",
        "asInt": str(value),
        "attributes": [
            {"key": key.replace("__", "."), "value": {"stringValue": value}}
            for key, value in attributes.items()
        ],
    }


def total(name: str, *points: dict[str, Any]) -> dict[str, Any]:
    """A cumulative sum."""
    return {
        "name": name,
        "sum": {"dataPoints": list(points), "aggregationTemporality": 2, "isMonotonic": True},
    }


def test_points_that_become_one_are_added_up(gated: Collector) -> None:
    """Where attributes or scopes told points apart, one is left with their sum; unknown metrics go."""
    name = "http.server.active_requests"
    scopes = [
        {
            "scope": {"name": f"opentelemetry.instrumentation.wsgi.{below}"},
            "metrics": [
                total(
                    name, *(point(1, http__method="GET", http__host=host) for host in ("a", "b")), point(2)
                ),
                total("http.server.requests.of.people", point(1)),
            ],
        }
        for below in ("one", "two")
    ]
    scopes.append(
        {"scope": {"name": "opentelemetry.instrumentation.wsgish"}, "metrics": [total(name, point(8))]}
    )
    scopes.append(
        {
            "scope": {"name": "otel_incident"},
            "metrics": [total("incident.events", point(3, incident__action="end"))],
        }
    )
    sent = {"resourceMetrics": [{"resource": {}, "scopeMetrics": scopes}]}

    send_json(gated, "metrics", sent)

    found = gated.wait_for_metrics(3)
    assert sorted((each.name, each.unit, str(each.attributes), each.value) for each in found) == [
        (name, "{request}", "{'http.method': 'GET'}", 4),
        (name, "{request}", "{}", 4),
        ("incident.events", "{event}", "{'incident.action': 'end'}", 3),
    ]
    assert {each.description for each in found} == {"", METRICS["incident.events"].brief}


def test_histograms_whose_buckets_do_not_fit_are_dropped(gated: Collector) -> None:
    """Points of one identity are merged by index, which would end the collector where buckets are missing."""
    bounds = {"timeUnixNano": "9", "count": "1", "explicitBounds": [1.0]}
    points = [{**bounds, "bucketCounts": counts} for counts in (["1", "0"], ["0", "0", "1"], [], ["0", "1"])]
    data = {"dataPoints": points, "aggregationTemporality": 2}
    scopes = [
        {
            "scope": {"name": "opentelemetry.instrumentation.wsgi"},
            "metrics": [{"name": "http.server.duration", "histogram": data}],
        }
    ]

    send_json(gated, "metrics", {"resourceMetrics": [{"resource": {}, "scopeMetrics": scopes}]})

    (merged,) = gated.wait_for_metrics(1)
    assert (merged.count, merged.bounds, merged.bucket_counts) == (2, (1.0,), (1, 1))


@pytest.mark.parametrize("signal", SIGNALS)
def test_each_processor_does_its_own_part(collector_path: Path, tmp_path: Path, signal: Signal) -> None:
    """Without those that make resources and metrics anew, the entities of the resource alone are left."""
    short = tmp_path / "short.yaml"
    processors = "[filter/otel_incident, transform/otel_incident]"
    short.write_text(f"service: {{pipelines: {{{signal}: {{processors: {processors}}}}}}}\n")
    filler = Filler(WORD)
    request = known(filler, signal)

    with Collector(collector_path, tmp_path / "short", also=[GATE, short]) as collector:
        send(collector, signal, request)
        found = lines(collector)

    entities = [
        text
        for group in getattr(request, request.DESCRIPTOR.fields[0].name)
        for entity in group.resource.entity_refs
        for text in (entity.schema_url, entity.type, *entity.id_keys, *entity.description_keys)
    ]
    assert canaries(found) == set(entities)


@pytest.mark.parametrize("signal", SIGNALS)
def test_no_payload_makes_a_statement_fail(gated: Collector, signal: Signal) -> None:
    """A refused batch would be sent again for ever: one with every kind of value everywhere is taken."""
    for request in (Filler(WORD).request(signal), known(Filler(WORD), signal), known(Filler(""), signal)):
        send(gated, signal, request)
    assert b"rror" not in gated.log.read_bytes()
