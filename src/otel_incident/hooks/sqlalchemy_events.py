"""Listening to SQLAlchemy, so that nothing of ours is raised into it and nothing of ours stays there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_incident.guard import fail_open

if TYPE_CHECKING:
    from collections.abc import Callable


def listen(target: Any, name: str, listener: Callable[..., Any], **options: Any) -> Callable[[], None]:
    """Have SQLAlchemy tell a listener of ours; returns what ends that.

    Args:
        target: A class or an object of SQLAlchemy's that tells of events; it is held no longer than it lives.
        name: Of the event.
        listener: Called with what the event tells.
        options: Of `sqlalchemy.event.listen`.
    """
    from sqlalchemy import event  # noqa: PLC0415  the host's library, which is at work

    guarded = fail_open("hook")(listener)
    event.listen(target, name, guarded, **options)

    def undo() -> None:
        if event.contains(target, name, guarded):
            event.remove(target, name, guarded)

    return fail_open("hook")(undo)
