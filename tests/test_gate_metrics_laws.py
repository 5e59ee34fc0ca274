"""What holds for all metrics, whatever a host puts in: totals, identities, and nothing from outside."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import Buckets, MetricsData, ResourceMetrics, ScopeMetrics
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from otel_incident.gate import ContentGateMetricExporter
from otel_incident.guard import set_reraise
from otel_incident.profiles import PROFILES
from otel_incident.vocabulary import ATTRIBUTES, METRICS, SCHEMA_URL, SCOPE_NAME
from tests import strategies
from tests.metric_points import (
    ACTIVE,
    CUMULATIVE,
    DELTA,
    DURATION,
    UNITS,
    Exported,
    collected,
    counter,
    exponential,
    exponentials,
    gauge,
    histogram,
    histograms,
    metric,
    number,
    points_of,
)

METHODS: Final = ("GET", "POST", "PATCH")
KEPT: Final = st.dictionaries(
    st.sampled_from(("http.request.method", "http.method")), st.sampled_from(METHODS), max_size=2
)
LOST: Final = st.dictionaries(
    st.sampled_from(("incident.title", "incident.what")), st.text(max_size=3), max_size=2
)
ATTRIBUTES_OF_POINT: Final = st.builds(lambda kept, lost: {**kept, **lost}, KEPT, LOST)
VALUES: Final = st.integers(-(2**40), 2**40) | st.floats(-1e9, 1e9)
COUNTS: Final = st.lists(st.integers(0, 2**32), min_size=3, max_size=3)
MODES: Final = st.sampled_from(("strict", "standard"))
TEMPORALITIES: Final = st.sampled_from((CUMULATIVE, DELTA))
SCOPES: Final = st.sampled_from(
    (
        "opentelemetry.instrumentation.django",
        "opentelemetry.instrumentation.flask.below",
        "opentelemetry.instrumentation.psycopg",
        SCOPE_NAME,
        strategies.CONTENT,
    )
)


def distinct(points: Sequence[Any]) -> list[Any]:
    """Points as the SDK has them, one for each set of attributes: of several the first."""
    first: dict[Any, Any] = {}
    for point in points:
        first.setdefault(frozenset(point.attributes.items()), point)
    return list(first.values())


def gated(data: MetricsData, mode: Any) -> MetricsData:
    """What the next exporter gets."""
    following = Exported()
    ContentGateMetricExporter(following, mode=mode).export(data)
    return following.batches[0] if following.batches else MetricsData([])


def assert_no_twins(points: Sequence[Any]) -> None:
    """No two points have the same attributes, and none has one that goes."""
    identities = [frozenset(point.attributes.items()) for point in points]
    assert len(set(identities)) == len(identities)
    assert not any(key.startswith("incident.") for point in points for key in point.attributes)


@given(
    st.lists(st.builds(number, VALUES, ATTRIBUTES_OF_POINT)).map(distinct),
    MODES,
    TEMPORALITIES,
    st.booleans(),
)
def test_the_total_of_a_sum_is_preserved(points: Any, mode: Any, temporality: Any, grows: Any) -> None:
    """However attributes divide what was measured, it adds up to the same, under distinct identities."""
    data = counter(points, temporality=temporality, monotonic=grows)
    left = points_of(gated(collected(metric(data)), mode))
    assert_no_twins(left)
    assert {frozenset(p.attributes.items()) for p in left} == {
        frozenset((k, v) for k, v in p.attributes.items() if k.startswith("http.")) for p in points
    }
    assert math.isclose(
        math.fsum(p.value for p in left), math.fsum(p.value for p in points), rel_tol=1e-12, abs_tol=1e-3
    )
    if all(type(p.value) is int for p in points):
        assert all(type(p.value) is int for p in left)
        assert sum(p.value for p in left) == sum(p.value for p in points)


@given(
    st.lists(st.tuples(COUNTS, ATTRIBUTES_OF_POINT, st.integers(-(2**30), 2**30))),
    MODES,
    TEMPORALITIES,
)
def test_the_total_of_a_histogram_is_preserved(parts: Any, mode: Any, temporality: Any) -> None:
    """Counts, every bucket and the sum add up to the same, and the outermost values stay."""
    points = distinct(
        [
            histogram(counts, attributes, sum=value, min=value, max=value)
            for counts, attributes, value in parts
        ]
    )
    left = points_of(gated(collected(metric(histograms(points, temporality=temporality))), mode))
    assert_no_twins(left)
    for bucket in range(3):
        assert sum(p.bucket_counts[bucket] for p in left) == sum(p.bucket_counts[bucket] for p in points)
    assert sum(p.count for p in left) == sum(p.count for p in points)
    assert all(p.count == sum(p.bucket_counts) for p in left)
    assert sum(p.sum for p in left) == sum(p.sum for p in points)
    assert min((p.min for p in left), default=0) == min((p.min for p in points), default=0)
    assert max((p.max for p in left), default=0) == max((p.max for p in points), default=0)


@given(
    st.lists(
        st.tuples(
            st.integers(-40, 40), COUNTS | st.just([]), st.integers(-40, 40), COUNTS, ATTRIBUTES_OF_POINT
        )
    ),
    MODES,
    TEMPORALITIES,
)
def test_the_total_of_an_exponential_histogram_is_preserved(parts: Any, mode: Any, temporality: Any) -> None:
    """Each bucket's count is where it was, by its index, on both sides of zero."""

    def totals(several: Sequence[Any], side: str) -> dict[int, int]:
        by_index: dict[int, int] = {}
        for point in several:
            buckets = getattr(point, side)
            for index, count in enumerate(buckets.bucket_counts, buckets.offset):
                by_index[index] = by_index.get(index, 0) + count
        return {index: count for index, count in by_index.items() if count}

    points = distinct(
        [
            exponential(
                Buckets(offset, up),
                attributes,
                negative=Buckets(other, down),
                zero_count=1,
                count=sum(up + down) + 1,
            )
            for offset, up, other, down, attributes in parts
        ]
    )
    left = points_of(gated(collected(metric(exponentials(points, temporality=temporality))), mode))
    assert_no_twins(left)
    for side in ("positive", "negative"):
        assert totals(left, side) == totals(points, side)
    assert sum(p.count for p in left) == sum(p.count for p in points)
    assert sum(p.zero_count for p in left) == sum(p.zero_count for p in points)


