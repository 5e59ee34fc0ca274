"""What known instrumentations may say in strict, what standard removes, and what audit counts."""

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceState

from otel_incident.drops import Drops
from otel_incident.gate import GateRules, Mode, fields
from otel_incident.gate.metrics import MetricFilter
from otel_incident.gate.parts import Resources, Scopes
from otel_incident.gate.rules import Standard
from otel_incident.gate.spans import SpanFilter
from otel_incident.policy import Drop
from otel_incident.profiles import PROFILES
from scripts import profiles
from tests.strategies import CONTENT

DJANGO: Final = "opentelemetry.instrumentation.django"
SQLITE: Final = "opentelemetry.instrumentation.sqlite3"
REQUEST: Final[Mapping[str, Any]] = {
    "http.request.method": "POST",
    "http.route": "api/incidents/<int:pk>/",
    "http.response.status_code": 201,
    "server.port": 8000,
}


def ended(
    scope: str, attributes: Mapping[str, Any], *, name: str = CONTENT, kind: SpanKind = SpanKind.SERVER
) -> ReadableSpan:
    """A span of an instrumentation, with an exception whose message is content."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer(scope, "0.66b2", schema_url="https://opentelemetry.io/schemas/1.37.0")
    with tracer.start_as_current_span(name, kind=kind, attributes=attributes) as span:
        span.record_exception(ValueError(CONTENT), timestamp=1)
    (found,) = memory.get_finished_spans()
    return found


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        (REQUEST, "POST api/incidents/<int:pk>/"),
        ({"http.method": "GET", "http.route": "^$"}, "GET ^$"),
        ({"http.request.method": "GET", "http.route": "a route with spaces"}, "GET"),
        ({"http.request.method": "GET", "http.route": ""}, "GET"),
        ({"http.request.method": CONTENT}, "server"),
        ({}, "server"),
    ],
)
def test_a_span_of_a_known_scope_has_a_name_of_its_profile(attributes: Mapping[str, Any], name: str) -> None:
    """`{method} {http.route}` as far as both keep their rules, else the method, else the kind."""
    assert SpanFilter(GateRules())(ended(DJANGO, attributes)).name == name


@pytest.mark.parametrize("scope", ["asgi", "fastapi", "starlette"])
@pytest.mark.parametrize(
    ("route", "name"),
    [
        ("/incidents/{incident_id:int}/close", "GET /incidents/{incident_id:int}/close"),
        ("/incidents/payments-are-down", "GET"),
        ("/{payments are down}", "GET"),
        ("/incidents/{}", "GET"),
    ],
)
def test_a_route_of_asgi_shows_that_it_is_a_template(scope: str, route: str, name: str) -> None:
    """Those instrumentations report the path itself where they find no route: it must hold a parameter."""
    attributes = {"http.method": "GET", "http.route": route, "http.target": "/incidents/payments-are-down"}
    passed = SpanFilter(GateRules())(ended(f"opentelemetry.instrumentation.{scope}", attributes))
    assert passed.name == name
    assert set(passed.attributes or {}) == {"http.method", *(() if name == "GET" else ("http.route",))}


@pytest.mark.parametrize("scope", ["asgi", "fastapi", "starlette"])
@pytest.mark.parametrize(
    ("asked", "stays"),
    [
        ({"http.target": "/incident/42/payments-are-down"}, True),
        ({"url.path": "/incident/42/payments-are-down"}, True),
        ({"url.path": "/incident/42", "http.target": "/incident/42"}, True),
        ({}, False),
        ({"url.full": "https://desk.test/incident/42"}, False),
        ({"http.target": "/incident/{id}/payments-are-down"}, False),
        ({"url.path": "/incident/{id}/payments-are-down"}, False),
        ({"url.path": "/tenant/incident/{id}/payments-are-down/"}, False),
        ({"url.path": "/incident/%7Bid%7d/payments-are-down"}, False),
        ({"url.path": "/incident/%257Bid%257D/payments-are-down"}, False),
        ({"url.path": "/incident/42", "http.target": "/incident/{id}"}, False),
        ({"url.path": "/incident/{id}", "http.target": "/incident/42"}, False),
        ({"url.path": "[redacted]"}, False),
        ({"url.path": ""}, False),
        ({"url.path": 42}, False),
        ({"url.path": ("/incident/42",)}, False),
    ],
)
def test_the_braces_of_an_asgi_route_are_no_clients(
    scope: str,
    asked: Mapping[str, Any],
    stays: bool,  # noqa: FBT001  a table's column
) -> None:
    """It stands beside the path that was asked for, if that has no brace in any encoding, and else goes."""
    attributes = {"http.method": "GET", "http.route": "/incident/{id}/payments-are-down", **asked}
    rules = GateRules()
    for _ in range(2):  # what has passed once is judged anew
        passed = SpanFilter(rules)(ended(f"opentelemetry.instrumentation.{scope}", attributes))
        left = {"http.method": "GET", "http.route": "/incident/{id}/payments-are-down"}
        assert passed.attributes == (left if stays else {"http.method": "GET"})
        assert passed.name == ("GET /incident/{id}/payments-are-down" if stays else "GET")
        assert passed.dropped_attributes == len(asked) + (not stays)


def test_an_asgi_route_that_has_passed_does_not_pass_by_itself() -> None:
    """The same route, once beside a path without braces, goes from the next span that says no path."""
    strict = SpanFilter(GateRules())
    scope, route = "opentelemetry.instrumentation.asgi", {"http.route": "/incident/{id}"}
    assert strict(ended(scope, {**route, "url.path": "/incident/42"})).attributes == route
    assert strict(ended(scope, route)).attributes == {}


@pytest.mark.parametrize("allowed", [[], ["url.*"]])
def test_an_asgi_route_is_judged_alike_where_the_operator_allows_paths(allowed: list[str]) -> None:
    """A path that may leave by itself tells as much about the route as one that may not."""
    strict = SpanFilter(GateRules(allowed=allowed))
    for path, kept in (("/incident/42", {"http.route"}), ("/incident/{id}", set[str]())):
        came = ended("opentelemetry.instrumentation.asgi", {"url.path": path, "http.route": "/incident/{id}"})
        assert set(strict(came).attributes or {}) == kept | ({"url.path"} if allowed else set())


ASKED: Final = "/incidents/payments-are-down"
ASGI: Final = "opentelemetry.instrumentation.asgi"


@pytest.mark.parametrize("scope", [ASGI, DJANGO, "desk"])
@pytest.mark.parametrize("key", ["http.route", "error.type", "user.id"])
@pytest.mark.parametrize("value", [CONTENT, 7, True, (CONTENT, 7)])
def test_a_key_that_the_operator_names_passes_in_every_scope(scope: str, key: str, value: Any) -> None:
    """Whatever a profile or the registry asks of it: the operator means that key."""
    passed = SpanFilter(GateRules(allowed=["desk.queue", key]))(ended(scope, {key: value}))
    assert passed.attributes == {key: value}


def test_a_key_that_the_operator_names_holds_what_he_may_allow() -> None:
    """Bytes are no plain value, in a profile's scope neither."""
    passed = SpanFilter(GateRules(allowed=["http.route"]))(ended(DJANGO, {"http.route": CONTENT.encode()}))
    assert passed.attributes == {}


