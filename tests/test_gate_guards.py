"""What single guards of strict hold, where only a host that lies or an operator gets near them."""

import gc
from collections.abc import Mapping
from enum import Enum
from functools import partial
from typing import Any, Final, Literal

import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.baggage import get_all, set_baggage
from opentelemetry.context import Context, attach, detach, get_value, set_value
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    TraceState,
    get_current_span,
    set_span_in_context,
)

from otel_incident.gate import GateRules, fields
from otel_incident.gate.checks import Checks, Operator
from otel_incident.gate.live import shown_context
from otel_incident.gate.logs import LogFilter
from otel_incident.gate.parts import Resources, Scopes
from otel_incident.gate.rules import Standard, Strict
from otel_incident.gate.spans import SpanFilter
from otel_incident.guard import set_reraise
from tests.hostile_spans import SCHEMA, Agreeing, Disguised, EmptyState, Wavering
from tests.strategies import CONTENT, Lazy
from tests.surface_injectors import AT


class Stated(SpanContext):
    """A span context that shows another trace state than it was made with."""

    @property
    def trace_state(self) -> TraceState:
        """One of its own."""
        return TraceState([("vendor", "of-its-own")])


DJANGO = "opentelemetry.instrumentation.django"
CONTEXT = SpanContext(1, 2, is_remote=False)


@pytest.mark.parametrize(
    ("roles", "left"),
    [
        (["end_user"], {"user.roles": ("end_user",)}),
        ([CONTENT], {}),
        ((CONTENT,), {}),
        (["end_user", Lazy()], {}),
        (["end_user"] * 3, {}),
        ([], {}),
    ],
)
def test_a_list_leaves_as_a_tuple_of_what_is_registered(roles: Any, left: Any) -> None:
    """A list that a host could still change is copied, and only if each of its items may stand."""
    span = ReadableSpan("x", CONTEXT, attributes={"user.roles": roles})
    assert dict(SpanFilter(GateRules())(span).attributes or {}) == left


@pytest.mark.parametrize(
    ("value", "leaves"),
    [
        (CONTENT, True),
        (1.5, True),
        ((CONTENT, "b"), True),
        (["a", 1, True], True),
        (["a", {CONTENT: 1}], False),
        ([["a"]], False),
        ([None], False),
        (["a", Lazy()], False),
        ({"a": 1}, False),
        (CONTENT.encode(), False),
        (Agreeing("a"), False),
        ([Agreeing("a")], False),
    ],
)
def test_what_an_operator_allows_is_primitive(value: Any, leaves: Any) -> None:
    """An allowed key lets text, numbers and flags through, and lists of those; no map, bytes or object."""
    span = ReadableSpan("x", CONTEXT, attributes={"desk.field": value})
    passed = SpanFilter(GateRules(allowed=["desk.*"]))(span)
    assert ("desk.field" in (passed.attributes or {})) is leaves


@pytest.mark.parametrize("kind", [bytes, type(None), int, Lazy, Agreeing])
def test_a_span_whose_name_is_no_text_is_kept(kind: type) -> None:
    """It is called by its kind, as any span whose name may not leave."""
    name: Any = None if kind is type(None) else Agreeing("GET") if kind is Agreeing else kind()
    span = ReadableSpan(name, CONTEXT, instrumentation_scope=InstrumentationScope(DJANGO))
    assert SpanFilter(GateRules())(span).name == "internal"


@pytest.mark.parametrize(
    ("version", "url", "state"),
    [
        (f"1.2.3 {CONTENT}", f"{SCHEMA}/{CONTENT}", f"th:c;{CONTENT}"),
        ("1.2.3\n", f"{SCHEMA}\n", "th:c\n"),
        (f"{CONTENT}1.2.3", f"{CONTENT}{SCHEMA}", f"{CONTENT};th:c"),
        ("\u0661.2.3", SCHEMA.replace("1.30", "\u0661.30"), "th:\u0661"),
        (Agreeing("1.2.3"), Agreeing(SCHEMA), Agreeing("th:c")),
    ],
)
def test_what_goes_on_after_its_grammar_does_not_leave(version: Any, url: Any, state: Any) -> None:
    """The version and the schema URL of a known scope, and a sampling entry, are matched in full."""
    made = TraceState([("ot", "th:c")])
    made._dict["ot"] = state  # noqa: SLF001  its constructor would refuse some of these
    context = SpanContext(1, 2, is_remote=False, trace_state=made)
    scope = InstrumentationScope(DJANGO, version, url)
    passed = SpanFilter(GateRules())(ReadableSpan("x", context, instrumentation_scope=scope))
    left = passed.instrumentation_scope
    assert left is not None
    assert (left.name, left.version, left.schema_url) == (DJANGO, None, "")
    assert passed.context is not None
    assert dict(passed.context.trace_state) == {}


