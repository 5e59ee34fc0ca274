"""Where several files speak of one thing: it is watched once, or every event would be doubled.

A file that is named twice is read once. An operator's file comes before a preset. Of two files of the
operator's nobody can know which one is meant: the second is refused.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from otel_incident.errors import HookFileError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from otel_incident.hooks.definitions import HookFile


def each_once(paths: Iterable[Path]) -> list[Path]:
    """The paths without those that lead to a file which was named before."""
    found: dict[str, Path] = {}
    for path in paths:
        try:
            real = os.path.realpath(path)
        except (OSError, ValueError):  # a path that no file can have: whoever reads it says so
            real = str(path)
        found.setdefault(real, path)
    return list(found.values())


def refuse_double(file: HookFile, before: Iterable[HookFile]) -> None:
    """Refuse a file of the operator's that says again what one before it has said.

    Raises:
        HookFileError: It names both files and both hooks.
    """
    said = {hook.meaning: (other, hook) for other in before for hook in other.hooks}
    for hook in file.hooks:
        if hook.meaning in said:
            other, same = said[hook.meaning]
            reason = f"is what hook {same.name!r} of {other.source} is about; one of them is enough"
            raise HookFileError(file.source, hook.name, hook.subject, reason, file.content)


def without_doubles(preset: HookFile, files: Iterable[HookFile]) -> HookFile:
    """A preset without the hooks on whatever an operator's file has a hook on, whatever that makes of it."""
    taken = {hook.watched for file in files for hook in file.hooks}
    return replace(preset, hooks=tuple(hook for hook in preset.hooks if hook.watched not in taken))