@pytest.mark.parametrize("glob", ["http.*", "http.rout?", "http.ro?te", "*"])
def test_a_glob_names_no_key(glob: str) -> None:
    """What a profile names keeps the profile's rule where the operator's globs match it."""
    passed = SpanFilter(GateRules(allowed=[glob]))(ended(DJANGO, {"http.route": CONTENT}))
    assert passed.attributes == {}


def test_a_key_that_the_operator_names_passes_on_events_links_and_logs_of_a_profile() -> None:
    """An exception's type, which the profile knows, and its message, which it does not."""
    rules = GateRules(allowed=["exception.message", "exception.type"])
    (event,) = SpanFilter(rules)(ended(DJANGO, {})).events
    assert event.attributes == {"exception.type": "ValueError", "exception.message": CONTENT}


@pytest.mark.parametrize(
    ("attributes", "name"),
    [
        ({"http.request.method": "GET", "http.route": CONTENT}, f"GET {CONTENT}"),
        ({"http.request.method": "GET", "http.route": 7}, "GET"),
        ({"http.request.method": 7, "http.route": "/x"}, "server"),
        ({"http.request.method": "", "http.route": "/x"}, "server"),
    ],
)
def test_a_name_is_made_of_texts_that_the_operator_lets_through(
    attributes: Mapping[str, Any], name: str
) -> None:
    """A key that is named may hold a number, of which no name is made."""
    rules = GateRules(allowed=["http.request.method", "http.route"])
    passed = SpanFilter(rules)(ended(DJANGO, attributes))
    assert (passed.name, passed.attributes) == (name, attributes)


