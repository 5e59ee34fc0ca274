"""The desks with OpenTelemetry set up in code: each span goes ungated to one endpoint, and gated to others.

The same spans, so that what a mode of the gate leaves can be held against what there was.
"""

import importlib
import json
import os
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.django import (  # type: ignore[import-not-found]  # not installed here
    DjangoInstrumentor,
)
from opentelemetry.instrumentation.flask import (  # type: ignore[import-not-found]  # the same
    FlaskInstrumentor,
)
from opentelemetry.instrumentation.requests import (  # type: ignore[import-not-found]  # the same
    RequestsInstrumentor,
)
from opentelemetry.instrumentation.sqlite3 import (  # type: ignore[import-not-found]  # the same
    SQLite3Instrumentor,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from otel_incident import ContentGateSpanProcessor


def flask() -> Any:
    """The desk on Flask."""
    FlaskInstrumentor().instrument()
    return importlib.import_module("flask_desk").application


def django() -> Any:
    """The desk on Django."""
    DjangoInstrumentor().instrument()
    return importlib.import_module("django_desk.wsgi").application


endpoints: dict[Any, str] = json.loads(os.environ["DESK_ENDPOINTS"])  # noqa: TID251  where a host finds its own things is not the package's configuration
provider = TracerProvider()
for mode, endpoint in endpoints.items():
    processor: Any = BatchSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces"))
    if mode != "off":
        # told to forbid what the desk knows to be content; strict would take what a profile keeps of it, too
        content = ["db.statement", "db.query.text", "exception.*"] if mode == "standard" else []
        processor = ContentGateSpanProcessor(processor, mode=mode, forbidden=content)
    provider.add_span_processor(processor)
trace.set_tracer_provider(provider)
SQLite3Instrumentor().instrument()
RequestsInstrumentor().instrument()
application = {"flask": flask, "django": django}[os.environ["DESK"]]()  # noqa: TID251  a host of the tests, which is set up so
