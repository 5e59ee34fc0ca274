"""A gate behind a gate takes nothing more out, and lets nothing more through.

Wherever a host has a processor of its own, what it is handed has passed the gate, and passes it again on its
way to the exporter. The values that a gate has judged by what it then took out are remembered for that.
"""

import copy
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceState

from otel_incident.gate import ContentGateSpanProcessor, GateRules, Mode, fields
from otel_incident.gate.grammars import ASKED_PATH_KEYS
from otel_incident.gate.logs import LogFilter
from otel_incident.gate.memory import judged_on, note_audited, remember_judged, was_audited
from otel_incident.gate.metrics import MetricFilter
from otel_incident.gate.spans import SpanFilter
from otel_incident.profiles import PROFILES, Profile
from tests.gated_pipelines import FORBIDDEN, Emits, Sends, Sent, gated
from tests.hostile_spans import Agreeing
from tests.strategies import CONTENT

ASGI: Final = "opentelemetry.instrumentation.fastapi"
TEMPLATE: Final = "/incident/{id}"
SECRET: Final = "/{payments_are_down}"  # noqa: S105  content that looks like a template
GOOD: Final = (
    *(TEMPLATE, "^api/(?P<pk>[^/.]+)/$", "", "LookupError", "desk.close", "42P01", "404", "run"),
    *("opentelemetry.proto.collector.trace.v1.TraceService", "Export", 7, 200, 8000),
)
"""What keeps one rule or another."""

PATHS: Final = ("/incident/42", TEMPLATE, "/incident/%7Bid%7D", CONTENT, "", 7)
CONTEXT: Final = SpanContext(1, 2, is_remote=False, trace_state=TraceState([("ot", "th:c"), ("x", "y")]))


def attributes_of(profile: Profile) -> st.SearchStrategy[dict[str, Any]]:
    """What an instrumentation may write, and what it may not, with the path that was asked for."""
    known = {key: st.sampled_from((*rule.values, *GOOD, CONTENT)) for key, rule in profile.attributes.items()}
    asked = {key: st.sampled_from(PATHS) for key in ASKED_PATH_KEYS}
    others = {"incident.id": st.sampled_from(("42", CONTENT)), CONTENT: st.just(CONTENT)}
    return st.fixed_dictionaries({}, optional={**known, **asked, **others})


@st.composite
def spans(draw: st.DrawFn) -> ReadableSpan:
    """A span of any profile's, or of nobody's that is known."""
    profile = draw(st.sampled_from(PROFILES))
    attributes = attributes_of(profile)
    names = st.sampled_from(("exception", "incident.create", "event", CONTENT, *profile.events))
    scopes = st.sampled_from((*profile.scopes, f"{profile.scopes[0]}.deep", "otel_incident", "desk"))
    return ReadableSpan(
        name=draw(st.sampled_from(("GET", "GET ", "SELECT x", "run desk.close", f"GET {TEMPLATE}", CONTENT))),
        context=CONTEXT,
        parent=draw(st.sampled_from((CONTEXT, None))),
        resource=Resource({"service.name": "desk", "host.name": CONTENT}, CONTENT),
        attributes=draw(attributes),
        events=[Event(draw(names), draw(attributes), 5) for _ in range(draw(st.integers(0, 2)))],
        links=[Link(CONTEXT, draw(attributes)) for _ in range(draw(st.integers(0, 1)))],
        kind=draw(st.sampled_from(SpanKind)),
        status=Status(StatusCode.ERROR, CONTENT),
        start_time=1,
        end_time=2,
        instrumentation_scope=InstrumentationScope(draw(scopes), "1.2", CONTENT, {CONTENT: CONTENT}),
    )


def of_asgi(asked: str = "/incident/42", route: Any = TEMPLATE) -> ReadableSpan:
    """A request as FastAPI's instrumentation reports it."""
    return ReadableSpan(
        name=f"GET {route}",
        context=CONTEXT,
        resource=Resource({}),
        attributes={"http.method": "GET", "http.route": route, "http.target": asked},
        kind=SpanKind.SERVER,
        start_time=1,
        end_time=2,
        instrumentation_scope=InstrumentationScope(ASGI),
    )


