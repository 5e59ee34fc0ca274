"""What all signals have: a resource, a scope, a trace context. What strict leaves of each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, TraceState

from otel_incident.gate.checks import FORBIDDEN, UNKNOWN
from otel_incident.gate.fields import is_bare, mapping, plain_flags, plain_id
from otel_incident.gate.rules import FIELD
from otel_incident.policy import Drop, keep_registered, refusal
from otel_incident.version import __version__
from otel_incident.vocabulary import RESOURCE, SCHEMA_URL, SCOPE_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_incident.gate.rules import ScopeRules, Strict

    _Scope = tuple[InstrumentationScope | None, ScopeRules, InstrumentationScope | None]

# What a resource may say besides our identity: names that the operator gave, and the SDK's own.
RESOURCE_GRAMMARS: Final[Mapping[str, re.Pattern[str]]] = {
    "service.name": re.compile(r"[\w.:/ -]{1,128}", re.ASCII),
    "service.namespace": re.compile(r"[\w.:/ -]{1,128}", re.ASCII),
    "service.instance.id": re.compile(r"[\w.:-]{1,64}", re.ASCII),
    "telemetry.auto.version": re.compile(r"[0-9A-Za-z.+-]{1,32}", re.ASCII),
    "telemetry.sdk.name": re.compile(r"opentelemetry", re.ASCII),
    "telemetry.sdk.language": re.compile(r"python", re.ASCII),
    "telemetry.sdk.version": re.compile(r"[0-9A-Za-z.+-]{1,32}", re.ASCII),
}
SAMPLING: Final = re.compile(
    r"(?:th:[0-9a-f]{1,14}|rv:[0-9a-f]{14})(?:;(?:th:[0-9a-f]{1,14}|rv:[0-9a-f]{14}))?", re.ASCII
)
SCOPE_VERSION: Final = re.compile(
    r"[0-9]{1,4}(?:\.[0-9]{1,4}){0,3}(?:(?:a|b|rc|\.dev|\.post)[0-9]{1,4})?", re.ASCII
)
CONVENTIONS: Final = re.compile(
    r"https://opentelemetry\.io/schemas/[0-9]{1,2}\.[0-9]{1,3}\.[0-9]{1,3}", re.ASCII
)
_BAD_VALUE: Final = Drop("", "bad_value", "profile")
_REMEMBERED: Final = 1024
_OWN_SCOPE: Final = InstrumentationScope(SCOPE_NAME, __version__, SCHEMA_URL)
OTHER_SCOPE: Final = InstrumentationScope("other")


@final
class Resources:
    """What strict leaves of a resource; the last one is remembered, since it rarely changes.

    Args:
        strict: Knows what the operator allows beyond that, and what he forbids.
    """

    def __init__(self, strict: Strict) -> None:
        self._allowed = strict.resource
        self._forbids = strict.forbids_on_resource
        self._last: tuple[Resource | None, Resource, int] = (None, Resource.get_empty(), 0)

    def of(self, resource: Resource | None, drops: list[Drop]) -> Resource:
        """The resource without what may not leave, and without its schema URL.

        Args:
            resource: As it came.
            drops: Where what had to go is noted: once, when the resource is looked at.
        """
        if resource is None:
            return Resource.get_empty()
        edition = self._allowed.edition
        known, filtered, made_by = self._last
        if resource is known and made_by == edition:
            return filtered
        attributes = mapping(resource.attributes)
        identity = keep_registered(attributes, RESOURCE).attributes
        described = {
            name: value
            for name, grammar in RESOURCE_GRAMMARS.items()
            if type(value := attributes.get(name)) is str and grammar.fullmatch(value)
        }
        known_keys = {**described, **identity}
        kept = {
            **self._allowed.keep(attributes, []),
            **{key: value for key, value in known_keys.items() if not self._forbids(key)},
        }
        drops.extend(self._lost(key, value) for key, value in attributes.items() if not _stands(key, kept))
        if _says(resource.schema_url):
            drops.append(FIELD)
        filtered = Resource(kept)
        self._last = (resource, filtered, edition)
        return filtered

    def _lost(self, key: object, value: object) -> Drop:
        if type(key) is not str:
            return UNKNOWN
        if self._forbids(key):
            return FORBIDDEN
        if key in RESOURCE:
            return refusal(key, value)
        return _BAD_VALUE if key in RESOURCE_GRAMMARS else UNKNOWN


def _stands(key: object, kept: Mapping[str, object]) -> bool:
    return type(key) is str and key in kept


def _says(text: object) -> bool:
    """Whether a field holds something; asked of its type, since an object of a host's may say anything."""
    return text is not None and not (type(text) is str and not text)


