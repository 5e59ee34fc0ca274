"""A host that goes on through an outage: one line at its beginning, one at its end, nobody's lines lost."""

from typing import Final

import pytest

from tests.emitting_host import EmittingHost, endpoint_of
from tests.otlp_receiver import HANG, OK, Answer, OtlpReceiver, Status
from tests.processes import succeed
from tests.spool_hosts import KNOWN

TRANSPORTS: Final = ("grpc", "http")
EXPORTERS: Final = {"grpc": "otlp_proto_grpc", "http": "otlp_proto_http"}
# Attempts that end soon, so that a test sees several batches fail.
IMPATIENT: Final = {"OTEL_EXPORTER_OTLP_TIMEOUT": "0.5", "OTEL_BLRP_SCHEDULE_DELAY": "50"}


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("answer", [Status(503), Status(400), HANG], ids=["503", "400", "hang"])
def test_an_outage_and_its_end(receiver: OtlpReceiver, transport: str, answer: Answer) -> None:
    """However many batches fail, stderr has one line; when delivery works again, one with the number lost."""
    endpoint = endpoint_of(transport, receiver.grpc_endpoint, receiver.http_endpoint)
    with EmittingHost({**IMPATIENT, **endpoint}) as host:
        host.emit(1)
        receiver.wait_for_events(1)
        receiver.answer_with(answer)
        host.emit(2)
        began = host.wait_for_line()
        for _ in range(2):
            seen = len(receiver.requests)
            host.emit(1)
            receiver.wait_for_requests(seen + 1)
        receiver.answer_with(OK)
        lost = 0
        while not host.stderr[1:]:  # batches that are still failing when it answers again count as lost
            host.emit(1)
            receiver.wait_for_requests(len(receiver.requests) + 1)
            if len(receiver.wait_for_events(1)) > 1:
                lost = int(host.wait_for_line().partition("again; ")[2].partition(" ")[0])
        status, _ = host.end()
    assert status == 0
    assert began.startswith(f"Incident events cannot be delivered by the exporter {EXPORTERS[transport]} (")
    assert host.stderr == [
        began,
        f"The exporter {EXPORTERS[transport]} delivers again; {lost} events were lost.",
    ]
    arrived = [int(str(event.attributes["incident.id"])) for event in receiver.telemetry().events]
    assert len(set(arrived)) == len(arrived)
    if answer != HANG:  # what hung arrived in the end, though nobody waited for it any more
        assert max(arrived) - len(arrived) == lost


HOST_AND_WE: Final = """
    import sys
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.exporter.otlp.proto.{package}.trace_exporter import OTLPSpanExporter
    from otel_incident import Incident, IncidentEmitter
    from otel_incident.pipeline import default_pipeline

    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
    emitter = IncidentEmitter()
    for _ in range(2):
        emitter.create(Incident(id=1))
        default_pipeline().force_flush()
    with provider.get_tracer("host").start_as_current_span("a request"):
        pass
"""


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_host_s_own_exporter_still_speaks(receiver: OtlpReceiver, transport: str) -> None:
    """Of the same refusal the host's exporter of spans logs its own line, though ours was there first."""
    receiver.answer_with(Status(400))
    ended = succeed(
        HOST_AND_WE.replace("{package}", transport),
        {
            **endpoint_of(transport, receiver.grpc_endpoint, receiver.http_endpoint),
            **KNOWN,
            "OTEL_INCIDENT_SPOOL": "false",
        },
    )
    ours, theirs = ended.stderr.splitlines()
    assert ours.startswith("Incident events cannot be delivered")
    assert theirs.startswith("Failed to export")
    assert "spans" in theirs or "traces" in theirs


LATE: Final = """
    import sys
    from otel_incident import Incident, IncidentEmitter
    emitter = IncidentEmitter()
    emitter.create(Incident(id=1))
    print("grpc" in sys.modules, "opentelemetry.exporter" in sys.modules)
    from otel_incident.pipeline import default_pipeline
    default_pipeline().force_flush()
    print("grpc" in sys.modules)
"""


def test_the_exporter_is_not_loaded_before_a_batch_leaves(receiver: OtlpReceiver) -> None:
    """Importing gRPC takes a tenth of a second: neither start-up nor the first event pays for it."""
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.grpc_endpoint, "OTEL_BLRP_SCHEDULE_DELAY": "60000"}
    variables["OTEL_INCIDENT_DIAGNOSTIC_ID"] = "1"
    assert succeed(LATE, variables).stdout.splitlines() == ["False False", "True"]
    assert len(receiver.wait_for_events(1)) == 1


OUTAGE: Final = (
    "Incident events cannot be delivered by the exporter {} ({}); they are dropped until its endpoint takes "
    "them again. This is said once for an outage."
)
NOT_INSTALLED: Final = (
    "no installed package has an exporter of that name in the group opentelemetry_logs_exporter"
)


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("OTEL_LOGS_EXPORTER", "no_such", OUTAGE.format("no_such", NOT_INSTALLED)),
        (
            "OTEL_EXPORTER_OTLP_COMPRESSION",
            "bogus",
            OUTAGE.format(
                "otlp_proto_grpc",
                "it cannot be made with OTEL_EXPORTER_OTLP_COMPRESSION; `otel-incident doctor` says what to "
                "write",
            ),
        ),
        (
            "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT",
            "soon",
            OUTAGE.format(
                "otlp_proto_grpc",
                "it cannot be made with OTEL_EXPORTER_OTLP_LOGS_TIMEOUT; `otel-incident doctor` says what to "
                "write",
            ),
        ),
    ],
)
def test_an_exporter_that_cannot_be_made(variable: str, value: str, line: str) -> None:
    """A setting that no exporter takes is one line; the host runs and ends as always."""
    with EmittingHost({variable: value, "OTEL_BLRP_SCHEDULE_DELAY": "50"}) as host:
        host.emit(1)
        assert host.wait_for_line() == line
        host.emit(2)
        assert host.end()[0] == 0
    assert host.stderr == [line]


@pytest.mark.parametrize("transport", ["grpc", "http"])
@pytest.mark.parametrize("value", ["0", "nan"])
def test_a_time_limit_without_time(transport: str, value: str, receiver: OtlpReceiver) -> None:
    """Before the exporter blames the endpoint a line names the variable."""
    variables = endpoint_of(transport, receiver.grpc_endpoint, receiver.http_endpoint)
    variables |= {"OTEL_EXPORTER_OTLP_TIMEOUT": value, "OTEL_BLRP_SCHEDULE_DELAY": "50"}
    with EmittingHost(variables) as host:
        host.emit(1)
        assert host.wait_for_line() == (
            f"OTEL_EXPORTER_OTLP_TIMEOUT={value!r} cannot be used: expected a number of seconds above 0; no "
            "event can leave."
        )


def test_the_console_exporter() -> None:
    """`OTEL_LOGS_EXPORTER=console` prints the events of a short process to stdout."""
    variables = {"OTEL_LOGS_EXPORTER": "console", "OTEL_INCIDENT_DIAGNOSTIC_ID": "1"}
    code = "from otel_incident import Incident, IncidentEmitter\nIncidentEmitter().create(Incident(id=77))"
    ended = succeed(code, variables)
    assert '"event_name": "incident.create"' in ended.stdout
    assert '"incident.id": "77"' in ended.stdout
