"""What is wrong with a hook file as a whole, though it can be read: for the log of the host and for commands.

Of a preset nothing is said: whoever runs it can correct nothing.
"""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

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
    """What is to be said of a file without a hook; "" where it has one.

    Args:
        file: The file.
    """
    if file.preset or file.hooks:
        return ""
    return f"key 'hook': is missing, so nothing of {file.host} is reported; add a [[hook]]"


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    except Exception:  # noqa: BLE001  damaged, but there: the version says so itself
        return True
    return True
