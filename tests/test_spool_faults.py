"""The spool before endpoints that fail in every way, over HTTP and gRPC: all arrives, and all is counted."""

import socket
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import grpc  # type: ignore[import-untyped]  # grpcio ships no types
import pytest
import requests
from opentelemetry.sdk._logs.export import LogRecordExporter

from otel_incident.spool import delivery as delivery_module
from otel_incident.spool import writer as writer_module
from otel_incident.spool.memory import Store
from otel_incident.spool.processor import DurableLogRecordProcessor
from otel_incident.spool.spool import Status
from tests.certificates import Certificates, make_certificates
from tests.faulty_network import Cut, CutLine, silent_listener
from tests.otlp_receiver import HANG, OK, OtlpReceiver, PartialSuccess, Tls
from tests.otlp_receiver import Status as Refusal
from tests.spool_exporters import otlp_exporter
from tests.spool_records import line, numbered
from tests.waiting import wait_until

ALL: Final = list(range(1, 9))
SHORT: Final = 0.3
"""Seconds that an exporter waits for an answer which does not come."""

Make = Callable[..., DurableLogRecordProcessor]


@pytest.fixture(autouse=True)
def _no_second_attempt_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failure only a flush tries again, so that attempts can be counted."""
    for name in ("FIRST_BACKOFF", "LAST_BACKOFF"):
        monkeypatch.setattr(delivery_module, name, 1e9)


@pytest.fixture(params=["grpc", "http"])
def transport(request: pytest.FixtureRequest) -> str:
    """Either transport."""
    return str(request.param)


@pytest.fixture(autouse=True)
def _no_authority_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """With these, `requests` overrides what an exporter was told to trust."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes processors, one after the other on one directory, that send four records at once."""
    made: list[DurableLogRecordProcessor] = []

    def processor(exporter: LogRecordExporter, **settings: Any) -> DurableLogRecordProcessor:
        for former in made:
            former.shutdown()
        settings = {"delay": 0.0, "batch_size": 4, **settings}
        made.append(DurableLogRecordProcessor(exporter, tmp_path / "spool", **settings))
        return made[-1]

    yield processor
    for each in made:
        each.shutdown()


def to(receiver: OtlpReceiver, transport: str, **settings: Any) -> LogRecordExporter:
    """An exporter of the SDK's to a receiver."""
    endpoint = receiver.grpc_endpoint if transport == "grpc" else receiver.http_endpoint
    return otlp_exporter(transport, endpoint, **settings)


def port_of(receiver: OtlpReceiver, transport: str) -> int:
    """Where it listens."""
    return receiver.grpc_port if transport == "grpc" else receiver.http_port


def listening(transport: str, port: int, **settings: Any) -> OtlpReceiver:
    """A receiver on a port that something else had."""
    if transport == "grpc":
        return OtlpReceiver(grpc_port=port, **settings)
    return OtlpReceiver(http_port=port, **settings)


def take(processor: DurableLogRecordProcessor, numbers: list[int] = ALL, body: Any = None) -> None:
    """Records into a spool."""
    for number in numbers:
        processor.take(numbered(number, body))


def leave(directory: Path) -> None:
    """Records that a former process has left: the first batch is a full one."""
    store = Store(directory / "spool", ["exporter"])
    for number in ALL:
        store.keep(line(number))
    store.close()


def fail(processor: DurableLogRecordProcessor) -> str:
    """One attempt that fails; what was heard."""
    assert processor.force_flush() is False
    return processor.status().outage


def drained(processor: DurableLogRecordProcessor) -> Status:
    """What has happened when nothing waits any more, and the processor has ended."""
    wait_until(processor.force_flush, 60, "an empty spool")
    processor.shutdown()
    return processor.status()


def arrived(receiver: OtlpReceiver) -> list[int]:
    """The records that were accepted, in order of arrival."""
    return [event.timestamp for event in receiver.telemetry().events]


def firsts(numbers: list[int]) -> list[int]:
    """Each number where it came first."""
    return list(dict.fromkeys(numbers))


