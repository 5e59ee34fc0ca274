"""Agent and gateway: what either has acknowledged arrives, whatever is killed, full or away in between.

The two configurations as users get them, on the real collector, from the SDK's own exporter to a receiver.
"""

import random
import re
import ssl
import stat
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.grpc import _log_exporter as grpc_logs
from opentelemetry.exporter.otlp.proto.http import _log_exporter as http_logs
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from otel_incident.spool.attempts import Attempts
from otel_incident.spool.quarantine import Quarantine
from otel_incident.spool.spool import Outlet, Spool
from tests.certificates import Certificates
from tests.collector import ROOT, Collector
from tests.otlp_client import call, post
from tests.otlp_receiver import HANG, OK, OtlpReceiver, Status, Transport
from tests.telemetry import LogEvent
from tests.waiting import wait_until

CONFIGS: Final = ROOT / "collector-config"
SEED: Final = 20_260_101
KILLS: Final = 12
EVENTS: Final = 300
"""At least so many are sent while that goes on."""

WITHIN: Final = 30.0  # gRPC connects again after one second, two, four

RESOURCE: Final = Resource({"service.name": "desk"})
SCOPE: Final = InstrumentationScope("tests", "1")

QUICK_RETRIES: Final = """
exporters: {{{exporter}: {{retry_on_failure: {{initial_interval: 100ms, max_interval: 500ms}}}}}}
"""
SMALL_QUEUE: Final = """
exporters: {otlp/gateway: {sending_queue: {queue_size: 3000}}}
"""


def event(number: int) -> ReadableLogRecord:
    """An event whose uid and attribute say which one it is."""
    record = LogRecord(
        timestamp=number,
        observed_timestamp=number,
        event_name="incident.create",
        attributes={"log.record.uid": f"{number:026d}", "incident.checklist.count": number},
    )
    return ReadableLogRecord(record, RESOURCE, SCOPE)


def request(*numbers: int) -> bytes:
    """A request with these events."""
    return bytes(encode_logs([event(number) for number in numbers]).SerializeToString())


def number_of(found: LogEvent) -> int:
    """Which event that is; it has to be whole."""
    number = found.timestamp
    assert found.event_name == "incident.create"
    assert found.attributes == {"log.record.uid": f"{number:026d}", "incident.checklist.count": number}
    assert found.attribute_types == {"log.record.uid": "string", "incident.checklist.count": "int"}
    assert found.resource == {"service.name": "desk"}
    assert found.scope_name == "tests"
    return number


def arrived(receiver: OtlpReceiver) -> Counter[int]:
    """How often each event has arrived."""
    return Counter(map(number_of, receiver.telemetry().events))


@dataclass
class Chain:
    """Agent, gateway, and where both keep what they have.

    Attributes:
        secured: Certificates for the lines that are commented out, taken in if there are any.
    """

    binary: Path
    directory: Path
    receiver: OtlpReceiver
    secured: dict[str, str] = field(default_factory=dict)
    running: list[Collector] = field(default_factory=list)

    def gateway(self, also: str = "") -> Collector:
        """A gateway that sends to the receiver, with a further configuration if there is any."""
        return self._start(
            "gateway", "otlphttp/backend", also, COLLECTOR_BACKEND_ENDPOINT=self.receiver.http_endpoint
        )

    def agent(self, gateway: str, insecure: str = "true", also: str = "") -> Collector:
        """An agent that sends there, with a further configuration if there is any."""
        return self._start(
            "agent",
            "otlp/gateway",
            also,
            COLLECTOR_GATEWAY_ENDPOINT=urlsplit(gateway).netloc,
            COLLECTOR_GATEWAY_INSECURE=insecure,
        )

    def queue(self, name: str) -> Path:
        """Where one has its queues."""
        return self.directory / f"{name}-queue"

    def _start(self, name: str, exporter: str, also: str = "", **variables: str) -> Collector:
        """Start one; retries are quick, since tests are."""
        config = (CONFIGS / f"{name}.yaml").read_text(encoding="utf-8")
        if self.secured:
            config = re.sub(
                r"^( +)# ((?:  )?(?:tls: [&*]tls|\w+_file: \$\{env:COLLECTOR_[A-Z]+_FILE\}))$",
                r"\1\2",
                config,
                flags=re.MULTILINE,
            )
        texts = [config, QUICK_RETRIES.format(exporter=exporter), *filter(None, [also])]
        files = [self.directory / f"{name}-{number}.yaml" for number in range(len(texts))]
        for file, text in zip(files, texts, strict=True):
            file.write_text(text, encoding="utf-8")
        started = Collector(
            self.binary,
            self.directory / name,
            config=files[0],
            also=files[1:],
            environment={"COLLECTOR_STORAGE_DIRECTORY": str(self.queue(name)), **variables, **self.secured},
        )
        self.running.append(started)
        return started


