"""`otel-incident hooks explain`: what a hook file lets leave, in words, for whoever has to approve it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_incident.hooks.paths import Path
from otel_incident.hooks_cli.words import wrapped
from otel_incident.vocabulary import (
    ATTRIBUTES,
    INCIDENT_ACTIVE,
    INCIDENT_CHECKLIST_COUNT,
    INCIDENT_CHECKLIST_ITEM_COUNT,
    INCIDENT_COMMANDER_ID,
    INCIDENT_CREATED_AT,
    INCIDENT_DURATION,
    INCIDENT_ID,
    INCIDENT_POST_ID,
    INCIDENT_PUBLIC,
    INCIDENT_STAGE_INDEX,
    INCIDENT_TEAM_ID,
    USER_ID,
    USER_ROLES,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from otel_incident.config import Config
    from otel_incident.hooks.definitions import Hook, HookFile
    from otel_incident.hooks.rows import Row

_ATTRIBUTE_OF: Final[Mapping[str, str]] = {
    "id": INCIDENT_ID,
    "active": INCIDENT_ACTIVE,
    "commander_id": INCIDENT_COMMANDER_ID,
    "team_id": INCIDENT_TEAM_ID,
    "created_at": INCIDENT_CREATED_AT,
    "post_id": INCIDENT_POST_ID,
    "checklist_count": INCIDENT_CHECKLIST_COUNT,
    "checklist_item_count": INCIDENT_CHECKLIST_ITEM_COUNT,
}
_ROOTS: Final = {
    "arg": "an argument of the call",
    "self": "the object",
    "result": "what the call returns",
    "user": "the request's authenticated user",
    "path": "a part of the request's path",
    "body": "what the request sends",
    "reply": "what the server answers",
    "each": "each item of the list",
}


def explanation(file: HookFile, config: Config) -> str:
    """A hook file in words.

    Args:
        file: The file.
        config: The settings: which ids are hashed, and what the gate does.
    """
    lines = [f"{'The preset ' if file.preset else ''}{file.source}, for the host {file.host}"]
    for hook in file.hooks:
        lines += ["", *_paragraph(_SUBJECT[hook.kind](hook), indent="  ")]
        for event, when in _when(hook).items():
            lines += _paragraph(f"{event:<25} {when}", indent="    ", hanging=" " * 26)
        lines += [
            "",
            *_paragraph("Each of these events can hold, and holds nothing else of the host:", indent="  "),
        ]
        for name, source in _values(hook).items():
            lines += _paragraph(
                f"{name:<29} {source}{_id_rule(name, hook, config)}", indent="    ", hanging=" " * 30
            )
    if not file.hooks:
        lines += ["", "  It has no hook: nothing of this host is reported."]
    lines += ["", *_paragraph(_content(file, config), indent="  ")]
    return "\n".join(lines)


# -- when: each kind is one function


def _call(hook: Hook) -> str:
    return (
        f'Hook "{hook.name}": whenever the function {hook.target} has returned without an error, there leaves'
    )


def _model(hook: Hook) -> str:
    what = "the class" if hook.is_mapped_class else "Django's model"
    return (
        f'Hook "{hook.name}": whenever a row of {what} {hook.target} has been saved and its transaction is '
        "committed, there leaves"
    )


def _http(hook: Hook) -> str:
    request = hook.request
    route = request.route.text if request is not None else hook.target
    each = "for each item that it touches " if request is not None and request.each is not None else ""
    return f'Hook "{hook.name}": whenever a server has accepted the request {route}, {each}there leaves'


_SUBJECT: Final[Mapping[str, Callable[[Hook], str]]] = {"call": _call, "model": _model, "http": _http}


def _when(hook: Hook) -> dict[str, str]:
    """The events of a hook, and when each leaves."""
    if hook.action is not None:
        return {f"incident.{hook.action}": _condition(hook)}
    if hook.row is not None:
        return {event: f"{when}{_given(hook)}" for event, when in _row(hook.row, hook).items()}
    when = {"incident.create": "when the row is new"}
    if hook.lifecycle_field:
        values = ", ".join(map(repr, hook.closed))
        when["incident.end"] = f"when its {hook.lifecycle_field} becomes one of {values}"
        when["incident.restart"] = f"when its {hook.lifecycle_field} was one of them, and is no longer"
    if hook.commander_field:
        when["incident.change_commander"] = f"when its {hook.commander_field} changes"
    if hook.stage is not None:
        when["incident.change_stage"] = f"when its {hook.stage.source} changes"
    return {event: f"{said}{_given(hook)}" for event, said in when.items()}


def _row(row: Row, hook: Hook) -> dict[str, str]:
    """The events of a row that belongs to an incident."""
    when: dict[str, str] = {}
    for action in dict.fromkeys(action for _, action in row.meanings):
        values = ", ".join(repr(value) for value, meaning in row.meanings if meaning == action)
        when[f"incident.{action}"] = f"when the row is new and its {row.field} is one of {values}"
    if hook.commander_field:
        named = "" if hook.is_mapped_class else ", whom its creation names,"
        changes = (
            f"when the row is new, but for the first of a new incident{named or ','} "
            f"or its {hook.commander_field} changes"
        )
        when["incident.change_commander"] = changes
    if hook.stage is not None:
        when["incident.change_stage"] = f"when its {hook.stage.source} changes"
    return when


def _given(hook: Hook) -> str:
    return "".join(f", if {condition.words}" for condition in hook.conditions)


def _condition(hook: Hook) -> str:
    if hook.request is None:
        return "each time"
    said = [f"{path.text} is one of {', '.join(map(repr, values))}" for path, values in hook.request.when]
    said += [
        f"{path.text} is {others.name} of one of {others.items.text}" for path, others in hook.request.among
    ]
    said += [f"{path.text} is there" for path in hook.request.given]
    if hook.request.once is not None:
        said.append(f"of this {hook.request.once.text} nothing has left from this process")
    return f"if {' and '.join(said)}" if said else "each time"


# -- what


def _values(hook: Hook) -> dict[str, str]:
    """The attributes that a hook's events can hold, and where each is from."""
    values = {_ATTRIBUTE_OF[key]: _from(path) for key, path in hook.incident.items()}
    if hook.kind == "model" and hook.lifecycle_field:
        values.setdefault(INCIDENT_ACTIVE, f"from {hook.lifecycle_field}: whether it has ended")
    if INCIDENT_CREATED_AT in values and "incident.end" in _when(hook):
        values[INCIDENT_DURATION] = "on incident.end, computed: the seconds from then"
    if hook.public is not None:
        source = _from(hook.public) if isinstance(hook.public, Path) else f"always {str(hook.public).lower()}"
        values[INCIDENT_PUBLIC] = f"on incident.create: {source}"
    if hook.stage is not None:
        values[INCIDENT_STAGE_INDEX] = _stage(hook)
    values |= _actor(hook)
    return values


