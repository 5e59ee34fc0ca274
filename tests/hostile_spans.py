"""Spans and log records as a hostile host makes them: of parts that raise, lie, or change their mind."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, Final, Self

from hypothesis import strategies as st
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from otel_incident.profiles import PROFILES
from otel_incident.vocabulary import ATTRIBUTES, EVENTS, SCOPE_NAME
from tests.strategies import ANYTHING, CONTENT, TEXT, Handed, HostileError
from tests.surface_injectors import AT

_turns: Final = itertools.count()


class Agreeing(str):
    """Content that says that it is whatever it is compared with, and hashes like something that may stand.

    Args:
        text: The content.
        like: What it hashes like.
    """

    __slots__ = ("like",)

    like: str

    def __new__(cls, text: str, like: str = "incident.id") -> Self:
        """Content."""
        made = super().__new__(cls, text)
        made.like = like
        return made

    def __eq__(self, _: object) -> bool:
        """It is."""
        return True

    def __ne__(self, _: object) -> bool:
        """It is not."""
        return False

    def __hash__(self) -> int:
        """As what it is not."""
        return hash(self.like)

    def __str__(self) -> str:
        """What may stand."""
        return self.like


class Wavering(str):
    """Content with another hash each time."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        """As it is."""
        return str.__eq__(self, other)

    def __hash__(self) -> int:
        """Never the same."""
        return hash(next(_turns))


class Disguised(str):
    """Content that says its class is `str`."""

    __slots__ = ()

    @property  # type: ignore[misc]  # read-only, unlike what it hides
    def __class__(self) -> Any:
        """Not its class."""
        return str


class EmptyState(TraceState):
    """A trace state that says it is empty, and is not."""

    def __len__(self) -> int:
        """None."""
        return 0

    def __bool__(self) -> bool:
        """No."""
        return False


class OtherAttributes(Mapping[str, Any]):
    """Attributes that say something else each time that they are read."""

    def __init__(self) -> None:
        self._reads = 0

    def __getitem__(self, key: str) -> Any:
        """An id first, then content."""
        self._reads += 1
        return "42" if self._reads == 1 else CONTENT

    def __iter__(self) -> Iterator[str]:
        """One key."""
        yield "incident.id"

    def __len__(self) -> int:
        """One."""
        return 1


class FailingAttributes(OtherAttributes):
    """Attributes that cannot be read."""

    def __iter__(self) -> Iterator[str]:
        """No."""
        raise HostileError


_LIARS: Final = (
    lambda: Agreeing(CONTENT),
    lambda: Agreeing("incident.title"),
    lambda: Agreeing(CONTENT, "incident.create"),
    lambda: Agreeing(CONTENT, "opentelemetry.instrumentation.django"),
    lambda: Wavering(CONTENT),
    lambda: Wavering("incident.title"),
    lambda: Disguised(CONTENT),
    lambda: Disguised("incident.title"),
)
LIARS: Final[st.SearchStrategy[Handed]] = st.integers(0, len(_LIARS) - 1).map(lambda i: Handed(_LIARS[i]()))
"""Texts that pass for what they are not."""

_KNOWN_KEYS: Final = sorted({*ATTRIBUTES, *(key for profile in PROFILES for key in profile.attributes)})
_KNOWN_VALUES: Final = sorted(
    {value for profile in PROFILES for rule in profile.attributes.values() for value in rule.values}
)
SCHEMA: Final = "https://opentelemetry.io/schemas/1.30.0"
SCOPES: Final = (SCOPE_NAME, "", "other", *(profile.scopes[0] for profile in PROFILES))

GOOD: Final[st.SearchStrategy[Handed]] = st.one_of(
    st.sampled_from(_KNOWN_VALUES),
    st.sampled_from(("/incident/<int:pk>", "builtins.LookupError", "404", "23505", "42", "cafe" * 6)),
    st.integers(0, 700),
    st.booleans(),
).map(Handed)
"""Values that some rule lets through."""

DEEP: Final[st.SearchStrategy[Handed]] = st.recursive(
    st.one_of(st.just(CONTENT), st.integers(), st.binary(max_size=9)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=2)),
    max_leaves=6,
).map(Handed)
HUGE: Final = st.just(4_000).map(lambda times: Handed(CONTENT * times))
VALUES: Final = st.one_of(GOOD, GOOD, ANYTHING, LIARS, DEEP, HUGE)

_SHAPES: Final = (
    "\uff49ncident.id",
    "incident\u2024id",
    "incident.\u0456d",
    "incident.id\u200b",
    "INCIDENT.ID",
)
"""Keys that look like one that may stand."""

KEYS: Final = st.one_of(
    st.sampled_from(_KNOWN_KEYS).map(Handed),
    st.sampled_from(("incident.title", "http.url", "db.statement", CONTENT, *_SHAPES)).map(Handed),
    TEXT.map(Handed),
    LIARS,
)
PAIRS: Final = st.lists(st.tuples(KEYS, VALUES), max_size=6)
NAMES: Final = st.one_of(
    TEXT.map(Handed),
    LIARS,
    ANYTHING,
    st.sampled_from(("GET", "SELECT", f"GET {CONTENT}", "exception", *EVENTS)).map(Handed),
)


def attributes_of(pairs: list[tuple[Handed, Handed]]) -> dict[Any, Any]:
    """Attributes; of keys that cannot be in a dict none."""
    made: dict[Any, Any] = {}
    for key, value in pairs:
        made[key.value] = value.value
    return made


ATTRIBUTES_GIVEN: Final[st.SearchStrategy[Handed]] = st.one_of(
    PAIRS.map(lambda pairs: Handed(attributes_of(pairs))),
    st.integers(0, 1).map(lambda which: Handed((OtherAttributes, FailingAttributes)[which]())),
)
STATES: Final = st.sampled_from(
    (
        TraceState([("ot", "th:c")]),
        TraceState([("ot", f"th:c;{CONTENT.replace(',', '')}")]),
        TraceState([("ot", CONTENT.replace(",", "")), ("vendor", "x")]),
        EmptyState([("vendor", CONTENT.replace(",", ""))]),
        None,
    )
)
CONTEXTS: Final = STATES.map(
    lambda state: SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1), trace_state=state)
)
SCOPES_GIVEN: Final = st.builds(
    lambda name, version, url: InstrumentationScope(name.value, version.value, url.value, {CONTENT: CONTENT}),
    st.one_of(st.sampled_from(SCOPES).map(Handed), NAMES),
    st.one_of(st.sampled_from(("1.2.3", f"1.2.3 {CONTENT}", "1.2.3\n")).map(Handed), VALUES),
    st.one_of(st.sampled_from((SCHEMA, f"{SCHEMA}/{CONTENT}", f"{SCHEMA}\n")).map(Handed), VALUES),
)
RESOURCES: Final = st.sampled_from(
    (
        Resource({"service.name": "desk", "host.name": CONTENT}, CONTENT),
        Resource({"service.name": f"{CONTENT}\n", "incident.title": CONTENT, "telemetry.sdk.name": CONTENT}),
    )
)

SPANS: Final[st.SearchStrategy[Handed]] = st.builds(
    lambda name, context, parent, resource, attributes, events, links, kind, status, scope: Handed(
        ReadableSpan(
            name=name.value,
            context=context,
            parent=parent,
            resource=resource,
            attributes=attributes.value,
            events=[Event(each.value, of.value, AT) for each, of in events],
            links=[Link(each, of.value) for each, of in links],
            kind=kind,
            status=status,
            start_time=AT,
            end_time=AT,
            instrumentation_scope=scope,
        )
    ),
    NAMES,
    CONTEXTS,
    st.one_of(CONTEXTS, st.none()),
    RESOURCES,
    ATTRIBUTES_GIVEN,
    st.lists(st.tuples(NAMES, ATTRIBUTES_GIVEN), max_size=2),
    st.lists(st.tuples(CONTEXTS, ATTRIBUTES_GIVEN), max_size=2),
    st.sampled_from(SpanKind),
    st.sampled_from((Status(StatusCode.ERROR, CONTENT), Status(StatusCode.OK))),
    SCOPES_GIVEN,
)
"""Spans as a host could hand them to a processor."""

RECORDS: Final[st.SearchStrategy[tuple[Handed, Resource, InstrumentationScope]]] = st.tuples(
    st.builds(
        lambda body, attributes, event, severity: Handed(
            LogRecord(
                timestamp=AT,
                observed_timestamp=AT,
                context=Context(),
                severity_number=SeverityNumber.WARN,
                severity_text=severity.value,
                body=body.value,
                attributes=attributes.value,
                event_name=event.value,
            )
        ),
        VALUES,
        ATTRIBUTES_GIVEN,
        NAMES,
        st.one_of(VALUES, st.just(Handed("INFO"))),
    ),
    RESOURCES,
    SCOPES_GIVEN,
)
"""Log records as a host could emit them, each with a resource and a scope."""
