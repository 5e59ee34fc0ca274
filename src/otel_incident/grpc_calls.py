"""The calls of an exporter to gRPC: a fork of another thread waits for the first moments of each.

Where a request is just being made, gRPC's hooks for a fork crash the child, or the parent (see `forks`). The
SDK's exporter makes several within one `export`, with seconds between them for which no fork should wait, and
a new channel on the way. So what is guarded is what reaches gRPC: each call of the exporter's stub and
channel, and the making of both. None of the places is public; in a release that has others no fork waits.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any, Final, final

from otel_incident.forks import no_fork_while_sending

_FALSE: Final = frozenset({"0", "f", "false", "n", "no"})
"""What gRPC takes for false, in capitals too; with anything else its hooks are on, or half on."""


@cache
def has_fork_hooks() -> bool:
    """Whether gRPC has hooks for a fork in this process.

    gRPC reads its variable once, when it is imported, and a child has what its parent had. So it is read once
    here, too: when the first exporter is there, which has imported gRPC. What the host says later counts for
    neither.
    """
    value = os.environ.get("GRPC_ENABLE_FORK_SUPPORT", "")  # noqa: TID251  gRPC's, not a setting of ours
    return value.lower() not in _FALSE


def guard_calls(exporter: object) -> None:
    """Have forks wait for the calls of an exporter, if those go over gRPC.

    Args:
        exporter: The SDK's over gRPC; any other is left as it is, and so is one that is guarded already.
    """
    # no class to ask for without gRPC
    known = all(hasattr(exporter, name) for name in ("_initialize_channel_and_stub", "_channel", "_client"))
    if known and has_fork_hooks():
        _guard(exporter)


def _guard(exporter: Any) -> None:
    make = exporter._initialize_channel_and_stub  # noqa: SLF001  it has no public place
    if not isinstance(make, _Making):
        exporter._initialize_channel_and_stub = _Making(exporter, make)  # noqa: SLF001  the same


@final
class _Making:
    """Makes an exporter's channel and stub, and guards what it has made.

    Args:
        exporter: Whose they are.
        make: The exporter's own way to make them.
    """

    def __init__(self, exporter: Any, make: Any) -> None:
        self._exporter = exporter
        self._make = make
        self._guard()

    def __call__(self) -> None:
        """Make them anew; another thread's fork waits."""
        with no_fork_while_sending():
            self._make()
        self._guard()

    def _guard(self) -> None:
        exporter = self._exporter
        exporter._channel = _Guarded(exporter._channel)  # noqa: SLF001  it has no public place
        exporter._client = _Guarded(exporter._client)  # noqa: SLF001  the same


@final
class _Guarded:
    """Stands in the place of a stub or a channel: another thread's fork waits for each of its calls.

    Args:
        guarded: The stub or the channel.
    """

    def __init__(self, guarded: Any) -> None:
        self._guarded = guarded

    def __getattr__(self, name: str) -> Any:
        """One of its calls."""
        call = getattr(self._guarded, name)

        def guarded(*args: Any, **named: Any) -> Any:
            with no_fork_while_sending():
                return call(*args, **named)

        return guarded