def _stage(hook: Hook) -> str:
    assert hook.stage is not None  # noqa: S101  asked for by the caller
    source = hook.stage.source.text if isinstance(hook.stage.source, Path) else hook.stage.source
    if hook.stage.order:
        return (
            f"on incident.change_stage, from {source}: its position among the {len(hook.stage.order)} "
            "stages of "
            "the file, never its name"
        )
    return f"on incident.change_stage, from {source}: the host's own integer, and nothing else"


def _actor(hook: Hook) -> dict[str, str]:
    """Who did it."""
    if hook.actor_id is not None:
        values = {USER_ID: _from(hook.actor_id)}
    elif hook.actor_callable is not None:
        values = {USER_ID: f"from what {hook.actor_callable.target} says"}
    else:
        values = {USER_ID: "the request's authenticated user, if there is a request"}
    if hook.system_admin is not None:
        path = hook.system_admin
        whose = _ROOTS.get(path.root, path.root)
        values[USER_ROLES] = f"system_admin where {path.text} ({whose}) is true, else end_user"
    elif hook.actor_id is None:
        values[USER_ROLES] = "system_admin where that user's is_superuser is true, else end_user"
    return values


def _from(path: Path) -> str:
    return f"from {path.text} ({_ROOTS.get(path.root, path.root)})"


def _id_rule(name: str, hook: Hook, config: Config) -> str:
    """What becomes of an id on its way."""
    if ATTRIBUTES[name].rule != "id":
        return ""
    mode = config.id_modes.get(name, config.id_modes.get("", "plain"))
    hashed = "a keyed hash" + (" (as user.hash)" if name == USER_ID else "")
    if mode == "drop" and name != INCIDENT_ID:
        return "; left out, as OTEL_INCIDENT_ID_MODE says"
    if mode != "plain":
        return f"; {hashed} of it"
    shape = (hook.id_shapes or {}).get(name)
    if shape is not None:
        return f"; as it is if it matches {shape.pattern}, else {hashed} of it"
    return f"; as it is if a machine made it (a number, a UUID), else {hashed} of it"


def _content(file: HookFile, config: Config) -> str:
    """What the gate takes out of the host's own signals because of this file."""
    if config.gate == "off":
        return (
            "OTEL_INCIDENT_GATE is off: of the host's own spans, logs and metrics nothing is removed, "
            "whatever they "
            "hold."
        )
    if config.gate == "strict":
        return (
            "Of the host's own spans, logs and metrics the gate (strict) removes whatever is not known to "
            "be free "
            "of content."
        )
    if not file.content:
        return (
            f"It names no content of the host, so the gate ({config.gate}) removes nothing of it from the "
            "host's own "
            "spans, logs and metrics."
        )
    names = ", ".join(file.content)
    return (
        f"From the host's own spans, logs and metrics the gate ({config.gate}) removes the attributes "
        f"{names}, and "
        f"those that end in one of these names after a dot, such as {file.host}.{file.content[0]}."
    )


def _paragraph(text: str, *, indent: str, hanging: str = "") -> Iterator[str]:
    yield from wrapped(text, indent=indent, hanging=hanging)
