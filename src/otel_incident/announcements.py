"""What is said once for a process: settings that cannot be used, and that telemetry is off."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Final

from otel_incident.guard import say

if TYPE_CHECKING:
    from otel_incident.config import Config

_logger: Final = logging.getLogger("otel_incident")
_said: Final[set[str]] = set()


def announce(config: Config) -> None:
    """Say the problems of a configuration as warnings, and that telemetry is off as information."""
    for line in config.problems:
        say_once(line)
    if config.off and config.off not in _said:
        _said.add(config.off)
        with contextlib.suppress(Exception):  # a log handler of the host's may raise anything
            _logger.info("Incident telemetry is off: %s.", config.off)
        if not config.gate_alone:
            announce_missing_gate(config, f"incident telemetry is off ({config.off})")


def announce_missing_gate(config: Config, why: str) -> None:
    """Say as a warning that there is no gate, if somebody asked for one and so may rely on it."""
    if config.gate_is_set and config.gate != "off":
        say(
            "The gate (%s) is not in place, because %s: the host's own spans, logs and metrics leave as they "
            "are.",
            config.gate,
            why,
        )


def say_once(line: str) -> None:
    """Log one warning, unless this process has."""
    if line not in _said:
        _said.add(line)
        say("%s", line)


def forget() -> None:
    """Say everything again; for tests."""
    _said.clear()
