"""A desk on FastAPI whose OpenTelemetry has a processor of its own, which writes an attribute on each span.

Says, as JSON, the name and the attributes with which the span of one request was exported, what the gate took
out of spans, and what it would have taken out.
"""

import json
import sys
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient
from opentelemetry.instrumentation.fastapi import (  # type: ignore[import-not-found]  # not installed here
    FastAPIInstrumentor,
)
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from otel_incident.gate import GateRules
from otel_incident.gate.wrapping import Wrapping


class Tags(SpanProcessor):
    """As those do that write baggage on spans."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Write an attribute."""
        del parent_context
        span.set_attribute("deployment.tier", "web")


rules = GateRules(sys.argv[1])  # type: ignore[arg-type]  # a mode
Wrapping(rules, ()).install()
exporter = InMemorySpanExporter()
provider = TracerProvider(shutdown_on_exit=False)
provider.add_span_processor(Tags())
provider.add_span_processor(SimpleSpanProcessor(exporter))
application = FastAPI()


@application.get("/incidents/{number}")
def show(number: int) -> int:
    """Of an incident its number."""
    return number


FastAPIInstrumentor.instrument_app(application, tracer_provider=provider)
TestClient(application).get("/incidents/42?title=payments")
(served,) = (span for span in exporter.get_finished_spans() if span.kind is SpanKind.SERVER)
counts = {"taken": rules.dropped.counts(), "would": rules.audited.counts()}
json.dump(
    {
        "name": served.name,
        "attributes": dict(served.attributes or {}),
        **{
            word: {reason: count for (signal, reason, _), count in counted.items() if signal == "spans"}
            for word, counted in counts.items()
        },
    },
    sys.stdout,
)
