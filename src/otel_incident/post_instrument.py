"""What `opentelemetry-instrument` runs when all instrumentors have: our self-check.

A module of its own, because it is loaded even where our instrumentor is disabled by name; then it is all of
ours that is, unless somebody asked for a gate and has to be told that there is none.
"""

from __future__ import annotations

import os
import sys
from typing import Final

# Where a gate can be asked for; without any of them nothing has to be read.
_SAY_A_GATE: Final = ("OTEL_INCIDENT_GATE", "OTEL_CONFIG_FILE")


def check() -> None:
    """Let the gate say what it covers and what not, or say that there is none where one was asked for."""
    module = sys.modules.get("otel_incident.instrumentor")
    instrumentor = module.IncidentInstrumentor() if module is not None else None
    if instrumentor is not None and (
        instrumentor.is_instrumented_by_opentelemetry or instrumentor.has_begun_gate
    ):
        instrumentor.self_check()
        return
    if any(os.environ.get(name) for name in _SAY_A_GATE):  # noqa: TID251  config.py reads them, but is not loaded for nothing
        from otel_incident.guard import fail_open  # noqa: PLC0415  disabled loads as little as it can

        fail_open("gate")(_say_missing)()


def _say_missing() -> None:
    from otel_incident import pre_instrument  # noqa: PLC0415  the same
    from otel_incident.announcements import announce_missing_gate  # noqa: PLC0415  the same
    from otel_incident.config import Config  # noqa: PLC0415  the same

    if pre_instrument.is_disabled():
        why = "the instrumentation incident was not loaded (see OTEL_PYTHON_DISABLED_INSTRUMENTATIONS)"
    elif pre_instrument.refuse_if_strict():
        return
    else:
        why = "the instrumentation incident could not be loaded"
    announce_missing_gate(Config.from_env(), why)
