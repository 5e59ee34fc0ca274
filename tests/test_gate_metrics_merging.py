"""What becomes of data points that are one when their attributes have gone."""

import math
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import pytest
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import (
    Counter,
    Exemplar,
    MeterProvider,
    ObservableCounter,
)
from opentelemetry.sdk.metrics import Histogram as HistogramInstrument
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Buckets,
    Gauge,
    Metric,
    MetricsData,
    PeriodicExportingMetricReader,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from otel_incident import gate, guard
from otel_incident.gate import ContentGateMetricExporter, addition, merging, standard_metrics
from otel_incident.gate.merging import Merge, Point, Shape, called
from tests.metric_points import (
    ACTIVE,
    CUMULATIVE,
    DELTA,
    DJANGO,
    DURATION,
    END,
    START,
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
    metrics_of,
    number,
    points_of,
)

REQUESTS: Final = "http.server.duration"
FORBIDDEN: Final = "incident.title"
LOST: Final = ("metrics", "unknown_key", "none")
FELL: Final = ("metrics", "not_mergeable", "none")
AT_SCALE_0: Final = ExponentialBucketHistogramAggregation(max_scale=0)
BOTH: Final = pytest.mark.parametrize("mode", ["strict", "standard"])
TEMPORALITIES: Final = pytest.mark.parametrize("temporality", [CUMULATIVE, DELTA])


class Gated:
    """A gate, what came out of it, and what it counted."""

    def __init__(self, mode: gate.Mode = "strict") -> None:
        self._following = Exported()
        self._exporter = ContentGateMetricExporter(self._following, mode=mode)

    def export(self, *data: Any, name: str = DURATION) -> list[Any]:
        """The points of what the next exporter gets of metrics of these kinds."""
        before = len(self._following.batches)
        self._exporter.export(collected(*[metric(each, name=name) for each in data]))
        return [point for batch in self._following.batches[before:] for point in points_of(batch)]

    @property
    def drops(self) -> Mapping[Any, int]:
        """What was taken out."""
        return self._exporter.drops


def title(text: object, **more: Any) -> dict[str, Any]:
    """Attributes of which the first goes in every mode."""
    return {FORBIDDEN: text, **more}


GET: Final = {"http.request.method": "GET"}


@BOTH
@TEMPORALITIES
@pytest.mark.parametrize("monotonic", [True, False])
def test_sums_add_up(mode: gate.Mode, temporality: AggregationTemporality, *, monotonic: bool) -> None:
    """Values add, the start is the earliest and the time the latest; other identities are left alone."""
    gated = Gated(mode)
    points = [
        number(3, title("a", **GET), start_time_unix_nano=START + 5, time_unix_nano=END - 5),
        number(4, title("b", **GET), start_time_unix_nano=START, time_unix_nano=END),
        number(5, title("a")),
        number(6, GET, start_time_unix_nano=START + 9, time_unix_nano=END - 9),
    ]
    left = gated.export(counter(points, temporality=temporality, monotonic=monotonic))
    assert left == [number(13, GET), number(5)]
    assert [type(point.value) for point in left] == [int, int]
    assert gated.drops == {LOST: 3}


@BOTH
@TEMPORALITIES
def test_histograms_of_the_same_bounds_add_up(mode: gate.Mode, temporality: AggregationTemporality) -> None:
    """Counts add bucket by bucket, sums add, minimum and maximum are those of both."""
    gated = Gated(mode)
    points = [
        histogram([1, 2, 0], title("a", **GET), sum=2.5, min=0.25, max=1.5, time_unix_nano=END - 1),
        histogram([0, 1, 4], title("b", **GET), sum=21.25, min=1.75, max=9.0, start_time_unix_nano=START - 1),
    ]
    assert gated.export(histograms(points, temporality=temporality)) == [
        histogram(
            [1, 3, 4],
            GET,
            sum=23.75,
            min=0.25,
            max=9.0,
            start_time_unix_nano=START - 1,
            time_unix_nano=END,
        )
    ]
    assert gated.drops == {LOST: 2}


