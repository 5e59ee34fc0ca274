"""The closed set of properties that a registry file may have, and what each holds.

OpenTelemetry's validator refuses a property that it does not know, but it is not available to our tests. This
is the part of its `definition/2` format that we use, and no more: a file that passes here passes there. The
other rules rely on it: they read items without looking twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from scripts.registry import FOLDER, MANIFEST, NAME_KEYS, Registry

if TYPE_CHECKING:
    from collections.abc import Iterator


class Misfit(NamedTuple):
    """One place that does not have the shape: a rule's name, where, and a sentence."""

    rule: str
    file: str
    item: str
    sentence: str


# A shape is a type, a list with the shape of its elements, a set of allowed values, a tuple of alternatives,
# or a mapping of properties (a trailing "?" marks one that may be absent).
Shape = Any

FILE: Final = "the file itself"

STABILITY: Final = {"development", "alpha", "beta", "release_candidate", "stable", "deprecated"}
IDENTIFIES: Final = {"nobody", "person", "installation"}
PRIMITIVES: Final = {"string", "int", "double", "boolean", "string[]"}

CODE_GENERATION: Final[Shape] = {"metric_value_type": {"int", "double"}}
ATTRIBUTE_NOTES: Final[Shape] = {
    "otel_incident": {
        "seed_name?": str,
        "why": str,
        "identifies": IDENTIFIES,
        "rule": str,
        "members?": [str],
        "alias?": str,
    },
}
MEMBER: Final[Shape] = {
    "id": str,
    "value": str,
    "brief": str,
    "stability": STABILITY,
    "note?": str,
    "annotations?": {"otel_incident": {"seed_name": str}},
}
REQUIREMENT: Final[Shape] = (
    {"required", "recommended", "opt_in"},
    {"conditionally_required": str},
)
REF: Final[Shape] = {
    "ref": str,
    "requirement_level": REQUIREMENT,
    "brief?": str,
    "note?": str,
    "examples?": list,
    "annotations?": ATTRIBUTE_NOTES,
}
REFS: Final[Shape] = [(REF, {"ref_group": str})]
SIGNAL: Final[Shape] = {
    "brief": str,
    "note?": str,
    "stability": STABILITY,
    "requirement_level": {"recommended", "opt_in"},
}
PLAIN_ATTRIBUTE: Final[Shape] = {
    "key": str,
    "type": (PRIMITIVES, {"members": [MEMBER]}),
    "brief": str,
    "note?": str,
    "stability": STABILITY,
    "examples?": list,
}
DOCUMENT: Final[Shape] = {
    "file_format": {"definition/2"},
    "imports?": {"attribute_groups": [str]},
    "attributes?": [{**PLAIN_ATTRIBUTE, "annotations": ATTRIBUTE_NOTES}],
    "attribute_groups?": [{"id": str, "visibility": {"internal"}, "attributes": REFS}],
    "entities?": [{"type": str, **SIGNAL, "identity": [REF], "description?": [REF]}],
    "events?": [
        {
            "name": str,
            **SIGNAL,
            "attributes": REFS,
            "entity_associations": [str],
            "annotations": {"otel_incident": {"seed_name?": str, "action": str}},
        },
    ],
    "metrics?": [
        {
            "name": str,
            **SIGNAL,
            "instrument": {"counter", "updowncounter", "gauge", "histogram"},
            "unit": str,
            "attributes?": REFS,
            "annotations": {"code_generation": CODE_GENERATION, "otel_incident": {"why": str}},
        },
    ],
}
UPSTREAM_DOCUMENT: Final[Shape] = {
    "file_format": {"definition/2"},
    "attributes": [PLAIN_ATTRIBUTE],
    "attribute_groups": [
        {"id": str, "visibility": {"public"}, "brief": str, "stability": STABILITY, "attributes": [REF]},
    ],
}
MANIFEST_SHAPE: Final[Shape] = {
    "schema_url": str,
    "description": str,
    "stability": STABILITY,
    "dependencies": [{"schema_url": str, "registry_path": str}],
}


def misfits(registry: Registry) -> Iterator[Misfit]:
    """Yield every place where a file of the registry departs from its shape."""
    manifest = {f"{FOLDER}/{MANIFEST}": registry.manifest}
    parts = (
        (MANIFEST_SHAPE, manifest),
        (DOCUMENT, registry.documents),
        (UPSTREAM_DOCUMENT, registry.upstream),
    )
    for shape, documents in parts:
        for file, document in documents.items():
            for rule, item, sentence in _walk(shape, document, FILE, ""):
                yield Misfit(rule, file, item, sentence)


def _walk(shape: Shape, value: Any, item: str, path: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(shape, tuple):
        shape = _alternative(shape, value)
    if isinstance(shape, dict):
        yield from _walk_mapping(shape, value, item, path)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield "wrong_value", item, f"`{path}` must be a list; write it as one."
            return
        for index, element in enumerate(value):
            yield from _walk(shape[0], element, _name(element, item), f"{path}[{index}]")
    elif isinstance(shape, set):
        if not isinstance(value, str) or value not in shape:
            allowed = ", ".join(f"`{member}`" for member in sorted(shape))
            yield "wrong_value", item, f"`{path}` is `{value}`; use one of {allowed}."
    elif shape is list and not isinstance(value, list):
        yield "wrong_value", item, f"`{path}` must be a list; write it as one."
    elif shape is str and (not isinstance(value, str) or not value.strip()):
        yield "wrong_value", item, f"`{path}` must be a text that is not empty; write (or quote) one."


def _walk_mapping(shape: Shape, value: Any, item: str, path: str) -> Iterator[tuple[str, str, str]]:
    if not isinstance(value, dict):
        yield "wrong_value", item, f"`{path}` must be a mapping; write its properties."
        return
    known = {key.rstrip("?"): key for key in shape}
    where = f" in `{path}`" if path else ""
    for key in value:
        if key not in known:
            allowed = ", ".join(f"`{name}`" for name in known)
            yield "unknown_property", item, f"`{key}`{where} is not known; remove it or use one of {allowed}."
    for name, key in known.items():
        if name in value:
            yield from _walk(shape[key], value[name], item, f"{path}.{name}" if path else name)
        elif not key.endswith("?"):
            yield "missing_property", item, f"`{name}`{where} is missing; add it."


def _alternative(shapes: tuple[Shape, ...], value: Any) -> Shape:
    """Pick the alternative that the value was meant to be, so that the sentence is about that one."""
    for shape in shapes:
        if isinstance(shape, dict) and isinstance(value, dict) and next(iter(shape)) in value:
            return shape
    wanted = dict if isinstance(value, dict) else set
    return next((shape for shape in shapes if isinstance(shape, wanted)), shapes[0])


def _name(element: Any, item: str) -> str:
    """Name the outermost entry; what lies inside it keeps that name."""
    if item != FILE or not isinstance(element, dict):
        return item
    return next((str(element[key]) for key in NAME_KEYS.values() if key in element), item)
