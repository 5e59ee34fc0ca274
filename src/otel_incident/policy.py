"""The rules that decide what may leave: one key, one exact type, one grammar, one set of bounds.

Deny by default: a key without a rule is deleted, a value that breaks its rule is deleted (or, for
an id that no machine made, replaced by its keyed hash), an event that lacks what it requires is
refused. Nothing is masked and nothing is logged here: the caller gets the decision and the list of
what was taken out, by key of the vocabulary, reason and rule.

The grammars are matched in full and are ASCII alone, so that a look-alike letter breaks them; types
are exact, so that neither `True` passes for 1 nor a subclass of `str` for text that it is not.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias, final

from otel_incident.vocabulary import (
    ATTRIBUTES,
    EVENTS,
    INCIDENT_ACTION,
    INCIDENT_ID,
    USER_HASH,
    USER_ID,
    Attribute,
    Event,
    Reason,
    Rule,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

IdMode = Literal["plain", "hmac", "drop"]
"""What happens to an id: passes if a machine made it, is always hashed, or is left out."""

Value: TypeAlias = str | int | float | bool | tuple[str, ...]
"""What an attribute of the vocabulary can be on the wire."""

ID_MODES: Final[tuple[IdMode, ...]] = ("plain", "hmac", "drop")
MAX_COUNT: Final = 2**31 - 1
MAX_SECONDS: Final = 3.2e9  # a hundred years
MAX_ID_LENGTH: Final = 64
OUR_NAMESPACES: Final = ("incident.", "otel_incident.")

# What a machine makes: integers in decimal, UUIDs, ULIDs, Mattermost's 26 of its own base 32, long hex,
# and our own keyed hashes. Everything else might be a word.
_ID: Final = re.compile(
    r"[0-9]{1,20}"
    r"|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
    r"|[0-7][0-9A-HJKMNP-TV-Z]{25}"
    r"|[13-9a-km-uw-z]{26}"
    r"|[0-9a-fA-F]{12,64}"
    r"|hmac-[0-9a-f]{32}",
    re.ASCII,
)
_ULID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.ASCII)
_HASH: Final = re.compile(r"hmac-[0-9a-f]{32}", re.ASCII)
# A real date, without a calendar at hand: the collector's half matches the same text.
_TIMESTAMP: Final = re.compile(
    r"(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    r"|02-(?:0[1-9]|1[0-9]|2[0-8]))"
    r"|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)"
    r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z",
    re.ASCII,
)
_VERSION: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_~:-]{0,63}", re.ASCII)

GRAMMARS: Final[Mapping[Rule, re.Pattern[str]]] = {
    "id": _ID,
    "uid": _ULID,
    "hash": _HASH,
    "timestamp": _TIMESTAMP,
    "version": _VERSION,
}
"""What a text must match in full, by the rule that asks for one."""


class Drop(NamedTuple):
    """One thing that did not leave as it came: which attribute of ours (or ""), why, by which rule."""

    attribute: str
    reason: Reason
    rule: Rule | Literal["none", "profile"]


class Checked(NamedTuple):
    """The decision about one event: its attributes (None: refused as a whole) and what was taken out."""

    attributes: dict[str, Value] | None
    drops: tuple[Drop, ...]


class Filtered(NamedTuple):
    """What stays of some attributes, and what was taken out."""

    attributes: dict[str, Any]
    drops: tuple[Drop, ...]


_UNKNOWN: Final = Drop("", "unknown_key", "none")


def _is_sequence(value: object) -> bool:
    return type(value) is tuple or type(value) is list  # not `in`: a class can define its own equality


class Shape(NamedTuple):
    """What a rule asks of a value: its exact type, and what a value of that type must be."""

    kind: type
    keeps: Callable[[Any], object]


def _shape_of(attribute: Attribute) -> Shape:
    members = frozenset(attribute.members)
    if attribute.rule == "enum":
        return Shape(str, members.__contains__)
    if attribute.rule == "enum_list":
        return Shape(tuple, _are_members_of(members))
    if attribute.rule in GRAMMARS:
        return Shape(str, GRAMMARS[attribute.rule].fullmatch)
    return {
        "flag": Shape(bool, lambda _: True),
        "count": Shape(int, lambda value: 0 <= value <= MAX_COUNT),
        "seconds": Shape(float, lambda value: math.isfinite(value) and 0.0 <= value <= MAX_SECONDS),
    }[attribute.rule]


def _are_members_of(members: frozenset[str]) -> Callable[[Any], bool]:
    most = len(members)

    def keeps(values: Any) -> bool:
        for value in values:
            if type(value) is not str or value not in members:
                return False
        return 0 < len(values) <= most

    return keeps


def _rule_of(shape: Shape) -> Callable[[object], bool]:
    kind, keeps = shape
    if kind is tuple:  # what is a tuple on the wire may be handed to an API as a list
        return lambda value: _is_sequence(value) and bool(keeps(value))
    return lambda value: type(value) is kind and bool(keeps(value))


SHAPES: Final[Mapping[str, Shape]] = {name: _shape_of(attribute) for name, attribute in ATTRIBUTES.items()}
"""For each registered attribute: its exact type, and what says whether such a value keeps its rule."""

KEEPS_RULE: Final[Mapping[str, Callable[[object], bool]]] = {
    name: _rule_of(shape) for name, shape in SHAPES.items()
}
"""For each registered attribute: does this value keep its rule? Total, and never raises."""


def refusal(name: str, value: object) -> Drop:
    """Why a value was refused: its type is wrong, or its type is right and the value is not."""
    attribute = ATTRIBUTES.get(name)
    if attribute is None:
        return Drop("", "unknown_key", "none")
    expected = SHAPES[name].kind
    right = _is_sequence(value) if expected is tuple else type(value) is expected
    reason: Reason = "bad_value" if right else "wrong_type"
    return Drop(name, reason, attribute.rule)


class _AsTheyAre(NamedTuple):
    """What lets an event of one name pass as it is: the shape of each attribute, and what must be there."""

    shapes: Mapping[
        str, tuple[type, Callable[[Any], object]]
    ]  # not `Shape`: a plain tuple is taken apart sooner
    required: tuple[str, ...]

    def hold(self, attributes: Mapping[str, object]) -> bool:
        """Whether nothing has to be taken out, replaced or added; what does not hold is looked at again."""
        shapes = self.shapes
        for name, value in attributes.items():
            if type(name) is not str or name not in shapes:
                return False
            kind, keeps = shapes[name]
            if type(value) is not kind or not keeps(value):
                return False
        for name in self.required:  # noqa: SIM110  dearer with `all`
            if name not in attributes:
                return False
        return True


@final
class Policy:
    """The rules for our own events, with the id modes of one installation.

    Args:
        pseudonym: Makes the keyed hash of an id that may not pass: `hmac-` and 32 hex digits.
        id_modes: The mode by attribute name; "" is the mode of all others. Default: plain.
    """

    __slots__ = ("_as_they_are", "_events", "_id_modes", "_pseudonym")

    def __init__(
        self, *, pseudonym: Callable[[str], str], id_modes: Mapping[str, IdMode] | None = None
    ) -> None:
        modes = id_modes or {}
        default = modes.get("", "plain")
        self._pseudonym = pseudonym
        self._id_modes: dict[str, IdMode] = {
            name: modes.get(name, default) for name, attribute in ATTRIBUTES.items() if attribute.rule == "id"
        }
        if self._id_modes[INCIDENT_ID] == "drop":  # an event without its incident says nothing: hash it
            self._id_modes[INCIDENT_ID] = "hmac"
        self._events: dict[str, Event] = dict(EVENTS)
        self._as_they_are: dict[str, _AsTheyAre] = {
            name: _AsTheyAre(
                shapes={
                    key: (SHAPES[key].kind, SHAPES[key].keeps)
                    for key in event.attributes
                    if self._id_modes.get(key, "plain") == "plain" and not self._drops_hash(key)
                },
                required=tuple(key for key, level in event.attributes.items() if level == "required"),
            )
            for name, event in EVENTS.items()
        }

    def check_event(
        self,
        event_name: str,
        attributes: Mapping[str, object],
        id_shapes: Mapping[str, re.Pattern[str]] | None = None,
    ) -> Checked:
        """Decide about one event of ours.

        Args:
            event_name: `incident.create` and the like; one that is not registered is refused.
            attributes: What the emitter collected; None never occurs.
            id_shapes: By attribute name, what a hook's host uses as an id (at most 64 ASCII characters).

        Returns:
            The attributes that may leave (the same object where all may), and what was taken out;
            never raises.
        """
        event = self._events.get(event_name)
        if event is None:
            return Checked(None, (Drop(INCIDENT_ACTION, "missing_required", "enum"),))
        if id_shapes is None and type(attributes) is dict and self._as_they_are[event_name].hold(attributes):
            return Checked(attributes, ())
        kept: dict[str, Value] = {}
        drops: list[Drop] = []
        id_modes = self._id_modes
        for name, given in attributes.items():
            value = tuple(given) if type(given) is list else given  # whoever holds a list can still change it
            if type(name) is not str or name not in event.attributes:
                known = type(name) is str and name in ATTRIBUTES
                drops.append(Drop(name if known else "", "unknown_key", "none"))
            elif self._drops_hash(name):
                continue
            elif name in id_modes:
                self._check_id(name, value, id_shapes, kept, drops)
            elif KEEPS_RULE[name](value):
                kept[name] = value  # type: ignore[assignment]  # a `Value`, as its rule has just said
            else:
                drops.append(refusal(name, value))
        for name, level in event.attributes.items():
            if level == "required" and name not in kept:
                drops.append(Drop(name, "missing_required", ATTRIBUTES[name].rule))
                return Checked(None, tuple(drops))
        return Checked(kept, tuple(drops))

    def check_user(
        self, name: str, value: object, id_shapes: Mapping[str, re.Pattern[str]] | None = None
    ) -> dict[str, Value]:
        """What would leave of a user's id in an event, and under which name; nothing if it may not.

        Args:
            name: `user.id`, or `user.hash` for what was hashed before.
            value: The id, or the hash.
            id_shapes: As for an event.
        """
        kept: dict[str, Value] = {}
        if name == USER_ID:
            self._check_id(name, value, id_shapes, kept, [])
        elif KEEPS_RULE[name](value) and not self._drops_hash(name):
            kept[name] = value  # type: ignore[assignment]  # a `Value`, as its rule has just said
        return kept

    def _drops_hash(self, name: str) -> bool:
        """Whether it is the hash of an id that is to be left out."""
        return name == USER_HASH and self._id_modes[USER_ID] == "drop"

    def _check_id(
        self,
        name: str,
        value: object,
        id_shapes: Mapping[str, re.Pattern[str]] | None,
        kept: dict[str, Value],
        drops: list[Drop],
    ) -> None:
        mode = self._id_modes[name]
        if mode == "drop":
            return
        if type(value) is not str or not value:
            drops.append(refusal(name, value))
            return
        if mode == "plain":
            if _keeps_shape(name, value, id_shapes):
                kept[name] = value
                return
            drops.append(Drop(name, "hashed", "id"))
        kept[USER_HASH if name == USER_ID else name] = self._pseudonym(value)


def _keeps_shape(name: str, value: str, id_shapes: Mapping[str, re.Pattern[str]] | None) -> bool:
    shape = id_shapes.get(name) if id_shapes else None
    if shape is None:
        return _ID.fullmatch(value) is not None
    return len(value) <= MAX_ID_LENGTH and value.isascii() and shape.fullmatch(value) is not None


def is_ours(key: object) -> bool:
    """Whether a key stands in a namespace of ours, where only what is registered may stand."""
    return isinstance(key, str) and key.startswith(OUR_NAMESPACES)


def keep_registered(attributes: Mapping[str, object], among: Collection[str] = ATTRIBUTES) -> Filtered:
    """Strict: what is registered and keeps its rule stays, everything else goes.

    Args:
        attributes: Attributes of any signal.
        among: The registered names that may stand here; by default all.
    """
    kept: dict[str, Any] = {}
    drops: list[Drop] = []
    for name, value in attributes.items():
        if type(name) is not str or name not in among:
            drops.append(_UNKNOWN)
        elif KEEPS_RULE[name](value):
            kept[name] = value
        else:
            drops.append(refusal(name, value))
    return Filtered(kept, tuple(drops))
