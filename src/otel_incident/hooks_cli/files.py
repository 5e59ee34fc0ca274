"""Which hook files a command is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_incident.errors import HookFileError
from otel_incident.hooks.precedence import each_once, refuse_double, without_doubles
from otel_incident.hooks.shipped import enabled
from otel_incident.hooks.spec import load
from otel_incident.installation import is_installed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from otel_incident.config import Config
    from otel_incident.hooks.definitions import HookFile


def chosen_files(paths: Sequence[Path], config: Config) -> tuple[list[HookFile], list[HookFileError]]:
    """The hook files that were named, or those of this environment; and why others are refused.

    Args:
        paths: Those that were named; none means the environment's, with the presets whose host is installed.
        config: The settings.
    """
    files: list[HookFile] = []
    refused: list[HookFileError] = []
    for path in each_once(paths or config.hook_files):
        try:
            file = load(path)
            refuse_double(file, files)
        except HookFileError as error:
            refused.append(error)
        else:
            files.append(file)
    if not paths:
        there = (each.read() for each in enabled(config.disabled_hooks) if is_installed(each))
        shipped = [without_doubles(each, files) for each in there]
        files += [each for each in shipped if each.hooks]
    return files, refused
