"""What a Django model says of itself: its columns, its descendants, and which paths on it lead nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_incident.hooks.paths import Path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_incident.hooks.definitions import Hook


def columns(model: Any) -> dict[str, Any]:
    """A model's own fields, by either of the names that Django takes (`commander`, `commander_id`)."""
    fields = model._meta.concrete_fields  # noqa: SLF001  Django's documented Meta API
    return {name: field for field in fields for name in (field.name, field.attname)}


def descendants(model: Any) -> Iterator[Any]:
    """Its proxies and children, and theirs."""
    for child in model.__subclasses__():
        if not child._meta.abstract:  # noqa: SLF001  as above
            yield child
        yield from descendants(child)


def astray(model: Any, hook: Hook) -> list[str]:
    """The paths of a hook that begin with neither a column nor a relation; once all apps are loaded.

    They may still find what the host itself sets on its instances, but no property of the class.
    """
    known = {"pk", *columns(model)}
    for field in model._meta.get_fields():  # noqa: SLF001  as above
        # what another model's relation is called here is not its own name
        known.add(field.get_accessor_name() if field.auto_created and not field.concrete else field.name)
    paths = [*hook.incident.values(), hook.actor_id, hook.system_admin, hook.public]
    return [
        path.text
        for path in paths
        if isinstance(path, Path) and path.root == "self" and path.segments and path.segments[0] not in known
    ]
