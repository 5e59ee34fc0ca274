"""What the host held that nobody outside may learn: every string in its database, and every one it was sent.

No column is chosen: all text in all tables of the application and of its sessions counts, names of stages
and states, password hashes and session keys included. Only Django's own bookkeeping is left out (migrations,
content types, permissions), which is the same in every installation.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

SHORTEST: Final = 4
"""Characters. Shorter strings are not looked for: two or three letters stand in any bytes by chance."""

SENT: Final = "sent over the API"

_BOOKKEEPING: Final = ("django_migrations", "django_content_type", "auth_permission", "auth_group", "sqlite_")
_TEXT_TYPES: Final = ("varchar", "text", "char")


@final
@dataclass(frozen=True, slots=True)
class Inventory:
    """Strings of content.

    Attributes:
        strings: Each once, with one place where the host held it (`table.column`).
        too_short: How many further ones are shorter than `SHORTEST`.
    """

    strings: dict[str, str]
    too_short: int

    def by_place(self) -> Counter[str]:
        """How many strings there are by place."""
        return Counter(self.strings.values())


def take_inventory(database: Path, sent: Iterable[str]) -> Inventory:
    """List what the host holds now, and what it was sent.

    Args:
        database: The host's SQLite file; only read.
        sent: The strings of all requests to its API.
    """
    found: dict[str, str] = {}
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        for table, column in _text_columns(connection):
            # S608: both names come from the database itself.
            for (value,) in connection.execute(f'SELECT DISTINCT "{column}" FROM "{table}"'):  # noqa: S608
                if isinstance(value, str):
                    found.setdefault(value.strip(), f"{table}.{column}")
    for value in sent:
        found.setdefault(value.strip(), SENT)
    found.pop("", None)
    long_enough = {value: place for value, place in found.items() if len(value) >= SHORTEST}
    return Inventory(long_enough, len(found) - len(long_enough))


def _text_columns(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return [
        (table, str(column[1]))
        for table in sorted(tables)
        if not table.startswith(_BOOKKEEPING)
        for column in connection.execute(f'PRAGMA table_info("{table}")')
        if str(column[2]).lower().startswith(_TEXT_TYPES)
    ]
