"""How events are kept until they are delivered: the variables of the spool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, final

from otel_incident.environment_variables import (
    OTEL_INCIDENT_SPOOL,
    OTEL_INCIDENT_SPOOL_DIR,
    OTEL_INCIDENT_SPOOL_MAX_AGE,
    OTEL_INCIDENT_SPOOL_MAX_BYTES,
    OTEL_INCIDENT_SPOOL_SYNC,
)

if TYPE_CHECKING:
    from pathlib import Path

    from otel_incident.config_values import Values

_MOST: Final = 2**53  # an integer that every tool reads as it is
_SYNC: Final = {"normal": False, "full": True}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Spooling:
    """The settings of the spool.

    Attributes:
        on: Whether events are to be kept on disk.
        directory: Where they wait; None: in memory only.
        folder: The folder in it, in which there is one for each destination.
        sync: Whether each event is flushed to the disk, to outlive a loss of power.
        max_bytes: How much may wait on disk for one destination; the oldest goes first.
        max_age_millis: For how long, milliseconds.
    """

    on: bool = False
    directory: Path | None = None
    folder: str = ""
    sync: bool = False
    max_bytes: int = 2**30
    max_age_millis: int = 30 * 86_400_000


def read_spooling(values: Values, state_dir: Path | None) -> Spooling:
    """`OTEL_INCIDENT_SPOOL*`.

    Args:
        values: The variables.
        state_dir: The state directory, in which the spool is by default.
    """
    default = Spooling()
    explicit = values.directory(OTEL_INCIDENT_SPOOL_DIR, "the state directory")
    directory = explicit or state_dir
    on = values.boolean(OTEL_INCIDENT_SPOOL, default=True, when_bad=True)
    return Spooling(
        on=on,
        directory=directory if on else None,
        folder="" if explicit else "spool",
        sync=_sync(values),
        max_bytes=values.positive(OTEL_INCIDENT_SPOOL_MAX_BYTES, default.max_bytes, _MOST),
        max_age_millis=values.positive(OTEL_INCIDENT_SPOOL_MAX_AGE, default.max_age_millis, _MOST),
    )


def _sync(values: Values) -> bool:
    value = values.text(OTEL_INCIDENT_SPOOL_SYNC)
    if value and value.lower() not in _SYNC:
        # whoever has set it wants more than the default
        values.problem(OTEL_INCIDENT_SPOOL_SYNC, value, f"one of {', '.join(_SYNC)}", "full holds")
        return True
    return _SYNC.get(value.lower(), False)