@pytest.mark.parametrize("event", ["incident.create", Agreeing(CONTENT, "incident.create"), CONTENT.encode()])
def test_an_event_of_ours_has_its_name_and_nothing_that_passes_for_it(event: Any) -> None:
    """A record whose event name only says that it is one of ours has none when it leaves."""
    record = LogRecord(timestamp=AT, context=Context(), event_name=event, severity_text="INFO")
    entry = LogFilter(GateRules())(record, None, None)
    assert entry is not None
    known = type(event) is str
    assert entry.record.event_name == ("incident.create" if known else None)
    assert entry.record.severity_text == ("INFO" if known else None)


@pytest.mark.parametrize("severity", ["info", CONTENT, Agreeing(CONTENT, "INFO"), CONTENT.encode(), "INFO\n"])
def test_an_event_of_ours_has_its_own_severity_text(severity: Any) -> None:
    """Any other one goes, whatever it says of itself."""
    record = LogRecord(timestamp=AT, context=Context(), event_name="incident.create", severity_text=severity)
    entry = LogFilter(GateRules())(record, None, None)
    assert entry is not None
    assert entry.record.severity_text is None


def test_an_event_of_ours_has_the_attributes_of_its_kind_alone() -> None:
    """What is registered for another event goes, from a log record and from a span event."""
    given: dict[str, Any] = {"incident.id": "42", "incident.public": True, "incident.stage.index": 1}
    left = {
        "incident.create": {"incident.id": "42", "incident.public": True},
        "incident.change_stage": {"incident.id": "42", "incident.stage.index": 1},
        "incident.end": {"incident.id": "42"},
    }
    span = ReadableSpan("x", CONTEXT, events=[Event(name, given, AT) for name in left])
    passed = SpanFilter(GateRules())(span)
    assert {event.name: dict(event.attributes or {}) for event in passed.events} == left
    for name, attributes in left.items():
        record = LogRecord(timestamp=AT, context=Context(), event_name=name, attributes=given)
        entry = LogFilter(GateRules())(record, None, None)
        assert entry is not None
        assert dict(entry.record.attributes or {}) == attributes


def test_a_scope_that_passes_for_another_is_unknown() -> None:
    """A scope's name that only says that it is a known one is none."""
    scope = InstrumentationScope(Agreeing(CONTENT, DJANGO), "1.2.3")
    span = ReadableSpan("GET", CONTEXT, attributes={"http.route": "/"}, instrumentation_scope=scope)
    passed = SpanFilter(GateRules())(span)
    assert passed.instrumentation_scope == InstrumentationScope("other")
    assert (passed.name, dict(passed.attributes or {})) == ("internal", {})


@pytest.mark.parametrize("kind", [str, Agreeing, Wavering, Disguised])
def test_standard_removes_a_forbidden_key_whatever_it_says_of_itself(kind: type[str]) -> None:
    """What decides is the text that would be written, not the key's own equality, hash or class."""
    given: dict[str, Any] = {kind("incident.title"): CONTENT, "http.route": "/"}
    span = ReadableSpan("x", CONTEXT, attributes=given)
    passed = SpanFilter(GateRules("standard"))(span)
    assert [str.__str__(key) for key in passed.attributes or {}] == ["http.route"]


