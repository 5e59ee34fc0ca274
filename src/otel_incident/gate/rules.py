"""What may pass the gate, decided once for each key and each scope, then looked up.

Three rooms of the same decision: `Strict` denies by default and knows what our registry and the profiles
allow; `Standard` passes by default and knows what is forbidden; `GateRules` is the one that a mode chooses,
with its counts. They work on keys and values alone; what a span or a record is, spans.py and logs.py know.
"""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias, final

from otel_incident.drops import Drops
from otel_incident.gate.arguments import globs_in
from otel_incident.gate.grammars import ASKED_PATH, ASKED_PATH_KEYS, shape_of
from otel_incident.guard import fail_open
from otel_incident.policy import KEEPS_RULE, SHAPES, Drop, Filtered, Shape, is_ours, refusal
from otel_incident.profiles import PROFILES, Profile
from otel_incident.vocabulary import EVENTS, METRIC_OTEL_INCIDENT_POLICY_AUDITED, SCOPE_NAME, Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping

    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    from otel_incident.profiles import ProfileAttribute

Mode = Literal["strict", "standard", "audit"]
MODES: Final[tuple[Mode, ...]] = ("strict", "standard", "audit")

UNKNOWN: Final = Drop("", "unknown_key", "none")
FIELD: Final = Drop("", "text_field", "none")
FAILED: Final = Drop("", "internal_error", "none")
_FORBIDDEN: Final = Drop("", "forbidden", "none")
_PROFILE: Final = Drop("", "bad_value", "profile")

_REMEMBERED: Final = 4096
"""How many keys or scopes from outside are remembered; a host could make up any number of them."""
_GOOD: Final = 128
"""How many values are remembered for each key."""

EVENT_ATTRIBUTES: Final = frozenset(name for event in EVENTS.values() for name in event.attributes)
_OWN_SHAPES: Final = {name: SHAPES[name] for name in sorted(EVENT_ATTRIBUTES)}
_PLAIN: Final = (str, bool, int, float)


def _is_plain(value: object) -> bool:
    """Whether a value that the operator allows is one that OTLP calls a primitive, or a list of those."""
    kind = type(value)
    if kind is tuple or kind is list:
        return all(type(item) in _PLAIN for item in value)  # type: ignore[attr-defined]  # a list or a tuple
    return kind in _PLAIN


def matcher(globs: Iterable[str]) -> Callable[[str], object] | None:
    """What says whether a key matches one of these globs; None where there are none."""
    patterns = [fnmatch.translate(glob) for glob in globs]
    return re.compile("|".join(patterns)).match if patterns else None


# What is asked of one key's value: the exact type of the values that are known to be good (None: none are),
# those values, and the rule (None: the key may not stand). A plain tuple, since the interpreter takes that
# apart faster than a named one.
_Check: TypeAlias = "tuple[type | None, Container[object], Shape | None]"
_MAY_NOT_STAND: Final[_Check] = (None, frozenset(), None)
_BY_PATH: Final[Container[object]] = range(0)
"""The good values of a route that is judged by the path that was asked for: none by itself."""
_Other: TypeAlias = "tuple[str, Any, Container[object], Shape | None]"


def _check_of(shape: Shape) -> _Check:
    if shape.kind not in _PLAIN:
        return (None, frozenset(), shape)
    asked = getattr(shape.keeps, "__self__", None)
    # a rule that asks a list or a range has all the good values there; of any other they are collected
    good: Container[object] = asked if isinstance(asked, (frozenset, range)) else set()
    return (shape.kind, good, shape)


def _asked_without_braces(others: list[_Other]) -> bool:
    """Whether it is known which path a client asked for, and that no brace came from there."""
    paths = [value for key, value, *_ in others if key in ASKED_PATH_KEYS]
    return bool(paths) and all(type(path) is str and ASKED_PATH.fullmatch(path) for path in paths)


def _sift(kept: dict[str, Any], others: list[_Other], drops: list[Drop]) -> None:
    """Take out what may not stand of those whose values are not known to be good."""
    for key, value, good, shape in others:
        if shape is None:
            drops.append(UNKNOWN)
            del kept[key]
            continue
        kind, keeps = shape
        if good is _BY_PATH and not _asked_without_braces(others):
            drops.append(_PROFILE)
            del kept[key]
        elif (type(value) is kind or kind is object) and keeps(value):
            if type(good) is set and len(good) < _GOOD:
                good.add(value)
        elif kind is tuple and type(value) is list and keeps(value):
            kept[key] = tuple(value)
        else:
            drops.append(refusal(key, value) if key in SHAPES else _PROFILE)
            del kept[key]


