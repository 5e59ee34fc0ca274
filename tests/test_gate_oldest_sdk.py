"""The gate that stands in the classes of the oldest SDK that is promised."""

from pathlib import Path

import pytest

from tests.host_environment import HostEnvironment
from tests.otlp_receiver import OtlpReceiver
from tests.test_gate_processes import CANARY, GLOBAL, OWN, PLANT
from tests.test_oldest_sdk import environment as environment  # noqa: PLC0414  a fixture is used by its name

CODE = f"""
{PLANT}{GLOBAL}{OWN}
use(own())
import sys
from otel_incident.instrumentor import IncidentInstrumentor
print(IncidentInstrumentor()._wrapping.missing if IncidentInstrumentor()._wrapping else None)
"""


@pytest.mark.parametrize("mode", ["strict", "standard", "off"])
def test_what_leaves(mode: str, receiver: OtlpReceiver, environment: HostEnvironment, tmp_path: Path) -> None:
    """With it, too, every part of the gate finds its place, and in strict no byte of content leaves."""
    words = [environment.tool("opentelemetry-instrument"), environment.tool("python"), "-c", CODE]
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_INCIDENT_GATE": mode,
        "OTEL_INCIDENT_STATE_DIR": str(tmp_path / "state"),
    }
    ended = environment.run(words, variables, tmp_path)
    assert (ended.status, ended.stdout) == (0, "None\n" if mode == "off" else "[]\n"), ended.stderr
    for span in receiver.wait_for_spans(2):
        assert ("incident.title" in span.attributes) == (mode == "off")
        assert span.attributes["incident.id"] == "42"
    assert len(receiver.wait_for_events(2)) == 2
    assert (receiver.raw_bytes().lower().count(CANARY) == 0) == (mode == "strict")


REFUSES = """
from otel_incident.refusal import Refusal
refusal = Refusal()
refusal.install()
print(len(refusal.reached), refusal.unreached)
"""


def test_what_refuses_where_the_gate_cannot_stand(environment: HostEnvironment, tmp_path: Path) -> None:
    """With it, too, each of the seven kinds of processors, readers, exporters and queues is reached."""
    ended = environment.run([environment.tool("python"), "-c", REFUSES], {}, tmp_path)
    assert (ended.status, ended.stdout) == (0, "7 []\n"), ended.stderr
