"""The hook file: one TOML format for presets and for operators, read into frozen values.

A file is refused as a whole, naming the file, the hook, the key and the reason, so that a typing
error never leaves a hook half in force. Keys are a closed set and none of them leads to an attribute
that could hold content. `hooks.schema.json` beside this module says the same to editors.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any, Final, Literal, cast, final

from otel_incident.errors import HookFileError
from otel_incident.hooks.paths import Path, PathError, compile_path
from otel_incident.vocabulary import ACTIONS, ATTRIBUTES, Action

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping

Kind = Literal["call", "model"]
Plain = str | int | bool

ROOTS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "call": ("arg", "self", "result", "user"),
    "model": ("self", "user"),
}
INCIDENT_KEYS: Final = (
    "id",
    "active",
    "commander_id",
    "team_id",
    "created_at",
    "post_id",
    "checklist_count",
    "checklist_item_count",
)
_TARGET: Final = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", re.ASCII)
_MODEL: Final = re.compile(r"[A-Za-z_]\w*\.[A-Za-z_]\w*", re.ASCII)
_FIELD: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)


@final
@dataclass(frozen=True, slots=True)
class Stage:
    """How a host's stage becomes an index: its own integer plus an offset, or a position in a list."""

    source: Path | str
    offset: int = 0
    order: tuple[Plain, ...] = ()

    def index(self, value: object) -> int | None:
        """The 0-based index of a stage, or None where the value has none."""
        if self.order:
            for position, known in enumerate(self.order):
                if type(known) is type(value) and known == value:
                    return position
            return None
        return value + self.offset if type(value) is int else None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """One hook.

    Attributes:
        name: How messages call it.
        kind: Whether it watches a callable or a model.
        target: `module:qualname` of the callable, or `app_label.Model`.
        action: What a call means; None for models, whose transitions decide.
        incident: Where the incident's values are found, by the parameter of `Incident`.
        actor_id, system_admin: Where who did it is found; by default the request's user.
        public: Where `incident.public` is found, or the value itself.
        stage: The stage: of a model the field that is watched, of a call a path.
        lifecycle_field, closed: The field whose values in `closed` mean that an incident has ended.
        commander_field: The field whose change is a change of commander.
        id_shapes: What this host uses as ids, by attribute name.
    """

    name: str
    kind: Kind
    target: str
    action: Action | None = None
    incident: Mapping[str, Path] = field(default_factory=dict)
    actor_id: Path | None = None
    system_admin: Path | None = None
    public: Path | bool | None = None
    stage: Stage | None = None
    lifecycle_field: str = ""
    closed: tuple[Plain, ...] = ()
    commander_field: str = ""
    id_shapes: Mapping[str, re.Pattern[str]] | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class HookFile:
    """One file of hooks, for one host.

    Attributes:
        source: The file's path, or the preset's name.
        host: How messages call the host.
        module: The module whose import switches a preset on; "" is always on.
        distribution: The distribution whose version is the host's.
        content: Names of the host's fields that hold content.
        hooks: The hooks.
        preset: Whether it ships with the package: then a target that is absent is no mistake.
    """

    source: str
    host: str
    module: str = ""
    distribution: str = ""
    content: tuple[str, ...] = ()
    hooks: tuple[Hook, ...] = ()
    preset: bool = False


def load(path: pathlib.Path) -> HookFile:
    """Read an operator's hook file.

    Raises:
        HookFileError: It cannot be read or used; the message says where and why.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise HookFileError(str(path), "", "", f"cannot be read ({reason})") from error
    return parse(text, str(path))


def presets() -> list[HookFile]:
    """The hook files that ship with the package."""
    folder = resources.files("otel_incident.hooks") / "presets"
    files = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name
    )
    return [parse(file.read_text("utf-8"), file.name.removesuffix(".toml"), preset=True) for file in files]


def parse(text: str, source: str, *, preset: bool = False) -> HookFile:
    """Read a hook file's text.

    Raises:
        HookFileError: It cannot be used; the message says where and why.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise HookFileError(source, "", "", f"is not TOML: {error}") from error
    top = _Table(source, "", "", table)
    top.allow("host", "hook")
    host = top.table("host", required=True)
    host.allow("name", "module", "distribution", "content")
    hooks: dict[str, Hook] = {}
    for number, item in enumerate(top.tables("hook"), start=1):
        hook = _hook(_Table(source, str(item.get("name", f"#{number}")), "", item))
        if hook.name in hooks:
            raise HookFileError(source, hook.name, "name", "stands twice; each hook has a name of its own")
        hooks[hook.name] = hook
    return HookFile(
        source=source,
        host=host.text("name", required=True),
        module=host.text("module", required=preset),
        distribution=host.text("distribution"),
        content=tuple(host.texts("content")),
        hooks=tuple(hooks.values()),
        preset=preset,
    )


