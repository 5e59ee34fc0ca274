"""How the commands say names, sizes and times: so that no file's name can write to a terminal."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Final

_NS: Final = 10**9
_LAST_SECOND: Final = 253402300799  # of the year 9999; what is later has no ISO 8601 of four digits


def printable(text: str) -> str:
    """A text of somebody's as a terminal may see it: as it is, or as JSON where it could do something."""
    return text if text.isprintable() else json.dumps(text)


def iso(nanoseconds: int) -> str:
    """A time in ISO 8601 and UTC, to the nanosecond as far as there are any.

    Args:
        nanoseconds: Since the epoch.
    """
    seconds, rest = divmod(nanoseconds, _NS)
    if seconds > _LAST_SECOND:
        return f"{nanoseconds} ns"
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"


def size(count: int) -> str:
    """Bytes for a person to read."""
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:  # noqa: PLR2004  what a unit's prefix means
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def records(count: int) -> str:
    """So many records."""
    return f"{count:,} record{'' if count == 1 else 's'}"
