"""What a Django model says of itself: its columns, its descendants, and which paths on it lead nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_incident.hooks.mentions import paths_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_incident.hooks.definitions import Hook
    from otel_incident.hooks.mentions import Complaint

ASTRAY: Final = (
    "the model %s has neither a field nor a relation at the beginning of %s, which finds nothing unless the "
    "host sets it on its instances; correct the path."
)
ASTRAY_LATER: Final = (
    "the model %s has neither a field nor a relation %r, so %s finds nothing unless the host sets it on its "
    "instances; correct the path."
)


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


def astray(model: Any, hook: Hook) -> Iterator[Complaint]:
    """What is to be said of the paths of a hook that lead past what models have; once all apps are loaded.

    They may still find what the host itself sets on its instances, but no property of the class.

    Args:
        model: The model.
        hook: A hook on it.
    """
    for path in dict.fromkeys(path for _, path in paths_of(hook)):
        lost = lost_step(model, path.segments) if path.root == "self" else None
        if lost is None:
            continue
        owner, name = lost
        if name is path.segments[0]:
            yield ASTRAY, hook.target, path.text
        else:
            yield ASTRAY_LATER, owner._meta.label, name, path.text  # noqa: SLF001  Django's documented Meta API


def lost_step(model: Any, segments: Sequence[object]) -> tuple[Any, str] | None:
    """The model and the name at which a path is lost; None where it is not, or where that cannot be known.

    Args:
        model: Where it begins.
        segments: Its steps.
    """
    steps = iter(segments)
    for number, name in enumerate(steps):
        if not isinstance(name, str):
            return None
        known = _names(model)
        if name not in known:
            # what a relation leads to may be of a class below the one that it names
            elsewhere = number and any(name in _names(child) for child in descendants(model))
            return None if elsewhere else (model, name)
        field = known[name]
        model = field.related_model if field is not None else None
        if not isinstance(model, type):  # a value, whose attributes nobody knows here
            return None
        if (field.many_to_many or field.one_to_many) and isinstance(next(steps, None), str):
            return None
    return None


def _names(model: Any) -> dict[str, Any]:
    """What a path can name of a model: its relations by what the host calls them, and its columns."""
    known: dict[str, Any] = dict.fromkeys(("pk", *columns(model)))
    for field in model._meta.get_fields():  # noqa: SLF001  as above
        # what another model's relation is called here is not its own name
        name = field.get_accessor_name() if field.auto_created and not field.concrete else field.name
        known[name] = field if field.is_relation else None
    return known