@pytest.fixture
def chain(collector_path: Path, tmp_path: Path, receiver: OtlpReceiver) -> Iterator[Chain]:
    """Nothing runs yet; whatever was started is stopped."""
    made = Chain(collector_path, tmp_path, receiver)
    yield made
    for each in made.running:
        each.kill()


class Sender(threading.Thread):
    """Sends events in small batches over both transports, each batch until it is acknowledged."""

    def __init__(self, endpoints: dict[Transport, str], seed: int) -> None:
        super().__init__()
        self.acknowledged = 0
        self.attempts = 0
        self._endpoints = endpoints
        self._chance = random.Random(seed)  # noqa: S311  the same batches in every run
        self._changed = threading.Condition()
        self._ending = threading.Event()

    def run(self) -> None:
        """Send until told to end."""
        exporters: list[Any] = [
            http_logs.OTLPLogExporter(f"{self._endpoints['http']}/v1/logs", timeout=1),
            grpc_logs.OTLPLogExporter(self._endpoints["grpc"], insecure=True, timeout=1),
        ]
        first = 1
        while not self._ending.is_set():
            end = first + self._chance.randint(1, 8)
            batch = [event(number) for number in range(first, end)]
            result = ""
            while result != "SUCCESS" and not self._ending.is_set():
                self.attempts += 1
                result = self._chance.choice(exporters).export(batch).name
            if result == "SUCCESS":
                first = end
                with self._changed:
                    self.acknowledged = end - 1
                    self._changed.notify_all()
        for exporter in exporters:
            exporter.shutdown()

    def wait_for(self, count: int) -> None:
        """Return as soon as so many events are acknowledged."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.acknowledged >= count, WITHIN), self.acknowledged

    def end(self) -> int:
        """End; how many events were acknowledged: all up to this number."""
        self._ending.set()
        self.join(WITHIN)
        assert not self.is_alive()
        return self.acknowledged


def test_what_the_agent_acknowledged_arrives_whatever_is_killed(
    chain: Chain, receiver: OtlpReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    """Agent and gateway are killed at random moments, the backend refuses and hangs: nothing is lost."""
    chance = random.Random(SEED)  # noqa: S311  the same course in every run
    gateway = chain.gateway()
    agent = chain.agent(gateway.grpc_endpoint)
    sender = Sender({"grpc": agent.grpc_endpoint, "http": agent.http_endpoint}, SEED)
    sender.start()
    away = False
    try:
        for kill in range(KILLS):
            victim = "gateway" if kill % 3 == 1 else "agent"
            answers = (Status(503), HANG) if victim == "gateway" else (OK, OK, Status(503), HANG)
            receiver.answer_with(chance.choice(answers))
            if victim == "gateway":  # not before it has something that it cannot deliver
                receiver.wait_for_requests(len(receiver.requests) + 3, WITHIN)
            sender.wait_for(sender.acknowledged + chance.randint(1, 2 * EVENTS // KILLS))
            if victim == "gateway":
                gateway.kill()
                away = True
                continue
            if away and kill % 3 == 0:  # it was away for two kills
                gateway.start()
                away = False
            agent.kill()
            agent.start()
        sender.wait_for(EVENTS)
    finally:
        count = sender.end()
    receiver.answer_with(OK)
    if away:
        gateway.start()

    expected = set(range(1, count + 1))
    # looked at now and then: thousands of events take a while to compare
    wait_until(lambda: expected <= {each.timestamp for each in receiver.telemetry().events}, WITHIN, "all")

    times = arrived(receiver)
    assert expected <= times.keys()
    with capsys.disabled():
        again = sum(times.values()) - len(times)
        print(f"\n{KILLS} kills: {count} acknowledged, 0 lost, {again} arrived again")  # noqa: T201  a figure


@pytest.mark.parametrize("killed", ["agent", "gateway"])
def test_what_was_acknowledged_waits_on_disk(chain: Chain, receiver: OtlpReceiver, killed: str) -> None:
    """Killed while the next one is away, it sends what it had when both are back, and then forgets it."""
    gateway = chain.gateway()
    agent = chain.agent(gateway.grpc_endpoint)
    receiver.answer_with(Status(503))
    if killed == "agent":
        gateway.kill()
    assert post(agent.http_endpoint, request(1, 2, 3)).status == 200
    if killed == "gateway":
        receiver.wait_for_requests(1)
    one = agent if killed == "agent" else gateway
    one.kill()
    queue = chain.queue(killed)
    assert b"0000000003" in held(queue)
    assert {stat.S_IMODE(path.stat().st_mode) for path in queue.iterdir()} == {0o600}
    assert stat.S_IMODE(queue.stat().st_mode) == 0o700

    receiver.answer_with(OK)
    one.start()
    if killed == "agent":
        gateway.start()

    receiver.wait_for_events(3, WITHIN)
    assert arrived(receiver).keys() == {1, 2, 3}
    one.stop()
    one.start()
    one.stop()
    assert b"0000000003" not in held(queue)


def held(queue: Path) -> bytes:
    """All bytes of a collector's queues."""
    return b"".join(path.read_bytes() for path in sorted(queue.iterdir()))


