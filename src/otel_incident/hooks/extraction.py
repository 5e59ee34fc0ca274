"""From what a hook points at to an event: the one place where paths become `Incident` and `Actor`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from otel_incident.events import Incident, IncidentEvent
from otel_incident.hooks.actors import actor_of
from otel_incident.hooks.paths import Path, present

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.context import Context

    from otel_incident.hooks.definitions import Hook
    from otel_incident.vocabulary import Action


def incident_of(
    hook: Hook,
    roots: Mapping[str, object],
    *,
    active: bool | None = None,
    localise: Callable[[datetime], datetime] | None = None,
) -> Incident:
    """The incident as a hook's paths find it now.

    Args:
        hook: Names the paths.
        roots: What they begin with.
        active: Whether it is active, as far as the caller knows better than a path.
        localise: Gives a naive datetime its time zone, where the host defines one.
    """
    found: dict[str, Any] = {key: present(path.resolve(roots)) for key, path in hook.incident.items()}
    if active is not None:
        found["active"] = active
    if type(found.get("created_at")) is str:
        found["created_at"] = _moment(found["created_at"])
    if localise is not None and issubclass(type(found.get("created_at")), datetime):
        found["created_at"] = _localised(found["created_at"], localise)
    # what is absent takes the default of `Incident`: nothing, or 0 items
    return Incident(id=found.pop("id"), **{key: value for key, value in found.items() if value is not None})


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _localised(value: datetime, localise: Callable[[datetime], datetime]) -> datetime | None:
    try:
        return localise(value) if value.tzinfo is None else value
    except Exception:  # noqa: BLE001  a host's own kind of datetime may raise anything; then it is absent
        return None


def event_of(
    hook: Hook,
    action: Action,
    incident: Incident,
    roots: Mapping[str, object],
    *,
    stage: object = None,
    timestamp: int | None = None,
    context: Context | None = None,
) -> IncidentEvent:
    """The event of one action.

    Args:
        hook: Says where the actor and `public` are found, and how a stage becomes an index.
        action: What happened.
        incident: To what.
        roots: What paths begin with.
        stage: The host's value of the stage, on change_stage.
        timestamp: When it happened, ns since the epoch.
        context: The trace context in which it happened.
    """
    public: Any = None
    if action == "create":
        public = hook.public.resolve(roots) if isinstance(hook.public, Path) else hook.public
    return IncidentEvent(
        action=action,
        incident=incident,
        actor=actor_of(hook, roots),
        public=public,
        stage_index=hook.stage.index(stage) if hook.stage is not None and action == "change_stage" else None,
        timestamp=timestamp,
        context=context,
        id_shapes=hook.id_shapes,
    )
