"""What makes a registry good, one rule each: a small generator that yields one sentence for each breach.

The rules are those of OpenTelemetry's validator and its policies, as far as they touch the part of the format
that we use, and a few of our own (an attribute that nobody explains is an attribute that nobody should send).
The generator refuses to run on a registry that breaks one; the tests break each on purpose.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from scripts.registry import FOLDER, MANIFEST, Item, Registry, dependency_paths
from scripts.registry_shape import misfits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Breach = tuple[Item, str]

NAME: Final = re.compile(r"[a-z][a-z0-9]*([._][a-z0-9]+)*", re.ASCII)
MEMBER: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", re.ASCII)
ALIAS: Final = re.compile(r"[A-Z][A-Za-z0-9]*", re.ASCII)
SCHEMA_URL: Final = re.compile(r"https?://[^/\s]+(/[^/\s]+)+/\d+\.\d+\.\d+", re.ASCII)
# Names of the generated module that an alias would shadow.
TAKEN: Final = {"Attribute", "Event", "Final", "Identifies", "Literal", "Metric", "NamedTuple"} | {
    "Requirement",
    "Rule",
}
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
EXAMPLE_TYPES: Final[dict[str, type]] = {"string": str, "int": int, "double": float, "boolean": bool}
PREFIXES: Final = {"attributes": "", "events": "EVENT_", "metrics": "METRIC_"}


class Finding(NamedTuple):
    """A breach of one rule, in words that say where it is and what to do."""

    rule: str
    file: str
    item: str
    sentence: str

    def __str__(self) -> str:
        """Return the line that a person reads."""
        return f"{self.file}: {self.item}: {self.rule}: {self.sentence}"


def constant(section: str, name: str) -> str:
    """Return the name of the generated constant."""
    return PREFIXES[section] + name.upper().replace(".", "_")


def wire_type(item: Item) -> str:
    """Return the registry's type of an attribute, or `enum`."""
    kind = item.data["type"]
    return kind if isinstance(kind, str) else "enum"


def members(item: Item) -> list[str]:
    """Return the values of an enum, empty for other types."""
    kind = item.data["type"]
    return [] if isinstance(kind, str) else [member["value"] for member in kind["members"]]


def schema_url_has_a_version(registry: Registry) -> Iterator[Breach]:
    """A schema URL is an address whose last segment is a version."""
    urls = [registry.manifest["schema_url"], *(d["schema_url"] for d in registry.manifest["dependencies"])]
    for url in urls:
        if not SCHEMA_URL.fullmatch(url):
            yield _manifest(registry), f"`{url}` is not of the form https://host/path/1.2.3; write it so."


def stub_is_outside(registry: Registry) -> Iterator[Breach]:
    """What the registry depends on is a folder beside it: inside, it would be read as part of it."""
    for path in dependency_paths(registry.manifest):
        if (registry.root / FOLDER).resolve() in (registry.root / path).resolve().parents:
            yield _manifest(registry), f"`{path}` lies inside `{FOLDER}`; move it beside that folder."
        elif not (registry.root / path / MANIFEST).is_file():
            yield _manifest(registry), f"`{path}` has no {MANIFEST}; correct the path (from the root)."


def name_grammar(registry: Registry) -> Iterator[Breach]:
    """Names are lower case, in words joined by `.` and `_`, and have a namespace."""
    for item in _named(registry):
        if not NAME.fullmatch(item.name):
            yield item, "the name may have only a-z, 0-9, single `.` and `_`; rename it."
        elif "." not in item.name:
            yield item, "the name has no namespace; put one before it, such as `incident.`."


def name_is_unique(registry: Registry) -> Iterator[Breach]:
    """A name is defined once in its section, and not again where upstream has it."""
    sections = ("attributes", "attribute_groups", "entities", "events", "metrics")
    for section in sections:
        counts = Counter(item.name for item in registry.items(section))
        for item in registry.items(section):
            if counts[item.name] > 1:
                yield item, "the name is defined more than once; keep one definition."
    for item in registry.items("attributes"):
        if item.name in registry.upstream_attributes:
            yield item, "upstream defines this attribute; import its group and use a ref."


def name_is_no_namespace(registry: Registry) -> Iterator[Breach]:
    """No name is the namespace of another name in its section."""
    sections = (
        list(registry.definitions.values()),
        list(registry.items("events")),
        list(registry.items("metrics")),
    )
    for items in sections:
        for item in items:
            inside = [other.name for other in items if other.name.startswith(item.name + ".")]
            if inside:
                yield item, f"the name is the namespace of `{inside[0]}`; rename one of them."