@BOTH
def test_histograms_of_other_bounds_are_dropped(mode: gate.Mode) -> None:
    """Bounds that differ in value or in number have no common histogram: all of them go, counted by point."""
    gated = Gated(mode)
    points = [
        histogram([1, 2, 0], title("a")),
        histogram([1, 2, 0], title("b"), explicit_bounds=(1.0, 3.0)),
        histogram([1, 2, 0], title("c", **GET)),
        histogram([1, 2], title("d", **GET)),
        histogram([1, 2, 0], title("e", **{"http.request.method": "PUT"})),
    ]
    assert gated.export(histograms(points)) == [histogram([1, 2, 0], {"http.request.method": "PUT"})]
    assert gated.drops == {LOST: 5, FELL: 4}


@BOTH
@TEMPORALITIES
def test_exponential_histograms_of_one_scale_add_up(
    mode: gate.Mode, temporality: AggregationTemporality
) -> None:
    """Each bucket finds its place whatever the offsets, on both sides of zero, and zeros add."""
    gated = Gated(mode)
    points = [
        exponential(Buckets(-2, [1, 0, 2]), title("a"), count=8, zero_count=5, sum=3.5, min=0.0, max=1.5),
        exponential(
            Buckets(0, [4, 8]),
            title("b"),
            count=16,
            zero_count=1,
            negative=Buckets(7, [3]),
            sum=-1.5,
            min=-2.0,
            max=1.25,
        ),
    ]
    assert gated.export(exponentials(points, temporality=temporality)) == [
        exponential(
            Buckets(-2, [1, 0, 6, 8]),
            count=24,
            zero_count=6,
            negative=Buckets(7, [3]),
            sum=2.0,
            min=-2.0,
            max=1.5,
        )
    ]
    assert gated.drops == {LOST: 2}


@BOTH
def test_exponential_histograms_of_other_scales_are_dropped(mode: gate.Mode) -> None:
    """Buckets of unequal scale do not add up; one that stands alone stays."""
    gated = Gated(mode)
    points = [
        exponential(Buckets(0, [1]), title("a")),
        exponential(Buckets(0, [1]), title("b"), scale=2),
        exponential(Buckets(0, [1]), title("c", **GET)),
    ]
    assert gated.export(exponentials(points)) == [exponential(Buckets(0, [1]), GET)]
    assert gated.drops == {LOST: 3, FELL: 2}


def test_exponential_buckets_do_not_fill_the_memory() -> None:
    """Two buckets far apart would need every one between them: beyond a bound they are dropped."""
    gated = Gated()
    near = [exponential(Buckets(at, [1]), title(at)) for at in (0, addition.MAX_BUCKETS - 1)]
    (left,) = gated.export(exponentials(near))
    assert left.positive == Buckets(0, [1, *[0] * (addition.MAX_BUCKETS - 2), 1])
    far = [exponential(Buckets(at, [1]), title(at), scale=20) for at in (0, addition.MAX_BUCKETS)]
    assert gated.export(exponentials(far)) == []
    huge = [exponential(Buckets(at, [1]), title(at), scale=20) for at in (-(2**31), 2**31 - 1)]
    assert gated.export(exponentials(huge)) == []
    assert gated.drops == {LOST: 6, FELL: 4}


def test_exponential_buckets_as_wide_as_one_of_them_merge() -> None:
    """A host that has more buckets than we would make keeps them."""
    wide = [1] * (addition.MAX_BUCKETS + 9)
    points = [exponential(Buckets(0, wide), title("a")), exponential(Buckets(4, [1]), title("b"))]
    (left,) = Gated().export(exponentials(points))
    assert left.positive == Buckets(0, [1, 1, 1, 1, 2, *wide[5:]])
    assert left.count == len(wide) + 1


@BOTH
def test_gauges_that_become_one_are_dropped(mode: gate.Mode) -> None:
    """Two last values have no sum: neither leaves, and each is counted; one that stands alone stays."""
    gated = Gated(mode)
    points = [
        number(1, title("a"), start_time_unix_nano=None),
        number(2, title("b"), start_time_unix_nano=None),
        number(3, title("c", **GET), start_time_unix_nano=None),
    ]
    assert gated.export(gauge(points), name=ACTIVE) == [number(3, GET, start_time_unix_nano=None)]
    assert gated.drops == {LOST: 3, FELL: 2}


