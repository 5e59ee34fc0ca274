"""What the end of the process has shown about the endpoint, for whoever is shut down after the events.

The SDK waits up to ten seconds for the last metrics. Where a host has no metrics of its own, ours are what it
would wait for; and where the events, which come first, could not be delivered, it would wait in vain.
"""

from __future__ import annotations

from typing import Final, final


@final
class _Ending:
    """The end of this process.

    Attributes:
        in_vain: Whether the last events could not be delivered when the process ended.
    """

    __slots__ = ("in_vain",)

    def __init__(self) -> None:
        self.in_vain = False


ending: Final = _Ending()
"""Of this process; a forked child has its own."""