OWN: Final = "otel_incident"


@pytest.mark.parametrize(
    ("scope", "attributes"),
    [
        (DJANGO, {"incident.id": CONTENT, "incident.title": CONTENT, "otel_incident.x": CONTENT}),
        (OWN, {"user.id": CONTENT, "incident.id": CONTENT, "desk.queue": CONTENT}),
    ],
)
def test_no_key_of_ours_is_the_operator_s_to_name(scope: str, attributes: Mapping[str, Any]) -> None:
    """Under our namespaces and in our own scope the registry decides, whatever is allowed."""
    rules = GateRules(allowed=["desk.*", *attributes])
    assert SpanFilter(rules)(ended(scope, attributes)).attributes == {}


@pytest.mark.parametrize("allowed", [["desk.title"], ["desk.*"]])
@pytest.mark.parametrize("as_content", [True, False])
def test_what_is_forbidden_goes_although_it_is_allowed(allowed: list[str], *, as_content: bool) -> None:
    """By the operator, or as a host's content, though that comes later; it is counted as forbidden."""
    rules = GateRules(allowed=allowed, forbidden=[] if as_content else ["*.title"])
    strict, came = SpanFilter(rules), ended("desk", {"desk.title": CONTENT})
    if as_content:
        assert strict(came).attributes == {"desk.title": CONTENT}
        rules.standard.forbid(["title"])
    assert strict(came).attributes == {}
    assert ("spans", "forbidden", "none") in rules.dropped.counts()


@pytest.mark.parametrize("scope", [DJANGO, ASGI, "opentelemetry.instrumentation.asgi.deep"])
def test_what_the_operator_forbids_goes_although_a_profile_knows_it(scope: str) -> None:
    """Strict takes it out of the attributes, and so out of the span's name."""
    came = ended(scope, {"http.method": "GET", "http.route": "/{pk}", "http.target": ASKED})
    passed = SpanFilter(GateRules(forbidden=["http.route"]))(came)
    assert (passed.name, passed.attributes) == ("GET", {"http.method": "GET"})


FLASK: Final = "opentelemetry.instrumentation.flask"
KNOWN: Final[Mapping[str, Any]] = {
    "http.route": "/secret/<int:id>",
    "http.request.method": "GET",
    "error.type": "ValueError",
    "server.port": 80,
    "user.id": "17",
    "incident.id": "42",
}


@pytest.mark.parametrize("allowed", [(), ("http.route",), ("http.*", "desk.*")])
def test_strict_takes_out_what_standard_does_of_a_host_s_content(allowed: tuple[str, ...]) -> None:
    """Though a profile, the registry or the operator knows the key, and the span's name loses it, too."""
    came = ended(FLASK, KNOWN)
    left = {}
    for mode in ("standard", "strict"):
        rules = GateRules(mode, allowed=allowed)
        gate = SpanFilter(rules)
        assert gate(came).attributes == KNOWN
        rules.standard.forbid(["route", "title", "type"])
        rules.standard.forbid(["name", "method", "user.id"])
        passed = gate(came)
        left[mode] = dict(passed.attributes or {})
        assert dict(passed.events[0].attributes or {}).get("exception.type") is None
        assert passed.name == (CONTENT if mode == "standard" else "server")
        assert rules.dropped.counts()["spans", "forbidden", "none"] == 5
    assert left["standard"] == left["strict"] == {"server.port": 80, "incident.id": "42"}


@pytest.mark.parametrize("mode", ["standard", "strict"])
def test_no_name_of_content_takes_a_key_of_ours(mode: Mode) -> None:
    """What the registry holds under our namespaces stays, in a host's span and in an event of ours on it."""
    rules = GateRules(mode)
    rules.standard.forbid(["id", "action", "name", "incident.active"])
    ours = {"incident.id": "42", "incident.action": "create", "incident.active": True}
    passed = SpanFilter(rules)(ended(FLASK, {**ours, "session.id": "7", "incident.name": CONTENT}))
    assert passed.attributes == ours