@BOTH
def test_a_metric_of_which_nothing_is_left_is_not_exported(mode: gate.Mode) -> None:
    """No metric without points, no scope without metrics, no empty request."""
    following = Exported()
    exporter = ContentGateMetricExporter(following, mode=mode)
    exporter.export(collected(metric(gauge([number(1, title("a")), number(2, title("b"))]))))
    assert following.batches == []


@pytest.mark.parametrize(
    ("values", "total"),
    [
        ([1, 2], 3),
        ([1, 0.5], 1.5),
        ([0.1] * 10, 1.0),
        ([2**62, 2**62 - 1], 2**63 - 1),
        ([-(2**62), -(2**62)], -(2**63)),
        ([1e308, 1e308], math.inf),
        ([math.inf, 1], math.inf),
        ([math.inf, -math.inf], math.nan),
        ([math.nan, 1], math.nan),
        ([10**400, 0.5], math.inf),
        ([-(10**400), 0.5], -math.inf),
    ],
)
def test_the_sum_of_numbers(values: Sequence[float], total: float) -> None:
    """Ints stay ints, one float makes a float, and what is not finite is as addition has it."""
    points = [number(value, title(index)) for index, value in enumerate(values)]
    (left,) = Gated().export(counter(points, temporality=DELTA))
    assert type(left.value) is type(total)
    assert left.value == total or (math.isnan(left.value) and math.isnan(total))
    measured = [histogram([1, 0, 0], title(index), sum=value) for index, value in enumerate(values)]
    (left,) = Gated().export(histograms(measured))
    assert left.sum == total or (math.isnan(left.sum) and math.isnan(total))


def test_a_sum_that_otlp_cannot_hold_is_dropped() -> None:
    """An int beyond 64 bits would take the whole request with it."""
    gated = Gated()
    assert gated.export(counter([number(2**62, title(i)) for i in range(2)])) == []
    assert gated.drops == {LOST: 2, FELL: 2}


def test_the_latest_exemplars_stay() -> None:
    """As many as the point with the most had, the latest first."""
    at = [Exemplar({}, n, END - n, n, n) for n in range(4)]
    points = [number(1, title("a"), exemplars=[at[3], at[1]]), number(1, title("b"), exemplars=[at[0]])]
    (left,) = Gated().export(counter(points))
    assert left.exemplars == [at[0], at[1]]


@BOTH
def test_points_are_one_only_if_otlp_writes_them_alike(mode: gate.Mode) -> None:
    """True, 1, 1.0 and "1" are four streams; a list and a tuple, and any order of keys, are one."""
    following = Exported()
    exporter = ContentGateMetricExporter(following, mode=mode, allowed=["x", "y"])
    values: list[Any] = [True, 1, 1.0, "1", [1, 2], (1, 2), [1.0, 2.0], -0.0, 0.0, math.nan, -math.nan]
    points = [number(10**index, title(index, x=value)) for index, value in enumerate(values)]
    points += [number(1, title("a", x=1, y=2)), number(1, {"y": 2, FORBIDDEN: "b", "x": 1})]
    exporter.export(collected(metric(counter(points, temporality=DELTA))))
    assert [point.value for point in points_of(following.batches[0])] == [
        *(1, 10, 100, 1000, 110_000, 10**6, 10**7, 10**8, 10**9 + 10**10),
        2,
    ]


@BOTH
def test_a_counter_never_falls(mode: gate.Mode) -> None:
    """What an observable counter stops reporting stays in the sum, with its start, until it comes back."""
    gated = Gated(mode)
    late = {"start_time_unix_nano": START + 7}

    def one(*points: Any) -> list[tuple[int, int, int]]:
        found = gated.export(counter(points))
        assert all(point.attributes == {} for point in found)
        return [(point.value, point.start_time_unix_nano, point.time_unix_nano) for point in found]

    assert one(number(10, title("a"), **late)) == [(10, START + 7, END)]
    assert one(number(11, title("a"), **late), number(5, title("b"))) == [(16, START, END)]
    assert one(number(12, title("a"), **late)) == [(17, START, END)]
    assert one(number(6, title("b")), number(1, title("c"))) == [(19, START, END)]
    assert one(number(9)) == [(28, START, END)]
    assert one(number(10), number(20, title("a"))) == [(37, START, END)]
    assert FELL not in gated.drops