@given(
    st.lists(st.dictionaries(st.integers(0, 5), st.integers(0, 100), max_size=6), max_size=8),
    MODES,
)
def test_a_cumulative_counter_never_falls(exports: list[dict[int, int]], mode: Any) -> None:
    """Sources that only grow come, pause and return: each export is the sum of what all have reached.

    Standard looks at a metric from the first export on in which something of it has to go.
    """
    following = Exported()
    exporter = ContentGateMetricExporter(following, mode=mode)
    reached: dict[int, int] = {}
    for grown in exports if mode == "strict" else [{1: 0}, *exports]:
        for source, more in grown.items():
            reached[source] = reached.get(source, 0) + more
        # Source 0 holds nothing that goes.
        points = [
            number(
                reached[source], {"http.method": METHODS[0], **({"incident.title": source} if source else {})}
            )
            for source in grown
        ]
        exporter.export(collected(metric(counter(points))))
        if grown:
            (point,) = points_of(following.batches[-1])
            assert point.value == sum(reached.values())


def texts(message: Message) -> Iterator[str]:
    """Every string of an encoded request, and every bytes field that is not an id."""
    for field, value in message.ListFields():
        for each in value if field.is_repeated else [value]:
            if field.type == field.TYPE_MESSAGE:
                yield from texts(each)
            elif field.type == field.TYPE_STRING:
                yield each
            elif field.type == field.TYPE_BYTES and field.name not in {"trace_id", "span_id"}:
                yield each.decode("utf-8", "replace")


