"""What makes a registry good, one rule each: a small generator that yields one sentence for each breach.

The rules are those of OpenTelemetry's validator and its policies, as far as they touch the part of the format
that we use; those about our own annotations are in `annotation_rules`. The generator refuses to run on a
registry that breaks one; the tests break each on purpose.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from scripts.annotation_rules import ANNOTATION_RULES
from scripts.registry import FOLDER, MANIFEST, NAME_KEYS, Item, Registry, dependency_paths
from scripts.registry_shape import misfits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scripts.registry import Breach

NAME: Final = re.compile(r"[a-z][a-z0-9]*([._][a-z0-9]+)*", re.ASCII)
EXAMPLE_TYPES: Final[dict[str, type]] = {
    "string": str,
    "int": int,
    "double": float,
    "boolean": bool,
    "string[]": list,
}
SCHEMA_URL: Final = re.compile(r"https?://[^/\s]+(/[^/\s]+)+/\d+\.\d+\.\d+", re.ASCII)


class Finding(NamedTuple):
    """A breach of one rule, in words that say where it is and what to do."""

    rule: str
    file: str
    item: str
    sentence: str

    def __str__(self) -> str:
        """Return the line that a person reads."""
        return f"{self.file}: {self.item}: {self.rule}: {self.sentence}"


def schema_url_has_a_version(registry: Registry) -> Iterator[Breach]:
    """A schema URL is an address whose last segment is a version."""
    urls = [registry.manifest["schema_url"], *(d["schema_url"] for d in registry.manifest["dependencies"])]
    for url in urls:
        if not SCHEMA_URL.fullmatch(url):
            yield (
                registry.manifest_item(),
                f"`{url}` does not look like https://host/path/1.2.3; write it so.",
            )


def stub_is_outside(registry: Registry) -> Iterator[Breach]:
    """What the registry depends on is a folder beside it: inside, it would be read as part of it."""
    for path in dependency_paths(registry.manifest):
        if (registry.root / FOLDER).resolve() in (registry.root / path).resolve().parents:
            yield registry.manifest_item(), f"`{path}` lies inside `{FOLDER}`; move it beside that folder."
        elif not (registry.root / path / MANIFEST).is_file():
            yield registry.manifest_item(), f"`{path}` has no {MANIFEST}; correct the path (from the root)."


def name_grammar(registry: Registry) -> Iterator[Breach]:
    """Names are lower case, in words joined by `.` and `_`, and have a namespace."""
    for item in _named(registry):
        if not NAME.fullmatch(item.name):
            yield item, "the name may have only a-z, 0-9, single `.` and `_`; rename it."
        elif "." not in item.name:
            yield item, "the name has no namespace; put one before it, such as `incident.`."


def name_is_unique(registry: Registry) -> Iterator[Breach]:
    """A name is defined once in its section, and not again where upstream has it."""
    for section in NAME_KEYS:
        counts = Counter(item.name for item in registry.items(section))
        for item in registry.items(section):
            if counts[item.name] > 1:
                yield item, "the name is defined more than once; keep one definition."
    for item in registry.items("attributes"):
        if item.name in registry.upstream_attributes:
            yield item, "upstream defines this attribute; import its group and use a ref."


def name_is_no_namespace(registry: Registry) -> Iterator[Breach]:
    """No name is the namespace of another name in its section."""
    for items in (registry.definitions.values(), registry.items("events"), registry.items("metrics")):
        known = list(items)
        for item in known:
            inside = [other.name for other in known if other.name.startswith(item.name + ".")]
            if inside:
                yield item, f"the name is the namespace of `{inside[0]}`; rename one of them."


def constant_is_unique(registry: Registry) -> Iterator[Breach]:
    """No two names give the same constant in code."""
    first: dict[str, Item] = {}
    for item in chain(registry.definitions.values(), registry.items("events"), registry.items("metrics")):
        name = item.constant()
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


def example_fits_type(registry: Registry) -> Iterator[Breach]:
    """An example is a value that the attribute could have; strings and numbers have at least one."""
    examples: list[tuple[Item, str, list[Any]]] = [
        (item, item.wire_type(), item.data.get("examples", [])) for item in registry.items("attributes")
    ]
    examples += [
        (item, registry.definitions[ref["ref"]].wire_type(), ref["examples"])
        for item, ref in registry.written_refs
        if "examples" in ref and ref["ref"] in registry.definitions
    ]
    for item, kind, values in examples:
        expected = EXAMPLE_TYPES.get(kind)
        if expected is None:
            continue
        if not values:
            yield item, "it has no examples; add one."
        for value in values:
            if type(value) is not expected:
                yield item, f"the example `{value}` is no {kind}; correct it (quote strings)."


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
    example_fits_type,
    *ANNOTATION_RULES,
)


def check(registry: Registry) -> list[Finding]:
    """Return every breach; where the shape itself is broken, only that, since the rest relies on it."""
    shape = [Finding(*misfit) for misfit in misfits(registry)]
    return shape or [
        Finding(rule.__name__, item.file, item.name, sentence)
        for rule in RULES
        for item, sentence in rule(registry)
    ]


def _named(registry: Registry) -> Iterator[Item]:
    return chain(registry.items("attributes"), registry.signals())


def _texts(registry: Registry) -> Iterator[tuple[Item, str, str]]:
    """Yield every text that a person will read, with what it is."""
    for item in _named(registry):
        yield from ((item, key, text) for key, text in _sentences(item.data))
        for member in item.members() if item.section == "attributes" else ():
            yield item, f"brief of the member `{member['id']}`", member["brief"]
    for item, ref in registry.written_refs:
        if "ref" in ref:
            yield from ((item, f"{key} of the ref to `{ref['ref']}`", text) for key, text in _sentences(ref))


def _sentences(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    ours = data.get("annotations", {}).get("otel_incident", {})
    level = data.get("requirement_level")
    condition = level["conditionally_required"] if isinstance(level, dict) else None
    texts = {
        "brief": data.get("brief"),
        "note": data.get("note"),
        "why": ours.get("why"),
        "condition": condition,
    }
    return ((key, text) for key, text in texts.items() if text is not None)