@BOTH
def test_what_goes_is_counted_at_each_collection(mode: gate.Mode) -> None:
    """The same point, collected three times, has lost its attribute three times."""
    gated = Gated(mode)
    for collection in range(1, 4):
        gated.export(counter([number(1, title("a"))]))
        assert gated.drops == {LOST: collection}


@BOTH
def test_a_counter_does_not_fall_where_nothing_has_to_go_any_more(mode: gate.Mode) -> None:
    """The one point that is left holds nothing forbidden; what had lost its attribute still counts."""
    gated = Gated(mode)

    def one(*points: Any) -> list[int]:
        return [point.value for point in gated.export(counter(points))]

    assert one(number(5, GET), number(3, title("a", **GET))) == [8]
    assert one(number(6, GET)) == [9]
    assert one(number(4, title("a", **GET))) == [10]


@BOTH
def test_what_a_counter_remembers_is_a_number(mode: gate.Mode) -> None:
    """The exemplars of what has ended were exported with it, and are not exported again."""
    gated = Gated(mode)
    old, new = Exemplar({}, 1, END, 7, 0xABC), Exemplar({}, 2, END + 1, 8, 0xABC)
    ended = number(10, title("a"), exemplars=[old])
    (left,) = gated.export(counter([ended, number(5, title("b"))]))
    assert left.exemplars == [old]
    (left,) = gated.export(counter([number(6, title("b"), exemplars=[new])]))
    assert (left.value, left.exemplars) == (16, [new])
    (left,) = gated.export(counter([number(6, title("b"))]))
    assert (left.value, left.exemplars) == (16, [])


@BOTH
@pytest.mark.parametrize(
    ("temporality", "monotonic"), [(DELTA, True), (DELTA, False), (CUMULATIVE, False)], ids=str
)
def test_what_may_fall_does(mode: gate.Mode, temporality: AggregationTemporality, *, monotonic: bool) -> None:
    """Deltas, and sums that go up and down, are of the points that are there."""
    gated = Gated(mode)

    def one(*points: Any) -> list[int]:
        left = gated.export(counter(points, temporality=temporality, monotonic=monotonic))
        return [point.value for point in left]

    assert one(number(10, title("a")), number(5, title("b"))) == [15]
    assert one(number(11, title("a"))) == [11]


@BOTH
def test_counters_are_remembered_apart(mode: gate.Mode) -> None:
    """Neither another metric nor another identity, scope or resource is added to one that has ended."""
    following = Exported()
    exporter = ContentGateMetricExporter(following, mode=mode)
    first = counter([number(5, title("a")), number(3, title("b"))])
    exporter.export(collected(metric(first)))
    again = counter([number(1, title("c"))])
    flask = InstrumentationScope("opentelemetry.instrumentation.flask")
    exporter.export(collected(metric(again, name=ACTIVE)))
    exporter.export(collected(metric(again), scope=flask))
    exporter.export(collected(metric(again), resource=Resource({"service.name": "other"})))
    exporter.export(collected(metric(counter([number(1, title("c", **GET))]))))
    values = [point.value for batch in following.batches for point in points_of(batch)]
    assert values == [8, 1, 1, 1, 1]


