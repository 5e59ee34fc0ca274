"""What hosts call their content, for the gate that takes it out of their signals.

A gate may stand where no hook is in force: before the instrumentors, where one of them raises, where
telemetry is off. So it is told apart from the hooks, by the same files: what an operator's names, at once and
even if the hooks in it are refused, and what a preset does, as soon as its host is imported.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

from otel_incident.announcements import say_once
from otel_incident.errors import HookFileError
from otel_incident.guard import fail_open, swallow
from otel_incident.hooks.ownership import is_of, places_of
from otel_incident.hooks.precedence import each_once
from otel_incident.imports import when_imported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from otel_incident.hooks.shipped import Preset

_UNASKED: Final = (
    "The preset {} cannot be read ({}), so the gate does not take what it names as content out of the host's "
    "own spans, logs and metrics. Install otel-incident again, or name these attributes in "
    "OTEL_INCIDENT_FORBIDDEN_ATTRIBUTES."
)


def content_in(paths: Iterable[Path], *, gated: bool) -> dict[str, tuple[str, ...]]:
    """What the operator's hook files name as content, by file; what cannot be read is said and left out.

    Args:
        paths: Of the files.
        gated: Whether there is a gate to take it out.
    """
    named: dict[str, tuple[str, ...]] = {}
    for path in each_once(paths):
        from otel_incident.hooks.spec import load_content  # noqa: PLC0415  few hosts have a file of their own

        try:
            named[str(path)], error = load_content(path)
        except HookFileError as unreadable:
            error = unreadable
        if error is not None:
            say_refused(error, gated=gated)
    return named


def say_refused(error: HookFileError, *, gated: bool) -> None:
    """Say that a file is refused, and whether its content is known all the same; once for a process."""
    say_once(f"{error}. The file is not in force; the host runs without it.{although(error, gated=gated)}")


def although(error: HookFileError, *, gated: bool) -> str:
    """What is to be said of the content that a refused file names; "" where none is taken out.

    Args:
        error: Why the file is refused.
        gated: Whether there is a gate.
    """
    return " What it names as content holds all the same." if gated and error.content else ""


@final
class ContentNames:
    """What a gate is told of content.

    Args:
        paths: The operator's hook files.
        presets: Presets that are asked when their host is imported.
        forbid: Takes the names.
    """

    def __init__(
        self, paths: Iterable[Path], presets: Iterable[Preset], forbid: Callable[[Iterable[str]], None]
    ) -> None:
        self._paths = tuple(paths)
        self._presets = tuple(presets)
        self._forbid = forbid
        self._waits_no_longer: list[Callable[[], None]] = []

    def install(self) -> None:
        """Tell what the operator's files name now, and what presets do when their host is there."""
        for names in content_in(self._paths, gated=True).values():
            self._forbid(names)
        for preset in self._presets:
            came = fail_open("gate")(partial(self._came, preset))
            self._waits_no_longer.append(when_imported(preset.module, came))

    def uninstall(self) -> None:
        """Wait for no host any more."""
        while self._waits_no_longer:
            self._waits_no_longer.pop()()

    def _came(self, preset: Preset, module: Any) -> None:
        if not is_of(preset.distribution, preset.module, places_of(module)):
            return
        try:
            names = preset.content()
        except Exception as error:  # noqa: BLE001  whatever it is, the host's import goes on
            swallow("gate", error, _UNASKED.format(preset.name, type(error).__name__))
        else:
            self._forbid(names)
