"""The rules about our own annotations, which no validator knows.

An attribute that nobody explains is one that nobody should send; and the policy can only hold back what does
not match a rule if every attribute names a rule that exists and fits.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scripts.registry import Breach, Registry

MEMBER: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", re.ASCII)
ALIAS: Final = re.compile(r"[A-Z][A-Za-z0-9]*", re.ASCII)
RULE_ATTRIBUTE: Final = "otel_incident.rule"
# What a rule's value is on the wire. An enum's type is the mapping that lists its members.
RULE_TYPES: Final = {
    "id": "string",
    "uid": "string",
    "timestamp": "string",
    "count": "int",
    "seconds": "double",
    "flag": "boolean",
    "enum": "enum",
    "enum_list": "string[]",
    "version": "string",
    "hash": "string",
}
# Members of the rule attribute that are no rule of an attribute of ours.
NO_RULES: Final = {"none", "profile"}
# Names of the generated module that an alias would shadow.
TYPING_NAMES: Final = {"Final", "Literal", "NamedTuple"}
OUR_NAMES: Final = {"Attribute", "Event", "Identifies", "Metric", "Requirement", "Rule"}


def upstream_ref_is_explained_once(registry: Registry) -> Iterator[Breach]:
    """An upstream attribute has our annotations on one ref; our own have them on the definition."""
    own = {item.name for item in registry.items("attributes")}
    explained = Counter(ref["ref"] for _, ref in registry.written_refs if "annotations" in ref)
    for item, ref in registry.written_refs:
        key = ref.get("ref", "")
        if key in own and explained[key]:
            yield item, f"the ref to `{key}` has annotations; move them to its definition."
        elif key in registry.definitions and key not in own and explained[key] != 1:
            yield item, f"`{key}` is annotated on {explained[key]} refs; annotate exactly one."


def rule_fits_type(registry: Registry) -> Iterator[Breach]:
    """The rule of an attribute is one that the policy has, for values of the attribute's type."""
    for item, notes in registry.explained():
        rule, kind = notes["rule"], item.wire_type()
        if rule not in RULE_TYPES:
            yield item, f"the rule `{rule}` does not exist; use one of {', '.join(RULE_TYPES)}."
        elif RULE_TYPES[rule] != kind:
            yield item, f"the rule `{rule}` is for {RULE_TYPES[rule]}, the type is {kind}; change one."
        if (rule == "enum_list") != ("members" in notes):
            yield item, "`members` belongs to the rule enum_list and to no other; add or remove it."


def rule_attribute_lists_the_rules(registry: Registry) -> Iterator[Breach]:
    """The metric of what was taken out can name every rule, and `none`."""
    listed = [item for item in registry.items("attributes") if item.name == RULE_ATTRIBUTE]
    values = {value for item in listed for value in item.values()}
    differ = ", ".join(sorted(values ^ {*RULE_TYPES, *NO_RULES}))
    if differ:
        item = listed[0] if listed else registry.manifest_item()
        yield item, f"its members and the rules that the policy has differ in {differ}; align them."


def member_is_well_formed(registry: Registry) -> Iterator[Breach]:
    """The members of a closed list are unique, lower case, and have one spelling."""
    for item, notes in registry.explained():
        for member in item.members():
            if member["id"] != member["value"]:
                yield (
                    item,
                    f"the value of the member `{member['id']}` is spelt differently; use one spelling.",
                )
        values = item.values() or notes.get("members", [])
        for value, count in Counter(values).items():
            if count > 1 or not MEMBER.fullmatch(value):
                yield item, f"the member `{value}` must be lower case with `_` and occur once; correct it."


def alias_is_a_type_name(registry: Registry) -> Iterator[Breach]:
    """Only a closed list gets a type in code, under a name that is free."""
    for item, notes in registry.explained():
        alias = notes.get("alias")
        if alias is None:
            continue
        if not ALIAS.fullmatch(alias) or alias in TYPING_NAMES | OUR_NAMES:
            yield item, f"the alias `{alias}` must be a CamelCase name that is not taken; rename it."
        if notes["rule"] not in {"enum", "enum_list"}:
            yield item, f"the alias `{alias}` is on an attribute without a closed list; remove it."


def event_says_its_action(registry: Registry) -> Iterator[Breach]:
    """An event requires one attribute with `alias: Action`, which has the event's action as a member."""
    explained = registry.explained()
    actions = {item.name: item.values() for item, notes in explained if notes.get("alias") == "Action"}
    for event in registry.items("events"):
        mine = [ref for ref in registry.refs_of(event) if ref.key in actions]
        if len(mine) != 1 or mine[0].requirement() != "required":
            yield event, "it must require exactly one attribute with `alias: Action`; add a ref to it."
        elif (action := event.ours()["action"]) not in actions[mine[0].key]:
            yield event, f"its action `{action}` is no member of `{mine[0].key}`; add it there."


ANNOTATION_RULES: Final[tuple[Callable[[Registry], Iterator[Breach]], ...]] = (
    upstream_ref_is_explained_once,
    rule_fits_type,
    rule_attribute_lists_the_rules,
    member_is_well_formed,
    alias_is_a_type_name,
    event_says_its_action,
)