@final
class Scopes:
    """The rules of a scope, and what strict leaves of it: a known name, a version, a URL of the conventions.

    Args:
        strict: Knows the rules.
    """

    def __init__(self, strict: Strict) -> None:
        self._strict = strict
        self._known: dict[int, _Scope] = {}

    def of(
        self, scope: InstrumentationScope | None, drops: list[Drop]
    ) -> tuple[InstrumentationScope | None, ScopeRules, InstrumentationScope | None]:
        """The scope, its rules, and the scope without what may not leave; a tracer has one, remembered.

        Args:
            scope: As it came.
            drops: Where what had to go is noted: once, when the scope is looked at.
        """
        known = self._known.get(id(scope))
        if known is not None and known[0] is scope:
            return known
        rules = self._strict.of_scope(scope)
        filtered = _filtered(scope, rules)
        if scope is not None and filtered is not None:
            _note(scope, filtered, drops)
        found = (scope, rules, filtered)
        if len(self._known) < _REMEMBERED:
            self._known[id(scope)] = found
        return found


def _filtered(scope: InstrumentationScope | None, rules: ScopeRules) -> InstrumentationScope | None:
    if scope is None:
        return None
    if rules.name == SCOPE_NAME:
        return _OWN_SCOPE
    return _named(scope, rules.name) if rules.name else OTHER_SCOPE


def _note(scope: InstrumentationScope, filtered: InstrumentationScope, drops: list[Drop]) -> None:
    """Note what a scope has lost."""
    for came, left in (
        (scope.name, filtered.name),
        (scope.version, filtered.version),
        (scope.schema_url, filtered.schema_url),
    ):
        if _says(came) and not (type(came) is str and came == left):
            drops.append(FIELD)
    drops.extend([UNKNOWN] * len(mapping(scope.attributes)))


def _named(scope: InstrumentationScope, name: str) -> InstrumentationScope:
    version, url = scope.version, scope.schema_url
    return InstrumentationScope(
        name,
        version if type(version) is str and SCOPE_VERSION.fullmatch(version) else None,
        url if type(url) is str and CONVENTIONS.fullmatch(url) else None,
    )


def bare(context: SpanContext | None, drops: list[Drop] | None = None) -> SpanContext:
    """A span context of plain ids and flags, without foreign trace state; sampling survives: counts need it.

    Args:
        context: As it came.
        drops: Where it is noted if something had to go; None notes nothing.
    """
    if context is None or is_bare(context):
        return context  # type: ignore[return-value]  # a root span has no parent, which upstream's types allow
    state = context.trace_state
    sampling = state.get("ot") if type(state) is TraceState else None  # a subclass may say anything
    keep = type(sampling) is str and SAMPLING.fullmatch(sampling) is not None
    remote, flags = context.is_remote, context.trace_flags
    is_remote, plain = remote is True, plain_flags(flags)
    whole = keep and len(state) == 1 and is_remote is remote and plain is flags
    if drops is not None and not whole:
        drops.append(FIELD)
    return SpanContext(
        plain_id(context.trace_id),
        plain_id(context.span_id),
        is_remote,
        plain,
        TraceState([("ot", sampling)]) if keep and sampling is not None else None,
    )
