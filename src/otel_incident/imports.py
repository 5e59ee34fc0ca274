"""Who waits for a module of the host's, and can stop waiting.

`wrapt` tells when a module has been imported, but what is registered there can never be taken back: a host
that instruments and uninstruments would fill its list for ever. So `wrapt` is told of each module once, and
who waits for it is known here.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import wrapt

if TYPE_CHECKING:
    from collections.abc import Callable


class _Waiting(NamedTuple):
    """Somebody who waits for a module; no two of them are the same."""

    module: str
    call: Callable[[Any], object]
    one: object


_waiting: Final[list[_Waiting]] = []
_told: Final[set[str]] = set()
"""The modules of which `wrapt` will tell us."""


def when_imported(module: str, call: Callable[[Any], object]) -> Callable[[], None]:
    """Call with a module once it has been imported, at once if it is.

    Args:
        module: Its name.
        call: Must not raise: that would break the host's import.

    Returns:
        What keeps it from being called, if it was not yet.
    """
    found = sys.modules.get(module)
    if found is not None:
        call(found)
        return _nothing
    each = _Waiting(module, call, object())
    # in this order: whoever imports the module meanwhile finds it here, or leaves it to us to tell wrapt
    _waiting.append(each)
    if module not in _told:
        _told.add(module)
        wrapt.register_post_import_hook(partial(_imported, module), module)

    def undo() -> None:
        _take(each)

    return undo


def _imported(name: str, module: Any) -> None:
    _told.discard(name)
    for each in _waiting.copy():  # others come and go meanwhile
        if each.module == name and _take(each):
            each.call(module)


def _take(each: _Waiting) -> bool:
    """Whether nobody else has taken it."""
    with suppress(ValueError):
        _waiting.remove(each)
        return True
    return False


def _nothing() -> None:
    """There is nothing to take back."""
