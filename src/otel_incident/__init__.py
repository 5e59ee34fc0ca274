"""Incident lifecycle events as content-free OpenTelemetry events.

The public names; each is loaded when it is first used, so that importing the package stays cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_incident.version import __version__

if TYPE_CHECKING:
    from otel_incident.emitter import IncidentEmitter
    from otel_incident.events import Actor, Incident, IncidentEvent
    from otel_incident.gate import (
        ContentGateLogRecordProcessor,
        ContentGateMetricExporter,
        ContentGateSpanProcessor,
    )
    from otel_incident.instrumentor import IncidentInstrumentor
    from otel_incident.spool.processor import DurableLogRecordProcessor

__all__ = [
    "Actor",
    "ContentGateLogRecordProcessor",
    "ContentGateMetricExporter",
    "ContentGateSpanProcessor",
    "DurableLogRecordProcessor",
    "Incident",
    "IncidentEmitter",
    "IncidentEvent",
    "IncidentInstrumentor",
    "__version__",
]

_ROOMS = {
    "Actor": "events",
    "ContentGateLogRecordProcessor": "gate",
    "ContentGateMetricExporter": "gate",
    "ContentGateSpanProcessor": "gate",
    "DurableLogRecordProcessor": "spool.processor",
    "Incident": "events",
    "IncidentEmitter": "emitter",
    "IncidentEvent": "events",
    "IncidentInstrumentor": "instrumentor",
}


def __getattr__(name: str) -> object:
    room = _ROOMS.get(name)
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415  only for who asks

    value = getattr(import_module(f"{__name__}.{room}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