def test_a_full_queue_refuses_and_keeps_what_it_has(chain: Chain, receiver: OtlpReceiver) -> None:
    """Senders are told to come again, over both transports; what was taken before arrives."""
    gateway = chain.gateway()
    agent = chain.agent(gateway.grpc_endpoint, also=SMALL_QUEUE)
    gateway.kill()
    taken = 0
    while (answer := post(agent.http_endpoint, request(taken + 1))).status == 200:
        taken += 1

    assert answer.status == 503
    assert call(agent.grpc_endpoint, request(taken + 1)).code == "UNAVAILABLE"
    assert 5 < taken < 50

    gateway.start()
    receiver.wait_for_events(taken, WITHIN)
    assert post(agent.http_endpoint, request(taken + 1)).status == 200
    receiver.wait_for_events(taken + 1, WITHIN)
    assert arrived(receiver).keys() == set(range(1, taken + 2))


@pytest.mark.parametrize(("status", "expected"), [(503, {1, 2}), (429, {1, 2}), (401, {2}), (500, {2})])
def test_a_gateway_drops_what_a_backend_refuses_for_good(
    chain: Chain, receiver: OtlpReceiver, status: int, expected: set[int]
) -> None:
    """With its queue it holds what OTLP calls retryable alone; the README says that, and what helps."""
    gateway = chain.gateway()
    receiver.answer_with(Status(status), OK)
    assert post(gateway.http_endpoint, request(1)).status == 200
    receiver.wait_for_requests(1, WITHIN)
    if 1 not in expected:
        wait_until(lambda: b"Dropping data" in gateway.log.read_bytes(), 10, "that it says so")

    assert post(gateway.http_endpoint, request(2)).status == 200

    receiver.wait_for_events(len(expected))
    gateway.stop()
    assert arrived(receiver).keys() == expected


