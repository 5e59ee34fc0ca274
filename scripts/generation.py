"""Turns the registry into code and documents, so that neither can say something else than the registry.

`scripts/generate` is the command; this module is what it and the tests call.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

import jinja2

from scripts import profiles
from scripts.annotation_rules import RULE_ATTRIBUTE, RULE_TYPES
from scripts.python_literals import assign, docstring
from scripts.registry import Item, Ref, Registry, RegistryError
from scripts.registry_rules import check
from scripts.registry_shape import IDENTIFIES

TEMPLATES: Final = Path(__file__).parent / "templates"
OUTPUTS: Final = {
    "vocabulary.py.j2": "src/otel_incident/vocabulary.py",
    "profiles.py.j2": "src/otel_incident/profiles.py",
    "profile_reasons.py.j2": "src/otel_incident/policy_cli/profile_reasons.py",
    "telemetry.md.j2": "docs/telemetry.md",
}


class Attribute(NamedTuple):
    """An attribute as the templates see it: definition and annotations in one."""

    name: str
    constant: str
    type: str
    rule: str
    members: list[str]
    seed_name: str
    brief: str
    note: str
    why: str
    identifies: str
    upstream: bool


class Signal(NamedTuple):
    """An event or a metric as the templates see it."""

    name: str
    constant: str
    brief: str
    ours: dict[str, str]
    data: dict[str, Any]
    refs: list[Ref]


class Alias(NamedTuple):
    """A type of closed values in code, and the attributes that have them."""

    name: str
    values: list[str]
    attributes: list[str]


def context(registry: Registry) -> dict[str, Any]:
    """Return what the templates are given."""
    attributes = {item.name: _attribute(registry, item, notes) for item, notes in registry.explained()}
    return {
        "schema_url": registry.manifest["schema_url"],
        "attributes": attributes,
        "aliases": _aliases(registry, attributes),
        "rules": _rules(registry),
        "identifies": sorted(IDENTIFIES),
        "events": [_signal(registry, item) for item in registry.items("events")],
        "metrics": [_signal(registry, item) for item in registry.items("metrics")],
        **_carriers(registry, attributes),
        "profiles": profiles.load(registry.root / "profiles"),
        "profile_rules": sorted(profiles.RULES),
        "resource": {ref.key: ref for item in registry.items("entities") for ref in registry.refs_of(item)},
    }


def render(registry: Registry) -> dict[str, str]:
    """Return the text of every generated file by its path from the root."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701  # the output is Python and Markdown, the input our own files
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {"assign": assign, "docstring": docstring, "constant": _closed_list}
    values = context(registry)
    return {path: environment.get_template(template).render(values) for template, path in OUTPUTS.items()}


def main(arguments: list[str] | None = None) -> int:
    """Generate, or with --check compare; return the exit status."""
    parser = argparse.ArgumentParser(prog="scripts/generate", description="Generate code and documents.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file differs")
    parser.add_argument("--root", type=Path, default=Path(__file__).parent.parent, help="another checkout")
    options = parser.parse_args(arguments)
    try:
        registry = Registry.load(options.root)
    except (RegistryError, profiles.ProfileError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    findings = check(registry)
    if findings:
        sys.stderr.writelines(f"{finding}\n" for finding in findings)
        sys.stderr.write(f"Nothing is generated: the registry breaks {len(findings)} rule(s).\n")
        return 1
    differing = {path: text for path, text in render(registry).items() if _read(options.root / path) != text}
    for path, text in differing.items():
        if options.check:
            sys.stderr.write(f"{path} is not what the registry says; run scripts/generate and commit it.\n")
        else:
            (options.root / path).write_text(text, encoding="utf-8")
            sys.stdout.write(f"{path} is written\n")
    return int(options.check and bool(differing))


def _attribute(registry: Registry, item: Item, notes: dict[str, Any]) -> Attribute:
    refs = [ref for _, ref in registry.written_refs if "annotations" in ref and ref["ref"] == item.name]
    refined = refs[0] if refs else {}
    kind = item.wire_type()
    return Attribute(
        name=item.name,
        constant=item.constant(),
        type="string" if kind == "enum" else kind,
        rule=notes["rule"],
        members=item.values() or notes.get("members", []),
        seed_name=notes.get("seed_name", ""),
        brief=_line(refined.get("brief", item.data["brief"])),
        note=_line(refined.get("note", item.data.get("note", ""))),
        why=_line(notes["why"]),
        identifies=notes["identifies"],
        upstream=item.name in registry.upstream_attributes,
    )


def _aliases(registry: Registry, attributes: dict[str, Attribute]) -> list[Alias]:
    """Collect the closed types; two attributes with one alias share a type with the values of both."""
    aliases: dict[str, Alias] = {}
    for item, notes in registry.explained():
        if "alias" in notes:
            alias = aliases.setdefault(notes["alias"], Alias(notes["alias"], [], []))
            alias.attributes.append(item.name)
            alias.values.extend(m for m in attributes[item.name].members if m not in alias.values)
    return list(aliases.values())


def _carriers(registry: Registry, attributes: dict[str, Attribute]) -> dict[str, Any]:
    """Return which events carry which attribute, and on what condition."""
    carriers: dict[str, list[str]] = {name: [] for name in attributes}
    conditions: dict[tuple[str, str], list[str]] = {}
    required: list[set[str]] = []
    for event in registry.items("events"):
        refs = registry.refs_of(event)
        required.append({ref.key for ref in refs if ref.requirement() == "required"})
        for ref in refs:
            carriers[ref.key].append(event.name)
            if ref.reason():
                conditions.setdefault((ref.key, _line(ref.reason())), []).append(event.name)
    always = set.intersection(*required) if required else set()
    return {
        "carriers": carriers,
        "conditions": [(key, events, reason) for (key, reason), events in conditions.items()],
        "required": [name for name in attributes if name in always],
    }


def _rules(registry: Registry) -> dict[str, str]:
    """Return what each rule asks of a value, in words."""
    item = registry.definitions[RULE_ATTRIBUTE]
    return {
        member["value"]: _line(member["brief"]) for member in item.members() if member["value"] in RULE_TYPES
    }


def _signal(registry: Registry, item: Item) -> Signal:
    ours = {key: _line(text) for key, text in item.ours().items()}
    return Signal(
        item.name, item.constant(), _line(item.data["brief"]), ours, item.data, registry.refs_of(item)
    )


def _closed_list(profile: profiles.Profile, attribute: profiles.Attribute) -> str:
    return "_" + f"{profile.name}_{attribute.keys[0]}".upper().replace(".", "_")


def _line(text: str) -> str:
    return " ".join(text.split())


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
