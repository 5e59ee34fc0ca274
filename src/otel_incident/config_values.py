"""Reads single values of variables, and keeps a line for each that cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from otel_incident.config_file import OPTION_OF

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SETTING: Final = 2**31 - 1
"""More would overflow a timer or a queue in the thread that sends."""

_SHOWN: Final = 100  # of a value that cannot be used, in its one line
_TRUE: Final = frozenset({"true", "1", "yes", "on"})
_FALSE: Final = frozenset({"false", "0", "no", "off"})


@final
class Values:
    """The values of variables.

    Args:
        variables: By name.
        given: Those of them that are options of a file or a call, so that a line names what was written.

    Attributes:
        problems: One line for each value that could not be used.
    """

    def __init__(self, variables: Mapping[str, str], given: Mapping[str, str]) -> None:
        self._variables = variables
        self._given = given
        self.problems: list[str] = []

    def text(self, name: str) -> str:
        """A text without the blanks around it; "" where it is not set."""
        return self._variables.get(name, "").strip()

    def directory(self, name: str, otherwise: str) -> Path | None:
        """A directory, made absolute, since a host may change its own before the first event.

        Args:
            name: The variable.
            otherwise: What holds where it cannot be used.

        Returns:
            None where it is not set, or cannot be used.
        """
        value = self.text(name)
        home, slash, rest = value.partition("/")
        if home.startswith("~"):  # where no shell has read it
            if home != "~" or not self.text("HOME"):
                expected = "a directory, of which only ~/ is expanded, and only where HOME is set"
                self.problem(name, value, expected, f"{otherwise} holds")
                return None
            value = f"{self.text('HOME')}{slash}{rest}"
        return Path(value).absolute() if value else None

    def list(self, name: str) -> tuple[str, ...]:
        """Texts that commas separate."""
        return tuple(part.strip() for part in self.text(name).split(",") if part.strip())

    def globs(self, name: str) -> tuple[str, ...]:
        """Globs of attribute keys that commas separate; one that looks like several is said and stays one."""
        globs = self.list(name)
        for glob in globs:
            if ";" in glob or any(map(str.isspace, glob)):  # no name of OpenTelemetry has these
                self.problem(name, glob, "attribute keys separated by commas", "it is taken as one key")
        return globs

    def boolean(self, name: str, *, default: bool, when_bad: bool) -> bool:
        """True or false, in the usual words."""
        value = self.text(name)
        if not value:
            return default
        if value.lower() in _TRUE:
            return True
        if value.lower() not in _FALSE:
            self.problem(name, value, "true or false", f"{str(when_bad).lower()} holds")
            return when_bad
        return False

    def positive(self, name: str, default: int, most: int = MAX_SETTING) -> int:
        """An integer from 1 to `most`."""
        value = self.text(name)
        if not value:
            return default
        # by length first: Python refuses to read a number of thousands of digits
        if value.isascii() and value.isdigit() and len(value) <= 20 and 0 < int(value) <= most:  # noqa: PLR2004  any length that int() takes
            return int(value)
        self.problem(name, value, f"an integer from 1 to {most}", f"{default} holds")
        return default

    def problem(self, name: str, value: str, expected: str, holds: str) -> None:
        """Keep a line: what cannot be used, what is expected, and what holds instead."""
        value = value if len(value) <= _SHOWN else f"{value[:_SHOWN]}..."
        name = f"The option {OPTION_OF[name]}" if name in self._given else name
        self.problems.append(f"{name}={value!r} cannot be used: expected {expected}; {holds}.")
