"""A desk with one action, and a hook on it: for tests about who did it."""

from __future__ import annotations

import textwrap
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from otel_incident.hooks.activation import Activation
from otel_incident.hooks.spec import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_incident.events import Actor
    from otel_incident.hooks.celery_tasks import AsSent

HOOK: Final = """
    [host]
    name = "desk"

    [[hook]]
    name = "close"
    kind = "call"
    target = "tests.actor_desk:close"
    action = "end"
    incident.id = "arg.number"
"""


def close(number: Any) -> None:
    """End an incident."""


@contextmanager
def reporting(*actors: str, more: str = "", as_sent: AsSent | None = None) -> Iterator[list[Actor | None]]:
    """Who did what was done in the block, in order.

    Args:
        actors: Lines of the hook's `actor` table.
        more: Further hooks.
        as_sent: What of an actor a task may carry.
    """
    seen: list[Actor | None] = []
    lines = "\n".join(f"actor.{line}" for line in actors)
    file = parse(f"{textwrap.dedent(HOOK)}{lines}\n{textwrap.dedent(more)}", "hooks.toml")
    activation = Activation([file], lambda event: seen.append(event.actor), as_sent=as_sent)
    activation.install()
    try:
        yield seen
    finally:
        activation.uninstall()