@pytest.mark.parametrize(
    ("key", "last", "beyond"),
    [
        ("http.response.status_code", 599, 600),
        ("http.response.status_code", 100, 99),
        ("server.port", 65_535, 65_536),
        ("server.port", 0, -1),
        ("http.request.resend_count", 2**31 - 1, 2**31),
        ("http.request.resend_count", 0, -1),
        ("http.route", "/" * 200, "/" * 201),
        ("error.type", "a" * 64, "a" * 65),
        ("error.type", ".".join("abcdefgh"), ".".join("abcdefghi")),
    ],
)
def test_what_a_profile_lets_through_has_its_bounds(key: str, last: Any, beyond: Any) -> None:
    """The last value leaves, and the next one does not."""
    scope = InstrumentationScope(DJANGO)
    for value, left in ((last, {key: last}), (beyond, {})):
        span = ReadableSpan("x", CONTEXT, attributes={key: value}, instrumentation_scope=scope)
        assert dict(SpanFilter(GateRules())(span).attributes or {}) == left


@pytest.mark.parametrize("explicit", [True, False], ids=["explicit", "current"])
def test_of_a_parent_context_the_parent_and_allowed_baggage_are_shown(*, explicit: bool) -> None:
    """Nothing else that a host keeps in a context is handed to a processor of unknown type."""
    state = TraceState([("vendor", CONTENT.replace(",", ""))])
    parent = NonRecordingSpan(SpanContext(1, 2, is_remote=True, trace_state=state))
    context = set_value("a key", CONTENT, set_span_in_context(parent))
    for key in ("title", "tenant"):
        context = set_baggage(key, CONTENT, context)
    allowed = GateRules(allowed=["tenant"]).strict.of_scope(None).attributes
    token = None if explicit else attach(context)
    shown = shown_context(context if explicit else None, SpanFilter(GateRules()), partial(keep, allowed))
    if token is not None:
        detach(token)
    seen = get_current_span(shown).get_span_context()
    assert (seen.trace_id, seen.span_id, dict(seen.trace_state)) == (1, 2, {})
    assert (dict(get_all(shown)), get_value("a key", shown), len(shown)) == ({"tenant": CONTENT}, None, 2)


