"""The policy at the SDK's edge, for the host's own spans, log records and metrics.

What a processor or an exporter is handed cannot be filtered in place: a span is frozen when it ends, and a
processor that was registered earlier has queued it already. So the gate wraps whoever comes next and hands on
copies from which everything that may not leave is missing. It deletes, it never masks; what it cannot filter
it drops; it never raises into the host.

    provider.add_span_processor(ContentGateSpanProcessor(BatchSpanProcessor(OTLPSpanExporter())))
"""

from otel_incident.gate.exporters import ContentGateMetricExporter
from otel_incident.gate.processors import ContentGateLogRecordProcessor, ContentGateSpanProcessor
from otel_incident.gate.rules import MODES, GateRules, Mode

__all__ = [
    "MODES",
    "ContentGateLogRecordProcessor",
    "ContentGateMetricExporter",
    "ContentGateSpanProcessor",
    "GateRules",
    "Mode",
]