class Checks:
    """What is asked of each key's value; keys that come and may not stand are remembered as such.

    Values that kept their rule are remembered, too, since few of them are ever new: text, numbers and flags
    alone, of the exact type (`True` is 1 to a set), which are small by their rule and whose equality and hash
    are nobody's own.

    Args:
        known: By key, as far as the registry or a profile names it.
        allowed: What says whether the operator allows a key beyond these.
        by_path: Those of the known that may stand only beside a path without braces.
    """

    __slots__ = ("_allowed", "_checks")

    def __init__(
        self,
        known: Mapping[str, Shape],
        allowed: Callable[[str], object] | None,
        by_path: Container[str] = (),
    ) -> None:
        self._checks = {
            key: (None, _BY_PATH, shape) if key in by_path else _check_of(shape)
            for key, shape in known.items()
        }
        self._allowed = allowed

    def keep(self, attributes: Mapping[str, Any], drops: list[Drop]) -> dict[str, Any]:
        """What of these attributes may stand; what may not is noted in `drops`."""
        # what is looked at is what is returned, whoever else changes the original meanwhile
        kept = attributes.copy() if type(attributes) is dict else dict(attributes)
        checks = self._checks
        others = []
        no_text = 0
        for key, value in kept.items():
            if type(key) is not str:
                no_text += 1
                continue
            try:
                kind, good, shape = checks[key]
            except KeyError:
                kind, good, shape = self._decide(key)
            if type(value) is kind and value in good:
                continue
            others.append((key, value, good, shape))
        if no_text:  # by type: such a key may have any equality and hash
            drops.extend([UNKNOWN] * no_text)
            kept = {key: value for key, value in kept.items() if type(key) is str}
        if others:
            _sift(kept, others, drops)
        return kept

    def _decide(self, key: str) -> _Check:
        """About a key that nobody names."""
        allowed = self._allowed is not None and not is_ours(key) and self._allowed(key) is not None
        check = (None, frozenset[object](), Shape(object, _is_plain)) if allowed else _MAY_NOT_STAND
        if len(self._checks) < _REMEMBERED:
            self._checks[key] = check
        return check


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
    metrics: Mapping[str, str]


@final
class Strict:
    """What may leave where everything else is denied.

    Args:
        allowed: Globs of attribute keys that the operator allows beyond the profiles.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed = matcher(allowed)
        self.resource = Checks({}, self._allowed)
        self._own_events = {
            event.name: Checks({name: SHAPES[name] for name in event.attributes}, None)
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
            if len(self._by_scope) < _REMEMBERED:
                self._by_scope[name] = rules
        return rules

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
            return ScopeRules(name, Checks(_OWN_SHAPES, self._allowed), {}, (), frozenset(), {})
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
        by_path = [key for key, rule in rules.items() if rule.rule == "route_template"]
        return Checks({**own, **shapes}, self._allowed, by_path)


@final
class Standard:
    """What is removed where everything else passes.

    Args:
        forbidden: Globs of attribute keys that the operator forbids.
    """

    def __init__(self, forbidden: Iterable[str] = ()) -> None:
        self._forbidden = matcher(forbidden)
        self._content: frozenset[str] = frozenset()
        self._passes: set[str] = set()  # keys that may stand whatever their value

    def forbid(self, names: Iterable[str]) -> None:
        """Forbid what a host calls its content: these keys, and those whose last part is one of them."""
        self._content |= frozenset(names)
        self._passes = set()

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
        passes = not is_ours(key) and not self._is_forbidden(key)
        # in the set that was there before the look: by now another thread may have forbidden this key
        if passes and len(remembered) < _REMEMBERED:
            remembered.add(key)
        return passes

    def _judge(self, key: str, value: object) -> Drop | None:
        if self._is_forbidden(key):
            return _FORBIDDEN
        rule = KEEPS_RULE.get(key)
        if rule is None:
            return UNKNOWN
        return None if rule(value) else refusal(key, value)

    def _is_forbidden(self, key: str) -> bool:
        named = key in self._content or key.rpartition(".")[2] in self._content
        return named or (self._forbidden is not None and self._forbidden(key) is not None)


@final
class GateRules:
    """The rules of one gate: a mode, what the operator said, and the counts.

    Args:
        mode: `strict`, `standard` or `audit`.
        allowed: Globs of attribute keys that strict lets through beyond the profiles.
        forbidden: Globs of attribute keys that standard removes beyond our own namespaces.

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
        self.strict = Strict(globs_in(allowed, "allowed"))
        self.standard = Standard(globs_in(forbidden, "forbidden"))
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