def test_without_its_queue_a_gateway_says_what_can_never_be_delivered(
    chain: Chain, receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """What the backend refuses with 400 is set aside by the host's spool, which keeps it."""
    gateway = chain.gateway((CONFIGS / "gateway-unqueued.yaml").read_text(encoding="utf-8"))
    exporter = http_logs.OTLPLogExporter(f"{gateway.http_endpoint}/v1/logs")
    receiver.answer_with(Status(400))
    spool = Spool(tmp_path / "spool", [Outlet("x", lambda: Attempts(exporter), delay=0.0)])
    spool.take(event(1))
    wait_until(lambda: spool.status()["x"].quarantined == 1, WITHIN, "that it is set aside")
    spool.shutdown()
    assert Quarantine(spool.directory / "x.quarantine").counts() == {"http-400": 1}


@pytest.mark.parametrize("by_agent", [False, True], ids=["straight", "by an agent"])
@pytest.mark.parametrize("transport", ["http", "grpc"])
@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_without_its_queue_a_gateway_costs_a_spool_nothing(
    chain: Chain, receiver: OtlpReceiver, tmp_path: Path, status: int, transport: Transport, *, by_agent: bool
) -> None:
    """What a backend refuses comes back to the host's spool, which holds it until the backend takes it."""
    unqueued = (CONFIGS / "gateway-unqueued.yaml").read_text(encoding="utf-8")
    next_one = chain.gateway(unqueued)
    if by_agent:
        next_one = chain.agent(
            next_one.grpc_endpoint, also=unqueued.replace("otlphttp/backend", "otlp/gateway")
        )
    exporter: Any = (
        http_logs.OTLPLogExporter(f"{next_one.http_endpoint}/v1/logs")
        if transport == "http"
        else grpc_logs.OTLPLogExporter(next_one.grpc_endpoint, insecure=True)
    )
    receiver.answer_with(Status(status))
    spool = Spool(tmp_path / "spool", [Outlet("x", lambda: Attempts(exporter), delay=0.0)])
    spool.take(event(1))
    wait_until(lambda: spool.status()["x"].outage, WITHIN, "that the spool is told")
    assert spool.status()["x"].waiting_bytes > 0

    receiver.answer_with(OK)

    def has_left() -> bool:
        spool.nudge()
        return spool.status()["x"].waiting_bytes == 0

    wait_until(has_left, WITHIN, "that it leaves")
    spool.shutdown()
    assert arrived(receiver) == {1: 1}
    assert spool.status()["x"].quarantined == 0


def test_the_lines_for_tls_work_as_they_stand(
    chain: Chain, receiver: OtlpReceiver, certificates: Certificates
) -> None:
    """With the `#` taken away a gateway takes events of agents with a certificate, and of nobody else."""
    chain.secured = {
        "COLLECTOR_CA_FILE": str(certificates.ca),
        "COLLECTOR_CERT_FILE": str(certificates.server_cert),
        "COLLECTOR_KEY_FILE": str(certificates.server_key),
    }
    gateway = chain.gateway()
    chain.secured |= {
        "COLLECTOR_CERT_FILE": str(certificates.client_cert),
        "COLLECTOR_KEY_FILE": str(certificates.client_key),
    }
    agent = chain.agent(gateway.grpc_endpoint, insecure="false")

    assert post(agent.http_endpoint, request(1)).status == 200

    assert [number_of(each) for each in receiver.wait_for_events(1, WITHIN)] == [1]
    stranger = ssl.create_default_context(cafile=str(certificates.ca))
    with pytest.raises((ssl.SSLError, ConnectionError)):
        post(gateway.http_endpoint, request(2), context=stranger)
    member = ssl.create_default_context(cafile=str(certificates.ca))
    member.load_cert_chain(certificates.client_cert, certificates.client_key)
    assert post(gateway.http_endpoint, request(3), context=member).status == 200
    receiver.wait_for_events(2)
    assert arrived(receiver) == {1: 1, 3: 1}


@pytest.mark.parametrize("gate", [False, True], ids=["alone", "gated"])
@pytest.mark.parametrize(
    ("name", "variable", "complaint"),
    [
        ("agent", "COLLECTOR_GATEWAY_ENDPOINT", 'otlp/gateway: requires a non-empty "endpoint"'),
        (
            "gateway",
            "COLLECTOR_BACKEND_ENDPOINT",
            "otlphttp/backend: at least one endpoint must be specified",
        ),
        (
            "airgapped",
            "COLLECTOR_BACKEND_ENDPOINT",
            "otlphttp/backend: at least one endpoint must be specified",
        ),
    ],
)
def test_the_collector_finds_them_valid(
    collector_path: Path, name: str, variable: str, complaint: str, *, gate: bool
) -> None:
    """With the one variable that has no default, the gate behind it or not; without it that is the error."""
    files = [f"{name}.yaml", "gate.yaml"] if gate and name != "airgapped" else [f"{name}.yaml"]
    command = [str(collector_path), "validate", *(f"--config={CONFIGS / file}" for file in files)]

    if name == "gateway":
        command.append(f"--config={CONFIGS / 'gateway-unqueued.yaml'}")

    def validate(**variables: str) -> tuple[int, str]:
        done = subprocess.run(  # noqa: S603  the words are ours
            command, env=variables, capture_output=True, text=True, timeout=20, check=False
        )
        return done.returncode, done.stderr

    assert validate(**{variable: "http://127.0.0.1:4317"}) == (0, "")
    status, said = validate()
    assert status == 1
    assert complaint in said
