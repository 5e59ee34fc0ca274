"""What importing the package costs a host: the layers that import-linter cannot see, outside the package."""

import pytest

from tests.processes import succeed


@pytest.mark.parametrize(
    "module",
    ["otel_incident", "otel_incident.events", "otel_incident.emitter", "otel_incident.hooks.activation"],
)
def test_what_a_hosts_code_runs_into_loads_no_sdk(module: str) -> None:
    """Neither the SDK nor an exporter nor a host's framework is imported until an event comes."""
    code = f"""
import sys
import {module}
heavy = ("opentelemetry.sdk", "opentelemetry.exporter", "grpc", "requests", "django", "sqlalchemy")
print(sorted(name for name in sys.modules if name.startswith(heavy)))
"""
    assert succeed(code).stdout == "[]\n"
