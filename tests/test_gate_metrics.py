"""What the gate lets through of the host's own metrics."""

from collections.abc import Mapping
from typing import Any, Final

import pytest
from opentelemetry.sdk.metrics import Counter, Exemplar
from opentelemetry.sdk.metrics.export import (
    Buckets,
    ExponentialHistogramDataPoint,
    Histogram,
    HistogramDataPoint,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.metrics.view import LastValueAggregation
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

import otel_incident
from otel_incident import ContentGateMetricExporter, gate
from otel_incident.gate import GateRules, merging
from otel_incident.guard import set_reraise, swallowed
from otel_incident.version import __version__
from otel_incident.vocabulary import METRICS, SCHEMA_URL, SCOPE_NAME
from tests.metric_points import (
    ACTIVE,
    DELTA,
    DJANGO,
    DURATION,
    END,
    START,
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
from tests.strategies import Handed, Hostile, HostileInt, HostileStr, HostileTuple

CANARY: Final = "kanarie"
SENTENCE: Final = f"a sentence with a {CANARY} in it"
ROUTE: Final = {"http.request.method": "GET", "http.route": "/incidents/{id}"}
LAST: Final = LastValueAggregation()
MODES: Final = pytest.mark.parametrize("mode", gate.MODES)
PASSING: Final = pytest.mark.parametrize("mode", ["standard", "audit"])


NOTHING: Final = MetricsData([])


def passed(data: MetricsData, mode: gate.Mode = "strict", **options: Any) -> tuple[MetricsData, Any]:
    """What the next exporter got of one export, and the drops."""
    following = Exported()
    exporter = ContentGateMetricExporter(following, mode=mode, **options)
    assert exporter.export(data) is MetricExportResult.SUCCESS
    return (following.batches[0] if following.batches else NOTHING), exporter.drops


def counts(**reasons: int) -> dict[tuple[str, str, str], int]:
    """The counts by signal, reason and rule, where the rule is none."""
    return {("metrics", reason, "none"): count for reason, count in reasons.items()}


def test_strict_leaves_a_known_metric_its_numbers_and_known_attributes() -> None:
    """Name, unit, kind, temporality and times stay; the description and what the profile lacks go."""
    point = histogram(
        [1, 2, 0],
        {
            **ROUTE,
            "http.response.status_code": 200,
            "url.path": SENTENCE,
            CANARY: 1,
            "server.port": "no",
        },
        sum=2.5,
        min=0.5,
        max=1.5,
    )
    data, drops = passed(collected(metric(histograms([point], temporality=DELTA), description=SENTENCE)))
    (found,) = metrics_of(data)
    assert (found.name, found.unit, found.description) == (DURATION, "s", "")
    assert type(found.data) is Histogram
    assert found.data.aggregation_temporality is DELTA
    (left,) = found.data.data_points
    assert left.attributes == {**ROUTE, "http.response.status_code": 200}
    assert (left.start_time_unix_nano, left.time_unix_nano) == (START, END)
    assert (left.count, left.sum, left.min, left.max) == (3, 2.5, 0.5, 1.5)
    assert (left.bucket_counts, left.explicit_bounds) == ([1, 2, 0], (1.0, 2.0))
    assert drops == {**counts(unknown_key=2, text_field=1), ("metrics", "bad_value", "profile"): 1}


def test_strict_bares_resource_and_scope() -> None:
    """The resource keeps what the operator said, a known scope its name and version, and neither a schema."""
    scope = InstrumentationScope(f"{DJANGO.name}.{CANARY}", "0.66b2", f"https://{CANARY}", {CANARY: CANARY})
    resource = Resource({"service.name": "desk", "host.name": CANARY}, f"https://{CANARY}")
    came = MetricsData(
        [
            ResourceMetrics(
                resource,
                [ScopeMetrics(scope, [metric(gauge([number(1)]))], f"https://{CANARY}")],
                f"https://{CANARY}",
            )
        ]
    )
    data, _ = passed(came)
    (of_resource,) = data.resource_metrics
    (of_scope,) = of_resource.scope_metrics
    assert dict(of_resource.resource.attributes) == {"service.name": "desk"}
    assert (of_resource.resource.schema_url, of_resource.schema_url, of_scope.schema_url) == ("", "", "")
    assert of_scope.scope == InstrumentationScope(DJANGO.name, "0.66b2")


@pytest.mark.parametrize(
    "refused",
    [
        metric(gauge([number(1)]), name="desk.titles"),
        metric(gauge([number(1)]), name=f"{DURATION}.{CANARY}"),
        metric(gauge([number(1)]), unit="ms"),
        metric(gauge([number(1)]), unit=SENTENCE),
        metric(gauge([number(1)]), name=HostileStr(DURATION), unit="s"),
        metric(gauge([number(1)]), unit=HostileStr("s")),
        metric(gauge([number(1)]), name=None, unit="s"),  # type: ignore[arg-type]  # that is the point
        metric(counter([number(1)], temporality=2)),
        metric(counter([number(1)], monotonic=1)),
        metric(object()),
    ],
)
def test_strict_drops_a_metric_that_no_table_names(refused: Any) -> None:
    """Another name, another unit, a text or a kind that is not exactly the SDK's: dropped whole, counted."""
    data, drops = passed(collected(refused, metric(gauge([number(2)]))))
    assert [point.value for point in points_of(data)] == [2]
    assert drops == counts(unknown_metric=1)


@pytest.mark.parametrize(
    ("name", "unit", "leaves"),
    [
        (ACTIVE, "{request}", True),
        (ACTIVE, "requests", True),
        (ACTIVE, "", False),
        (DURATION, "requests", False),
    ],
)
def test_strict_takes_the_unit_that_instrumentations_write(name: str, unit: str, leaves: object) -> None:
    """Flask counts active requests in `requests` by default: that leaves as it is, for that metric alone."""
    data, drops = passed(collected(metric(gauge([number(2)]), name=name, unit=unit)))
    if not leaves:
        assert data is NOTHING
        assert drops == counts(unknown_metric=1)
        return
    (of_resource,) = data.resource_metrics
    ((left,),) = [of_scope.metrics for of_scope in of_resource.scope_metrics]
    assert (left.name, left.unit, drops) == (name, unit, {})


@pytest.mark.parametrize(
    "scope", [None, InstrumentationScope("desk"), InstrumentationScope(HostileStr(DJANGO.name))]
)
def test_strict_drops_every_metric_of_an_unknown_scope(scope: InstrumentationScope | None) -> None:
    """Without a profile there is no metric that may leave, and nothing is exported at all."""
    both = metric(gauge([number(1)])), metric(gauge([number(1)]), name=ACTIVE)
    data, drops = passed(collected(*both, scope=scope))
    assert data is NOTHING
    assert drops == (counts(unknown_metric=2) if scope is None else counts(unknown_metric=2, text_field=1))


@pytest.mark.parametrize("name", sorted(METRICS))
def test_our_own_metrics_pass_strict_as_they_are(name: str) -> None:
    """Name, unit, description and registered attributes of ours stay, and nothing is counted."""
    own = METRICS[name]
    values = {
        "incident.action": "create",
        "otel_incident.exporter": "otlp_proto_http",
        "otel_incident.signal": "spans",
        "otel_incident.reason": "not_mergeable",
        "otel_incident.rule": "profile",
    }
    attributes = {key: values[key] for key in own.attributes}
    scope = InstrumentationScope(SCOPE_NAME, __version__, SCHEMA_URL)
    came = metric(counter([number(3, attributes)]), name=name, unit=own.unit, description=own.brief)
    data, drops = passed(collected(came, scope=scope))
    (of_scope,) = data.resource_metrics[0].scope_metrics
    assert (of_scope.scope, of_scope.schema_url) == (scope, SCHEMA_URL)
    assert of_scope.metrics == [came]
    assert drops == {}


def test_what_is_forbidden_goes_from_our_own_metrics() -> None:
    """A key that the operator forbids leaves in strict on no metric of ours either; the points become one."""
    own = METRICS["incident.events"]
    points = [number(1, {"incident.action": action}) for action in ("create", "end")]
    came = metric(counter(points), name=own.name, unit=own.unit, description=own.brief)
    scope = InstrumentationScope(SCOPE_NAME, __version__, SCHEMA_URL)
    data, drops = passed(collected(came, scope=scope), forbidden=["incident.action"])
    ((left,),) = [of.metrics for of in data.resource_metrics[0].scope_metrics]
    assert left == metric(counter([number(2)]), name=own.name, unit=own.unit, description=own.brief)
    assert drops == counts(forbidden=2)


def test_our_scope_says_nothing_but_our_metrics() -> None:
    """A name that is not ours, and on ours an attribute that is not its own, do not pass by our scope."""
    scope = InstrumentationScope(SCOPE_NAME)
    own = METRICS["incident.events"]
    data, drops = passed(
        collected(
            metric(counter([number(1)]), name=DURATION),
            metric(counter([number(1)]), name=own.name, unit=SENTENCE),
            metric(
                counter([number(1, {"incident.action": "end", "incident.id": "42", CANARY: 1})]),
                name=own.name,
                unit=own.unit,
                description=SENTENCE,
            ),
            scope=scope,
        ),
        allowed=["*"],
    )
    (found,) = metrics_of(data)
    assert (found.name, found.unit, found.description) == (own.name, own.unit, own.brief)
    assert [point.attributes for point in points_of(data)] == [{"incident.action": "end"}]
    assert drops == counts(unknown_metric=2, unknown_key=2, text_field=1)


@pytest.mark.parametrize(
    ("description", "taken"),
    [(Handed(""), 0), (Handed(None), 0), (Handed(SENTENCE), 1), (Handed(HostileStr("")), 1), (Handed([]), 1)],
)
def test_no_description_of_a_host_leaves(description: Handed, taken: int) -> None:
    """Whatever it is, the metric passes with an empty one, and what was a text is counted."""
    data, drops = passed(collected(metric(gauge([number(1)]), description=description.value)))
    (found,) = metrics_of(data)
    assert (type(found.description), found.description) == (str, "")
    assert drops == (counts(text_field=1) if taken else {})


def test_our_metrics_are_ours_in_our_scope_alone() -> None:
    """Another scope cannot borrow the name of a metric of ours."""
    data, drops = passed(collected(metric(counter([number(1)]), name="incident.events", unit="{event}")))
    assert data is NOTHING
    assert drops == counts(unknown_metric=1)


def test_strict_lets_through_what_the_operator_allows() -> None:
    """A key that matches a glob stays on the points of a known metric, if its value is plain."""
    point = number(1, {"shop.tier": "gold", "shop.basket": {"a": 1}, CANARY: 1})
    data, drops = passed(collected(metric(gauge([point]))), allowed=["shop.*"])
    assert [left.attributes for left in points_of(data)] == [{"shop.tier": "gold"}]
    assert sum(drops.values()) == 2


@pytest.mark.parametrize("points", [gauge, counter])
def test_strict_keeps_of_an_exemplar_when_how_much_and_which_span(points: Any) -> None:
    """What a view took from the points stands in the exemplars: it goes, the link to the trace stays."""
    exemplars = [
        Exemplar({CANARY: SENTENCE, "http.route": "/"}, 1.5, END - 1, 7, 0xABC),
        Exemplar({}, 2, END - 2),
        Exemplar({}, 2, END - 3, HostileInt(7), 0xABC),
        Exemplar({}, 2, END - 4, 7, 2**128),
        Exemplar({}, 2, END - 4, 2**64, 0xABC),
        Exemplar({}, 2, END - 4, -1, 0xABC),
        Exemplar({}, SENTENCE, END - 5, 7, 0xABC),  # type: ignore[arg-type]  # that is the point
    ]
    data, drops = passed(collected(metric(points([number(1, ROUTE, exemplars=exemplars)]))))
    (left,) = points_of(data)
    assert left.exemplars == [
        Exemplar({}, 1.5, END - 1, 7, 0xABC),
        Exemplar({}, 2, END - 2),
        Exemplar({}, 2, END - 3),
        Exemplar({}, 2, END - 4),
        Exemplar({}, 2, END - 4),
        Exemplar({}, 2, END - 4),
    ]
    assert drops == counts(unknown_key=2)


@pytest.mark.parametrize(
    "point",
    [
        Handed(number(value=True)),
        Handed(number(SENTENCE)),
        Handed(number(None)),
        Handed(number(Hostile())),
        Handed(number(1, time_unix_nano=SENTENCE)),
        Handed(number(1, start_time_unix_nano=True)),
        Handed(histogram([1, 2, 3], count=True)),
        Handed(histogram([1, 2, 3], bucket_counts=[1, 2, True])),
        Handed(histogram([1, 2, 3], bucket_counts=HostileTuple((1, 2, 3)))),
        Handed(histogram([1, 2, 3], sum=SENTENCE)),
        Handed(histogram([1, 2, 3], explicit_bounds=(1.0, SENTENCE))),
        Handed(histogram([1, 2, 3], max=None)),
        Handed(exponential(Buckets(0, [1]), scale=1.0)),
        Handed(exponential(Buckets(0, [1]), negative=(0, [1]))),
        Handed(exponential(Buckets(0, [1]), negative=Buckets(0.0, [1]))),  # type: ignore[arg-type]  # the point
        Handed(exponential(Buckets(0, [1]), flags=SENTENCE)),
        Handed(type("Sub", (NumberDataPoint,), {})({}, START, END, 1)),
    ],
)
def test_strict_drops_a_metric_whose_numbers_are_none(point: Handed) -> None:
    """A text, a bool or an object where a number belongs takes the metric with it, and raises nothing."""
    kind = type(point.value)
    data: Any = counter([number(5, {CANARY: 1}), point.value])
    if kind is HistogramDataPoint:
        data = histograms([histogram([1, 2, 3]), point.value])
    elif kind is ExponentialHistogramDataPoint:
        data = exponentials([exponential(Buckets(0, [1])), point.value])
    left, drops = passed(collected(metric(data), metric(gauge([number(6)]), name=ACTIVE)))
    assert [each.value for each in points_of(left)] == [6]
    assert drops == counts(wrong_type=1)


def test_strict_drops_points_of_another_kind() -> None:
    """A plain number among histograms is no histogram, though all of it is numbers."""
    data, drops = passed(collected(metric(histograms([number(1)]))))  # type: ignore[list-item]  # the point
    assert data is NOTHING
    assert drops == counts(wrong_type=1)


def test_a_number_of_a_class_of_its_own_becomes_plain() -> None:
    """What is a number underneath leaves as an exact one: its methods are never asked."""

    class Celsius(float):
        """A float that is not one exactly."""

        def __str__(self) -> str:
            return SENTENCE

    data, drops = passed(collected(metric(counter([number(HostileInt(5), ROUTE), number(Celsius(1.5))]))))
    assert [(type(point.value), point.value) for point in points_of(data)] == [(int, 5), (float, 1.5)]
    assert drops == {}


class Liar(str):
    """A key that is no exact string, and says of itself what it is not."""

    __slots__ = ()

    def startswith(self, *_: Any) -> bool:
        """It never does."""
        return False

    def __str__(self) -> str:
        """Not itself."""
        return "http.route"


@MODES
def test_hostile_attributes_neither_raise_nor_pass(mode: gate.Mode) -> None:
    """Keys and values that lie or raise do not leave as what they say they are."""
    attributes: dict[Any, Any] = {
        "http.route": "/",
        "incident.title": Hostile(),
        "incident.id": HostileStr(SENTENCE),
        Liar("incident.summary"): CANARY,
        Liar("http.method"): "GET",
        5: CANARY,
    }
    data, drops = passed(collected(metric(counter([number(1, attributes)]))), mode)
    (left,) = points_of(data)
    assert left.attributes == ({"http.route": "/"} | ({} if mode == "strict" else {"http.method": "GET"}))
    assert all(type(key) is str for key in left.attributes)
    wrong = {("metrics", "wrong_type", "id"): 1}
    assert drops == {**counts(unknown_key=4 if mode == "strict" else 3), **wrong}


def test_a_key_that_is_no_text_goes() -> None:
    """OTLP cannot write it; so what would be left of the point is what standard judges and merges."""
    points = [number(1, {5: CANARY, "http.route": "/"}), number(2, {"http.route": "/"})]  # type: ignore[dict-item]  # the point
    data, drops = passed(collected(metric(counter(points))), "standard")
    assert points_of(data) == [number(3, {"http.route": "/"})]
    assert drops == counts(unknown_key=1)


@PASSING
def test_standard_passes_the_same_metrics_where_nothing_has_to_go(mode: gate.Mode) -> None:
    """No copy is made of metrics that hold nothing forbidden, whatever else they hold."""
    came = collected(
        metric(
            gauge([number(1, {CANARY: SENTENCE, "incident.id": "42"})]), name=SENTENCE, description=SENTENCE
        ),
        metric(object(), name=SENTENCE),
        scope=InstrumentationScope(SENTENCE),
    )
    data, drops = passed(came, mode)
    assert data is came
    assert drops == {}


@PASSING
def test_standard_takes_forbidden_attributes_alone(mode: gate.Mode) -> None:
    """They go from points and exemplars; names, texts, other metrics and other scopes are untouched."""
    forbidden = {"incident.title": SENTENCE, "incident.active": "yes", "shop.basket": SENTENCE}
    exemplar = Exemplar({**forbidden, CANARY: 1}, 1, END, 7, 0xABC)
    clean = metric(gauge([number(1, {CANARY: SENTENCE})]), name=ACTIVE)
    kept = number(7, {CANARY: 2})
    touched = metric(
        counter([number(1, {**forbidden, CANARY: 1}, exemplars=[exemplar]), kept]), description=SENTENCE
    )
    other = ScopeMetrics(InstrumentationScope("desk"), [clean], "https://desk")
    resource = Resource({CANARY: CANARY})
    scope = InstrumentationScope(SENTENCE, SENTENCE)
    came = MetricsData([ResourceMetrics(resource, [ScopeMetrics(scope, [touched, clean], "x"), other], "y")])
    data, drops = passed(came, mode, forbidden=["shop.*"])
    (of_resource,) = data.resource_metrics
    assert (of_resource.resource, of_resource.schema_url) == (resource, "y")
    of_scope, same = of_resource.scope_metrics
    assert same is other
    assert (of_scope.scope, of_scope.schema_url) == (scope, "x")
    made, untouched = of_scope.metrics
    assert untouched is clean
    assert (made.name, made.unit, made.description) == (DURATION, "s", SENTENCE)
    first, second = made.data.data_points
    assert first == number(1, {CANARY: 1}, exemplars=[Exemplar({CANARY: 1}, 1, END, 7, 0xABC)])
    assert second is kept
    assert drops == {
        **counts(unknown_key=2, forbidden=2),
        ("metrics", "wrong_type", "flag"): 2,
    }


def test_standard_takes_what_a_view_left_in_exemplars() -> None:
    """An exemplar alone that holds something forbidden costs nothing but that; no point is merged."""
    came = number(1, {CANARY: [1]}, exemplars=[Exemplar({"incident.title": SENTENCE}, 1, END)])
    other = number(2, {CANARY: (1,)})  # a twin of the other already, which is not for us to judge
    data, drops = passed(collected(metric(gauge([came, other]))), "standard")
    first, second = points_of(data)
    assert first == number(1, {CANARY: [1]}, exemplars=[Exemplar({}, 1, END)])
    assert second is other
    assert drops == counts(unknown_key=1)


def test_audit_counts_what_strict_would_take() -> None:
    """It passes as standard does, and its second count is what strict would say."""
    came = collected(
        metric(gauge([number(1, {CANARY: 1}), number(2, {CANARY: 2})]), description=SENTENCE),
        metric(gauge([number(1)]), name=SENTENCE),
    )
    rules = GateRules("audit")
    following = Exported()
    ContentGateMetricExporter(following, rules=rules).export(came)
    assert following.batches == [came]
    assert following.batches[0] is came
    assert rules.dropped.counts() == {}
    strictly = GateRules("strict")
    ContentGateMetricExporter(Exported(), rules=strictly).export(came)
    assert rules.audited.counts() == strictly.dropped.counts()
    assert strictly.dropped.counts() == counts(unknown_key=2, unknown_metric=1, text_field=1, not_mergeable=2)


@pytest.mark.parametrize(
    ("mode", "function"), [("strict", "rules.Checks.keep"), ("standard", "rules.Standard.filter")]
)
def test_a_metric_that_cannot_be_filtered_is_dropped(
    mode: gate.Mode, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A filter that raises lets that metric not through, is counted, and the others pass."""

    def fail(_: object, attributes: Mapping[str, object], *drops: list[Any]) -> Any:
        if CANARY in attributes:
            raise RuntimeError(SENTENCE)
        return dict(attributes) if drops else None

    monkeypatch.setattr(f"otel_incident.gate.{function}", fail)
    set_reraise(reraise=False)
    data, drops = passed(
        collected(metric(gauge([number(1, {CANARY: 1})])), metric(gauge([number(2)]), name=ACTIVE)), mode
    )
    assert [point.value for point in points_of(data)] == [2]
    assert drops == counts(internal_error=1)
    assert swallowed() == {"gate": 1}


@pytest.mark.parametrize(
    "function", ["metrics.MetricFilter.__call__", "parts.Resources.of", "merging.Merge.__call__"]
)
def test_a_filter_that_fails_as_a_whole_exports_nothing(
    function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever breaks inside the gate, the reader's thread sees a success and the backend nothing."""

    def fail(*_: object) -> None:
        raise RuntimeError(SENTENCE)

    monkeypatch.setattr(f"otel_incident.gate.{function}", fail)
    set_reraise(reraise=False)
    data, drops = passed(collected(metric(gauge([number(1)]))))
    assert data is NOTHING
    assert drops == counts(internal_error=1)


def test_a_metric_that_cannot_be_merged_goes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where merging fails for one metric of strict, the next one passes."""
    merge = merging.Merge.__call__

    def fail(self: Any, place: tuple[Any, ...], *rest: Any) -> Any:
        if DURATION in place:
            raise RuntimeError(SENTENCE)
        return merge(self, place, *rest)

    monkeypatch.setattr(merging.Merge, "__call__", fail)
    set_reraise(reraise=False)
    data, drops = passed(collected(metric(gauge([number(1)])), metric(gauge([number(2)]), name=ACTIVE)))
    assert points_of(data) == [number(2)]
    assert drops == counts(internal_error=1)


def test_audit_that_fails_takes_nothing_from_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only strict's part fails, audit counts it and passes everything on."""

    def fail(*_: object) -> None:
        raise RuntimeError(SENTENCE)

    monkeypatch.setattr("otel_incident.gate.rules.Checks.keep", fail)
    set_reraise(reraise=False)
    came = collected(metric(gauge([number(1)])))
    rules = GateRules("audit")
    following = Exported()
    ContentGateMetricExporter(following, rules=rules).export(came)
    assert following.batches[0] is came
    assert rules.audited.counts() == counts(internal_error=1)
    assert rules.dropped.counts() == {}


def test_the_next_exporter_is_asked_in_the_reader_s_words() -> None:
    """Time-outs arrive as they were given, the answers come back, and its preferences are the gate's."""
    following = Exported(temporality={Counter: DELTA}, aggregation={Counter: LAST})
    following.result = MetricExportResult.FAILURE
    exporter = ContentGateMetricExporter(following)
    assert exporter.next is following
    assert exporter._preferred_temporality == {Counter: DELTA}  # noqa: SLF001  readers ask for it by this name
    assert exporter._preferred_aggregation == {Counter: LAST}  # noqa: SLF001  the same
    came = collected(metric(gauge([number(1)])))
    assert exporter.export(came, timeout_millis=12.5, more=1) is MetricExportResult.FAILURE
    assert exporter.force_flush(123) is False
    exporter.shutdown(timeout=7.5)
    exporter.shutdown(timeout_millis=8.5)
    assert following.calls == [
        ("export", {"timeout_millis": 12.5, "more": 1}),
        ("force_flush", 123),
        ("shutdown", {"timeout_millis": 30_000, "timeout": 7.5}),
        ("shutdown", {"timeout_millis": 8.5}),
    ]


def test_what_the_next_exporter_raises_passes() -> None:
    """It is the reader's to handle, as without a gate; it is no failure of the filter's."""

    class Failing(Exported):
        def export(self, *_: Any, **__: Any) -> MetricExportResult:
            raise ConnectionError

    exporter = ContentGateMetricExporter(Failing())
    with pytest.raises(ConnectionError):
        exporter.export(collected(metric(gauge([number(1)]))))
    assert exporter.drops == {}


def test_an_unknown_mode_is_refused() -> None:
    """A mode that does not exist is an error at construction, not a gate that stands open."""
    with pytest.raises(ValueError, match="strict, standard"):
        ContentGateMetricExporter(Exported(), mode="open")  # type: ignore[arg-type]  # that is the point


def test_the_package_offers_it() -> None:
    """It is public under the package and under its gate, and it is one class."""
    assert otel_incident.ContentGateMetricExporter is gate.ContentGateMetricExporter
    assert "ContentGateMetricExporter" in otel_incident.__all__
