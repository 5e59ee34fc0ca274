"""An endpoint that is absent, hangs or refuses: the host notices nothing but one line, and ends in time."""

import itertools
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from tests.emitting_host import EmittingHost, endpoint_of
from tests.otlp_receiver import HANG, OK, Answer, OtlpReceiver, PartialSuccess, Status
from tests.processes import succeed

TRANSPORTS: Final = ("grpc", "http")
EXPORTERS: Final = {"grpc": "otlp_proto_grpc", "http": "otlp_proto_http"}
SLOWEST_CALL: Final = 2.0
"""Seconds; waiting for an endpoint would take ten."""
DEADLINE: Final = 8.0
"""Seconds for an exit that has two of its own; the SDK's takes ten to thirty."""

ANSWERS: Final[dict[str, Answer | None]] = {
    "absent": None,
    "hanging": HANG,
    "503": Status(503),
    "503 for a minute": Status(503, retry_after=60),
    "400": Status(400),
    "partial": PartialSuccess(2, "two of three"),
    "ok": OK,
}
OUTAGE: Final = (
    r"Incident events cannot be delivered by the exporter {exporter} \({reason}\); they are dropped until "
    r"its endpoint takes them again\. This is said once for an outage\."
)
AT_EXIT: Final = (
    r"{count} incident events were not delivered by the exporter {exporter} when the process ended"
)
WHY: Final = r" \({reason}\)\."
# The one line of a process that reports three events and ends, by what the endpoint does and the transport.
LINES: Final[dict[tuple[str, str], str]] = {
    # four where the endpoint went before its answer to the event of the start was read
    ("absent", "grpc"): (AT_EXIT + WHY).format(
        count="[34]", exporter=EXPORTERS["grpc"], reason="gRPC UNAVAILABLE"
    ),
    ("absent", "http"): (AT_EXIT + WHY).format(
        count="[34]", exporter=EXPORTERS["http"], reason="ConnectionError"
    ),
    ("hanging", "grpc"): (AT_EXIT + WHY).format(count=3, exporter=EXPORTERS["grpc"], reason="no answer"),
    ("hanging", "http"): (AT_EXIT + WHY).format(count=3, exporter=EXPORTERS["http"], reason="no answer"),
    ("503", "grpc"): (AT_EXIT + WHY).format(count=3, exporter=EXPORTERS["grpc"], reason="gRPC UNAVAILABLE"),
    ("503", "http"): (AT_EXIT + WHY).format(count=3, exporter=EXPORTERS["http"], reason="HTTP 503"),
    ("503 for a minute", "grpc"): (AT_EXIT + WHY).format(
        count=3, exporter=EXPORTERS["grpc"], reason="gRPC UNAVAILABLE"
    ),
    ("503 for a minute", "http"): OUTAGE.format(exporter=EXPORTERS["http"], reason="no reason given"),
    ("400", "grpc"): OUTAGE.format(exporter=EXPORTERS["grpc"], reason="gRPC INVALID_ARGUMENT"),
    ("400", "http"): OUTAGE.format(exporter=EXPORTERS["http"], reason="HTTP 400"),
}


@dataclass(frozen=True, slots=True)
class Course:
    """How a short process fared."""

    slowest: float
    status: int
    seconds: float
    stderr: list[str]
    delivered: int


def run(case: str, transport: str) -> Course:
    """A process whose endpoint worked, and then does not while it reports three more events and ends."""
    answer = ANSWERS[case]
    with OtlpReceiver() as receiver:
        variables = endpoint_of(transport, receiver.grpc_endpoint, receiver.http_endpoint)
        with EmittingHost({**variables, "OTEL_BLRP_SCHEDULE_DELAY": "100"}) as host:
            host.emit(1)
            receiver.wait_for_events(1, timeout=60)
            if answer is None:
                receiver.close()
            else:
                receiver.answer_with(answer)
            slowest = host.emit(3)
            status, seconds = host.end()
        return Course(slowest, status, seconds, host.stderr, len(receiver.telemetry().events) - 1)


@pytest.fixture(scope="module")
def courses() -> dict[tuple[str, str], Course]:
    """Every case, several at once: most wait two seconds for their end."""
    cases = list(itertools.product(ANSWERS, TRANSPORTS))
    with ThreadPoolExecutor(7) as pool:
        return dict(zip(cases, pool.map(run, *zip(*cases, strict=True)), strict=True))


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("case", ANSWERS)
def test_the_host_is_not_delayed(courses: dict[tuple[str, str], Course], case: str, transport: str) -> None:
    """Whatever the endpoint does, no call waits for it, and the process ends well, within its bound."""
    course = courses[case, transport]
    assert course.status == 0
    assert course.slowest < SLOWEST_CALL
    assert course.seconds < DEADLINE


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("case", ANSWERS)
def test_one_line_is_said(courses: dict[tuple[str, str], Course], case: str, transport: str) -> None:
    """A failure is one line on stderr with its reason, success is none: nothing of the exporters' own."""
    stderr = courses[case, transport].stderr
    expected = LINES.get((case, transport))
    if expected is None:
        assert stderr == []
    else:
        assert len(stderr) == 1
        assert re.fullmatch(expected, stderr[0])


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("case", ["ok", "partial"])
def test_what_is_queued_leaves_at_the_end(
    courses: dict[tuple[str, str], Course], case: str, transport: str
) -> None:
    """A process that ends at once has delivered what it reported; a partial success is not sent again."""
    assert courses[case, transport].delivered == 3


WITHOUT_NETRC: Final = """
    import sys
    sys.modules["netrc"] = None
    from otel_incident import Incident, IncidentEmitter
    IncidentEmitter().create(Incident(id=1))
"""


@pytest.mark.parametrize("spool", ["true", "false"])
def test_a_stripped_python_delivers(receiver: OtlpReceiver, tmp_path: Path, spool: str) -> None:
    """Where there is no `netrc` to import, which `requests` does without, events leave all the same."""
    told = {
        **endpoint_of("http", "", receiver.http_endpoint),
        "OTEL_INCIDENT_STATE_DIR": str(tmp_path),
        "OTEL_INCIDENT_SERVER_VERSION": "1",
        "OTEL_INCIDENT_SPOOL": spool,
    }
    assert succeed(WITHOUT_NETRC, told).stderr == ""
    assert len(receiver.wait_for_events(1)) == 1
