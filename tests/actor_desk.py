"""A desk with one action, and a hook on it: for tests about who did it."""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from otel_incident.events import Actor
from otel_incident.hooks.activation import Activation
from otel_incident.hooks.spec import parse

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
def reporting(*actors: str) -> Iterator[list[Actor | None]]:
    """Who did what was done in the block, in order.

    Args:
        actors: Lines of the hook's `actor` table.
    """
    seen: list[Actor | None] = []
    lines = "\n".join(f"actor.{line}" for line in actors)
    file = parse(f"{textwrap.dedent(HOOK)}{lines}\n", "hooks.toml")
    activation = Activation([file], lambda event: seen.append(event.actor))
    activation.install()
    try:
        yield seen
    finally:
        activation.uninstall()