@pytest.mark.parametrize("scope", [FLASK, OWN, "desk"])
@pytest.mark.parametrize("mode", ["standard", "strict"])
def test_what_the_operator_forbids_goes_although_the_registry_knows_it(mode: Mode, scope: str) -> None:
    """Whatever the scope, also under our namespaces and in an event of ours on a span."""
    came = ended(scope, {"incident.id": "42", "user.id": "17"})
    came._events = [Event("incident.create", {"incident.id": "42", "user.id": "17"}, 1)]  # noqa: SLF001  of another SDK
    passed = SpanFilter(GateRules(mode, forbidden=["user.*", "incident.id"]))(came)
    assert passed.attributes == {}
    assert passed.events[0].attributes == {}


def test_what_the_operator_forbids_goes_from_a_resource_in_strict() -> None:
    """A service's name and our identity, too, are counted as forbidden; a host's content is none."""
    rules = GateRules(allowed=["desk.title"], forbidden=["service.n*", "incident.diagnostic.*", "host.name"])
    came = Resource(
        {
            "service.name": "desk",
            "service.instance.id": "a1",
            "service.version": "1.0",
            "incident.diagnostic.id": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "incident.server.version": "2.0",
            "host.name": CONTENT,
        }
    )
    rules.standard.forbid(["version", "service.instance.id"])
    drops: list[Drop] = []
    left = Resources(rules.strict).of(came, drops)
    assert left.attributes == {
        "service.instance.id": "a1",
        "service.version": "1.0",
        "incident.server.version": "2.0",
    }
    assert drops == [Drop("", "forbidden", "none")] * 3


def test_a_resource_is_looked_at_again_when_more_is_forbidden() -> None:
    """What the operator allows on it goes as soon as a host calls it content."""
    rules = GateRules(allowed=["desk.title"])
    resources, came = Resources(rules.strict), Resource({"desk.title": CONTENT, "service.name": "desk"})
    assert resources.of(came, []).attributes == {"desk.title": CONTENT, "service.name": "desk"}
    rules.standard.forbid(["title"])
    assert resources.of(came, []).attributes == {"service.name": "desk"}


def test_metrics_of_asgi_have_no_route() -> None:
    """Data points do not say which path was asked for, so a route there could be one."""
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader]).get_meter("opentelemetry.instrumentation.fastapi")
    durations = meter.create_histogram("http.server.request.duration", "s")
    durations.record(1, {"http.request.method": "GET", "http.route": "/incident/{id}"})
    durations.record(2, {"http.request.method": "GET", "http.route": "/incident/{id}/payments-are-down"})
    data = reader.get_metrics_data()
    assert data is not None
    passed = MetricFilter(GateRules())(data)
    assert passed is not None
    (point,) = passed.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
    assert isinstance(point, HistogramDataPoint)
    assert (point.attributes, point.count, point.sum) == ({"http.request.method": "GET"}, 2, 3)


def test_metrics_of_asgi_have_the_routes_that_the_operator_names() -> None:
    """Who knows that no route of his is a path allows the key, and each route is a stream of its own."""
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader]).get_meter("opentelemetry.instrumentation.fastapi")
    durations = meter.create_histogram("http.server.request.duration", "s")
    routes = [{"http.route": "/incident/{id}"}, {"http.route": "/static"}]
    for attributes in routes:
        durations.record(1, attributes)
    data = reader.get_metrics_data()
    assert data is not None
    passed = MetricFilter(GateRules(allowed=["http.route"]))(data)
    assert passed is not None
    points = passed.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points
    assert [point.attributes for point in points] == routes


@pytest.mark.parametrize(
    ("came", "name"),
    [("SELECT", "SELECT"), (f"SELECT {CONTENT}", "SELECT"), (CONTENT, "client"), ("", "client")],
)
def test_a_database_span_is_named_by_its_operation(came: str, name: str) -> None:
    """The first word of a name stays if it is one of SQL's, whatever follows it."""
    span = ended(SQLITE, {"db.system": "sqlite", "db.statement": CONTENT}, name=came, kind=SpanKind.CLIENT)
    passed = SpanFilter(GateRules())(span)
    assert (passed.name, dict(passed.attributes or {})) == (name, {"db.system": "sqlite"})


