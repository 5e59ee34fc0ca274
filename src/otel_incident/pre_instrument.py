"""What `opentelemetry-instrument` runs before any instrumentor: the gate is put in place.

An instrumentor of somebody else's that raises keeps all later ones from being loaded, ours among them, and
the host runs on with the providers that are set up already. So the gate does not wait for its turn. Nor may
it depend on our instrumentor: where that cannot be imported, upstream passes it over.

Where our instrumentor is disabled by name, this module is all of ours that is loaded.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from otel_incident.refusal import Refusal

_NAME: Final = "incident"  # of our instrumentor's entry point
_ALL: Final = "*"
_LENIENT: Final = frozenset({"", "standard", "audit", "off"})
_WHY: Final = " (the instrumentation incident could not be loaded)"


class _Process:
    """What stands in the gate's place where our instrumentor could not put it there."""

    refusal: Refusal | None = None


def begin() -> None:
    """Put the gate in place that the settings ask for; where it cannot be had and is strict, refuse."""
    if is_disabled():
        return
    try:
        from otel_incident.instrumentor import IncidentInstrumentor  # noqa: PLC0415  disabled loads none of it

        IncidentInstrumentor().begin_gate()
    except Exception:  # noqa: BLE001  whatever it is, all instrumentors would be missing if it escaped
        refuse_if_strict()


def is_disabled() -> bool:
    """Whether the operator has disabled our instrumentor by name."""
    said = os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "")  # noqa: TID251  config.py reads our settings, and is not loaded for nothing; this one is upstream's
    return not {_NAME, _ALL}.isdisjoint(part.strip() for part in said.split(","))


def refuse_if_strict() -> bool:
    """Let nothing leave if the gate was to be strict and our instrumentor is not there to put it in place.

    Returns:
        Whether nothing leaves, by this call or an earlier one.
    """
    if _Process.refusal is None and _is_strict():
        try:
            from otel_incident.refusal import refuse  # noqa: PLC0415  disabled loads none of it

            _Process.refusal = refuse(_WHY)
        except Exception as error:  # noqa: BLE001  as above; nothing is left but to say so
            logging.getLogger("otel_incident").warning(
                "The gate (strict) is not in place, and nothing can stand in its place (%s): the host's own "
                "spans, logs and metrics leave as they are.",
                type(error).__name__,
            )
    return _Process.refusal is not None


def _is_strict() -> bool:
    try:
        from otel_incident.config import Config  # noqa: PLC0415  as above

        config = Config.from_env()
    except Exception:  # noqa: BLE001  then what is written there has to do
        said = os.environ.get("OTEL_INCIDENT_GATE", "")  # noqa: TID251  config.py cannot be used
        return said.strip().lower() not in _LENIENT
    return config.gate == "strict" and (not config.off or config.gate_alone)