def allowed_texts() -> frozenset[str]:
    """Everything that a metric may say by the registry, the profiles and the resource below."""
    found = {"desk", "service.name", "1.0", "create", "incident.action", SCOPE_NAME, SCHEMA_URL}
    found |= set(ATTRIBUTES)
    for profile in PROFILES:
        found |= {*profile.scopes, *profile.attributes, *profile.metrics}
        found |= {unit for units in profile.metrics.values() for unit in units}
        found |= {value for rule in profile.attributes.values() for value in rule.values}
    for own in METRICS.values():
        found |= {own.name, own.unit, own.brief}
    return frozenset(found)


ALLOWED_TEXTS: Final = allowed_texts()
TEXT: Final = strategies.TEXT.map(strategies.Handed)
NAMES: Final = (
    TEXT | st.sampled_from((*UNITS, *METRICS, "s", "{event}")).map(strategies.Handed) | strategies.HOSTILE
)
KEYS: Final = st.text(max_size=9) | st.sampled_from(
    (strategies.CONTENT, "http.request.method", "incident.title", "incident.action", "db.system")
)
ANY_ATTRIBUTES: Final = st.dictionaries(
    KEYS, strategies.ANYTHING | st.sampled_from(("GET", "create")).map(strategies.Handed), max_size=4
)
ANY_POINT: Final = st.tuples(
    strategies.ANYTHING | st.integers().map(strategies.Handed), ANY_ATTRIBUTES, ANY_ATTRIBUTES
)
ANY_METRIC: Final = st.tuples(
    NAMES, NAMES, NAMES, st.lists(ANY_POINT, max_size=3), st.sampled_from((counter, gauge))
)


def unwrapped(attributes: dict[str, strategies.Handed]) -> dict[str, Any]:
    """The values themselves."""
    return {key: handed.value for key, handed in attributes.items()}


@given(st.lists(ANY_METRIC, max_size=4), SCOPES, TEXT, st.booleans())
def test_strict_lets_no_text_from_outside_through(metrics: Any, scope: str, text: Any, known: Any) -> None:
    """Every string of what OTLP writes is the registry's, a profile's or the resource's."""
    set_reraise(reraise=False)
    made = []
    for name, unit, description, points, kind in metrics:
        data = kind(
            [
                number(
                    value.value, unwrapped(attributes), exemplars=[Exemplar(unwrapped(filtered), 1, 2, 3, 4)]
                )
                for value, attributes, filtered in points
            ]
        )
        if known:
            made.append(metric(data, name=DURATION if scope != SCOPE_NAME else "incident.events", unit="s"))
        made.append(metric(data, name=name.value, unit=unit.value, description=description.value))
    resource = Resource({"service.name": "desk", "host.name": text.value}, text.value)
    of_scope = InstrumentationScope(scope, "1.0", text.value, {"a": text.value})
    data = MetricsData([ResourceMetrics(resource, [ScopeMetrics(of_scope, made, text.value)], text.value)])
    request = encode_metrics(gated(data, "strict"))
    assert set(texts(request)) <= ALLOWED_TEXTS


def test_the_walk_finds_what_is_there() -> None:
    """The same metrics without a gate hold each canary: the law above is not empty."""
    point = number(
        1, {"key": ["value", {"inner": b"bytes"}]}, exemplars=[Exemplar({"filtered": "kept"}, 1, 2, 3, 4)]
    )
    data = collected(
        metric(gauge([point]), name="name", unit="unit", description="description"),
        scope=InstrumentationScope("scope", "version", "schema", {"of_scope": "too"}),
        resource=Resource({"of_resource": "said"}, "url"),
    )
    assert set(texts(encode_metrics(data))) == {
        *("key", "value", "inner", "bytes", "filtered", "kept", "name", "unit", "description"),
        *("scope", "version", "schema", "of_scope", "too", "of_resource", "said", "url"),
    }


def test_what_is_allowed_is_written() -> None:
    """A known metric comes out of the gate and the encoder with its strings: strict is not mute."""
    came = collected(metric(counter([number(1, {"http.request.method": "GET"})]), name=ACTIVE))
    assert set(texts(encode_metrics(gated(came, "strict")))) == {
        *("service.name", "desk", "opentelemetry.instrumentation.django", "0.66b2"),
        *(ACTIVE, "{request}", "http.request.method", "GET"),
    }
