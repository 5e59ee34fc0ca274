"""Reads the registry and resolves its references.

The generator and the rules both need the same view: every item with the file it stands in, refs followed
to their definitions, groups unfolded. Reading is strict where YAML is not: a key written twice is an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER = "registry"
MANIFEST = "manifest.yaml"
NAME_KEYS = {
    "attributes": "key",
    "attribute_groups": "id",
    "entities": "type",
    "events": "name",
    "metrics": "name",
}

# A metric and an attribute may share a name; their constants may not.
PREFIXES = {"attributes": "", "events": "EVENT_", "metrics": "METRIC_"}


class RegistryError(Exception):
    """The registry cannot be read; the text says where and what to do."""


class Item(NamedTuple):
    """One entry of a section, and where it stands."""

    file: str
    section: str
    name: str
    data: dict[str, Any]

    def ours(self) -> dict[str, Any]:
        """Return our own annotations, empty if there are none."""
        ours: dict[str, Any] = self.data.get("annotations", {}).get("otel_incident", {})
        return ours

    def wire_type(self) -> str:
        """Return the registry's type of an attribute, or `enum`."""
        kind = self.data["type"]
        return kind if isinstance(kind, str) else "enum"

    def members(self) -> list[dict[str, Any]]:
        """Return the members of an enum, none for other types."""
        kind = self.data["type"]
        return [] if isinstance(kind, str) else kind["members"]

    def values(self) -> list[str]:
        """Return the values of an enum's members, none for other types."""
        return [member["value"] for member in self.members()]

    def constant(self) -> str:
        """Return the name of the generated constant."""
        return PREFIXES[self.section] + self.name.upper().replace(".", "_")


Breach = tuple[Item, str]
"""What a rule yields: where, and one sentence that says what is wrong and what to do."""


class Ref(NamedTuple):
    """A ref to an attribute, after groups are unfolded."""

    key: str
    data: dict[str, Any]

    def requirement(self) -> str:
        """Return the level alone, without its reason."""
        level = self.data["requirement_level"]
        return level if isinstance(level, str) else next(iter(level))

    def reason(self) -> str:
        """Return the reason of a conditional level, else an empty string."""
        level = self.data["requirement_level"]
        return "" if isinstance(level, str) else str(next(iter(level.values())))