def test_a_known_scope_keeps_what_its_profile_lists() -> None:
    """Safe keys, the scope, its version and the conventions' URL stay; of an exception its class does."""
    passed = SpanFilter(GateRules())(ended(DJANGO, {**REQUEST, "url.path": CONTENT, CONTENT: 1}))
    assert dict(passed.attributes or {}) == REQUEST
    assert passed.dropped_attributes == 2
    scope = passed.instrumentation_scope
    assert scope is not None
    assert (scope.name, scope.version) == (DJANGO, "0.66b2")
    assert scope.schema_url == "https://opentelemetry.io/schemas/1.37.0"
    (event,) = passed.events
    assert (event.name, dict(event.attributes or {})) == ("exception", {"exception.type": "ValueError"})
    assert CONTENT not in passed.to_json()


def test_a_module_below_a_known_scope_belongs_to_it() -> None:
    """An instrumentation that names its tracer after an inner module has the profile of the outer one."""
    passed = SpanFilter(GateRules())(ended(f"{DJANGO}.middleware.otel", REQUEST))
    assert dict(passed.attributes or {}) == REQUEST
    assert passed.instrumentation_scope is not None
    assert passed.instrumentation_scope.name == DJANGO


@pytest.mark.parametrize("scope", ["acme", f"{DJANGO}x", "opentelemetry.instrumentation", CONTENT])
def test_an_unknown_scope_keeps_structure_alone(scope: str) -> None:
    """What is safe for Django is not for whoever calls himself otherwise."""
    passed = SpanFilter(GateRules())(ended(scope, REQUEST))
    assert (passed.name, dict(passed.attributes or {})) == ("server", {})
    assert passed.instrumentation_scope is not None
    assert passed.instrumentation_scope.name == "other"
    (event,) = passed.events
    assert (event.name, dict(event.attributes or {})) == ("exception", {})


@pytest.mark.parametrize(
    ("value", "stays"),
    [("text", True), (3, True), (2.5, True), (True, True), (("a", "b"), True), (b"bytes", False)],
)
def test_the_operator_widens_strict(value: Any, stays: bool) -> None:  # noqa: FBT001  a table's column
    """A key that a glob allows keeps a primitive value or a list of them; our namespaces stay closed."""
    rules = GateRules(allowed=["shop.*", "incident.*"])
    passed = SpanFilter(rules)(ended("acme", {"shop.cart": value, "incident.title": "x", "shopper": "x"}))
    assert dict(passed.attributes or {}) == ({"shop.cart": value} if stays else {})


def test_standard_removes_what_is_forbidden() -> None:
    """Our namespaces' unregistered keys, the operator's globs and a host's content names; nothing else."""
    rules = GateRules("standard", forbidden=["acme.*", "exact"])
    rules.standard.forbid(["title"])
    came = ended(
        DJANGO,
        {
            **REQUEST,
            "incident.id": "17",
            "incident.title": CONTENT,
            "incident.active": "yes",
            "acme.customer": CONTENT,
            "exact": CONTENT,
            "title": CONTENT,
            "ticket.title": CONTENT,
            "subtitle": "stays",
        },
    )
    passed = SpanFilter(rules)(came)
    assert dict(passed.attributes or {}) == {**REQUEST, "incident.id": "17", "subtitle": "stays"}
    assert passed.dropped_attributes == 6
    assert (passed.name, passed.events, passed.resource) == (came.name, came.events, came.resource)
    assert rules.dropped.counts() == {
        ("spans", "wrong_type", "flag"): 1,
        ("spans", "forbidden", "none"): 5,
    }


def test_what_a_host_calls_content_is_forbidden_from_then_on() -> None:
    """A preset that becomes active late forbids keys that passed before."""
    rules = GateRules("standard")
    span = ended(DJANGO, {"title": CONTENT})
    assert SpanFilter(rules)(span) is span
    rules.standard.forbid(["title"])
    assert dict(SpanFilter(rules)(span).attributes or {}) == {}


def test_standard_hands_on_the_same_object() -> None:
    """A span with nothing forbidden is not copied."""
    span = ended(DJANGO, {**REQUEST, "url.path": CONTENT})
    assert SpanFilter(GateRules("standard"))(span) is span


def test_a_key_that_is_no_plain_string_is_judged_by_its_text() -> None:
    """A subclass that says of itself what it likes is removed like the text that it holds."""

    class Sly(str):
        __slots__ = ()

        def startswith(self, *_: Any) -> bool:
            return False

        def __eq__(self, other: object) -> bool:
            return False

        __hash__ = str.__hash__

    rules = GateRules("standard")
    filtered = rules.standard.filter({Sly("incident.title"): CONTENT})
    assert filtered is not None
    assert filtered.attributes == {}


