"""Which actions a change of a row's fields means: a pure decision, the same for every ORM.

Between open values nothing is said of the lifecycle, between closed ones neither. Setting the first
commander or stage of a row in the transaction that makes it completes its creation and is no change.
Values may be objects of the host's: where they cannot be compared, nothing is said of that field.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from otel_incident.events import IncidentEvent
    from otel_incident.hooks.definitions import Hook
    from otel_incident.vocabulary import Action


@final
@dataclass(frozen=True, slots=True)
class Fields:
    """The watched fields of a model, by the names under which its instances hold them; "" is none."""

    lifecycle: str
    closed: tuple[Any, ...]
    commander: str
    stage: str
    unknown_is_closed: bool | None = None

    @classmethod
    def of(cls, hook: Hook, held_as: Mapping[str, str]) -> Fields:
        """The fields of a hook, given under which name the ORM holds each."""
        stage = str(hook.stage.source) if hook.stage is not None else ""
        return cls(
            lifecycle=held_as.get(hook.lifecycle_field, ""),
            closed=hook.closed,
            commander=held_as.get(hook.commander_field, ""),
            stage=held_as.get(stage, ""),
            unknown_is_closed=hook.unknown_is_closed,
        )

    def is_closed(self, values: Mapping[str, Any]) -> bool | None:
        """Whether a row with these values has ended; None where that is not known."""
        if not self.lifecycle or self.lifecycle not in values:
            return None
        same = [_same(values[self.lifecycle], value) for value in self.closed]
        return True if True in same else None if None in same else False

    def behind(self, action: Action) -> str:
        """The field whose change an action is; "" for the creation, which is a row's first."""
        known = {"create": "", "change_commander": self.commander, "change_stage": self.stage}
        return known.get(action, self.lifecycle)


def created_actions(fields: Fields, after: Mapping[str, Any]) -> tuple[Action, ...]:
    """What the creation of a row means; one that is created closed has ended, too."""
    return ("create", "end") if fields.is_closed(after) else ("create",)


def transitions(
    fields: Fields, before: Mapping[str, Any], after: Mapping[str, Any], *, fresh: bool
) -> tuple[Action, ...]:
    """What the change of a row means, in the order in which a reader expects it.

    Args:
        fields: Which fields are watched.
        before: What they were, as far as it is known: what is not known has not changed, unless the hook says
            whether it was open.
        after: What they are.
        fresh: Whether the row was made in the same transaction.
    """
    was, is_now = fields.is_closed(before), fields.is_closed(after)
    if was is None:
        was = fields.unknown_is_closed
    known = was is not None and is_now is not None
    actions: list[Action] = []
    if known and was and not is_now:
        actions.append("restart")
    if _changed(fields.commander, before, after, fresh=fresh):
        actions.append("change_commander")
    # where the stage is the status itself, ending and restarting are not moves between stages
    ended = fields.stage == fields.lifecycle and (was or is_now)
    if not ended and _changed(fields.stage, before, after, fresh=fresh):
        actions.append("change_stage")
    if known and not was and is_now:
        actions.append("end")
    return tuple(actions)


def _changed(field: str, before: Mapping[str, Any], after: Mapping[str, Any], *, fresh: bool) -> bool:
    if not field or field not in before or field not in after:
        return False
    if _same(before[field], after[field]) is not False:
        return False
    return not (fresh and before[field] is None)


def _same(one: Any, other: Any) -> bool | None:
    """Whether two values are equal; None where a host's own comparison fails."""
    try:
        return bool(one == other)
    except Exception:  # noqa: BLE001  a host's value may raise anything; then it is not known
        return None


def as_done(
    fields: Fields,
    events: Iterable[IncidentEvent],
    earlier: Iterable[IncidentEvent],
    changed: Collection[str],
) -> tuple[IncidentEvent, ...]:
    """The events of a row as it is now; what an earlier write of its transaction has done, was done then.

    Args:
        fields: Which are watched.
        events: Of all that the transaction has made of the row.
        earlier: The same before the last write.
        changed: The fields that this has changed.
    """
    done = {event.action: event for event in earlier if fields.behind(event.action) not in changed}
    return tuple(
        replace(event, timestamp=then.timestamp, context=then.context, actor=then.actor)
        if (then := done.get(event.action)) is not None
        else event
        for event in events
    )


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> set[str]:
    """The names under which two rows differ, or cannot be compared."""
    return {name for name in other if name not in one or _same(one[name], other[name]) is not True}