class _Loader(yaml.SafeLoader):
    """Refuses a key written twice: the second would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002  # the signature is PyYAML's
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                line = node.start_mark.line + 1
                msg = f"the key `{key}` is written twice in the item at line {line}; keep one"
                raise RegistryError(msg)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path, root: Path) -> dict[str, Any]:
    """Read one file as a mapping or raise RegistryError."""
    where = path.relative_to(root)
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506  # a SafeLoader
    except FileNotFoundError:
        msg = f"{where}: the file is missing; restore it"
        raise RegistryError(msg) from None
    except (yaml.YAMLError, RegistryError) as error:
        msg = f"{where}: not readable as YAML: {error}"
        raise RegistryError(msg) from None
    if not isinstance(data, dict):
        msg = f"{where}: the file holds no mapping; registry files begin with `file_format`"
        raise RegistryError(msg)
    return data


@dataclass(frozen=True)
class Registry:
    """The registry under a repository's root, and the upstream stub that it depends on."""

    root: Path
    manifest: dict[str, Any]
    documents: dict[str, dict[str, Any]]
    upstream: dict[str, dict[str, Any]]

    @classmethod
    def load(cls, root: Path) -> Registry:
        """Read every file of the registry and of its dependencies."""
        manifest = read_yaml(root / FOLDER / MANIFEST, root)
        upstream: dict[str, dict[str, Any]] = {}
        for path in dependency_paths(manifest):
            upstream |= _documents(root / path, root)
        return cls(root, manifest, _documents(root / FOLDER, root), upstream)

    def manifest_item(self) -> Item:
        """Return the manifest as an item, for rules about it."""
        return Item(f"{FOLDER}/{MANIFEST}", "manifest", "the file itself", self.manifest)

    def items(self, section: str) -> Iterator[Item]:
        """Yield the entries of one section over all files."""
        return _items(self.documents, section)

    @cached_property
    def definitions(self) -> dict[str, Item]:
        """Attributes that a ref can mean: our own, and those of the imported upstream groups."""
        own = {item.name: item for item in self.items("attributes")}
        theirs = self.upstream_attributes
        return own | {key: theirs[key] for key in self._imported if key in theirs and key not in own}

    @cached_property
    def upstream_attributes(self) -> dict[str, Item]:
        """Every attribute of the stub, imported or not."""
        return {item.name: item for item in _items(self.upstream, "attributes")}

    @cached_property
    def upstream_groups(self) -> dict[str, Item]:
        """The groups that an import can mean."""
        return {item.name: item for item in _items(self.upstream, "attribute_groups")}

    @cached_property
    def imports(self) -> list[tuple[str, str]]:
        """Each import with the file it stands in."""
        return [
            (file, group)
            for file, document in self.documents.items()
            for group in document.get("imports", {}).get("attribute_groups", [])
        ]

    @cached_property
    def _imported(self) -> list[str]:
        groups = [self.upstream_groups[name] for _, name in self.imports if name in self.upstream_groups]
        return [ref["ref"] for group in groups for ref in group.data["attributes"] if "ref" in ref]

    @cached_property
    def _groups(self) -> dict[str, Item]:
        return {item.name: item for item in self.items("attribute_groups")}

    def unfold(self, refs: list[dict[str, Any]], seen: tuple[str, ...] = ()) -> Iterator[Ref]:
        """Yield the attributes of a list of refs; unknown and circular groups yield nothing."""
        for ref in refs:
            if "ref" in ref:
                yield Ref(ref["ref"], ref)
            elif (group := self._groups.get(ref["ref_group"])) and group.name not in seen:
                yield from self.unfold(group.data["attributes"], (*seen, group.name))

    def refs_of(self, item: Item) -> list[Ref]:
        """Return every ref of an event, a metric, an entity or a group."""
        parts = ("identity", "description") if item.section == "entities" else ("attributes",)
        return [ref for part in parts for ref in self.unfold(item.data.get(part, []))]

    def signals(self) -> Iterator[Item]:
        """Yield everything that carries attributes."""
        for section in ("entities", "events", "metrics"):
            yield from self.items(section)

    def explained(self) -> Iterator[tuple[Item, dict[str, Any]]]:
        """Yield each attribute that can leave with our annotations on it, upstream ones last."""
        for item in self.items("attributes"):
            yield item, item.ours()
        for item, ref in self.written_refs:
            if "annotations" in ref and ref.get("ref") in self.upstream_attributes:
                upstream = self.upstream_attributes[ref["ref"]]
                # the definition is theirs; what can be wrong with it is in our file
                yield upstream._replace(file=item.file), ref["annotations"]["otel_incident"]

    @cached_property
    def written_refs(self) -> list[tuple[Item, dict[str, Any]]]:
        """Each ref as it is written, groups not unfolded, with the item that it stands in."""
        return [
            (item, ref)
            for item in (*self.items("attribute_groups"), *self.signals())
            for part in ("identity", "description", "attributes")
            for ref in item.data.get(part, [])
        ]


def dependency_paths(manifest: dict[str, Any]) -> list[str]:
    """Return the folders a manifest depends on; what is malformed is left to the rules."""
    dependencies = manifest.get("dependencies")
    entries = dependencies if isinstance(dependencies, list) else []
    paths = [entry.get("registry_path") for entry in entries if isinstance(entry, dict)]
    return [path for path in paths if isinstance(path, str)]


def _documents(folder: Path, root: Path) -> dict[str, dict[str, Any]]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix in {".yaml", ".yml"})
    return {
        path.relative_to(root).as_posix(): read_yaml(path, root)
        for path in paths
        if path != folder / MANIFEST
    }


def _items(documents: dict[str, dict[str, Any]], section: str) -> Iterator[Item]:
    for file, document in documents.items():
        for data in document.get(section, []):
            yield Item(file, section, data[NAME_KEYS[section]], data)