def encoded(span: ReadableSpan) -> bytes:
    """As it leaves."""
    return bytes(encode_spans([span]).SerializeToString())


@pytest.fixture(params=["fields", "public"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How a span is read and rebuilt: by the SDK's fields, or where it has others."""
    if request.param == "public":
        monkeypatch.setattr(fields, "_BY_FIELDS", False)


@pytest.mark.parametrize("mode", ["strict", "standard"])
@pytest.mark.parametrize("by_fields", [True, False], ids=["by fields", "in public"])
@given(span=spans())
@settings(max_examples=150)
def test_a_span_that_was_filtered_twice_was_filtered_once(
    mode: Mode,
    by_fields: bool,  # noqa: FBT001  a table's column
    span: ReadableSpan,
) -> None:
    """Of every profile, in every part: the second gate sends the bytes of the first, and counts nothing."""
    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(fields, "_BY_FIELDS", by_fields)
        once = SpanFilter(GateRules(mode))(span)
        second = GateRules(mode)
        twice = SpanFilter(second)(once)
    assert encoded(twice) == encoded(once)
    assert second.dropped.counts() == {}


@given(profile=st.sampled_from(PROFILES), data=st.data())
@settings(max_examples=150)
def test_a_record_that_was_filtered_twice_was_filtered_once(profile: Profile, data: st.DataObject) -> None:
    """The same of log records, which have no room for a memory: no route of ASGI's stands there."""
    attributes, scope = data.draw(attributes_of(profile)), InstrumentationScope(profile.scopes[0], "1.2")
    record = LogRecord(timestamp=1, context=Context(), body=CONTENT, attributes=attributes)
    once = LogFilter(GateRules())(record, Resource({"host.name": CONTENT}), scope)
    assert once is not None
    second = GateRules()
    twice = LogFilter(second)(once.record, once.resource, once.scope)
    assert twice is not None
    assert (twice.record.attributes, twice.taken) == (once.record.attributes, 0)
    assert second.dropped.counts() == {}


@given(profile=st.sampled_from([each for each in PROFILES if each.metrics]), data=st.data())
@settings(max_examples=100)
def test_metrics_that_were_filtered_twice_were_filtered_once(profile: Profile, data: st.DataObject) -> None:
    """The same of data points."""
    reader = InMemoryMetricReader()
    name, (unit, *_) = next(iter(profile.metrics.items()))
    meters = MeterProvider([reader], Resource({"host.name": CONTENT}), shutdown_on_exit=False)
    counter = meters.get_meter(profile.scopes[0]).create_counter(name, unit)
    for attributes in data.draw(st.lists(attributes_of(profile), min_size=1, max_size=3)):
        counter.add(1, attributes)
    came = reader.get_metrics_data()
    assert came is not None
    once = MetricFilter(GateRules())(came)
    assert once is not None
    second = GateRules()
    twice = MetricFilter(second)(once)
    assert twice is not None
    assert twice.to_json() == once.to_json()
    assert second.dropped.counts() == {}


@pytest.mark.usefixtures("_way")
def test_an_asgi_route_stands_at_every_gate_that_follows() -> None:
    """It was judged beside the path that the first has taken out; its span keeps its name."""
    passed = of_asgi()
    for _ in range(3):
        passed = SpanFilter(GateRules())(passed)
        assert passed.name == f"GET {TEMPLATE}"
        assert dict(passed.attributes or {}) == {"http.method": "GET", "http.route": TEMPLATE}
        assert passed.dropped_attributes == 1


def test_no_asgi_route_stands_where_nothing_can_be_remembered() -> None:
    """Not on a log record, nor on a span's events and links, even beside the path that was asked for."""
    came = {"http.route": TEMPLATE, "http.target": "/incident/42"}
    record = LogRecord(timestamp=1, context=Context(), attributes=came)
    entry = LogFilter(GateRules())(record, Resource({}), InstrumentationScope(ASGI))
    assert entry is not None
    assert dict(entry.record.attributes or {}) == {}
    span: Any = of_asgi()
    span._events, span._links = [Event("event", came, 5)], [Link(CONTEXT, came)]  # noqa: SLF001  as a span ends
    passed = SpanFilter(GateRules())(span)
    recorded: list[Any] = [*passed.events, *passed.links]
    assert [dict(each.attributes or {}) for each in recorded] == [{}, {}]


@pytest.mark.usefixtures("_way")
def test_an_asgi_route_that_a_gate_took_out_comes_back_at_none() -> None:
    """Of one that could be a client's nothing is remembered, nor of one that is none."""
    for came in (of_asgi(TEMPLATE), of_asgi(CONTENT), of_asgi(route=f"/{{id}}/{CONTENT}")):
        passed = SpanFilter(GateRules())(came)
        assert dict(passed.attributes or {}) == {"http.method": "GET"}
        assert "judged" not in " ".join(vars(passed))
        changed(passed, TEMPLATE)
        assert dict(SpanFilter(GateRules())(passed).attributes or {}) == {"http.method": "GET"}


def changed(span: Any, route: Any) -> None:
    """Change the route of a copy where it stands."""
    span._attributes._dict["http.route"] = route  # noqa: SLF001  as processors do that change spans


def replaced(span: Any, route: Any) -> None:
    """Give a copy other attributes."""
    span._attributes = BoundedAttributes(attributes={**span.attributes, "http.route": route})  # noqa: SLF001  the same


def given_as_plain(span: Any, route: Any) -> None:
    """Give a copy attributes of a plain dictionary."""
    span._attributes = {**span.attributes, "http.route": route}  # noqa: SLF001  the same


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("change", [changed, replaced, given_as_plain])
@pytest.mark.parametrize(
    "route", [SECRET, f"{TEMPLATE}/", CONTENT, Agreeing(SECRET, TEMPLATE), (TEMPLATE,), 7]
)
def test_a_route_that_a_processor_put_in_between_goes(change: Callable[..., None], route: Any) -> None:
    """Only the very text that was judged stands, however the copy came to have another."""
    passed: Any = SpanFilter(GateRules())(of_asgi())
    change(passed, route)
    again = SpanFilter(GateRules())(passed)
    assert (again.name, dict(again.attributes or {})) == ("GET", {"http.method": "GET"})


@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("change", [changed, replaced, given_as_plain])
def test_a_route_that_a_processor_put_back_stands(change: Callable[..., None]) -> None:
    """It is the text that counts, not the object that holds it."""
    passed = SpanFilter(GateRules())(of_asgi())
    change(passed, "".join(TEMPLATE))
    assert SpanFilter(GateRules())(passed).name == f"GET {TEMPLATE}"


@pytest.mark.usefixtures("_way")
def test_whatever_else_a_processor_does_to_a_copy_is_filtered() -> None:
    """Its name, attributes, events, links, status and scope are judged as those of any span."""
    passed: Any = SpanFilter(GateRules())(of_asgi())
    changed(passed, TEMPLATE)
    passed._attributes._dict["desk.title"] = CONTENT  # noqa: SLF001  as processors do that change spans
    passed._name = CONTENT  # noqa: SLF001  the same
    passed._events = [Event(CONTENT, {"http.route": TEMPLATE, "desk.title": CONTENT}, 5)]  # noqa: SLF001  the same
    passed._links = [Link(CONTEXT, {"http.route": TEMPLATE, "desk.title": CONTENT})]  # noqa: SLF001  the same
    passed._status = Status(StatusCode.ERROR, CONTENT)  # noqa: SLF001  the same
    again = SpanFilter(GateRules())(passed)
    assert (again.name, dict(again.attributes or {})) == (
        f"GET {TEMPLATE}",
        {"http.method": "GET", "http.route": TEMPLATE},
    )
    assert [(each.name, dict(each.attributes or {})) for each in again.events] == [("event", {})]
    assert [dict(each.attributes or {}) for each in again.links] == [{}]
    assert again.status.description is None
    passed._instrumentation_scope = InstrumentationScope("desk")  # noqa: SLF001  the same
    assert dict(SpanFilter(GateRules())(passed).attributes or {}) == {}


@pytest.mark.parametrize("memory", [{"http.route": Agreeing(TEMPLATE, SECRET)}, [SECRET], CONTENT, 7, True])
def test_a_memory_that_is_none_of_the_gates_counts_for_nothing(memory: Any) -> None:
    """A copy whose memory somebody has replaced by an object of his own loses the route, and is not lost."""
    passed: Any = SpanFilter(GateRules())(of_asgi())
    (name,) = (each for each in vars(passed) if "judged" in each)
    setattr(passed, name, memory)
    changed(passed, SECRET)
    again = SpanFilter(GateRules())(passed)
    assert (again.name, dict(again.attributes or {})) == ("GET", {"http.method": "GET"})


def test_a_copy_remembers_for_itself() -> None:
    """What is judged of another span made of it changes nothing of what it remembers."""
    passed = SpanFilter(GateRules())(of_asgi())
    other: Any = copy.copy(passed)
    other._attributes = {"http.route": "/other/{id}", "url.path": "/other/4"}  # noqa: SLF001  as processors do
    assert SpanFilter(GateRules())(other).attributes == {"http.route": "/other/{id}"}
    assert SpanFilter(GateRules())(passed).name == f"GET {TEMPLATE}"


def test_a_span_that_a_processor_makes_anew_has_no_memory() -> None:
    """One that was made of a copy's parts is any span to the gate: its route goes."""
    passed = SpanFilter(GateRules())(of_asgi())
    anew = ReadableSpan(
        passed.name,
        attributes=passed.attributes,
        kind=passed.kind,
        instrumentation_scope=passed.instrumentation_scope,
    )
    assert SpanFilter(GateRules())(anew).name == "GET"


def test_a_gate_of_other_rules_keeps_them() -> None:
    """What one gate has judged, another may forbid: from the beginning, or since then."""
    passed = SpanFilter(GateRules())(of_asgi())
    assert SpanFilter(GateRules(forbidden=["http.route"]))(passed).name == "GET"
    later = GateRules()
    filter_later = SpanFilter(later)
    assert filter_later(passed).name == f"GET {TEMPLATE}"
    later.standard.forbid(["route"])
    assert filter_later(passed).name == "GET"


@pytest.mark.usefixtures("_way")
def test_a_gate_in_standard_between_two_in_strict() -> None:
    """The copy that it makes, where something goes, remembers what the first has judged."""
    passed = SpanFilter(GateRules())(of_asgi())
    between = SpanFilter(GateRules("standard", forbidden=["http.method"]))(passed)
    assert dict(between.attributes or {}) == {"http.route": TEMPLATE}
    assert dict(SpanFilter(GateRules())(between).attributes or {}) == {"http.route": TEMPLATE}


def test_a_release_of_the_sdk_without_room_for_a_note() -> None:
    """What cannot be noted is not, and nothing is raised: the span leaves all the same."""
    full: object = object()
    remember_judged(full, {"http.route": TEMPLATE})
    note_audited(full)
    assert (judged_on(full), was_audited(full)) == ({}, False)


class Tags(SpanProcessor):
    """A processor of a host's that hands nothing on and sends nothing, as contrib's of baggage."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Write an attribute."""
        del parent_context
        span.set_attribute("deployment.tier", "web")


class HandsOn(SpanProcessor):
    """One that stands around another.

    Args:
        next: The other one.
    """

    def __init__(self, next: SpanProcessor) -> None:  # noqa: A002  as on the gate
        self._next = next

    def on_end(self, span: ReadableSpan) -> None:
        """Hand it on."""
        self._next.on_end(span)


class OwnBatch(BatchSpanProcessor):
    """A batch processor of the host's own type."""


ARRANGED: Final[dict[str, Callable[[Sent], list[SpanProcessor]]]] = {
    "the SDK's alone": lambda sent: [SimpleSpanProcessor(sent)],
    "one before": lambda sent: [Tags(), SimpleSpanProcessor(sent)],
    "one before two": lambda sent: [Tags(), SimpleSpanProcessor(sent), SimpleSpanProcessor(Sent())],
    "one behind": lambda sent: [SimpleSpanProcessor(sent), Tags()],
    "one that sends": lambda sent: [Sends(), SimpleSpanProcessor(sent)],
    "one around": lambda sent: [HandsOn(SimpleSpanProcessor(sent))],
    "a subclass": lambda sent: [OwnBatch(sent)],
    "the gate by hand": lambda sent: [ContentGateSpanProcessor(SimpleSpanProcessor(sent))],
}
"""The processors of a host, by what is among them."""


def requested(mode: Mode, arranged: str) -> tuple[list[ReadableSpan], dict[Any, int], dict[Any, int]]:
    """What of one request leaves; what was taken out, and what would have been."""
    sent = Sent()
    with gated(mode) as wrapping:
        provider = TracerProvider(shutdown_on_exit=False)
        for processor in ARRANGED[arranged](sent):
            provider.add_span_processor(processor)
        came = {"http.method": "GET", "http.route": TEMPLATE, "http.target": "/incident/42"}
        provider.get_tracer(ASGI).start_span(f"GET {TEMPLATE}", attributes=came, kind=SpanKind.SERVER).end()
        provider.shutdown()
        return sent.spans, wrapping.rules.dropped.counts(), wrapping.rules.audited.counts()


@pytest.mark.parametrize("arranged", ARRANGED)
def test_an_asgi_route_stands_whatever_processors_a_host_has(arranged: str) -> None:
    """A span has its name, its route and one count of what went, whether the gate saw it once or thrice."""
    (span,), dropped, _ = requested("strict", arranged)
    assert (span.name, dict(span.attributes or {})) == (
        f"GET {TEMPLATE}",
        {"http.method": "GET", "http.route": TEMPLATE},
    )
    tagged = 1 if arranged in {"one before", "one before two", "one behind"} else 0
    assert dropped == {("spans", "unknown_key", "none"): 1 + tagged}
    assert span.dropped_attributes == 1 + tagged


def emitted(mode: Mode, *processors: LogRecordProcessor) -> tuple[dict[Any, int], dict[Any, int]]:
    """What was taken out of a record, and what would have been."""
    with gated(mode) as wrapping:
        provider = LoggerProvider(shutdown_on_exit=False)
        for processor in processors:
            provider.add_log_record_processor(processor)
        provider.get_logger("desk").emit(body=CONTENT, attributes={"desk.queue": CONTENT, FORBIDDEN: CONTENT})
        provider.shutdown()
        return wrapping.rules.dropped.counts(), wrapping.rules.audited.counts()


@pytest.mark.parametrize("exporters", [0, 1, 2])
def test_audit_foretells_what_strict_takes_out_of_a_record(exporters: int) -> None:
    """Once, where the host has a processor of its own: the body, the scope's name, and both keys."""

    def processors() -> list[LogRecordProcessor]:
        stock = [SimpleLogRecordProcessor(InMemoryLogRecordExporter()) for _ in range(exporters)]  # type: ignore[no-untyped-call]  # upstream's
        return [Emits(), *stock]

    taken = {("logs", "text_field", "none"): 2, ("logs", "unknown_key", "none"): 2}
    assert emitted("strict", *processors()) == (taken, {})
    assert emitted("audit", *processors()) == ({("logs", "unknown_key", "none"): 1}, taken)


@pytest.mark.parametrize("arranged", sorted(set(ARRANGED) - {"the gate by hand"}))
def test_audit_foretells_what_strict_takes_out(arranged: str) -> None:
    """The counts of both are the same, whatever processors the host has."""
    assert requested("audit", arranged)[2] == requested("strict", arranged)[1]