def constant_is_unique(registry: Registry) -> Iterator[Breach]:
    """No two names give the same constant in code."""
    everything = [
        *registry.definitions.values(),
        *registry.items("events"),
        *registry.items("metrics"),
    ]
    first: dict[str, Item] = {}
    for item in everything:
        name = constant(item.section, item.name)
        other = first.setdefault(name, item)
        if (other.section, other.name) != (item.section, item.name):
            yield item, f"its constant `{name}` is also that of `{other.name}`; rename one of them."


def brief_ends_with_full_stop(registry: Registry) -> Iterator[Breach]:
    """Every sentence that a person will read is a sentence."""
    for item, what, text in _texts(registry):
        if not text.rstrip().endswith("."):
            yield item, f"the {what} does not end with a full stop; end it with one."


def import_resolves(registry: Registry) -> Iterator[Breach]:
    """Every import names a group of the upstream stub; the validator is silent if it does not."""
    for file, group in registry.imports:
        if group not in registry.upstream_groups:
            item = Item(file, "imports", group, {})
            yield item, "no upstream group has this id; correct it or add the group to the stub."


def ref_resolves(registry: Registry) -> Iterator[Breach]:
    """Every ref leads to an attribute of ours or of an imported group, or to a group of ours."""
    groups = {group.name for group in registry.items("attribute_groups")}
    for item, ref in registry.written_refs:
        if "ref_group" in ref:
            if ref["ref_group"] not in groups:
                yield item, f"the group `{ref['ref_group']}` is not defined; define it or correct the ref."
        elif ref["ref"] not in registry.definitions:
            yield item, f"the attribute `{ref['ref']}` is not known; define it or import its group."


def ref_is_unique(registry: Registry) -> Iterator[Breach]:
    """A signal lists an attribute once, so that it has one requirement level."""
    for item in (*registry.items("attribute_groups"), *registry.signals()):
        counts = Counter(ref.key for ref in registry.refs_of(item))
        for key, count in counts.items():
            if count > 1:
                yield item, f"`{key}` is listed {count} times; keep one."


def entity_association_resolves(registry: Registry) -> Iterator[Breach]:
    """Every event belongs to entities that exist."""
    entities = {entity.name for entity in registry.items("entities")}
    for event in registry.items("events"):
        for name in event.data["entity_associations"]:
            if name not in entities:
                yield event, f"the entity `{name}` is not defined; define it or correct the name."


def attribute_is_used(registry: Registry) -> Iterator[Breach]:
    """An attribute that no signal lists has no reason to be allowed out."""
    used = {ref.key for item in registry.signals() for ref in registry.refs_of(item)}
    for item in registry.items("attributes"):
        if item.name not in used:
            yield item, "no event, entity or metric refers to it; refer to it or remove it."


def upstream_ref_is_explained_once(registry: Registry) -> Iterator[Breach]:
    """An upstream attribute has our annotations on one ref; our own have them on the definition."""
    own = {item.name for item in registry.items("attributes")}
    explained = Counter(
        ref["ref"] for _, ref in registry.written_refs if "ref" in ref and "annotations" in ref
    )
    for item, ref in registry.written_refs:
        key = ref.get("ref", "")
        if key in own and explained[key]:
            yield item, f"the ref to `{key}` has annotations; move them to its definition."
        elif key in registry.definitions and key not in own and explained[key] != 1:
            yield item, f"`{key}` is annotated on {explained[key]} refs; annotate exactly one."


def rule_fits_type(registry: Registry) -> Iterator[Breach]:
    """The rule of an attribute is one that the policy has, for values of the attribute's type."""
    for item, notes in registry.explained():
        rule, kind = notes["rule"], wire_type(item)
        if rule not in RULE_TYPES:
            yield item, f"the rule `{rule}` does not exist; use one of {', '.join(RULE_TYPES)}."
        elif RULE_TYPES[rule] != kind:
            yield item, f"the rule `{rule}` is for {RULE_TYPES[rule]}, the type is {kind}; change one."
        if (rule == "enum_list") != ("members" in notes):
            yield item, "`members` belongs to the rule enum_list and to no other; add or remove it."
    listed = {
        m for item in registry.items("attributes") if item.name == RULE_ATTRIBUTE for m in members(item)
    }
    if listed != {*RULE_TYPES, "none"}:
        differ = ", ".join(sorted(listed ^ {*RULE_TYPES, "none"}))
        yield (
            _manifest(registry),
            f"the members of `{RULE_ATTRIBUTE}` and the rules differ in {differ}; align them.",
        )


