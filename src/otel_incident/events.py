"""What can be said of an incident: frozen values without a field that could hold content.

There is no title, no name, no description, no message here, and no free mapping into which one
could slip: a host that tries to pass one gets a `TypeError` from the constructor. Values are only
carried; whether they keep their rules is decided by `policy`, so that a bad one never raises into
the host.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeAlias, final
from uuid import UUID

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping

    from opentelemetry.context import Context

    from otel_incident.vocabulary import Action, Role

Id: TypeAlias = str | int | UUID
"""An identifier made by a machine. On the wire always a string: integers in decimal, UUIDs canonical."""


@final
class Hashed(str):
    """An id of which only the keyed hash is known, made where the id was: it leaves as `user.hash`."""

    __slots__ = ()


Moment: TypeAlias = int | datetime
"""Milliseconds since the Unix epoch, or an aware datetime."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_YEAR: Final = _EPOCH.year
_BEYOND: Final = "beyond"  # in the place of a moment that is one, but not between these two
_LAST_MILLISECOND: Final = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z, the last that ISO 8601 holds


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """An incident as far as telemetry may know it.

    Attributes:
        id: `incident.id` (seed: incidentID). The only required one.
        active: `incident.active` (seed: IsActive). create, restart and end know it by themselves.
        commander_id: `incident.commander.id` (seed: CommanderUserID).
        team_id: `incident.team.id` (seed: TeamID).
        created_at: `incident.created_at` (seed: CreatedAt): ms since the epoch or an aware datetime;
            a naive one breaks the rule and is left out.
        post_id: `incident.post.id` (seed: PostID), the post the incident was created from.
        checklist_count: `incident.checklist.count` (seed: NumChecklists): how many stages it has.
        checklist_item_count: `incident.checklist.item.count` (seed: TotalChecklistItems, "always 0").
    """

    id: Id
    active: bool | None = None
    commander_id: Id | None = None
    team_id: Id | None = None
    created_at: Moment | None = None
    post_id: Id | None = None
    checklist_count: int | None = None
    checklist_item_count: int = 0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who did it.

    Attributes:
        id: `user.id` (seed: UserActualId); `user.hash` where the id is not a machine's.
        roles: `user.roles`: "end_user", "system_admin", or members of a `StrEnum` with these values, in a
            tuple, a list or a set; empty where the host does not say. Each leaves once, in a fixed order.
    """

    id: Id | None = None
    roles: tuple[Role, ...] = ()


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentEvent:
    """One lifecycle action of one incident, as a hook or the emitter's methods report it.

    Attributes:
        action: What happened; it decides the event's name.
        incident: To what.
        actor: By whom, if known.
        public: `incident.public` (seed: public), on create only.
        stage_index: `incident.stage.index` (seed: ActiveStage), 0-based, on change_stage only.
        timestamp: When the change was made, ns since the epoch; None means now.
        context: The trace context in which the change was made; None means the current one.
        id_shapes: What a hook's host may use as an id, by attribute name, in place of the general rule.
    """

    action: Action
    incident: Incident
    actor: Actor | None = None
    public: bool | None = None
    stage_index: int | None = None
    timestamp: int | None = None
    context: Context | None = None
    id_shapes: Mapping[str, re.Pattern[str]] | None = None


def wire_id(value: object) -> object:
    """An id as it goes on the wire; what is no id passes unchanged, for the policy to refuse."""
    # By the real type: `__class__` may lie (a lazy proxy) or raise, and what a subclass says of itself
    # (`__str__` of a safe string, of an enum member) is not its value.
    kind = type(value)
    if kind is str or value is None:
        return value
    try:
        if kind is int or (issubclass(kind, int) and kind is not bool):
            return str(value) if kind is int else int.__repr__(value)
        if issubclass(kind, str):
            return str.__str__(value)
        if issubclass(kind, UUID):
            return UUID.__str__(value)
    except Exception:  # noqa: BLE001  a number too long for decimal, a subclass with code of its own: no id
        return value
    return value


def wire_roles(roles: object) -> object:
    """Roles as they go on the wire; none given is absent, and what is no list is for the policy to refuse."""
    kind = type(roles)
    if not (kind is tuple or kind is list or kind is set or kind is frozenset):
        return roles
    found: tuple[object, ...] = tuple(roles)  # type: ignore[arg-type]  # one of these
    for each in found:
        if type(each) is not str:
            found = tuple(map(wire_id, found))
            break
    if len(found) > 1 and all(type(each) is str for each in found):
        found = tuple(sorted(dict.fromkeys(found)))  # type: ignore[type-var]  # texts; of others none can be compared for sure
    return found or None


def epoch_milliseconds(value: object) -> int | None:
    """Milliseconds since the epoch of a `Moment` that keeps the rule, else None."""
    if issubclass(type(value), datetime):
        try:
            if value.utcoffset() is None:  # type: ignore[attr-defined]  # a datetime, by the line above
                return None
            since = datetime.__sub__(value, _EPOCH)  # type: ignore[operator]  # the same
        except Exception:  # noqa: BLE001  a host's tzinfo may raise anything; then it is no moment
            return None
        value = (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000
    if type(value) is int and 0 <= value <= _LAST_MILLISECOND:
        return value
    return None


def wire_timestamp(value: object) -> object:
    """A `Moment` in ISO 8601, UTC, with milliseconds; what is none passes, for the policy to refuse.

    One before 1970 or after 9999 becomes a text that is no timestamp: its type was right, its value is not.
    """
    if value is None:
        return None
    # of its own type, in the one zone that needs no arithmetic: what a database hands out
    if type(value) is datetime and value.tzinfo is UTC and value.year >= _FIRST_YEAR:
        return f"{value.isoformat('T', 'milliseconds')[:23]}Z"
    milliseconds = epoch_milliseconds(value)
    if milliseconds is None:
        return _BEYOND if _is_moment(value) else value
    seconds, rest = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}.{rest:03d}Z"


def _is_moment(value: object) -> bool:
    """Whether it is of a type of `Moment`: a whole number, or a datetime that knows its zone."""
    if not issubclass(type(value), datetime):
        return type(value) is int
    try:
        return value.utcoffset() is not None  # type: ignore[attr-defined]  # a datetime, by the line above
    except Exception:  # noqa: BLE001  a host's tzinfo may raise anything; then it is no moment
        return False
