"""Which versions of SQLAlchemy a `model` hook is for; what it does to others might break the host."""

from __future__ import annotations

import re
from typing import Final

_TOO_OLD: Final = re.compile(r"[01](?:\.[0-9]{1,9})*(?![0-9])", re.ASCII)


def too_old() -> str:
    """The version of the host's SQLAlchemy, which it has imported, if that is below 2.0; "" of any other."""
    import sqlalchemy  # noqa: PLC0415  the host's library, which is at work

    found = _TOO_OLD.match(sqlalchemy.__version__)
    return found[0] if found else ""
