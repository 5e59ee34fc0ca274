"""Shows it: progress, tables, and the line that matters. Plain text; colour and motion only on a terminal."""

import shutil
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, final

from examples.demo.verdict import DURATION
from tests.telemetry import LogEvent

_BAR: Final = 24
_MILESTONE: Final = 20
_HEADINGS: Final = (
    "time (UTC)", "event", "incident", "commander", "stage", "active", "actor", "role", "duration", "trace",
)  # fmt: skip


@final
class Screen:
    """Writes to stdout.

    Attributes:
        lively: Whether it is a terminal that understands escape codes.
    """

    def __init__(self) -> None:
        self.lively = sys.stdout.isatty()
        self._moving = False

    def say(self, text: str = "") -> None:
        """One or more lines."""
        if self._moving:
            sys.stdout.write("\r\033[K")
            self._moving = False
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def heading(self, text: str) -> None:
        """What comes next."""
        self.say()
        self.say(self._coloured("1", text))

    def fact(self, name: str, value: str) -> None:
        """One named fact."""
        self.say(f"  {name:<11} {value}")

    def verdict(self, text: str, *, good: bool) -> None:
        """The line that matters."""
        self.say(self._coloured("1;32" if good else "1;31", text))

    def progress(self, done: int, total: int, what: str) -> None:
        """How far it is: a bar that moves, or a line now and then."""
        if self.lively:
            filled = _BAR * done // total
            bar = "█" * filled + "░" * (_BAR - filled)
            width = shutil.get_terminal_size().columns - _BAR - 16
            sys.stdout.write(f"\r\033[K  {bar} {done:>3}/{total}  {what[: max(width, 0)]}")
            sys.stdout.flush()
            self._moving = True
        elif done % _MILESTONE == 0 or done == total:
            self.say(f"  {done:>3}/{total}  {what}")

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Columns as wide as they need be."""
        columns = list(zip(headings, *rows, strict=True))
        widths = [max(_width(cell) for cell in column) for column in columns]
        for number, row in enumerate([headings, *rows]):
            cells = [cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)]
            line = "  " + "  ".join(cells).rstrip()
            self.say(line if number else self._coloured("2", line))

    def _coloured(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self.lively else text


def show_events(screen: Screen, events: Iterable[LogEvent]) -> None:
    """The events as a table, in the order in which they arrived."""
    rows = [_row(event) for event in events]
    if rows:
        screen.table(_HEADINGS, rows)
    else:
        screen.say("  none")


def show_resource(screen: Screen, event: LogEvent) -> None:
    """Who was speaking; said with every batch, shown once."""
    for key, value in sorted(event.resource.items()):
        screen.say(f"  {key:<28}{value}")


def show_incidents(screen: Screen, titles: Mapping[str, str], reported: Iterable[str]) -> None:
    """What it was about, as the host knows it: for whoever watches, on this screen alone."""
    counts = Counter(reported)
    rows = [[incident, str(counts[incident]), title] for incident, title in titles.items()]
    screen.table(("incident", "events due", "title (known to the host alone)"), rows)


def _row(event: LogEvent) -> list[str]:
    said = event.attributes
    roles, duration = said.get("user.roles", ()), said.get(DURATION)
    active = (
        {True: "yes", False: "no"}.get(bool(said["incident.active"])) if "incident.active" in said else None
    )
    moment = datetime.fromtimestamp(event.timestamp / 1e9, UTC).strftime("%H:%M:%S.%f")[:-3]
    return [
        moment,
        event.event_name,
        _cell(said.get("incident.id")),
        _cell(said.get("incident.commander.id")),
        _cell(said.get("incident.stage.index")),
        _cell(active),
        _cell(said.get("user.id", said.get("user.hash"))),
        ", ".join(map(str, roles)) if isinstance(roles, tuple) and roles else "-",
        f"{duration:.3f} s" if isinstance(duration, float) else "-",
        event.trace_id[:8] or "-",
    ]


def _cell(value: object) -> str:
    return "-" if value is None else str(value)


def _width(text: str) -> int:
    """Columns on a screen: East Asian characters and emoji take two, what combines takes none."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )
