"""Out of a network without a way out: segments are carried away as files, and a collector sends them.

The README's commands and `collector-config/airgapped.yaml` as they stand, on the real collector.
"""

import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from otel_incident.spool.processor import DurableLogRecordProcessor
from tests.backend import everything_required
from tests.collector import ROOT, Collector
from tests.otlp_decoding import decode_protobuf
from tests.otlp_receiver import OK, OtlpReceiver, Status
from tests.processes import start

CONFIG: Final = ROOT / "collector-config" / "airgapped.yaml"
SECTION: Final = (
    (ROOT / "README.md")
    .read_text(encoding="utf-8")
    .split("## Carry events out of an air-gapped network\n")[1]
    .split("\n## ")[0]
)
WITHIN: Final = 30.0

LONG: Final = "x" * 1500
"""In a resource: the first thousand bytes of all segments are then the same."""

EMITTER: Final = """
    import os, sys
    from opentelemetry._logs import LogRecord
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk.resources import Resource
    from otel_incident.spool.processor import DurableLogRecordProcessor

    exporter = OTLPLogExporter(os.environ["ENDPOINT"], timeout=1)
    provider = LoggerProvider(Resource({"long": os.environ["LONG"]}), shutdown_on_exit=False)
    provider.add_log_record_processor(DurableLogRecordProcessor(exporter, os.environ["DIRECTORY"]))
    logger = provider.get_logger("tests")
    for line in sys.stdin:
        for number in map(int, line.split()):
            logger.emit(LogRecord(timestamp=number, observed_timestamp=1, event_name="incident.end"))
        print("done", flush=True)
    provider.shutdown()
"""


@pytest.fixture
def nowhere() -> Iterator[str]:
    """An endpoint that nobody listens at, and nobody else takes."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/v1/logs"


@pytest.fixture
def carried(tmp_path: Path) -> Path:
    """Where segments are carried to."""
    directory = tmp_path / "carried"
    directory.mkdir()
    return directory


@pytest.fixture
def shipper(
    collector_path: Path, tmp_path: Path, carried: Path, receiver: OtlpReceiver
) -> Iterator[Collector]:
    """The collector that sends what is there to the receiver."""
    variables = {
        "COLLECTOR_SEGMENTS": str(carried / "*.jsonl"),
        "COLLECTOR_STORAGE_DIRECTORY": str(tmp_path / "storage"),
        "COLLECTOR_BACKEND_ENDPOINT": receiver.http_endpoint,
    }
    with Collector(collector_path, tmp_path / "shipper", config=CONFIG, environment=variables) as running:
        yield running


def arrived(receiver: OtlpReceiver) -> list[int]:
    """The numbers of the events that have arrived, each as often as it has."""
    return sorted(event.timestamp for event in receiver.telemetry().events)


def emitter(spool: Path, endpoint: str, numbers: range) -> subprocess.Popen[str]:
    """A process that has emitted these events and lives."""
    process = start(EMITTER, {"DIRECTORY": str(spool / "desk"), "ENDPOINT": endpoint, "LONG": LONG})
    emit(process, numbers)
    return process


def emit(process: subprocess.Popen[str], numbers: range) -> None:
    """Emit further events in it; they are on disk."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(" ".join(map(str, numbers)) + "\n")
    process.stdin.flush()
    assert process.stdout.readline() == "done\n"


def end(process: subprocess.Popen[str]) -> None:
    """End it as a host ends."""
    process.communicate(timeout=WITHIN)
    assert process.returncode == 0


def carry(spool: Path, carried: Path) -> None:
    """Run the README's commands on the host."""
    if shutil.which("flock") is None:
        if everything_required():
            pytest.fail("flock(1) of util-linux is required", pytrace=False)
        pytest.skip("flock(1) of util-linux is not there")
    found = re.search(r"```sh\n(.*?)```", SECTION, re.DOTALL)
    assert found is not None
    commands = found[1].replace("/media/carry/", f"{carried}/")
    variables = {"OTEL_INCIDENT_SPOOL_DIR": str(spool), "PATH": "/usr/bin:/bin"}
    # S603, S607: our own page.
    subprocess.run(["sh", "-uc", commands], env=variables, timeout=WITHIN, check=True)  # noqa: S603, S607


def test_what_was_emitted_arrives(
    tmp_path: Path, nowhere: str, carried: Path, shipper: Collector, receiver: OtlpReceiver
) -> None:
    """Names, values, types, bodies, times, trace ids, resource and scope are those of the record."""
    recorded = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # the SDK leaves it so
    provider = LoggerProvider(
        Resource({"service.name": "desk", "long": LONG}, "https://example.org/resource"),
        shutdown_on_exit=False,
    )
    provider.add_log_record_processor(SimpleLogRecordProcessor(recorded))
    directory = tmp_path / "spool" / "desk"
    provider.add_log_record_processor(
        DurableLogRecordProcessor(OTLPLogExporter(nowhere, timeout=1), directory)
    )
    span = NonRecordingSpan(SpanContext(2**127 + 1, 2**63 + 1, is_remote=False, trace_flags=TraceFlags(1)))
    for number, name in enumerate(("tests", "tests.other")):
        logger = provider.get_logger(name, "1.2", "https://example.org/scope", {"a": number})
        logger.emit(
            LogRecord(
                timestamp=1_600_000_000_000_000_001 + number,
                observed_timestamp=1_600_000_000_000_000_003,
                context=set_span_in_context(span),
                severity_number=SeverityNumber.WARN,
                severity_text="WARN",
                body={"text": "\u00e4\n\u2028", "list": [1, {"b": b"\x00\xff"}]},
                attributes={
                    "a.string": "\U0001f600",
                    "an.int": 2**53 + 1,
                    "a.bool": True,
                    "a.double": 1.0,
                    "an.array": ("one", "two"),
                    "a.map": {"nested": [1.5, False]},
                    "a.bytes": b"\x00",
                    "log.record.uid": f"{number:026d}",
                },
                event_name="incident.create",
            )
        )
    provider.shutdown()

    for segment in (directory / "segments").iterdir():
        shutil.copy(segment, carried)

    expected = decode_protobuf("logs", encode_logs(recorded.get_finished_logs()).SerializeToString())
    assert receiver.wait_for_events(2, WITHIN) == list(expected.events)
    assert [event.scope_name for event in expected.events] == ["tests", "tests.other"]
    assert shipper.raw_bytes() == b""


def test_the_commands_take_what_nobody_writes_to_any_more(
    tmp_path: Path, nowhere: str, carried: Path, shipper: Collector, receiver: OtlpReceiver
) -> None:
    """Segments of processes that ended or were killed go, that of a living one with its end; each once."""
    spool = tmp_path / "spool"
    living = emitter(spool, nowhere, range(1, 11))
    ended = emitter(spool, nowhere, range(11, 21))
    killed = emitter(spool, nowhere, range(21, 31))
    end(ended)
    killed.kill()
    killed.communicate(timeout=WITHIN)

    carry(spool, carried)

    receiver.wait_for_events(20, WITHIN)
    assert len(list(carried.iterdir())) == 2
    assert len(list((spool / "desk" / "segments").iterdir())) == 1
    shipper.stop()
    emit(living, range(31, 41))
    end(living)
    carry(spool, carried)
    assert list((spool / "desk" / "segments").iterdir()) == []
    shipper.start()

    receiver.wait_for_events(40, WITHIN)
    shipper.stop()
    assert arrived(receiver) == list(range(1, 41))


def test_a_copy_of_a_segment_that_still_grows(
    tmp_path: Path, nowhere: str, carried: Path, shipper: Collector, receiver: OtlpReceiver
) -> None:
    """Half a line at its end waits; the whole file in its place goes on where the copy ended."""
    process = emitter(tmp_path / "spool", nowhere, range(1, 5))
    (segment,) = (tmp_path / "spool" / "desk" / "segments").iterdir()
    (carried / segment.name).write_bytes(segment.read_bytes()[:-20])
    receiver.wait_for_events(3, WITHIN)

    emit(process, range(5, 9))
    end(process)
    shutil.copy(segment, carried / ".copied")
    (carried / ".copied").rename(carried / segment.name)

    receiver.wait_for_events(8, WITHIN)
    shipper.stop()
    assert arrived(receiver) == list(range(1, 9))


@pytest.mark.parametrize("ending", ["stopped", "killed"])
def test_what_was_read_is_sent_when_the_backend_is_back(
    tmp_path: Path, nowhere: str, carried: Path, shipper: Collector, receiver: OtlpReceiver, ending: str
) -> None:
    """Stopped or killed while the backend refuses, it loses nothing of what it has read."""
    receiver.answer_with(Status(503))
    end(emitter(tmp_path / "spool", nowhere, range(1, 2001)))
    carry(tmp_path / "spool", carried)
    receiver.wait_for_requests(1, WITHIN)
    (shipper.stop if ending == "stopped" else shipper.kill)()
    receiver.answer_with(OK)

    shipper.start()

    receiver.wait_for(lambda found: set(arrived(found)) == set(range(1, 2001)), WITHIN)