def keep(checks: Checks, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """What of these may stand."""
    return checks.keep(attributes, [])


def test_a_live_parent_is_shown_as_what_may_leave() -> None:
    """A processor finds in a parent the attributes that strict lets stand, and what it writes is written."""
    with TracerProvider(shutdown_on_exit=False).get_tracer("desk").start_as_current_span(CONTENT) as parent:
        parent.set_attributes({"title": CONTENT, "incident.id": "42"})
        shown: Any = get_current_span(shown_context(None, SpanFilter(GateRules()), dict))
        assert (shown.name, dict(shown.attributes)) == ("internal", {"incident.id": "42"})
        assert shown.get_span_context() == parent.get_span_context()
        assert repr(shown) == f"LiveSpan({parent.get_span_context()!r})"
        shown.set_attribute("incident.team.id", "7")
    assert isinstance(parent, ReadableSpan)
    assert (parent.attributes or {})["incident.team.id"] == "7"


@pytest.mark.parametrize(
    ("name", "leaves"),
    [
        ("desk", True),
        ("Desk 2 (old)", False),
        ("team-a/desk.web:8000 eu_1", True),
        ("d" * 128, True),
        ("d" * 129, False),
        ("", False),
        ("desk\n", False),
        ("desk\tweb", False),
        ("jane@acme.test", False),
        ("d\u00e9sk", False),
        ("\u0661", False),
        (Agreeing(CONTENT, "desk"), False),
        (b"desk", False),
        (1, False),
    ],
)
@pytest.mark.parametrize("key", ["service.name", "service.namespace"])
def test_what_a_service_may_be_called(key: str, name: Any, leaves: Any) -> None:
    """A service's name is 128 ASCII letters, digits and `_.:/ -` at most; any other one is left out."""
    resource = Resource({})
    resource._attributes = {key: name}  # type: ignore[assignment]  # noqa: SLF001  it would refuse some of these
    left = dict(Resources(Strict()).of(resource, []).attributes)
    assert left == ({key: name} if leaves else {})


def test_a_resource_is_filtered_once_and_only_the_last_is_remembered() -> None:
    """The same resource again is the same filtered object; another one in between takes its place."""
    resources = Resources(Strict())
    desk, bank = Resource({"service.name": "desk"}), Resource({"service.name": "bank"})
    first = resources.of(desk, [])
    assert resources.of(desk, []) is first
    assert dict(resources.of(bank, []).attributes) == {"service.name": "bank"}
    again = resources.of(desk, [])
    assert again is not first
    assert dict(again.attributes) == {"service.name": "desk"}
    assert dict(resources.of(None, []).attributes) == {}
    assert resources.of(desk, []) is again


def test_a_record_keeps_no_context() -> None:
    """A record that leaves strict has the ids of its trace, and no context to find anything else in."""
    parent = set_span_in_context(NonRecordingSpan(CONTEXT), set_baggage("a", CONTENT))
    entry = LogFilter(GateRules())(LogRecord(timestamp=AT, context=parent), None, None)
    assert entry is not None
    assert (entry.record.trace_id, entry.record.span_id) == (1, 2)
    assert entry.record.context is not None
    assert len(entry.record.context) == 0


def test_the_memory_of_keys_and_scopes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many keys and scopes a host makes up, a few are remembered, and all are decided."""
    monkeypatch.setattr("otel_incident.gate.checks.REMEMBERED", 3)
    monkeypatch.setattr("otel_incident.gate.rules.REMEMBERED", 3)
    monkeypatch.setattr("otel_incident.gate.parts._REMEMBERED", 3)
    made_up = [f"desk.{number}" for number in range(9)]
    nobody = Operator((), lambda _: False)
    checks, standard, strict = Checks({}, nobody), Standard(["desk.8"]), Strict()
    scopes = Scopes(strict)
    named = [InstrumentationScope(name) for name in made_up]
    assert checks.keep(dict.fromkeys(made_up, CONTENT), []) == {}
    filtered = standard.filter(dict.fromkeys(made_up, CONTENT))
    assert filtered is not None
    assert list(filtered.attributes) == made_up[:8]
    assert [scopes.of(scope, [])[2] for scope in named] == [InstrumentationScope("other")] * 9
    assert scopes.of(named[0], []) is scopes.of(named[0], [])
    assert scopes.of(named[8], []) is not scopes.of(named[8], [])
    remembered = (checks._checks, standard._passes, strict._by_scope, scopes._known)  # noqa: SLF001  the point
    assert [len(each) for each in remembered] == [3] * 4


@pytest.mark.parametrize(
    ("key", "good", "other"),
    [
        ("incident.checklist.count", 1, True),
        ("incident.checklist.count", 1, 1.0),
        ("incident.active", True, 1),
        ("incident.duration", 1.0, 1),
        ("incident.duration", 1.0, True),
        ("http.response.status_code", 200, 200.0),
        ("incident.id", "42", Agreeing(CONTENT, "42")),
        ("http.route", "/incident/", Agreeing(CONTENT, "/incident/")),
        ("http.route", "/incident/", CONTENT),
        ("user.roles", ("end_user",), (Agreeing(CONTENT, "end_user"),)),
    ],
)
def test_a_value_is_no_other_that_is_equal_to_it(key: str, good: Any, other: Any) -> None:
    """What passed before lets nothing pass that is equal to it and of another type, nor anything else."""
    filtered = SpanFilter(GateRules())
    left = [
        dict(filtered(span).attributes or {})
        for span in (
            ReadableSpan(
                "x", CONTEXT, attributes={key: value}, instrumentation_scope=InstrumentationScope(DJANGO)
            )
            for value in (good, good, other, good)
        )
    ]
    assert left == [{key: good}, {key: good}, {}, {key: good}]
    assert [type(each[key]) for each in left if each] == [type(good)] * 3


@pytest.mark.parametrize("kind", [Agreeing, Disguised])
def test_a_key_is_no_other_that_passed_before(kind: type[str]) -> None:
    """A key that is equal to one of ours stays here, also with the value that ours has just had."""
    filtered = SpanFilter(GateRules())
    for key in ("incident.id", "incident.id", kind("incident.id")):
        passed = filtered(ReadableSpan("x", CONTEXT, attributes={key: "42", "incident.active": True}))
    assert dict(passed.attributes or {}) == {"incident.active": True}
    assert filtered(ReadableSpan("x", CONTEXT, attributes={"incident.id": "42"})).attributes == {
        "incident.id": "42"
    }


def test_the_memory_of_good_values_is_bounded() -> None:
    """Of the values of one key 128 are remembered, and the others pass all the same."""
    filtered = SpanFilter(GateRules())
    scope = InstrumentationScope(DJANGO)
    routes = [f"/incident/{number}/" for number in range(200)]
    for route in routes * 2:
        span = ReadableSpan("x", CONTEXT, attributes={"http.route": route}, instrumentation_scope=scope)
        assert dict(filtered(span).attributes or {}) == {"http.route": route}
    assert [len(each) for each in gc.get_referrers(*routes) if type(each) is set] == [128]


def test_what_was_looked_at_is_what_leaves() -> None:
    """Attributes that change after the gate has looked at them leave as they were, and stay whole here."""
    filtered = SpanFilter(GateRules())
    for _ in range(2):
        attributes: dict[str, Any] = {"incident.id": "42", "incident.title": CONTENT}
        clean: dict[str, Any] = {"incident.id": "42"}
        passed = [filtered(ReadableSpan("x", CONTEXT, attributes=each)) for each in (attributes, clean)]
        assert attributes == {"incident.id": "42", "incident.title": CONTENT}
        attributes["incident.id"] = clean["incident.id"] = clean["incident.title"] = CONTENT
        assert [dict(each.attributes or {}) for each in passed] == [{"incident.id": "42"}] * 2


class Talking(int):
    """A number that says what it likes when it is asked for its bytes."""

    def to_bytes(self, *_: object, **__: object) -> bytes:
        """Content."""
        return CONTENT.encode()


TALKING: Final = SpanContext(Talking(5), Talking(7), is_remote=True)
HALF: Final = (
    SpanContext(Talking(5), 7, is_remote=True),
    SpanContext(5, Talking(7), is_remote=True),
    SpanContext(Talking(5), Talking(7), is_remote=True, trace_state=TraceState([("ot", "th:8")])),
)


@pytest.mark.parametrize("by_fields", [True, False])
@pytest.mark.parametrize("context", [TALKING, *HALF])
def test_an_id_is_a_number_and_nothing_else(
    context: SpanContext, by_fields: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of ids of a class of the host's the numbers leave, of spans, their parents and their links."""
    monkeypatch.setattr(fields, "_BY_FIELDS", by_fields)
    span = ReadableSpan("x", context, parent=context, links=[Link(context)])
    assert CONTENT.encode() in encode_spans([span]).SerializeToString()
    passed = SpanFilter(GateRules())(span)
    for each in (passed.context, passed.parent, passed.links[0].context):
        assert each is not None
        assert (type(each.trace_id), type(each.span_id)) == (int, int)
        assert (each.trace_id, each.span_id, each.trace_state) == (5, 7, context.trace_state)
    assert CONTENT.encode() not in encode_spans([passed]).SerializeToString()


def test_an_id_of_a_record_is_a_number_and_nothing_else() -> None:
    """So do the numbers alone of a log record's ids; what is no number at all is no id."""
    for ids in (
        {"trace_id": Talking(5), "span_id": Talking(7)},
        {"context": set_span_in_context(NonRecordingSpan(TALKING))},
    ):
        entry = LogFilter(GateRules())(LogRecord(timestamp=AT, **ids), None, None)
        assert entry is not None
        made = (entry.record.trace_id, entry.record.span_id)
        assert made == (5, 7)
        assert [type(each) for each in made] == [int, int]
    odd: Any = LogRecord(timestamp=AT, trace_id=5, span_id=7)
    odd.trace_id = CONTENT
    entry = LogFilter(GateRules())(odd, None, None)
    assert entry is not None
    assert (entry.record.trace_id, entry.record.span_id) == (0, 7)


class Flagged(TraceFlags):
    """Flags of a class of a host's."""


FLAGS: Final = [
    (TraceFlags(255), 255),
    (1, 1),
    (Flagged(1), 1),
    (TraceFlags(256), 0),
    (TraceFlags(-1), 0),
    (256, 0),
    (CONTENT, 0),
    (None, 0),
]
REMOTE: Final = [(True, True), (False, False), (CONTENT, False), (1, False), (None, False)]
STATES: Final = [TraceState(), TraceState([("ot", "th:8")])]


def with_parts(flags: Any, is_remote: Any, state: TraceState) -> SpanContext:
    """A context that holds these, which its constructor need not take."""
    return tuple.__new__(SpanContext, (5, 7, is_remote, flags, state, True))


@pytest.mark.parametrize("by_fields", [True, False])
@pytest.mark.parametrize("state", STATES, ids=len)
@pytest.mark.parametrize(
    ("flags", "is_remote", "left"),
    [(came, True, (left, True)) for came, left in FLAGS]
    + [(TraceFlags(1), came, (1, left)) for came, left in REMOTE],
)
def test_flags_are_a_byte_and_remote_is_yes_or_no(
    flags: Any,
    is_remote: Any,
    left: tuple[int, bool],
    state: TraceState,
    by_fields: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is neither does not leave of a span, its parent and its links, and what goes is counted."""
    monkeypatch.setattr(fields, "_BY_FIELDS", by_fields)
    context = with_parts(flags, is_remote, state)
    rules = GateRules()
    passed = SpanFilter(rules)(ReadableSpan("internal", context, parent=context, links=[Link(context)]))
    whole = type(flags) is TraceFlags and (flags, is_remote) == left and type(is_remote) is bool
    for each in (passed.context, passed.parent, passed.links[0].context):
        assert each is not None
        assert (type(each.trace_flags), type(each.is_remote)) == (TraceFlags, bool)
        assert (each.trace_flags, each.is_remote) == left
        assert (each.trace_id, each.span_id, each.trace_state) == (5, 7, state)
        if not state:
            assert (each is context) is whole
    assert rules.dropped.counts() == ({} if whole else {("spans", "text_field", "none"): 3})


@pytest.mark.parametrize(("flags", "left"), FLAGS)
def test_the_flags_of_a_record_are_a_byte(flags: Any, left: int) -> None:
    """Text in their place does not leave, and is counted."""
    rules = GateRules()
    record: Any = LogRecord(timestamp=AT, context=Context())
    record.trace_flags = flags
    entry = LogFilter(rules)(record, None, None)
    assert entry is not None
    assert (type(entry.record.trace_flags), entry.record.trace_flags) == (TraceFlags, left)
    whole = flags is None or (type(flags) in {int, TraceFlags} and flags == left)
    assert rules.dropped.counts() == ({} if whole else {("logs", "text_field", "none"): 1})


@pytest.mark.parametrize(
    ("severity", "left"),
    [
        (SeverityNumber.ERROR, SeverityNumber.ERROR),
        (SeverityNumber.UNSPECIFIED, SeverityNumber.UNSPECIFIED),
        (0, 0),
        (24, 24),
        (25, None),
        (-1, None),
        (None, None),
        (True, None),
        (CONTENT, None),
        (Talking(9), None),
        (Enum("Level", {"HIGH": CONTENT}).HIGH, None),  # type: ignore[attr-defined]  # made where it is used
    ],
)
def test_a_severity_number_is_one_that_there_is(severity: Any, left: Any) -> None:
    """A member of an enumeration of a host's, or any other object, does not leave, and is counted."""
    rules = GateRules()
    entry = LogFilter(rules)(LogRecord(timestamp=AT, context=Context(), severity_number=severity), None, None)
    assert entry is not None
    assert (type(entry.record.severity_number), entry.record.severity_number) == (type(left), left)
    counted = {} if severity is left else {("logs", "text_field", "none"): 1}
    assert rules.dropped.counts() == counted


class Late(int):
    """A number that says what it likes when it is written down."""

    def __str__(self) -> str:
        """Content."""
        return CONTENT


class Indexed:
    """A whole number of another library's, as numpy has them."""

    def __init__(self, index: Any) -> None:
        """What it is."""
        self._index = index

    def __index__(self) -> int:
        """Its value, or whatever is raised of it."""
        if isinstance(self._index, Exception):
            raise self._index
        return self._index  # type: ignore[no-any-return]  # which it need not be


TIMES: Final = [
    (5, 5),
    (None, None),
    (Late(5), 5),
    (Indexed(5), 5),
    (Indexed(LookupError(CONTENT)), None),
    (Indexed(CONTENT), None),
    (CONTENT, None),
    (1.5, None),
]


@pytest.mark.parametrize("by_fields", [True, False])
@pytest.mark.parametrize(("time", "left"), TIMES)
def test_a_time_is_a_number_and_nothing_else(
    time: Any, left: int | None, by_fields: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a time of another library's, or of a class of the host's, the number leaves; of others nothing."""
    monkeypatch.setattr(fields, "_BY_FIELDS", by_fields)
    span = ReadableSpan("x", CONTEXT, start_time=time, end_time=time)
    passed = SpanFilter(GateRules())(span)
    for each in (passed.start_time, passed.end_time):
        assert (type(each), each) == (type(left), left)


@pytest.mark.parametrize(("time", "left"), [(Late(5), 5), (CONTENT, None)])
def test_a_time_of_an_event_or_of_a_record_is_a_number(time: Any, left: int | None) -> None:
    """Where it is none the SDK says when it was asked."""
    span = ReadableSpan("x", CONTEXT, events=[Event("x", {}, timestamp=time)])
    entry = LogFilter(GateRules())(LogRecord(timestamp=time, observed_timestamp=time), None, None)
    assert entry is not None
    times = [SpanFilter(GateRules())(span).events[0].timestamp, entry.record.observed_timestamp]
    assert [type(each) for each in times] == [int, int]
    assert (type(entry.record.timestamp), entry.record.timestamp) == (type(left), left)
    if left is not None:
        assert times == [left, left]


class Kind:
    """No kind of a span, whatever it says."""

    def __eq__(self, other: object) -> bool:
        """It is."""
        return other is SpanKind.SERVER

    def __hash__(self) -> int:
        """As a server's."""
        return hash(SpanKind.SERVER)


@pytest.mark.parametrize("kind", [Kind(), CONTENT, None, 1])
def test_a_span_of_no_kind_fails_in_strict_alone(kind: Any) -> None:
    """A kind could be any text; audit counts the span, and passes it on."""
    set_reraise(reraise=False)
    scope = InstrumentationScope(DJANGO)
    attributes = {"http.request.method": "GET", "http.route": "a/<int:pk>"}  # of which the name is made
    span = ReadableSpan("x", CONTEXT, kind=kind, attributes=attributes, instrumentation_scope=scope)
    with pytest.raises(TypeError):
        SpanFilter(GateRules())(span)
    rules = GateRules("audit")
    assert SpanFilter(rules)(span) is span
    assert rules.audited.counts() == {("spans", "internal_error", "none"): 1}
    assert rules.dropped.counts() == {}


def test_audit_of_a_record_that_fails_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only strict's part fails, audit counts it and passes the record on."""

    def fail(*_: object) -> None:
        raise RuntimeError(CONTENT)

    monkeypatch.setattr(Checks, "keep", fail)
    set_reraise(reraise=False)
    rules = GateRules("audit")
    assert LogFilter(rules)(LogRecord(timestamp=AT, attributes={"a": 1}), None, None) is None
    assert rules.audited.counts() == {("logs", "internal_error", "none"): 1}


def test_a_context_is_read_as_it_is_encoded() -> None:
    """A subclass's trace state is what it shows, wherever it keeps it."""
    context = Stated(1, 2, is_remote=True)
    passed = SpanFilter(GateRules())(ReadableSpan("x", context, parent=context))
    for each in (passed.context, passed.parent):
        assert type(each) is SpanContext
        assert (each.span_id, each.is_remote, dict(each.trace_state)) == (2, True, {})


def test_nothing_is_read_of_a_trace_state_of_another_type() -> None:
    """A subclass of the trace state may say anything of itself: its sampling entry goes, too."""
    context = SpanContext(1, 2, is_remote=True, trace_state=EmptyState([("ot", "th:8")]))
    passed = SpanFilter(GateRules())(ReadableSpan("x", context))
    assert passed.context is not None
    assert type(passed.context.trace_state) is TraceState
    assert dict(passed.context.trace_state) == {}


@pytest.mark.parametrize("place", ["attributes", "events", "links"])
def test_standard_looks_at_each_place_where_the_others_are_empty(place: str) -> None:
    """What is forbidden goes from attributes, events and links, each alone on its span."""
    forbidden = {"incident.title": CONTENT}
    parts: dict[str, Any] = {
        "attributes": forbidden,
        "events": [Event("x", forbidden, AT)],
        "links": [Link(CONTEXT, forbidden)],
    }
    span = ReadableSpan("x", CONTEXT, **{place: parts[place]})
    passed = SpanFilter(GateRules("standard"))(span)
    of_items = [each.attributes for each in passed.events] + [each.attributes for each in passed.links]
    assert [dict(each or {}) for each in (passed.attributes, *of_items)] == [{}] * (1 + len(of_items))
    assert (len(passed.events), len(passed.links)) == (place == "events", place == "links")


def test_a_key_that_is_forbidden_while_it_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that began before a key was forbidden is not remembered after it."""

    def forbidding(_: str) -> None:
        standard.forbid(["title"])

    monkeypatch.setattr("otel_incident.gate.rules.matcher", lambda _: forbidding)
    standard = Standard()
    assert standard.filter({"session.title": CONTENT}) is None
    filtered = standard.filter({"session.title": CONTENT})
    assert filtered is not None
    assert filtered.attributes == {}


class _Shown(ReadableSpan):
    """A span of a host's own, which shows something else than the SDK's fields hold."""

    @property
    def attributes(self) -> Mapping[str, str]:
        """What an exporter reads."""
        return {"desk.title": CONTENT, "desk.queue": "a"}

    @property
    def events(self) -> tuple[Event, ...]:
        """The same of its events."""
        return (Event("changed", {"desk.title": CONTENT}),)

    @property
    def links(self) -> tuple[Link, ...]:
        """The same of its links."""
        return (Link(SpanContext(1, 1, is_remote=False), {"desk.title": CONTENT}),)


@pytest.mark.parametrize("mode", ["standard", "strict"])
def test_a_span_is_judged_by_what_it_shows(mode: Literal["standard", "strict"]) -> None:
    """A subclass that overrides a property is read as its exporter will read it, not by the field behind."""
    rules = GateRules(mode, forbidden=["desk.title"], allowed=["desk.queue"])
    span = SpanFilter(rules)(
        _Shown("GET", context=SpanContext(2, 2, is_remote=False), attributes={"desk.queue": "held"})
    )
    assert dict(span.attributes or {}) == {"desk.queue": "a"}
    assert [dict(event.attributes or {}) for event in span.events] == [{}]
    assert [dict(link.attributes or {}) for link in span.links] == [{}]


STATE: Final = TraceState([("ot", "th:0"), ("vendor", "kanarie")])


def planted(rules: GateRules) -> None:
    """A span whose attributes may all leave, with content in every other place."""
    context = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1), trace_state=STATE)
    scope = InstrumentationScope(CONTENT, CONTENT, CONTENT, {CONTENT: CONTENT})
    resource = Resource(
        {CONTENT: CONTENT, "service.name": f"{CONTENT}\n", "incident.diagnostic.id": 7}, CONTENT
    )
    span = ReadableSpan(
        CONTENT,
        context=context,
        parent=context,
        resource=resource,
        events=[Event(CONTENT), Event("exception"), Event("incident.create")],
        links=[Link(context)],
        instrumentation_scope=scope,
    )
    passes = SpanFilter(rules)
    for _ in range(2):
        passes(span)


PER_SPAN: Final = 1 + 2 + 1 + 1  # its name, two trace states, an event's name, a link's trace state
COUNTED: Final = {
    ("spans", "text_field", "none"): 2 * PER_SPAN + 3 + 1,  # once: three fields of the scope, a schema URL
    ("spans", "unknown_key", "none"): 2,  # once: the scope's and the resource's
    ("spans", "bad_value", "profile"): 1,  # once: the resource's
    ("spans", "wrong_type", "id"): 1,  # the same
}


def test_everything_that_goes_of_a_span_is_counted() -> None:
    """Names and trace states count with each span, a scope and a resource once; audit counts the same."""
    strict, audit = GateRules("strict"), GateRules("audit")
    planted(strict)
    planted(audit)
    assert strict.dropped.counts() == COUNTED
    assert audit.audited.counts() == COUNTED
    assert audit.dropped.counts() == {}


def test_nothing_is_counted_where_nothing_goes() -> None:
    """What stays as it is, or was empty, is nothing that was taken out."""
    rules = GateRules("strict")
    state = TraceState([("ot", "th:0")])
    context = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1), trace_state=state)
    passes = SpanFilter(rules)
    for name in ("internal", ""):
        passes(
            ReadableSpan(
                name,
                context=context,
                parent=context,
                resource=Resource({"service.name": "desk"}),
                events=[Event("exception"), Event("incident.create"), Event("event")],
                links=[Link(context)],
                instrumentation_scope=InstrumentationScope("opentelemetry.instrumentation.flask", "0.66b2"),
            )
        )
    assert rules.dropped.counts() == {}
