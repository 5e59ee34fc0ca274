"""What strict asks of each key's value, so that few values have to be looked at twice.

A key has a rule of ours or of a profile, is allowed by the operator, or may not stand; what that is, rules.py
says. Keys and values alone count here.
"""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from otel_incident.gate.beside import Beside
from otel_incident.policy import SHAPES, Drop, Shape, is_ours, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping

    from otel_incident.gate.beside import Judged

UNKNOWN: Final = Drop("", "unknown_key", "none")
FORBIDDEN: Final = Drop("", "forbidden", "none")
_PROFILE: Final = Drop("", "bad_value", "profile")

REMEMBERED: Final = 4096
"""How many keys or scopes from outside are remembered; a host could make up any number of them."""
_GOOD: Final = 128
"""How many values are remembered for each key."""

_PLAIN: Final = (str, bool, int, float)
_WILDCARDS: Final = frozenset("*?")  # brackets stand in names of their own: form[title]


def _is_plain(value: object) -> bool:
    """Whether a value that the operator allows is one that OTLP calls a primitive, or a list of those."""
    kind = type(value)
    if kind is tuple or kind is list:
        return all(type(item) in _PLAIN for item in value)  # type: ignore[attr-defined]  # a list or a tuple
    return kind in _PLAIN


def matcher(globs: Iterable[str]) -> Callable[[str], object] | None:
    """What says whether a key matches one of these globs; None where there are none.

    As in OpenTelemetry's own configuration, `*` is any text and `?` any one character, and nothing else is
    special.
    """
    # fnmatch knows how to look for several stars in little time; to it a bracket would open a set
    patterns = [fnmatch.translate(glob.replace("[", "[[]")) for glob in globs]
    return re.compile("|".join(patterns)).match if patterns else None


@final
class Operator:
    """What the operator says of keys, whatever the registry or a profile does.

    Args:
        allowed: Globs of the keys that may stand besides; one without a wildcard names its key exactly.
        forbids: Whether a key is forbidden, by the operator or as a host's content; that may come later.
    """

    __slots__ = ("_allows", "_named", "forbids")

    def __init__(self, allowed: Iterable[str], forbids: Callable[[str], bool]) -> None:
        globs = tuple(allowed)
        self._allows = matcher(globs)
        self._named = frozenset(glob for glob in globs if _WILDCARDS.isdisjoint(glob))
        self.forbids = forbids

    def overrules(self, key: str) -> bool:
        """Whether a key that the registry or a profile knows is the operator's to decide about."""
        return self.forbids(key) or (not is_ours(key) and key in self._named)

    def allows(self, key: str) -> bool:
        """Whether a key that nobody else knows may stand, unless it is forbidden."""
        return not is_ours(key) and self._allows is not None and self._allows(key) is not None

    def rule_of(self, key: str) -> Shape:
        """What is asked of the value of a key that is the operator's to decide about."""
        return Shape(object, lambda value: not self.forbids(key) and _is_plain(value))


# What is asked of one key's value: the exact type of the values that are known to be good (None: none are),
# those values, and the rule (None: the key may not stand). A plain tuple, since the interpreter takes that
# apart faster than a named one.
_Check: TypeAlias = "tuple[type | None, Container[object], Shape | None]"
_MAY_NOT_STAND: Final[_Check] = (None, frozenset(), None)
_Other: TypeAlias = "tuple[str, Any, Container[object], Shape | None]"


def _check_of(shape: Shape) -> _Check:
    if shape.kind not in _PLAIN:
        return (None, frozenset(), shape)
    asked = getattr(shape.keeps, "__self__", None)
    # a rule that asks a list or a range has all the good values there; of any other they are collected
    good: Container[object] = asked if isinstance(asked, (frozenset, range)) else set()
    return (shape.kind, good, shape)


def _sift(
    kept: dict[str, Any],
    others: list[_Other],
    drops: list[Drop],
    operator: Operator,
    judged: Judged | None,
) -> None:
    """Take out what may not stand of those whose values are not known to be good."""
    for key, value, good, shape in others:
        if shape is None:
            drops.append(UNKNOWN)
            del kept[key]
            continue
        kind, keeps = shape
        if type(good) is Beside:
            stands = type(value) is kind and keeps(value)
            if not (stands and good.holds(key, value, kept, others, judged)):
                drops.append(_PROFILE)
                del kept[key]
        elif (type(value) is kind or kind is object) and keeps(value):
            if type(good) is set and len(good) < _GOOD:
                good.add(value)
        elif kind is tuple and type(value) is list and keeps(value):
            kept[key] = tuple(value)
        elif kind is object and operator.forbids(key):
            drops.append(FORBIDDEN)
            del kept[key]
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
        operator: What the operator says of any key.
        beside: What decides besides about those of the known that others must stand beside.
    """

    __slots__ = ("_beside", "_checks", "_known", "_operator", "edition", "judges")

    def __init__(
        self,
        known: Mapping[str, Shape],
        operator: Operator,
        beside: Mapping[str, Beside] | None = None,
    ) -> None:
        self.edition = 0
        """How often the operator has been asked anew; what was kept by an earlier one may not stand."""

        self._known = known
        self._operator = operator
        self._beside = beside or {}
        self.judges = not all(each.shows for each in self._beside.values())
        """Whether some values stand by what goes itself."""

        self._checks = self._decided()

    def decide_anew(self) -> None:
        """Ask the operator about each key again, who may forbid more by now."""
        self._checks = self._decided()
        self.edition += 1

    def without_forbidden(self, attributes: dict[str, Any], drops: list[Drop]) -> dict[str, Any]:
        """Attributes that other rules have let pass, without those that the operator forbids."""
        forbids = self._operator.forbids
        kept = {key: value for key, value in attributes.items() if not forbids(key)}
        drops.extend([FORBIDDEN] * (len(attributes) - len(kept)))
        return kept

    def _decided(self) -> dict[str, _Check]:
        operator = self._operator
        return {
            key: _check_of(operator.rule_of(key))
            if operator.overrules(key)
            else (None, self._beside[key], shape)
            if key in self._beside
            else _check_of(shape)
            for key, shape in self._known.items()
        }

    def keep(
        self, attributes: Mapping[str, Any], drops: list[Drop], judged: Judged | None = None
    ) -> dict[str, Any]:
        """What of these attributes may stand.

        Args:
            attributes: As they came.
            drops: Where it is noted what may not.
            judged: What gates before this one have judged, to which this one adds; None where nothing of that
                can be remembered.
        """
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
            _sift(kept, others, drops, self._operator, judged)
        return kept

    def _decide(self, key: str) -> _Check:
        """About a key that nobody names."""
        check = _MAY_NOT_STAND
        if self._operator.allows(key):
            check = _check_of(self._operator.rule_of(key))
        if len(self._checks) < REMEMBERED:
            self._checks[key] = check
        return check
