"""What a forked child must let go of: a lock lives for as long as any process has its file open."""

from __future__ import annotations

import os
import weakref
from typing import Final, Protocol


class Inherited(Protocol):
    """Something that holds a file which a child must not keep open."""

    def forget(self) -> None:
        """Close it in the child."""
        ...


_all: Final[weakref.WeakSet[Inherited]] = weakref.WeakSet()


def forget_in_children(inherited: Inherited) -> None:
    """Have this closed in every child that is forked from now on."""
    _all.add(inherited)


def _forget() -> None:
    for inherited in list(_all):
        inherited.forget()


os.register_at_fork(after_in_child=_forget)