def test_a_time_to_come_back(
    receiver: OtlpReceiver, transport: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody, however urgent, asks before the time that a 503 has given; then all arrives by itself."""
    monkeypatch.setattr(delivery_module, "FIRST_BACKOFF", 0.0)
    receiver.answer_with(Refusal(503, 1), OK)
    processor = make(to(receiver, transport))
    take(processor, [1])
    reasons = {"http": "HTTP 503", "grpc": "gRPC UNAVAILABLE"}
    assert fail(processor) == reasons[transport]
    take(processor, ALL[1:])
    for _ in range(20):
        assert processor.force_flush() is False
    assert len(receiver.requests) == 1
    assert [event.timestamp for event in receiver.wait_for_events(8)] == ALL
    assert drained(processor) == Status(delivered=8, retried=1)


def test_a_restart_before_the_time_to_come_back(receiver: OtlpReceiver, transport: str, make: Make) -> None:
    """An hour that an endpoint has asked for is not carried over a restart, and costs no record."""
    receiver.answer_with(Refusal(503, 3600), OK)
    former = make(to(receiver, transport))
    take(former)
    fail(former)
    processor = make(to(receiver, transport))
    assert former.status().waiting_bytes == sum(len(line(number)) for number in ALL)
    assert drained(processor) == Status(delivered=8)
    assert arrived(receiver) == ALL


def test_an_endpoint_that_never_answers(transport: str, make: Make) -> None:
    """A socket that takes all and says nothing ends in the exporter's deadline; the next one gets all."""
    with silent_listener() as port:
        processor = make(otlp_exporter(transport, f"http://127.0.0.1:{port}", timeout=SHORT))
        take(processor)
        reasons = {"http": {"ReadTimeout"}, "grpc": {"gRPC DEADLINE_EXCEEDED", "gRPC UNAVAILABLE"}}
        for _ in range(3):
            assert fail(processor) in reasons[transport]
        status = processor.status()
        assert (status.delivered, status.retried) == (0, 2)
    with listening(transport, port) as receiver:
        status = drained(processor)
        assert (status.delivered, status.outage, status.waiting_bytes) == (8, "", 0)
        assert (status.quarantined, status.rejected, status.dropped) == (0, 0, {})
        assert arrived(receiver) == ALL


def test_a_server_slower_than_every_deadline(
    receiver: OtlpReceiver, transport: str, make: Make, tmp_path: Path
) -> None:
    """What it takes after nobody listens any more comes again: in order, and less each time."""
    receiver.answer_with(HANG)
    leave(tmp_path)
    processor = make(to(receiver, transport, timeout=SHORT))
    reasons = {"http": "ReadTimeout", "grpc": "gRPC DEADLINE_EXCEEDED"}
    for _ in range(3):
        assert fail(processor) == reasons[transport]
    assert len(receiver.requests) == 3  # a flush makes one attempt, however long that takes
    receiver.answer_with(OK)  # to those that hang, too
    assert drained(processor) == Status(delivered=8, retried=3)
    receiver.wait_for(lambda it: len(it.accepted) == len(it.requests))
    assert firsts(arrived(receiver)) == ALL
    # each attempt is with half as many
    assert Counter(arrived(receiver)) == {1: 4, 2: 3, 3: 2, 4: 2, 5: 1, 6: 1, 7: 1, 8: 1}


BODY: Final = "x" * 40_000
CUTS: Final = [Cut("request", after) for after in (0, 1, 100, 400, 30_000, 100_000)] + [
    Cut("response", after) for after in (0, 1, 20, 60, 90)
]


def test_resets(receiver: OtlpReceiver, transport: str, make: Make) -> None:
    """Wherever in a request or an answer a connection is reset, nothing is lost, and little comes twice."""
    reasons = {"http": {"ConnectionError", "ChunkedEncodingError"}, "grpc": {"gRPC UNAVAILABLE"}}
    failures = 0
    with CutLine(port_of(receiver, transport)) as between:
        between.cut = CUTS[0]
        processor = make(otlp_exporter(transport, f"http://127.0.0.1:{between.port}", timeout=5.0))
        take(processor, body=BODY)
        for cut in CUTS:
            between.cut, before = cut, between.resets
            while between.resets == before:  # gRPC may fail without a connection
                assert fail(processor) in reasons[transport]
                failures += 1
        between.cut = None
        status = drained(processor)
    assert (status.delivered, status.outage, status.quarantined, status.dropped) == (8, "", 0, {})
    assert status.retried >= failures
    assert firsts(arrived(receiver)) == ALL
    assert max(Counter(arrived(receiver)).values()) <= status.retried + 1


@pytest.fixture(scope="session")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates of an authority that nobody here trusts."""
    return make_certificates(tmp_path_factory.mktemp("strangers"))


@pytest.fixture
def wrong(request: pytest.FixtureRequest, certificates: Certificates, strangers: Certificates) -> Tls:
    """A server's certificate that is not to be trusted."""
    if request.param == "of another authority":
        return Tls(strangers.server_cert, strangers.server_key)
    return Tls(certificates.expired_cert, certificates.server_key)


@pytest.mark.parametrize("wrong", ["of another authority", "expired"], indirect=True)
def test_a_certificate_that_cannot_be_trusted(
    wrong: Tls, transport: str, certificates: Certificates, make: Make
) -> None:
    """Such a server gets no byte of a record; when it has the right certificate it gets every one."""
    good = Tls(certificates.server_cert, certificates.server_key)
    with listening(transport, 0, tls=wrong) as receiver:
        port = port_of(receiver, transport)
        processor = make(trusting(certificates, transport, port))
        take(processor)
        for _ in range(3):
            assert fail(processor) in {"http": {"SSLError"}, "grpc": {"gRPC UNAVAILABLE"}}[transport]
        assert receiver.requests == ()
    with listening(transport, port, tls=good) as receiver:
        status = drained(processor)
        assert (status.delivered, status.outage, status.quarantined) == (8, "", 0)
        assert arrived(receiver) == ALL


def trusting(certificates: Certificates, transport: str, port: int, **settings: Any) -> LogRecordExporter:
    """An exporter that trusts the tests' authority."""
    endpoint = f"https://127.0.0.1:{port}"
    if transport == "http":
        settings |= {"certificate_file": str(certificates.ca)}
    else:
        settings.setdefault("credentials", grpc.ssl_channel_credentials(certificates.ca.read_bytes()))
    return otlp_exporter(transport, endpoint, timeout=5.0, **settings)


def test_a_name_that_does_not_resolve(receiver: OtlpReceiver, transport: str, make: Make) -> None:
    """It is an outage like another one; under a name that does, everything arrives."""
    former = make(otlp_exporter(transport, "http://collector.invalid:4317", timeout=2.0))
    take(former)
    reasons = {"http": {"ConnectionError"}, "grpc": {"gRPC UNAVAILABLE", "gRPC DEADLINE_EXCEEDED"}}
    assert fail(former) in reasons[transport]
    assert former.status().delivered == 0
    assert drained(make(to(receiver, transport))) == Status(delivered=8)
    assert arrived(receiver) == ALL


def test_what_is_refused(receiver: OtlpReceiver, transport: str, make: Make, tmp_path: Path) -> None:
    """A 400 costs the record that earned it alone, which is set aside under its reason as it was."""
    receiver.answer_with(Refusal(400), Refusal(400), Refusal(400), OK)
    leave(tmp_path)
    processor = make(to(receiver, transport))
    assert drained(processor) == Status(delivered=7, quarantined=1)
    assert arrived(receiver) == ALL[1:]
    (kept,) = (tmp_path / "spool" / "exporter.quarantine").iterdir()
    assert (
        kept.name.partition("-")[2]
        == {"http": "http-400.jsonl", "grpc": "grpc-invalid-argument.jsonl"}[transport]
    )
    assert kept.read_bytes() == line(1)


class Renewed(requests.auth.AuthBase):
    """A token that is read anew for each request, as a host's session does it."""

    def __init__(self) -> None:
        self.bearer = "expired"

    def __call__(self, request: Any) -> Any:
        """Over HTTP."""
        request.headers["authorization"] = f"Bearer {self.bearer}"
        return request

    def metadata(self, _: Any, callback: Any) -> None:
        """Over gRPC."""
        callback((("authorization", f"Bearer {self.bearer}"),), None)


def test_a_token_that_has_expired(transport: str, certificates: Certificates, make: Make) -> None:
    """401 holds everything, however often it comes; with the renewed token all arrives, and nothing went."""
    token = Renewed()
    tls = Tls(certificates.server_cert, certificates.server_key)
    settings: dict[str, Any]
    if transport == "http":
        session = requests.Session()
        session.auth = token
        settings = {"session": session}
    else:
        secure = grpc.ssl_channel_credentials(certificates.ca.read_bytes())
        each_call = grpc.metadata_call_credentials(token.metadata)
        settings = {"credentials": grpc.composite_channel_credentials(secure, each_call)}
    with listening(transport, 0, tls=tls, answers=[Refusal(401)]) as receiver:
        processor = make(trusting(certificates, transport, port_of(receiver, transport), **settings))
        take(processor)
        reason = {"http": "HTTP 401", "grpc": "gRPC UNAUTHENTICATED"}[transport]
        assert [fail(processor) for _ in range(6)] == [reason] * 6
        token.bearer = "renewed"
        receiver.answer_with(OK)
        assert drained(processor) == Status(delivered=8, retried=6)
        assert arrived(receiver) == ALL
        asked = [request.headers["authorization"] for request in receiver.requests]
        assert asked == ["Bearer expired"] * 6 + ["Bearer renewed"] * 2


def test_a_partial_success(receiver: OtlpReceiver, transport: str, make: Make, tmp_path: Path) -> None:
    """What an endpoint has taken in part is not sent again; how many records it refused is counted."""
    receiver.answer_with(PartialSuccess(3), OK)
    leave(tmp_path)
    processor = make(to(receiver, transport))
    assert drained(processor) == Status(delivered=8, rejected=3)
    assert arrived(receiver) == ALL


def test_an_outage_longer_than_there_is_room(
    receiver: OtlpReceiver, transport: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What must go to keep the bound is counted: with what arrives it makes up everything."""
    monkeypatch.setattr(writer_module, "SEGMENT_BYTES", 4 * len(line(1)))
    monkeypatch.setattr("otel_incident.spool.turns.LOOK_SECONDS", 0.01)
    receiver.answer_with(Refusal(503))
    processor = make(to(receiver, transport), max_bytes=12 * len(line(1)))
    take(processor, list(range(1, 41)))
    fail(processor)
    fail(processor)
    receiver.answer_with(OK)
    status = drained(processor)
    lost = status.dropped["max_bytes"]
    assert (status.delivered, status.dropped) == (40 - lost, {"max_bytes": lost})
    assert arrived(receiver) == list(range(lost + 1, 41))
    assert 40 - lost <= 12


def test_two_services(transport: str, tmp_path: Path) -> None:
    """Two spools in one state directory, with endpoints of their own: neither gets a record of the other."""
    with OtlpReceiver() as first, OtlpReceiver(answers=[Refusal(503)]) as second:
        processors = [
            DurableLogRecordProcessor(to(receiver, transport), tmp_path / name, delay=0.0)
            for name, receiver in (("desk", first), ("shop", second))
        ]
        for number in ALL:
            processors[number % 2].take(numbered(number))
        assert fail(processors[1])
        assert drained(processors[0]) == Status(delivered=4)
        assert second.accepted == ()
        second.answer_with(OK)
        ended = drained(processors[1])
        assert ended == Status(delivered=4, retried=ended.retried)
        assert ended.retried >= 1
        assert (arrived(first), arrived(second)) == (ALL[1::2], ALL[::2])


def test_a_port_that_nobody_has(transport: str, make: Make) -> None:
    """A refused connection is an outage, and whoever listens there later gets everything."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        processor = make(otlp_exporter(transport, f"http://127.0.0.1:{port}", timeout=1.0))
        take(processor)
        reasons = {"http": {"ConnectionError"}, "grpc": {"gRPC UNAVAILABLE", "gRPC DEADLINE_EXCEEDED"}}
        assert fail(processor) in reasons[transport]
    with listening(transport, port) as receiver:
        assert drained(processor).delivered == 8
        assert arrived(receiver) == ALL
