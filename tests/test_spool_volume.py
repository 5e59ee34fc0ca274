"""A day's worth in a minute: very many events while the collector is down, then all, in order, each once.

The full size, a million: OTEL_INCIDENT_TEST_FACTOR=1 .venv/bin/python -m pytest tests/test_spool_volume.py
"""

import json
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Final

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

from tests.otlp_servers import LOOPBACK, HttpServer
from tests.otlp_wire import Received, Reply
from tests.processes import start
from tests.reduction import reduced

FULL: Final = 1_000_000
GROWTH_BYTES: Final = 24 * 2**20
"""So much more memory a process may have at the end than after a tenth; the events are hundreds of MB."""

HOST: Final = """
    import json, os, sys
    from dataclasses import asdict
    from opentelemetry._logs import LogRecord, SeverityNumber
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk.resources import Resource
    from otel_incident.spool.processor import DurableLogRecordProcessor

    TOTAL = int(os.environ["EVENTS"])
    exporter = OTLPLogExporter(os.environ["ENDPOINT"] + "/v1/logs")
    processor = DurableLogRecordProcessor(exporter, os.environ["DIRECTORY"], max_bytes=2**34)
    provider = LoggerProvider(
        Resource({"service.name": "desk", "incident.diagnostic.id": "5f0c7c1e-2f7a-4a55-9d3e-7c1f5f6b8a90"}),
        shutdown_on_exit=False,
    )
    provider.add_log_record_processor(processor)
    logger = provider.get_logger("otel_incident", "0.1.0")
    for number in range(1, TOTAL + 1):
        attributes = {
            "incident.action": "change_commander",
            "log.record.uid": f"01KDWT9H4C{number:016d}",
            "incident.id": str(number),
            "incident.active": True,
            "incident.commander.id": "22222222-2222-4222-8222-222222222222",
            "incident.team.id": "33333333-3333-4333-8333-333333333333",
            "incident.created_at": "2026-01-01T12:00:00.000Z",
            "incident.checklist.count": 3,
            "incident.checklist.item.count": 0,
            "user.id": "55555555-5555-4555-8555-555555555555",
            "user.roles": ("end_user",),
        }
        logger.emit(
            LogRecord(
                timestamp=number,
                severity_number=SeverityNumber.INFO,
                severity_text="INFO",
                attributes=attributes,
                event_name="incident.change_commander",
            )
        )
        if number % (TOTAL // 10) == 0:
            print(number, processor.status().waiting_bytes, flush=True)
            sys.stdin.readline()
    sys.stdin.readline()  # the collector is there
    while not processor.force_flush(1000):
        pass
    processor.shutdown()
    print(json.dumps(asdict(processor.status())), len(os.listdir(os.environ["DIRECTORY"] + "/segments")))
"""


class Tenths:
    """What a process needs for each tenth of its work: seconds, and bytes of memory after it."""

    def __init__(self, pid: int, total: int) -> None:
        self.seconds: list[float] = []
        self.memory: list[int] = []
        self._statm = Path(f"/proc/{pid}/statm")
        self._tenth = total // 10
        self._since = time.monotonic()

    def begin(self) -> None:
        """The clock goes from here."""
        self._since = time.monotonic()

    def note(self) -> None:
        """A tenth is done."""
        self.seconds.append(time.monotonic() - self._since)
        self.memory.append(int(self._statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
        self.begin()

    def report(self, what: str) -> str:
        """For a person."""
        costs = " ".join(f"{seconds / self._tenth * 1e6:.0f}" for seconds in self.seconds)
        sizes = "/".join(f"{self.memory[tenth] / 2**20:.0f}" for tenth in (0, 4, 9))
        return (
            f"{what}: {sum(self.seconds):.1f} s; us an event, by tenths: {costs}; "
            f"MiB of memory at 10/50/100 %: {sizes}"
        )


class Collector:
    """Takes everything, and knows whether it came in order, each once."""

    def __init__(self, total: int, tenths: Tenths) -> None:
        self.taken = 0
        self.out_of_order = 0
        self._total = total
        self._tenths = tenths

    def __call__(self, request: Received) -> Reply:
        """One request, of the one connection that there is."""
        for resource in ExportLogsServiceRequest.FromString(request.payload).resource_logs:
            for scope in resource.scope_logs:
                for record in scope.log_records:
                    self.taken += 1
                    self.out_of_order += record.time_unix_nano != self.taken
                    if self.taken % (self._total // 10) == 0:
                        self._tenths.note()
        return Reply(200, ExportLogsServiceResponse().SerializeToString())


def spool(process: subprocess.Popen[str], tenths: Tenths) -> int:
    """See the host through its events; how many bytes wait then."""
    assert process.stdin is not None
    assert process.stdout is not None
    said = ""
    for _ in range(10):
        said = process.stdout.readline()
        tenths.note()
        process.stdin.write("\n")
        process.stdin.flush()
        tenths.begin()
    return int(said.split()[1])


def test_a_day_s_worth_in_a_minute(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Events of an outage wait on disk and leave in order, each once; a process needs no memory for them."""
    with capsys.disabled():
        total = reduced(FULL, "events while the collector is down")
    with socket.socket() as unused:  # nobody listens there
        unused.bind((LOOPBACK, 0))
        port = unused.getsockname()[1]
        variables = {
            "EVENTS": str(total),
            "ENDPOINT": f"http://{LOOPBACK}:{port}",
            "DIRECTORY": str(tmp_path),
        }
        process = start(HOST, variables)
        spooling, draining = Tenths(process.pid, total), Tenths(process.pid, total)
        try:
            waiting = spool(process, spooling)
        except BaseException:
            process.kill()
            process.communicate()
            raise
    collector = Collector(total, draining)
    server = HttpServer(collector, port)
    try:
        draining.begin()
        stdout, stderr = process.communicate("\n", timeout=1800)
    finally:
        process.kill()
        process.communicate()
        server.close()
    with capsys.disabled():
        print(f"{waiting / total:.0f} bytes an event, {waiting / 2**20:.0f} MiB wait")  # noqa: T201  for a person
        print(spooling.report("spooled"))  # noqa: T201  the same
        print(draining.report("drained"))  # noqa: T201  the same
    status, _, segments = stdout.rpartition(" ")
    with capsys.disabled():
        print(f"{json.loads(status)['retried']} attempts were not the first")  # noqa: T201  the same
    assert (collector.taken, collector.out_of_order) == (total, 0)
    found = json.loads(status)
    assert (found["delivered"], found["waiting_bytes"], found["in_memory"]) == (total, 0, 0)
    assert (found["rejected"], found["quarantined"], found["dropped"], found["outage"]) == (0, 0, {}, "")
    assert int(segments) == 0
    assert [line for line in stderr.splitlines() if "This is said once for an outage." not in line] == [
        "The exporter exporter delivers again."
    ]
    for tenths in (spooling, draining):
        assert tenths.memory[9] - tenths.memory[0] < GROWTH_BYTES
    assert draining.memory[0] - spooling.memory[9] < 2 * GROWTH_BYTES
