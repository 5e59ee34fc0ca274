"""What is wrong with a hook file as a whole, though it can be read: for the log of the host and for commands.

Of a preset only that its client is too old is said: whoever runs it can correct nothing else.
"""

from __future__ import annotations

import re
from importlib import metadata
from typing import TYPE_CHECKING

from otel_incident.distributions import version_of
from otel_incident.hooks.shipped import PRESETS

if TYPE_CHECKING:
    from otel_incident.hooks.definitions import HookFile


def about_distribution(file: HookFile) -> str:
    """What is to be said of the distribution that a file names; "" where it is installed.

    Args:
        file: The file.
    """
    if file.preset or not file.distribution or _is_installed(file.distribution):
        return ""
    return (
        f"key 'host.distribution': no distribution {file.distribution!r} is installed, so it says nothing of "
        "the host's version; correct or remove it"
    )


def about_hooks(file: HookFile) -> str:
    """What is to be said of a file that does nothing; "" where it has a hook, or names content for the gate.

    Args:
        file: The file.
    """
    if file.preset or file.hooks or file.content:
        return ""
    return f"key 'hook': is missing, so nothing of {file.host} is reported; add a [[hook]]"


def about_version(file: HookFile) -> str:
    """What is to be said of a client that is older than its preset is for; "" of any other.

    Args:
        file: The file.
    """
    preset = next((each for each in PRESETS if file.preset and each.name == file.source), None)
    if preset is None or not preset.oldest:
        return ""
    installed = version_of(preset.distribution)
    if not _numbers(installed) or _numbers(installed) >= _numbers(preset.oldest):
        return ""
    shown = ".".join(map(str, _numbers(installed)))
    return (
        f"{preset.distribution} {shown} is installed, and the preset is for {preset.oldest} and later, so it "
        "may report nothing; install a later one"
    )


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers that a version begins with; none where it does not."""
    found = re.match(r"[0-9]{1,9}(?:\.[0-9]{1,9})*", version)
    return tuple(int(number) for number in found[0].split(".")) if found else ()


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    except Exception:  # noqa: BLE001  damaged, but there: the version says so itself
        return True
    return True