def test_the_memory_of_counters_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound points still add up; what is missed is only what one of them leaves behind."""
    monkeypatch.setattr(merging, "MAX_SOURCES", 2)
    gated = Gated()
    assert [p.value for p in gated.export(counter([number(10**i, title(i)) for i in range(3)]))] == [111]
    assert [p.value for p in gated.export(counter([number(1000, title(9))]))] == [1011]
    assert [p.value for p in gated.export(counter([number(2, title(0))]))] == [12]


def test_scopes_that_become_one_add_up() -> None:
    """Strict calls the modules below a known scope by its name: their streams are one, not twins."""
    below = InstrumentationScope(f"{DJANGO.name}.middleware", "0.66b2")
    scopes = [
        ScopeMetrics(
            scope, [metric(counter([number(value, GET)])), metric(gauge([number(value)]), name=ACTIVE)], ""
        )
        for scope, value in ((DJANGO, 1), (below, 2))
    ]
    other = InstrumentationScope("opentelemetry.instrumentation.flask", "0.66b2")
    scopes.append(ScopeMetrics(other, [metric(counter([number(4, GET)]))], ""))
    following = Exported()
    exporter = ContentGateMetricExporter(following)
    exporter.export(MetricsData([ResourceMetrics(Resource({}), scopes, "")]))
    (of_resource,) = following.batches[0].resource_metrics
    assert [(each.scope, [m.data for m in each.metrics]) for each in of_resource.scope_metrics] == [
        (DJANGO, [counter([number(3, GET)])]),
        (other, [counter([number(4, GET)])]),
    ]
    assert exporter.drops == {FELL: 2, ("metrics", "text_field", "none"): 1}  # the name of the one below


def test_scopes_that_become_one_are_remembered_apart() -> None:
    """Of two scopes of one name the same attributes are two sources: the one that ended still counts."""
    following = Exported()
    exporter = ContentGateMetricExporter(following)
    below = InstrumentationScope(f"{DJANGO.name}.middleware", "0.66b2")
    first = [
        ScopeMetrics(scope, [metric(counter([number(value, title("a"))]))], "")
        for scope, value in ((DJANGO, 1), (below, 2))
    ]
    exporter.export(MetricsData([ResourceMetrics(Resource({}), first, "")]))
    exporter.export(MetricsData([ResourceMetrics(Resource({}), first[:1], "")]))
    assert [point.value for batch in following.batches for point in points_of(batch)] == [3, 3]


@BOTH
def test_scopes_of_other_attributes_are_remembered_apart(mode: gate.Mode) -> None:
    """Two meters that differ in their attributes alone are two sources: of each, what has ended counts."""
    following = Exported()
    exporter = ContentGateMetricExporter(following, mode=mode)
    first, second = (
        InstrumentationScope(DJANGO.name, DJANGO.version, "", {"of": each}) for each in ("first", "second")
    )

    def scoped(meter: InstrumentationScope, *points: Any) -> ScopeMetrics:
        return ScopeMetrics(meter, [metric(counter(points))], "")

    both = [
        scoped(first, number(1, title("a")), number(10, title("b"))),
        scoped(second, number(2, title("a")), number(20, title("b"))),
    ]
    exporter.export(MetricsData([ResourceMetrics(Resource({}), both, "")]))
    exporter.export(MetricsData([ResourceMetrics(Resource({}), [scoped(second, number(4, title("a")))], "")]))
    values = [[point.value for point in points_of(batch)] for batch in following.batches]
    assert values == ([[33], [35]] if mode == "strict" else [[11, 22], [24]])


class Source:
    """What tells a point from others; whoever compares it lets another thread run to its end."""

    def __init__(self, run: Callable[[], None]) -> None:
        self._run = run

    def __hash__(self) -> int:
        """The same for all, so that they are compared."""
        return 1

    def __eq__(self, other: object) -> bool:
        """Whether it is the same object."""
        run, self._run = self._run, lambda: None
        run()
        return self is other


def test_two_who_collect_at_once_do_not_disturb_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """While one goes through what is remembered, nobody adds to it: another waits, for so long as he may."""
    monkeypatch.setattr(guard, "LOCK_SECONDS", 0.01)
    merge, shape = Merge(), Shape(Sum, CUMULATIVE, monotonic=True)

    def export(*sources: Hashable) -> list[Any]:
        points = [Point(number(1), source) for source in sources]
        left: list[Any] = merge("metric", shape, {"identity": points})[0]
        return [point.value for point in left]

    outcomes: list[str] = []

    def collect_too() -> None:
        try:
            outcomes.append(f"exported {export('another')}")
        except TimeoutError:
            outcomes.append("waited")

    def in_another_thread() -> None:
        thread = threading.Thread(target=collect_too)
        thread.start()
        thread.join()

    assert export("a", "b") == [2]
    assert export(1, Source(lambda: None)) == [4]
    # asked of `1`, which has the same hash, whether it is there: in the middle of what is remembered
    assert export(Source(in_another_thread)) == [5]
    assert outcomes == ["waited"]
    assert export("another") == [6]


def test_resources_that_become_one_are_one() -> None:
    """Two resources that differ in what may not leave are one: the exporter would keep but one of them."""
    of_resources = [
        ResourceMetrics(
            Resource({"service.name": "desk", "host.name": host}),
            [ScopeMetrics(DJANGO, [metric(counter([number(value, GET)]))], "")],
            "",
        )
        for host, value in (("a", 1), ("b", 2))
    ]
    following = Exported()
    ContentGateMetricExporter(following).export(MetricsData(of_resources))
    (of_resource,) = following.batches[0].resource_metrics
    assert dict(of_resource.resource.attributes) == {"service.name": "desk"}
    assert [m.data for m in metrics_of(following.batches[0])] == [counter([number(3, GET)])]


def test_two_views_of_one_instrument_do_not_count_twice() -> None:
    """Each holds all that was measured: of two with one name and kind strict passes the first."""
    gated = Gated()
    again = counter([number(3, title("b")), number(2, title("c"))])
    assert gated.export(counter([number(5, title("a"))]), again) == [number(5)]
    assert gated.drops == {LOST: 1, FELL: 1}


def test_standard_makes_no_twins_of_two_views() -> None:
    """Where a point that lost an attribute might be another view's twin, its metric goes."""
    gated = Gated("standard")
    other = gauge([number(6, title("b"))])
    left = gated.export(counter([number(5, title("a"))]), counter([number(5)]), other)
    assert left == [number(5), number(6)]
    assert gated.drops == {LOST: 2, FELL: 1}


