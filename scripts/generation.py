"""Turns the registry into code and documents, so that neither can say something else than the registry.

`scripts/generate` is the command; this module is what it and the tests call.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from pathlib import Path
from typing import Any, Final, NamedTuple

import jinja2

from scripts.registry import Item, Ref, Registry, RegistryError
from scripts.registry_rules import RULE_ATTRIBUTE, check, constant, members, wire_type
from scripts.registry_shape import IDENTIFIES

TEMPLATES: Final = Path(__file__).parent / "templates"
OUTPUTS: Final = {
    "vocabulary.py.j2": "src/otel_incident/vocabulary.py",
}
WIDTH: Final = 110  # pyproject.toml, [tool.ruff] line-length


class Attribute(NamedTuple):
    """An attribute as the templates see it: definition and annotations in one."""

    name: str
    type: str
    rule: str
    members: list[str]
    seed_name: str
    brief: str
    note: str
    why: str
    identifies: str
    upstream: bool

    @property
    def constant(self) -> str:
        """Name of the generated constant."""
        return constant("attributes", self.name)


class Signal(NamedTuple):
    """An event, a metric or an entity as the templates see it."""

    name: str
    constant: str
    data: dict[str, Any]
    ours: dict[str, Any]
    refs: list[Ref]


def context(registry: Registry) -> dict[str, Any]:
    """Return what the templates are given."""
    attributes = [_attribute(registry, item, notes) for item, notes in registry.explained()]
    aliases: dict[str, list[str]] = {}
    for (_, notes), attribute in zip(registry.explained(), attributes, strict=True):
        if "alias" in notes:
            known = aliases.setdefault(notes["alias"], [])
            known += [member for member in attribute.members if member not in known]
    rule = next(attribute for attribute in attributes if attribute.name == RULE_ATTRIBUTE)
    return {
        "schema_url": registry.manifest["schema_url"],
        "attributes": attributes,
        "by_name": {attribute.name: attribute for attribute in attributes},
        "aliases": aliases,
        "rules": [member for member in rule.members if member != "none"],
        "identifies": sorted(IDENTIFIES),
        "events": [_signal(registry, item) for item in registry.items("events")],
        "metrics": [_signal(registry, item) for item in registry.items("metrics")],
        "entities": [_signal(registry, item) for item in registry.items("entities")],
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
    environment.filters |= {
        "assign": assign,
        "docstring": docstring,
        "constant": lambda name: constant("attributes", name),
    }
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
    except RegistryError as error:
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


def quote(text: str) -> str:
    """Return a string literal with the quotes that ruff would choose."""
    literal = json.dumps(text, ensure_ascii=False)
    return f"'{text}'" if '"' in text and not set(text) & set("'\\\n") else literal


def assign(value: str | list[str], prefix: str, indent: int, suffix: str = ",", brackets: tuple[str, str] = ("(", ")")) -> str:
    """Return `prefix` and the value as Python, split over lines where one is too short.

    What comes out is what ruff's formatter would leave alone, so that generating needs no formatter.
    """
    opening, closing = brackets
    if isinstance(value, str):
        line = prefix + quote(value) + suffix
        parts = textwrap.wrap(value, WIDTH - indent - 7, break_long_words=False, break_on_hyphens=False)
        inside = [quote(part + " ") for part in parts[:-1]] + [quote(part) for part in parts[-1:]]
    else:
        inner = ", ".join(quote(element) for element in value)
        single = "," if len(value) == 1 and opening == "(" else ""
        line = f"{prefix}{opening}{inner}{single}{closing}{suffix}"
        inside = [quote(element) + "," for element in value]
    if indent + len(line) <= WIDTH:
        return line
    margin = " " * indent
    return "\n".join(
        [prefix + opening, *(f"{margin}    {part}" for part in inside), margin + closing + suffix]
    )


def docstring(text: str) -> str:
    """Return the paragraphs of a text as a docstring at the left margin."""
    body = "\n\n".join(textwrap.fill(" ".join(part.split()), WIDTH - 3) for part in text.split("\n\n"))
    return f'"""{body}\n"""' if "\n" in body or len(body) > WIDTH - 6 else f'"""{body}"""'


def _attribute(registry: Registry, item: Item, notes: dict[str, Any]) -> Attribute:
    refined = next(
        (ref for _, ref in registry.written_refs if ref.get("annotations") and ref["ref"] == item.name), {}
    )
    kind = wire_type(item)
    return Attribute(
        name=item.name,
        type="string" if kind == "enum" else kind,
        rule=notes["rule"],
        members=members(item) or notes.get("members", []),
        seed_name=notes.get("seed_name", ""),
        brief=_line(refined.get("brief", item.data["brief"])),
        note=_line(refined.get("note", item.data.get("note", ""))),
        why=_line(notes["why"]),
        identifies=notes["identifies"],
        upstream=item.name in registry.upstream_attributes,
    )


def _signal(registry: Registry, item: Item) -> Signal:
    name = constant(item.section, item.name) if item.section != "entities" else ""
    return Signal(item.name, name, item.data, item.ours(), registry.refs_of(item))


def _line(text: str) -> str:
    return " ".join(text.split())


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
