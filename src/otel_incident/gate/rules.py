"""What may pass the gate, decided once for each key and each scope, then looked up.

Three rooms of the same decision: `Strict` denies by default and knows what our registry and the profiles
allow; `Standard` passes by default and knows what is forbidden; `GateRules` is the one that a mode chooses,
with its counts. They work on keys and values alone; what a span or a record is, spans.py and logs.py know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, final

from otel_incident.drops import Drops
from otel_incident.gate.arguments import globs_in
from otel_incident.gate.beside import BESIDE
from otel_incident.gate.checks import FORBIDDEN, REMEMBERED, UNKNOWN, Checks, Operator, matcher
from otel_incident.gate.grammars import shape_of
from otel_incident.guard import HostLock, fail_open
from otel_incident.policy import KEEPS_RULE, SHAPES, Drop, Filtered, is_ours, refusal
from otel_incident.profiles import PROFILES, Profile
from otel_incident.vocabulary import EVENTS, METRIC_OTEL_INCIDENT_POLICY_AUDITED, SCOPE_NAME, Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    from otel_incident.gate.beside import Beside
    from otel_incident.policy import Shape
    from otel_incident.profiles import ProfileAttribute

Mode = Literal["strict", "standard", "audit"]
MODES: Final[tuple[Mode, ...]] = ("strict", "standard", "audit")

FIELD: Final = Drop("", "text_field", "none")
FAILED: Final = Drop("", "internal_error", "none")

EVENT_ATTRIBUTES: Final = frozenset(name for event in EVENTS.values() for name in event.attributes)
_OWN_SHAPES: Final = {name: SHAPES[name] for name in sorted(EVENT_ATTRIBUTES)}


class ScopeRules(NamedTuple):
    """What one instrumentation scope may say.

    Attributes:
        name: What the scope is called; "" where no profile and not ourselves.
        attributes: The checks of its attributes.
        events: The checks by name of a span event, as far as the profile names events.
        span_name: The attributes that a span's name is made of: the first one, and those after it.
        first_words: What the first word of a span's name may be where those attributes are missing.
        metrics: The units of its metrics by name.
    """

    name: str
    attributes: Checks
    events: Mapping[str, Checks]
    span_name: tuple[tuple[str, tuple[str, ...]], ...]
    first_words: frozenset[str]
    metrics: Mapping[str, tuple[str, ...]]


@final
class Strict:
    """What may leave where everything else is denied.

    Args:
        allowed: Globs of attribute keys that the operator allows beyond the profiles; a key that is named
            without a wildcard passes whatever a profile asks of it.
        forbids: Whether a key goes all the same, as the operator's or a host's content.
        forbids_on_resource: The same of a key of a resource.
    """

    def __init__(
        self,
        allowed: Iterable[str] = (),
        forbids: Callable[[str], bool] = lambda _: False,
        forbids_on_resource: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._operator = Operator(allowed, forbids)
        self._forbidding = Operator((), forbids)
        self._all: list[Checks] = []
        self.forbids_on_resource = forbids_on_resource
        self.resource = self._checks({}, self._operator)
        self._own_events = {
            event.name: self._checks({name: SHAPES[name] for name in event.attributes}, self._forbidding)
            for event in EVENTS.values()
        }
        self._by_profile = {
            scope: self._scope_rules(scope, profile) for profile in PROFILES for scope in profile.scopes
        }
        self._own = self._scope_rules(SCOPE_NAME, None)
        self._unknown = self._scope_rules("", None)
        self._by_scope: dict[str, ScopeRules] = {}

    def of_scope(self, scope: InstrumentationScope | None) -> ScopeRules:
        """The rules of an instrumentation scope."""
        name = scope.name if scope is not None else ""
        if type(name) is not str:
            return self._unknown
        rules = self._by_scope.get(name)
        if rules is None:
            rules = self._find(name)
            if len(self._by_scope) < REMEMBERED:
                self._by_scope[name] = rules
        return rules

    def decide_anew(self) -> None:
        """Take out from now on what has been forbidden since the rules were made."""
        for checks in self._all:
            checks.decide_anew()

    def of_event(self, name: object) -> Checks | None:
        """The checks of one of our own events; None for any other name."""
        return self._own_events.get(name) if type(name) is str else None

    def _find(self, name: str) -> ScopeRules:
        if name == SCOPE_NAME:
            return self._own
        while name:
            if name in self._by_profile:
                return self._by_profile[name]
            name = name.rpartition(".")[0]
        return self._unknown

    def _scope_rules(self, name: str, profile: Profile | None) -> ScopeRules:
        if profile is None:
            operator = self._forbidding if name == SCOPE_NAME else self._operator
            return ScopeRules(name, self._checks(_OWN_SHAPES, operator), {}, (), frozenset(), {})
        return ScopeRules(
            name=name,
            attributes=self._profile_checks(profile.attributes, _OWN_SHAPES),
            events={event: self._profile_checks(keys, {}) for event, keys in profile.events.items()},
            span_name=tuple((first, tuple(others)) for first, *others in profile.span_name),
            first_words=frozenset(
                value for keys in profile.span_name for value in profile.attributes[keys[0]].values
            ),
            metrics=profile.metrics,
        )

    def _profile_checks(self, rules: Mapping[str, ProfileAttribute], own: Mapping[str, Shape]) -> Checks:
        shapes = {key: shape_of(rule) for key, rule in rules.items()}
        beside = {key: BESIDE[rule.rule] for key, rule in rules.items() if rule.rule in BESIDE}
        return self._checks({**own, **shapes}, self._operator, beside)

    def _checks(
        self, known: Mapping[str, Shape], operator: Operator, beside: Mapping[str, Beside] | None = None
    ) -> Checks:
        checks = Checks(known, operator, beside)
        self._all.append(checks)
        return checks


@final
class Standard:
    """What is removed where everything else passes.

    Args:
        forbidden: Globs of attribute keys that the operator forbids.
    """

    def __init__(self, forbidden: Iterable[str] = ()) -> None:
        self._forbidden = matcher(forbidden)
        self._content: frozenset[str] = frozenset()
        self._dots = 0  # how many dots the name has of these that has the most
        self._telling = HostLock()  # of two threads that import two hosts at once neither forgets the other's
        self._passes: set[str] = set()  # keys that may stand whatever their value
        self.when_told: Callable[[], None] = lambda: None
        """Called when more is forbidden than before."""

    def forbid(self, names: Iterable[str]) -> None:
        """Forbid what a host calls its content: these keys, and those that end in one of them after a dot.

        No key of ours that is registered: its rule has no room for content, whatever its last part is called.
        """
        with self._telling:
            self._content |= frozenset(names)
            self._dots = max((name.count(".") for name in self._content), default=0)
            self._passes = set()
            self.when_told()

    def filter(self, attributes: Mapping[str, Any]) -> Filtered | None:
        """What stays and what goes; None where nothing has to go."""
        passes = self._passes
        for key in attributes:
            if type(key) is not str or key not in passes:
                return self._sift(attributes)
        return None

    def _sift(self, attributes: Mapping[str, Any]) -> Filtered | None:
        """The same, where not every key is known to pass."""
        passes = self._passes
        drops: dict[int, Drop] = {}  # by the key's id: equality and hash are the key's own to tell
        for key, value in attributes.items():
            # a subclass may say anything of itself: its text decides, not what its methods make of it
            name = key if type(key) is str else str.__str__(key)
            if name in passes or self._look_at(name, passes):
                continue
            drop = self._judge(name, value)
            if drop is not None:
                drops[id(key)] = drop
        if not drops:
            return None
        kept = {key: value for key, value in attributes.items() if id(key) not in drops}
        return Filtered(kept, tuple(drops.values()))

    def _look_at(self, key: str, remembered: set[str]) -> bool:
        passes = not is_ours(key) and not self.is_forbidden(key)
        # in the set that was there before the look: by now another thread may have forbidden this key
        if passes and len(remembered) < REMEMBERED:
            remembered.add(key)
        return passes

    def _judge(self, key: str, value: object) -> Drop | None:
        if self.is_forbidden(key):
            return FORBIDDEN
        rule = KEEPS_RULE.get(key)
        if rule is None:
            return UNKNOWN
        return None if rule(value) else refusal(key, value)

    def is_forbidden(self, key: str) -> bool:
        """Whether it is the operator's to forbid this key, or a host's content."""
        return self._is_content(key) or self.is_forbidden_by_operator(key)

    def is_forbidden_by_operator(self, key: str) -> bool:
        """Whether the operator forbids this key; of a resource nothing else counts, where no host writes."""
        return self._forbidden is not None and self._forbidden(key) is not None

    def _is_content(self, key: str) -> bool:
        content = self._content
        named = key in content or key.rpartition(".")[2] in content or self._ends_in_dotted(key)
        return named and not (is_ours(key) and key in KEEPS_RULE)

    def _ends_in_dotted(self, key: str) -> bool:
        """Whether a key ends, after a dot, in a name that has dots itself."""
        if not self._dots:
            return False
        parts = key.rsplit(".", self._dots + 1)  # no more of them, however many dots the key has
        return any(".".join(parts[first:]) in self._content for first in range(1, len(parts) - 1))


@final
class GateRules:
    """The rules of one gate: a mode, what the operator said, and the counts.

    Args:
        mode: `strict`, `standard` or `audit`.
        allowed: Globs of attribute keys that strict lets through beyond the profiles.
        forbidden: Globs of attribute keys that go besides, in strict even if they are allowed.

    Raises:
        TypeError: The globs are one text, or not all of them are texts.
        ValueError: The mode is none of these.
    """

    def __init__(
        self, mode: Mode = "strict", *, allowed: Iterable[str] = (), forbidden: Iterable[str] = ()
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}")
        self.mode = mode
        self.standard = Standard(globs_in(forbidden, "forbidden"))
        self.strict = Strict(
            globs_in(allowed, "allowed"), self.standard.is_forbidden, self.standard.is_forbidden_by_operator
        )
        self.standard.when_told = self.strict.decide_anew
        self.dropped = Drops(announce=False)
        self.audited = Drops(metric=METRIC_OTEL_INCIDENT_POLICY_AUDITED, announce=False)

    @fail_open("gate")  # what was taken out is gone, counted or not
    def count(self, signal: Signal, drops: list[Drop]) -> None:
        """Count what was taken out."""
        if drops:
            self.dropped.record(signal, drops)

    @fail_open("gate")
    def would(self, signal: Signal, drops: list[Drop]) -> None:
        """Count what strict would have taken out."""
        if drops:
            self.audited.record(signal, drops)