@pytest.mark.parametrize("count", [10, 100])
def test_standard_looks_for_twins_once(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many metrics of a scope lose an attribute, each name is read a few times, not once by each."""
    read = []

    def counted(of: Metric) -> Hashable:
        read.append(of.name)
        return called(of)

    monkeypatch.setattr(standard_metrics, "called", counted)
    following = Exported()
    metrics = [metric(counter([number(1, title("a"))]), name=f"m{index}") for index in range(count)]
    ContentGateMetricExporter(following, mode="standard").export(collected(*metrics))
    assert [m.data for m in metrics_of(following.batches[0])] == [counter([number(1)])] * count
    assert 0 < len(read) <= 4 * count


@BOTH
def test_kinds_of_one_name_stay_apart(mode: gate.Mode) -> None:
    """A counter and a gauge of one name are two metrics, as they were."""
    following = Exported()
    exporter = ContentGateMetricExporter(following, mode=mode)
    both = counter([number(1, title("a"))]), gauge([number(2, title("b"))])
    exporter.export(collected(*map(metric, both)))
    first, second = metrics_of(following.batches[0])
    assert (first.data, second.data) == (counter([number(1)]), gauge([number(2)]))


@BOTH
def test_units_of_one_name_stay_apart(mode: gate.Mode) -> None:
    """Two instruments of one name in two units are two metrics, and each remembers its own."""
    following = Exported()
    exporter = ContentGateMetricExporter(following, mode=mode)

    def came(first: int, second: int, text: str) -> MetricsData:
        return collected(
            metric(counter([number(first, title(text))]), name=ACTIVE, unit="{request}"),
            metric(counter([number(second, title(text))]), name=ACTIVE, unit="requests"),
        )

    exporter.export(came(1, 20, "a"))
    exporter.export(came(3, 40, "b"))
    assert [[(m.unit, m.data) for m in metrics_of(batch)] for batch in following.batches] == [
        [("{request}", counter([number(1)])), ("requests", counter([number(20)]))],
        [("{request}", counter([number(4)])), ("requests", counter([number(60)]))],
    ]
    assert exporter.drops == {LOST: 4}


def test_standard_does_not_merge_what_is_no_number() -> None:
    """A point that stands alone passes as it is; two that would become one are dropped."""
    gated = Gated("standard")
    odd = number("?", title("a"))
    assert gated.export(counter([odd])) == [number("?")]
    assert gated.export(counter([odd, number(1)])) == []
    assert gated.drops == {LOST: 2, FELL: 2}


def test_standard_drops_a_kind_of_its_own() -> None:
    """Data that is not exactly the SDK's cannot be made anew without what it must not hold."""

    class Own(Sum):
        """A sum that is not one exactly."""

    gated = Gated("standard")
    assert gated.export(Own([number(1, title("a"))], CUMULATIVE, is_monotonic=True)) == []
    assert gated.drops == {FELL: 1, LOST: 1}


class Host:
    """A meter provider whose reader exports through a gate when it is told to."""

    def __init__(self, mode: gate.Mode, temporality: AggregationTemporality) -> None:
        kinds = (Counter, ObservableCounter, HistogramInstrument)
        self._following = Exported(temporality=dict.fromkeys(kinds, temporality))
        self.exporter = ContentGateMetricExporter(self._following, mode=mode)
        reader = PeriodicExportingMetricReader(self.exporter, math.inf)
        self.provider = MeterProvider([reader], shutdown_on_exit=False)
        self.meter = self.provider.get_meter(DJANGO.name)

    def collect(self) -> dict[str, list[Any]]:
        """The points of one collection by the metric's name."""
        before = len(self._following.batches)
        self.provider.force_flush()
        return {
            each.name: list(each.data.data_points)
            for batch in self._following.batches[before:]
            for each in metrics_of(batch)
        }


@BOTH
@TEMPORALITIES
def test_streams_of_a_provider_over_several_collections(
    mode: gate.Mode, temporality: AggregationTemporality
) -> None:
    """Attribute sets come and go: cumulative streams only grow from one start, deltas add up to the same."""
    host = Host(mode, temporality)
    seen: dict[str, int] = {}

    def observe(_: CallbackOptions) -> list[Observation]:
        return [Observation(value, title(text, **GET)) for text, value in seen.items()]

    durations = host.meter.create_histogram(DURATION, UNITS[DURATION])
    requests = host.meter.create_counter(REQUESTS, "ms")
    host.meter.create_observable_counter("http.client.duration", [observe], "ms")
    steps = [{"a": 1}, {"a": 2, "b": 7}, {"b": 8}, {"c": 1}, {}, {"a": 4, "c": 2}]
    observed: list[int] = []
    counted: list[int] = []
    starts: set[int] = set()
    for step in steps:
        seen.clear()
        seen.update(step)
        for text in step:
            durations.record(0.5, title(text, **GET))
            requests.add(1, title(text, **GET))
        found = host.collect()
        assert all(len(points) <= 1 for points in found.values())
        assert all(point.attributes == GET for points in found.values() for point in points)
        for point in found.get("http.client.duration", []):
            observed.append(point.value)
            starts.add(point.start_time_unix_nano)
        for point, measured in zip(found.get(REQUESTS, []), found.get(DURATION, []), strict=True):
            counted.append(point.value)
            assert (measured.count, measured.sum) == (point.value, point.value / 2)
            assert sum(measured.bucket_counts) == point.value
    host.provider.shutdown()
    if temporality is CUMULATIVE:
        assert observed == [1, 9, 10, 11, 14]
        assert len(starts) == 1
        assert counted == [1, 3, 4, 5, 5, 7]
    else:
        assert observed == [1, 8, 1, 1, 3]
        assert sum(observed) == 14
        assert counted == [1, 2, 1, 1, 2]
    assert FELL not in host.exporter.drops


def test_exponential_histograms_of_a_provider() -> None:
    """Streams that the SDK keeps at one scale merge; at unequal scales they are dropped."""
    following = Exported(aggregation={HistogramInstrument: AT_SCALE_0})
    exporter = ContentGateMetricExporter(following)
    provider = MeterProvider([PeriodicExportingMetricReader(exporter, math.inf)], shutdown_on_exit=False)
    durations = provider.get_meter(DJANGO.name).create_histogram(DURATION, UNITS[DURATION])
    durations.record(1.5, title("a"))
    durations.record(3.0, title("b"))
    durations.record(0.0, title("b"))
    provider.force_flush()
    (point,) = points_of(following.batches[0])
    assert (point.count, point.sum, point.min, point.max, point.zero_count) == (3, 4.5, 0.0, 3.0, 1)
    assert (point.scale, point.positive) == (0, Buckets(0, [1, 1]))
    provider.shutdown()


def test_a_gauge_is_what_it_was_made_of() -> None:
    """A point that only lost attributes is otherwise the same."""
    came = number(1.5, title("a"), start_time_unix_nano=None)
    following = Exported()
    ContentGateMetricExporter(following).export(collected(metric(gauge([came]))))
    (found,) = metrics_of(following.batches[0])
    assert found.data == Gauge([replace(came, attributes={})])
