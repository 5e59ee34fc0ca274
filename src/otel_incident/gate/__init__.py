"""The policy at the SDK's edge, for the host's own spans, log records and metrics.

What a processor or an exporter is handed cannot be filtered in place: a span is frozen when it ends, and a
processor that was registered earlier has queued it already. So the gate wraps whoever comes next and hands on
copies from which everything that may not leave is missing. It deletes, it never masks; what it cannot filter
it drops; it never raises into the host.

    provider.add_span_processor(ContentGateSpanProcessor(BatchSpanProcessor(OTLPSpanExporter())))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_incident.gate.processors import ContentGateLogRecordProcessor, ContentGateSpanProcessor
from otel_incident.gate.rules import MODES, GateRules, Mode

if TYPE_CHECKING:
    from otel_incident.gate.metric_exporter import ContentGateMetricExporter

__all__ = [
    "MODES",
    "ContentGateLogRecordProcessor",
    "ContentGateMetricExporter",
    "ContentGateSpanProcessor",
    "GateRules",
    "Mode",
]


def __getattr__(name: str) -> object:
    if name != "ContentGateMetricExporter":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from otel_incident.gate import metric_exporter  # noqa: PLC0415  a host without metrics loads none

    return metric_exporter.ContentGateMetricExporter