def member_is_well_formed(registry: Registry) -> Iterator[Breach]:
    """The members of a closed list are unique, lower case, and have one spelling."""
    for item, notes in registry.explained():
        kind = item.data["type"]
        for member in [] if isinstance(kind, str) else kind["members"]:
            if member["id"] != member["value"]:
                yield (
                    item,
                    f"the member `{member['id']}` has the value `{member['value']}`; use one spelling.",
                )
        values = members(item) or notes.get("members", [])
        for value, count in Counter(values).items():
            if count > 1 or not MEMBER.fullmatch(value):
                yield item, f"the member `{value}` must be lower case with `_` and occur once; correct it."


def alias_is_a_type_name(registry: Registry) -> Iterator[Breach]:
    """Only a closed list gets a type in code, under a name that is free."""
    for item, notes in registry.explained():
        alias = notes.get("alias")
        if alias is None:
            continue
        if not ALIAS.fullmatch(alias) or alias in TAKEN:
            yield item, f"the alias `{alias}` must be a CamelCase name that is not taken; rename it."
        if notes["rule"] not in {"enum", "enum_list"}:
            yield item, f"the alias `{alias}` is on an attribute without a closed list; remove it."


def event_says_its_action(registry: Registry) -> Iterator[Breach]:
    """An event requires one attribute with `alias: Action`, which has the event's action as a member."""
    actions = {
        item.name: members(item) for item, notes in registry.explained() if notes.get("alias") == "Action"
    }
    for event in registry.items("events"):
        mine = [ref for ref in registry.refs_of(event) if ref.key in actions]
        if len(mine) != 1 or mine[0].requirement() != "required":
            yield event, "it must require exactly one attribute with `alias: Action`; add a ref to it."
        elif event.ours()["action"] not in actions[mine[0].key]:
            yield (
                event,
                f"its action `{event.ours()['action']}` is no member of `{mine[0].key}`; add it there.",
            )


def example_fits_type(registry: Registry) -> Iterator[Breach]:
    """An example is a value that the attribute could have; strings and numbers have at least one."""
    for item in registry.items("attributes"):
        kind = EXAMPLE_TYPES.get(wire_type(item))
        examples: list[Any] = item.data.get("examples", [])
        if kind is not None and not examples:
            yield item, "it has no examples; add one."
        for example in examples:
            if kind is not None and type(example) is not kind:
                yield item, f"the example `{example}` is no {kind.__name__}; correct it (quote strings)."


RULES: Final[tuple[Callable[[Registry], Iterator[Breach]], ...]] = (
    schema_url_has_a_version,
    stub_is_outside,
    name_grammar,
    name_is_unique,
    name_is_no_namespace,
    constant_is_unique,
    brief_ends_with_full_stop,
    import_resolves,
    ref_resolves,
    ref_is_unique,
    entity_association_resolves,
    attribute_is_used,
    upstream_ref_is_explained_once,
    rule_fits_type,
    member_is_well_formed,
    alias_is_a_type_name,
    event_says_its_action,
    example_fits_type,
)


def check(registry: Registry) -> list[Finding]:
    """Return every breach; where the shape itself is broken, only that, since the rest relies on it."""
    shape = [Finding(*misfit) for misfit in misfits(registry)]
    return shape or [
        Finding(rule.__name__, item.file, item.name, sentence)
        for rule in RULES
        for item, sentence in rule(registry)
    ]


def _manifest(registry: Registry) -> Item:
    return Item(f"{FOLDER}/{MANIFEST}", "manifest", "the file itself", registry.manifest)


def _named(registry: Registry) -> Iterator[Item]:
    return chain(registry.items("attributes"), registry.signals())


def _texts(registry: Registry) -> Iterator[tuple[Item, str, str]]:
    for item in _named(registry):
        yield item, "brief", item.data["brief"]
        if "why" in item.ours():
            yield item, "why", item.ours()["why"]
    for item in registry.items("attributes"):
        kind = item.data["type"]
        for member in [] if isinstance(kind, str) else kind["members"]:
            yield item, f"brief of the member `{member['id']}`", member["brief"]
    for item, ref in registry.written_refs:
        level = ref.get("requirement_level")
        if isinstance(level, dict):
            yield item, f"condition of the ref to `{ref['ref']}`", level["conditionally_required"]
        if "brief" in ref:
            yield item, f"brief of the ref to `{ref['ref']}`", ref["brief"]
        if "annotations" in ref:
            yield item, f"why of the ref to `{ref['ref']}`", ref["annotations"]["otel_incident"]["why"]
