"""What `opentelemetry-instrument` runs when all instrumentors have: our self-check.

A module of its own, because it is loaded even where our instrumentor is disabled by name; then it is all of
ours that is.
"""

from __future__ import annotations

import sys


def check() -> None:
    """Let the gate say what it covers and what not, where it is."""
    instrumentor = sys.modules.get("otel_incident.instrumentor")
    if instrumentor is not None:
        instrumentor.IncidentInstrumentor().self_check()
