"""Reads a hook file: one TOML format for presets and for operators, into what `definitions` describes.

A file is refused as a whole, naming the file, the hook, the key and the reason, so that a typing
error never leaves a hook half in force. Keys are a closed set and none of them leads to an attribute
that could hold content. `hooks.schema.json` beside this module says the same to editors.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import tomllib
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, cast

from otel_incident.errors import HookFileError
from otel_incident.hooks.actors import PLACES
from otel_incident.hooks.callee import Callee
from otel_incident.hooks.complaints import Complaints
from otel_incident.hooks.definitions import Hook, HookFile, Stage
from otel_incident.hooks.tables import Table, refuse_main
from otel_incident.vocabulary import ACTIONS, ATTRIBUTES, EVENTS, Action

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Mapping

    from otel_incident.hooks.definitions import Kind
    from otel_incident.hooks.paths import Path
    from otel_incident.hooks.requests import Client

ROOTS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "call": ("arg", "self", "result", "user"),
    "model": ("self", "user"),
    "http": ("path", "body", "reply", "each", "self", "user"),
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
_IN_EVENTS: Final = {name for event in EVENTS.values() for name in event.attributes}
ID_ATTRIBUTES: Final = tuple(
    name for name in ATTRIBUTES if ATTRIBUTES[name].rule == "id" and name in _IN_EVENTS
)
_KINDS: Final[tuple[Kind, ...]] = ("call", "model", "http")
_FIELD: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_MODULE: Final = re.compile(rf"{_FIELD.pattern}(\.{_FIELD.pattern})*", re.ASCII)
_MODEL: Final = re.compile(rf"{_FIELD.pattern}\.{_FIELD.pattern}", re.ASCII)
_TARGET: Final = re.compile(rf"{_MODULE.pattern}:{_MODULE.pattern}", re.ASCII)
_MODEL_OR_CLASS: Final = re.compile(rf"{_MODEL.pattern}|{_TARGET.pattern}", re.ASCII)
_TARGET_IS: Final = "module:name, as in desk.services:Desk.declare"
_OWN: Final[Mapping[Kind, tuple[str, ...]]] = {
    "call": ("target", "action"),
    "model": ("model", "lifecycle", "commander", "row", "when"),
    "http": ("route", "action", "each", "when", "given", "once"),
}


def load(path: pathlib.Path) -> HookFile:
    """Read an operator's hook file.

    Raises:
        HookFileError: It cannot be read or used; the message says where and why.
    """
    return parse(_text(path), str(path))


def load_content(path: pathlib.Path) -> tuple[tuple[str, ...], HookFileError | None]:
    """What an operator's hook file names as content, be its hooks refused or not; and what is no name there.

    Raises:
        HookFileError: The file cannot be read; the message says where and why.
    """
    return content_of(_text(path), str(path))


def content_of(text: str, source: str) -> tuple[tuple[str, ...], HookFileError | None]:
    """What a hook file's text names as content; and what is no name there.

    Raises:
        HookFileError: The text cannot be read; the message says where and why.
    """
    return _top(text, source).table("host").content()


def _text(path: pathlib.Path) -> str:
    try:
        return _read(path)
    except UnicodeDecodeError as error:
        raise HookFileError(str(path), "", "", "is not UTF-8") from error
    except (OSError, ValueError) as error:  # ValueError: a path that no file can have
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise HookFileError(str(path), "", "", f"cannot be read ({reason})") from error


def _read(path: pathlib.Path) -> str:
    """The text of a file; what is none (a pipe, a device) could keep the host waiting for ever."""
    with open(path, encoding="utf-8", opener=_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "It is no regular file")
        return file.read()


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def parse(text: str, source: str, *, preset: bool = False) -> HookFile:
    """Read a hook file's text.

    Raises:
        HookFileError: It cannot be used; the message says where and why.
    """
    top = _top(text, source)
    try:
        return _file(top, source, preset=preset)
    except HookFileError as error:
        with suppress(HookFileError):  # where there is no table in which content could be named
            error.content, _ = top.table("host").content()
        raise


def _file(top: Table, source: str, *, preset: bool) -> HookFile:
    top.allow("host", "client", "hook")
    host = top.table("host", required="names the host")
    host.allow("name", "module", "distribution", "content", "ids")
    clients = _clients(top)
    shapes = _id_shapes(host.table("ids"))
    hooks: list[Hook] = []
    for table in top.hooks():
        made = _hooks(table, clients, shapes)
        if any(hook.name == made[0].name for hook in hooks):
            raise table.error("name", "stands twice; each hook has a name of its own")
        for hook in made:
            same = next((other for other in hooks if other.meaning == hook.meaning), None)
            if same is not None:
                raise table.error(hook.subject, f"is what hook {same.name!r} is about; one of them is enough")
            hooks.append(hook)
    if clients and not any(hook.kind == "http" for hook in hooks):
        raise top.error("client", "is for hooks of kind http, and there is none; add one or remove it")
    content, error = host.content()
    if error is not None:
        raise error
    has_module = preset or "module" in host
    return HookFile(
        source=source,
        host=host.text("name", required=True),
        module=host.matching("module", _MODULE, "a module, as in desk.services") if has_module else "",
        distribution=host.text("distribution"),
        content=content,
        clients=clients,
        hooks=tuple(hooks),
        preset=preset,
    )


def _top(text: str, source: str) -> Table:
    """What is read of a text before anything in it is looked at."""
    values = values_in(text)
    if isinstance(values, str):
        raise HookFileError(source, "", "", values)
    return Table(source, "", "", values)


@lru_cache(maxsize=32)  # the gate reads a file, and then its hooks are read
def values_in(text: str) -> Mapping[str, Any] | str:
    """What a text says, which nobody may change, or why it cannot be read."""
    if text.startswith("\ufeff"):
        return "begins with a byte order mark, which TOML does not know; save it without one"
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return f"is not TOML: {error}"
    except RecursionError:
        return "is nested too deeply"
    except ValueError:  # Python reads integers of at most some thousand digits
        return "holds a number that is too long"


def _clients(top: Table) -> tuple[Client, ...]:
    if "client" not in top:
        return ()
    from otel_incident.hooks.http_spec import clients_of  # noqa: PLC0415  few files need it

    return clients_of(top.array("client"), _TARGET, _TARGET_IS)


def _hooks(
    table: Table, clients: tuple[Client, ...], shapes: Mapping[str, re.Pattern[str]] | None
) -> list[Hook]:
    """What one `[[hook]]` says: of kind `http` a hook for each of its routes."""
    name = table.text("name", required=True)
    kind = cast("Kind", table.one_of("kind", _KINDS))
    table.allow("name", "kind", "incident", "actor", "create", "stage", "ids", *_OWN[kind])
    roots = ROOTS[kind]
    if kind == "http" and "each" not in table:
        roots = tuple(root for root in roots if root != "each")
    incident = table.table("incident", required="says where the incident's values are found")
    incident.allow(*INCIDENT_KEYS)
    incident.path("id", roots, required="says where the incident's id is found")
    actor = table.table("actor")
    actor.allow("callable", "id", "system_admin")
    actor_roots = (*roots, *PLACES)
    create = table.table("create")
    create.allow("public")
    found = {key: incident.path(key, roots) for key in INCIDENT_KEYS}
    hook = Hook(
        name=name,
        kind=kind,
        incident={key: path for key, path in found.items() if path is not None},
        actor_id=actor.path("id", actor_roots),
        system_admin=actor.path("system_admin", actor_roots),
        actor_callable=_callee(actor, name),
        public=create.path_or_flag("public", roots),
        stage=_stage(table.table("stage"), kind, roots),
        id_shapes={**(shapes or {}), **(_id_shapes(table.table("ids")) or {})} or None,
        **{"call": _of_call, "model": _of_model, "http": _of_http}[kind](table),
    )
    if kind != "http":
        return [hook]
    from otel_incident.hooks.http_spec import hooks_of  # noqa: PLC0415  few files need it

    return hooks_of(table, hook, clients, roots)


def _callee(actor: Table, hook: str) -> Callee | None:
    if "callable" not in actor:
        return None
    target = actor.matching("callable", _TARGET, "module:name, as in desk.auth:current_user")
    return Callee(target, Complaints(actor.source, hook))


def _of_call(table: Table) -> dict[str, Any]:
    """What a hook of kind `call` alone says."""
    target = table.matching("target", _TARGET, _TARGET_IS)
    refuse_main(table, "target", target)
    return {"target": target, "action": _action(table)}


def _of_http(table: Table) -> dict[str, Any]:
    """What a hook of kind `http` alone says, but for its requests."""
    return {"target": "", "action": _action(table)}


def _action(table: Table) -> Action:
    action = cast("Action", table.one_of("action", ACTIONS))
    for key, belongs_to in (("create", "create"), ("stage", "change_stage")):
        if key in table and action != belongs_to:
            raise table.error(key, f"goes with the action {belongs_to}; this hook's is {action}")
    return action


def _of_model(table: Table) -> dict[str, Any]:
    """What a hook of kind `model` alone says."""
    lifecycle, commander = table.table("lifecycle"), table.table("commander")
    lifecycle.allow("field", "closed", "unknown")
    commander.allow("field")
    target = table.matching(
        "model",
        _MODEL_OR_CLASS,
        "Django's app label and model, as in helpdesk.Ticket, or SQLAlchemy's module:Class, "
        "as in desk.models:Incident",
    )
    refuse_main(table, "model", target)
    made: dict[str, Any] = {"target": target}
    if lifecycle:
        made["lifecycle_field"] = _field(lifecycle)
        made["closed"] = lifecycle.plain_list(
            "closed", required="lists the values of the field that mean that an incident has ended"
        )
        if "unknown" in lifecycle:
            made["unknown_is_closed"] = lifecycle.one_of("unknown", ("open", "closed")) == "closed"
    if commander:
        made["commander_field"] = _field(commander)
    if "row" in table or "when" in table:
        from otel_incident.hooks.rows import conditions_of, row_of  # noqa: PLC0415  few files need it

        made["row"], made["conditions"] = row_of(table), conditions_of(table, ROOTS["model"])
        if ":" in target and any(condition.changed for condition in made["conditions"]):
            raise table.error("when", "asks what was `changed`, of Django's models alone; this is a class")
    return made


def _field(table: Table) -> str:
    return table.matching("field", _FIELD, "the name of a field of the model")


def _stage(table: Table, kind: Kind, roots: tuple[str, ...]) -> Stage | None:
    if not table:
        return None
    table.allow("field" if kind == "model" else "path", "offset", "order")
    if "offset" in table and "order" in table:
        raise table.error("offset", "goes with the host's own integer, not with `order`")
    source = (
        _field(table)
        if kind == "model"
        else table.path("path", roots, required="says where the stage is found")
    )
    order = table.plain_list("order")
    for number, value in enumerate(order):
        if any(type(known) is type(value) and known == value for known in order[:number]):
            raise table.error("order", f"lists {value!r} twice; a stage has one index")
    return Stage(
        source=cast("Path | str", source),
        offset=table.integer("offset", "added to the host's own to make it 0-based"),
        order=order,
    )


def _id_shapes(table: Table) -> Mapping[str, re.Pattern[str]] | None:
    shapes = {}
    for name in table.keys():  # noqa: SIM118  a Table is no mapping
        if name not in ID_ATTRIBUTES:
            known = ", ".join(f'"{attribute}"' for attribute in ID_ATTRIBUTES)
            raise table.error(name, f"is no id of an event; those are, with their quotes, {known}")
        try:
            shapes[name] = re.compile(table.text(name, required=True), re.ASCII)
        except (re.error, ValueError, OverflowError, RecursionError) as error:
            raise table.error(name, f"is no regular expression: {error}") from error
    return shapes or None
