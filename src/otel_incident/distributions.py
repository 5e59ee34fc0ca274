"""What is installed beside us: of a host, a client or the SDK only the version is asked for."""

from __future__ import annotations

from importlib import metadata


def version_of(distribution: str) -> str:
    """The version of a distribution; "" where it is not installed, or cannot say it."""
    try:
        return metadata.version(distribution) or ""  # None where the line is missing, whatever its type says
    except Exception:  # noqa: BLE001  not there, or with metadata that cannot be read: it says no version
        return ""
