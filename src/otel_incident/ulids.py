"""ULIDs: ids that sort by their time, and within a millisecond in the order in which a process made them.

The specification (github.com/ulid/spec) has the random part drawn for each millisecond and counted up within
it, which needs a lock, or three times the time. Here each process draws it once and counts up always: that
sorts as well, is as far from what another process draws, and is one step, which nothing can interrupt.
"""

from __future__ import annotations

import os
from itertools import count
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS: Final = tuple(first + second for first in _CROCKFORD for second in _CROCKFORD)
_FIVE_BITS: Final = _CROCKFORD.encode() * 8  # by byte, the digit of its lowest five bits

_Drawn: TypeAlias = "tuple[str, Callable[[], int]]"
"""Ten characters, and what gives the number in the six after them."""


def new_ulid(now: int) -> str:
    """A ULID: 26 characters, of 48 bits of milliseconds, 50 random and 30 counted ones.

    Args:
        now: ns since the epoch.
    """
    time_part = now // 1_000_000 & 0xFFFF_FFFF_FFFF
    ((drawn, following),) = _own
    number = following()
    return (
        f"{_PAIRS[time_part >> 40]}{_PAIRS[time_part >> 30 & 0x3FF]}{_PAIRS[time_part >> 20 & 0x3FF]}"
        f"{_PAIRS[time_part >> 10 & 0x3FF]}{_PAIRS[time_part & 0x3FF]}{drawn}"
        f"{_PAIRS[number >> 20 & 0x3FF]}{_PAIRS[number >> 10 & 0x3FF]}{_PAIRS[number & 0x3FF]}"
    )


def _draw() -> _Drawn:
    """Begin to count somewhere in the lower half, which leaves room for 500 million."""
    random = os.urandom(14)
    return random[:10].translate(_FIVE_BITS).decode(), count(int.from_bytes(random[10:], "big") >> 3).__next__


def _draw_again() -> None:
    _own[:] = [_draw()]


_own: Final = [_draw()]
os.register_at_fork(after_in_child=_draw_again)  # a child would count on from where its parent was
