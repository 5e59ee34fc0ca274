"""What `hooks check` finds out about what a hook would watch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias, final

if TYPE_CHECKING:
    from otel_incident.hooks.definitions import HookFile

Verdict: TypeAlias = Literal[
    "found", "missing", "captured too early", "wrong path", "wrong value", "not checked"
]


@final
@dataclass(frozen=True, slots=True)
class Subject:
    """What one or several hooks of a file watch: a callable, a model, or a client library's choke point.

    Attributes:
        file: The file, with these hooks alone.
        hooks: Their names.
        kind: `call`, `model` or `http`.
        target: As the file names it.
    """

    file: HookFile
    hooks: tuple[str, ...]
    kind: str
    target: str

    @property
    def module(self) -> str:
        """The module that it is in; "" for a model of Django's, which is found by its app."""
        return self.target.partition(":")[0] if ":" in self.target else ""

    @property
    def name(self) -> str:
        """Its name in the module."""
        return self.target.partition(":")[2]


@final
@dataclass(frozen=True, slots=True)
class Finding:
    """What was found out.

    Attributes:
        subject: About what.
        verdict: In a word or two.
        notes: What is wrong, or worth knowing: sentences without the full stop.
    """

    subject: Subject
    verdict: Verdict
    notes: tuple[str, ...] = ()


def subjects_of(file: HookFile) -> list[Subject]:
    """What a file watches: each thing once, as a file of its own."""
    found = [
        Subject(replace(file, hooks=(hook,), clients=()), (hook.name,), hook.kind, hook.target)
        for hook in file.hooks
        if hook.kind != "http"
    ]
    requests = tuple(hook for hook in file.hooks if hook.kind == "http")
    if requests:
        names = tuple(dict.fromkeys(hook.name for hook in requests))
        found += [
            Subject(
                replace(file, hooks=requests, clients=(replace(client, targets=(target,)),)),
                names,
                "http",
                target,
            )
            for client in file.clients
            for target in client.targets
        ]
    return found