def test_audit_counts_what_strict_would_remove() -> None:
    """The span passes as standard lets it; the counts are those that strict would have had."""
    span = ended(DJANGO, {**REQUEST, "url.path": CONTENT, "incident.title": CONTENT})
    audit, strict = GateRules("audit"), GateRules("strict")
    passed = SpanFilter(audit)(span)
    SpanFilter(strict)(span)
    assert dict(passed.attributes or {}) == {**REQUEST, "url.path": CONTENT}
    would = {("spans", "unknown_key", "none"): 5, ("spans", "text_field", "none"): 1}
    assert audit.audited.counts() == strict.dropped.counts() == would
    assert audit.dropped.counts() == {("spans", "unknown_key", "none"): 1}


@pytest.mark.parametrize("attributes", [REQUEST, {**REQUEST, "url.path": CONTENT, "incident.title": CONTENT}])
@pytest.mark.parametrize("mode", ["strict", "standard", "audit"])
def test_the_sdks_public_way_gives_the_same(
    mode: Mode, attributes: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a release of the SDK has other fields, what leaves is the same."""
    stated = SpanContext(7, 8, is_remote=True, trace_state=TraceState([("ot", "th:8"), ("vendor", "text")]))
    came = ended(DJANGO, attributes)
    spans = [
        came,
        ReadableSpan(
            "GET",
            stated,
            parent=SpanContext(7, 9, is_remote=True),
            resource=came.resource,
            attributes=dict(attributes),
            links=[Link(stated, attributes)],
            status=Status(StatusCode.ERROR, CONTENT),
        ),
        ReadableSpan("GET", came.context, resource=came.resource),
    ]
    by_fields = encode_spans([SpanFilter(GateRules(mode))(span) for span in spans])
    monkeypatch.setattr(fields, "_BY_FIELDS", False)
    monkeypatch.setattr(fields, "_EMPTY", None)
    assert encode_spans([SpanFilter(GateRules(mode))(span) for span in spans]) == by_fields


class Slotted:
    """A class of a release that keeps no dictionary, or another one."""

    __slots__ = ()

    def __init__(self, *_: object) -> None:
        """Of anything."""


@pytest.mark.parametrize("name", ["Status", "_STATE", "_BOUNDED_LIST", "_EMPTY"])
def test_a_release_with_other_fields_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each class of which a private field is read is looked at first; this release has them all."""
    assert fields.has_fields() is True
    monkeypatch.setattr(fields, name, Slotted if name in {"Status", "_BOUNDED_LIST"} else Slotted())
    assert fields.has_fields() is False


def test_a_release_whose_spans_have_another_field_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans are rebuilt by their fields where those are known to be all."""
    monkeypatch.setattr(fields, "_FIELDS", fields._FIELDS - {"_links"})  # noqa: SLF001  no other way to it
    assert fields.has_fields() is False


def test_another_scope_in_the_place_of_one_that_is_gone_has_its_own_rules() -> None:
    """What is remembered of a scope is the scope's, not that of whoever stands at its address later."""
    scopes = Scopes(GateRules().strict)
    known, unknown = InstrumentationScope(DJANGO), InstrumentationScope("acme")
    scopes.of(known, [])
    remembered = vars(scopes)["_known"]
    remembered[id(unknown)] = remembered[id(known)]
    assert scopes.of(unknown, [])[1].name == ""


def test_counts_of_all_gates_are_one_metric() -> None:
    """Two who count for one provider are one stream, another provider is apart, a child begins at 0."""
    reader, other = InMemoryMetricReader(), InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    apart = MeterProvider(metric_readers=[other], shutdown_on_exit=False)
    drop = Drop("", "unknown_key", "none")
    first, second, third = Drops(provider), Drops(provider), Drops(apart)
    for drops in (first, second, second, third):
        drops.record("spans", [drop])
    assert (points(reader), points(other)) == ([3], [1])
    del first, second
    assert points(reader) == [3]
    child = os.fork()
    if child == 0:
        os._exit(0 if points(reader) == [] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def points(reader: InMemoryMetricReader) -> list[int]:
    """The values of `otel_incident.policy.dropped`."""
    data: Any = reader.get_metrics_data()
    scopes = data.resource_metrics[0].scope_metrics if data is not None and data.resource_metrics else []
    return [
        point.value
        for scope in scopes
        for metric in scope.metrics
        if metric.name == "otel_incident.policy.dropped"
        for point in metric.data.data_points
    ]


GOOD: Final = """\
profile: shop
scopes: [acme]
span_name: [[shop.step]]
attributes:
  - {keys: [shop.step], rule: one_of, values: [pay], why: Three steps.}
events: []
metrics: []
"""


def test_every_profile_has_a_reason_for_each_key() -> None:
    """What is generated is what the files say, and each key says why it is safe."""
    loaded = profiles.load(Path(__file__).parent.parent / "profiles")
    assert [profile.name for profile in loaded] == [profile.name for profile in PROFILES]
    assert all(attribute.why for profile in loaded for attribute in profile.attributes)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rule: one_of", "rule: any", "shop.yaml: shop.step: the rule any is none of count, "),
        (", why: Three steps.", "", "shop.yaml: shop.step: says no reason why it is safe"),
        ("values: [pay]", "values: [1]", "shop.yaml: shop.step: values are strings"),
        (", values: [pay]", "", "shop.yaml: shop.step: values stand with the rule one_of"),
        ("[[shop.step]]", "[[shop.other]]", "shop.yaml: span_name is made of ['shop.other']"),
        ("events: []\n", "", "shop.yaml: the keys must be attributes, events, "),
    ],
)
def test_a_profile_that_breaks_a_rule_is_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    """The message names the file, the key and what is wrong."""
    assert old in GOOD
    (tmp_path / "shop.yaml").write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(profiles.ProfileError) as raised:
        profiles.load(tmp_path)
    assert str(raised.value).startswith(message)