def _hook(table: _Table) -> Hook:
    kind = table.one_of("kind", ("call", "model"))
    own = ("target", "action") if kind == "call" else ("model", "lifecycle", "commander")
    table.allow("name", "kind", "incident", "actor", "create", "stage", "ids", *own)
    roots = ROOTS[cast("Kind", kind)]
    incident = table.table("incident", required=True)
    incident.allow(*INCIDENT_KEYS)
    actor = table.table("actor")
    actor.allow("id", "system_admin")
    create = table.table("create")
    create.allow("public")
    made: dict[str, Any] = {
        "name": table.text("name", required=True),
        "kind": kind,
        "incident": {
            key: incident.path(key, roots, required=key == "id") for key in INCIDENT_KEYS if key in incident
        },
        "actor_id": actor.path("id", roots),
        "system_admin": actor.path("system_admin", roots),
        "public": create.get("public")
        if isinstance(create.get("public"), bool)
        else create.path("public", roots),
        "stage": _stage(table.table("stage"), cast("Kind", kind), roots),
        "id_shapes": _id_shapes(table.table("ids")),
    }
    if "id" not in incident:
        raise incident.error("id", "is missing; it says where the incident's id is found")
    if kind == "call":
        return Hook(target=_target(table), action=cast("Action", table.one_of("action", ACTIONS)), **made)
    lifecycle, commander = table.table("lifecycle"), table.table("commander")
    lifecycle.allow("field", "closed")
    commander.allow("field")
    closed = lifecycle.plain_list("closed")
    if lifecycle and not closed:
        raise lifecycle.error(
            "closed", "must list the values of the field that mean that an incident has ended"
        )
    return Hook(
        target=table.matching("model", _MODEL, "an app label and a model, as in helpdesk.Ticket"),
        lifecycle_field=lifecycle.field("field") if lifecycle else "",
        closed=closed,
        commander_field=commander.field("field") if commander else "",
        **made,
    )


def _target(table: _Table) -> str:
    target = table.matching("target", _TARGET, "module:name, as in desk.services:Desk.declare")
    if target.startswith("__main__:"):
        raise table.error(
            "target", "is in __main__, which is never imported; move it into a module of its own"
        )
    return target


def _stage(table: _Table, kind: Kind, roots: tuple[str, ...]) -> Stage | None:
    if not table:
        return None
    key = "field" if kind == "model" else "path"
    table.allow(key, "offset", "order")
    order = table.plain_list("order")
    offset = table.get("offset", 0)
    if type(offset) is not int:
        raise table.error("offset", "must be an integer, added to the host's own to make it 0-based")
    if order and offset:
        raise table.error("offset", "goes with the host's own integer, not with `order`")
    source = table.field("field") if kind == "model" else table.path("path", roots, required=True)
    return Stage(source=cast("Path | str", source), offset=offset, order=order)


def _id_shapes(table: _Table) -> Mapping[str, re.Pattern[str]] | None:
    shapes = {}
    for name in table.keys():  # noqa: SIM118  a _Table is no mapping
        if name not in ATTRIBUTES or ATTRIBUTES[name].rule != "id":
            known = ", ".join(key for key, attribute in ATTRIBUTES.items() if attribute.rule == "id")
            raise table.error(name, f"is no id attribute; those are {known}")
        try:
            shapes[name] = re.compile(table.text(name, required=True), re.ASCII)
        except re.error as error:
            raise table.error(name, f"is no regular expression: {error}") from error
    return shapes or None


class _Table:
    """One table of the file, with errors that say where they are."""

    def __init__(self, source: str, hook: str, prefix: str, values: Mapping[str, Any]) -> None:
        self._source, self._hook, self._prefix, self._values = source, hook, prefix, values

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __bool__(self) -> bool:
        return bool(self._values)

    def keys(self) -> list[str]:
        return list(self._values)

    def get(self, key: str, default: Any = None) -> Any:
        return self._values.get(key, default)

    def error(self, key: str, reason: str) -> HookFileError:
        return HookFileError(self._source, self._hook, f"{self._prefix}{key}", reason)

    def allow(self, *keys: str) -> None:
        for key in self._values:
            if key not in keys:
                raise self.error(key, f"is not known here; known are {', '.join(keys)}")

    def table(self, key: str, *, required: bool = False) -> _Table:
        value = self._values.get(key, {})
        if not isinstance(value, dict) or (required and not value):
            raise self.error(key, "must be a table" if value else "is missing; it must be a table")
        return _Table(self._source, self._hook, f"{self._prefix}{key}.", value)

    def tables(self, key: str) -> list[dict[str, Any]]:
        value = self._values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.error(key, "must be an array of tables: [[hook]]")
        return value

    def text(self, key: str, *, required: bool = False) -> str:
        value = self._values.get(key, "")
        if not isinstance(value, str) or (required and not value.strip()):
            raise self.error(key, "must be text" if key in self._values else "is missing; it must be text")
        return value.strip()

    def texts(self, key: str) -> list[str]:
        value = self._values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(key, "must be a list of texts")
        return value

    def plain_list(self, key: str) -> tuple[Plain, ...]:
        value = self._values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str | int) for item in value):
            raise self.error(key, "must be a list of texts or integers")
        return tuple(value)

    def one_of(self, key: str, known: tuple[str, ...]) -> str:
        value = self._values.get(key)
        if value not in known:
            raise self.error(key, f"must be one of {', '.join(known)}")
        return cast("str", value)

    def matching(self, key: str, grammar: re.Pattern[str], expected: str) -> str:
        value = self.text(key, required=True)
        if grammar.fullmatch(value) is None:
            raise self.error(key, f"must be {expected}")
        return value

    def field(self, key: str) -> str:
        return self.matching(key, _FIELD, "the name of a field of the model")

    def path(self, key: str, roots: tuple[str, ...], *, required: bool = False) -> Path | None:
        if key not in self._values and not required:
            return None
        try:
            return compile_path(self.text(key, required=True), roots)
        except PathError as error:
            raise self.error(key, str(error)) from error
