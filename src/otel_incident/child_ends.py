"""The end of a process that `multiprocessing` has started: it comes without `atexit`.

Such a child ends by `os._exit` as soon as its target has returned. Before that `multiprocessing` runs
finalizers of its own. It forgets those of the parent, so a child registers one with its first record.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_LAST: Final = -100
"""The priority of what runs after a host's own finalizers, which may still report something."""


def at_end_of_child(end: Callable[[], None]) -> None:
    """Have something called when this process ends, if `multiprocessing` has started it.

    Args:
        end: What is to be called, in the child's main thread. Nothing comes of it in any other process.
    """
    util: Any = sys.modules.get("multiprocessing.util")
    process: Any = sys.modules.get("multiprocessing.process")
    # without a parent process this is none of its children, whose finalizers are left to them
    if util is not None and process is not None and process.parent_process() is not None:
        util.Finalize(None, end, exitpriority=_LAST)