def test_a_profile_takes_from_another_what_it_does_not_say_itself(tmp_path: Path) -> None:
    """Its own keys come before those of the other, and its name and scopes are its own."""
    (tmp_path / "shop.yaml").write_text(GOOD, encoding="utf-8")
    extending = """\
profile: kiosk
extends: shop
scopes: [kiosk]
attributes:
  - {keys: [shop.step], rule: count, why: A number.}
"""
    (tmp_path / "kiosk.yaml").write_text(extending, encoding="utf-8")
    kiosk, shop = profiles.load(tmp_path)
    assert (kiosk.name, kiosk.scopes, kiosk.span_name) == ("kiosk", ["kiosk"], shop.span_name)
    assert [(each.keys, each.rule) for each in kiosk.attributes] == [(["shop.step"], "count")]
    (tmp_path / "kiosk.yaml").write_text(
        extending.replace("extends: shop", "extends: shops"), encoding="utf-8"
    )
    with pytest.raises(profiles.ProfileError, match=r"kiosk\.yaml: it extends shops, which is no profile"):
        profiles.load(tmp_path)


def test_a_scope_has_one_profile(tmp_path: Path) -> None:
    """Two profiles that name the same scope are refused, both named."""
    (tmp_path / "a.yaml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "b.yaml").write_text(GOOD.replace("shop\n", "other\n", 1), encoding="utf-8")
    with pytest.raises(profiles.ProfileError, match="acme stands in the profiles shop and other"):
        profiles.load(tmp_path)


def test_a_second_host_s_content_takes_nothing_from_the_first_s() -> None:
    """A name with dots is still the end of keys when a later host's content has fewer dots."""
    standard = Standard()
    standard.forbid(["ticket.title"])
    standard.forbid(["name"])
    attributes = {"desk.ticket.title": 1, "desk.name": 2, "desk.title": 3}
    filtered = standard.filter(attributes)
    assert filtered is not None
    assert filtered.attributes == {"desk.title": 3}


def test_two_hosts_that_are_imported_at_once() -> None:
    """What the one forbids is in force before the other's is taken in, so that neither undoes the other's."""
    standard = Standard()
    telling, told, second = threading.Event(), threading.Event(), threading.Event()

    def tell() -> None:
        telling.set()
        assert told.wait(30)

    def forbid_second() -> None:
        standard.forbid(["summary"])
        second.set()

    standard.when_told = tell
    threads = [threading.Thread(target=standard.forbid, args=(["title"],))]
    threads[0].start()
    assert telling.wait(30)
    standard.when_told = lambda: None
    threads.append(threading.Thread(target=forbid_second))
    threads[1].start()
    assert not second.wait(0.05)
    told.set()
    for thread in threads:
        thread.join(30)
    assert second.is_set()
    assert standard.filter({"desk.title": 1, "desk.summary": 1}) is not None
