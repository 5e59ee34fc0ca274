"""What `opentelemetry-instrument` runs before any instrumentor: the gate is put in place.

An instrumentor of somebody else's that raises keeps all later ones from being loaded, ours among them, and
the host runs on with the providers that are set up already. So the gate does not wait for its turn. Nor may
it depend on our instrumentor: where that cannot be imported, upstream passes it over.

Of several packages that have something to be run here, the first that raises keeps the others from it. As the
distro that `OTEL_PYTHON_DISTRO=incident` names, we come before all of them.

Where our instrumentor is disabled by name, this module is all of ours that is loaded.
"""

from __future__ import annotations

import logging
import os
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from otel_incident.refusal import Refusal

NAME: Final = "incident"
"""What the entry points of our instrumentor and of our distro are called."""

DISTRO: Final = "OTEL_PYTHON_DISTRO"
"""Upstream's variable that names the distro to take."""

# With one of these, whoever asks for a provider sets it, and it is too early for that.
_PROVIDERS: Final = tuple(f"OTEL_PYTHON_{kind}_PROVIDER" for kind in ("TRACER", "METER", "LOGGER"))
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


def distro() -> object:
    """Put the gate in place before the SDK is set up, and give way to the distro that would have been taken.

    Returns:
        That distro; None, which upstream passes over, unless we are named.
    """
    # TID251: config.py reads our settings; these are upstream's
    if os.environ.get(DISTRO) != NAME:  # noqa: TID251  upstream's variables, not settings of ours
        return None
    if not any(name in os.environ for name in _PROVIDERS):  # noqa: TID251  upstream's variables, not settings of ours
        begin()
    # upstream hides these from type checkers
    from opentelemetry.instrumentation.distro import (  # type: ignore[attr-defined]  # noqa: PLC0415  one distro needs it
        BaseDistro,
        DefaultDistro,
    )

    for entry_point in entry_points(group="opentelemetry_distro"):
        if entry_point.name != NAME:
            found: object = entry_point.load()()
            if isinstance(found, BaseDistro):
                return found
    return DefaultDistro()


def is_disabled() -> bool:
    """Whether the operator has disabled our instrumentor by name."""
    said = os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "")  # noqa: TID251  config.py reads our settings, and is not loaded for nothing; this one is upstream's
    return not {NAME, _ALL}.isdisjoint(part.strip() for part in said.split(","))


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


def may_be_strict() -> bool:
    """Whether the gate's own variable asks for strict, as far as that can be told without the settings."""
    said = os.environ.get("OTEL_INCIDENT_GATE", "")  # noqa: TID251  config.py cannot be used, or is not loaded
    return said.strip().lower() not in _LENIENT


def _is_strict() -> bool:
    try:
        from otel_incident.config import Config  # noqa: PLC0415  as above

        config = Config.from_env()
    except Exception:  # noqa: BLE001  then what is written there has to do
        return may_be_strict()
    return config.gate == "strict" and config.gated
