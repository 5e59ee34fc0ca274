"""The SDK's own exporters behind the spool: what a real endpoint answers decides, over HTTP and over gRPC."""

import contextlib
import itertools
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import requests
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.sdk._logs.export import LogRecordExporter

from otel_incident.spool.answers import Answer
from otel_incident.spool.attempts import (
    LONGEST_SECONDS,
    Attempts,
    NotDeliveredError,
    SessionListener,
    StubListener,
)
from otel_incident.spool.lease import SILENCE_SECONDS
from otel_incident.spool.processor import DurableLogRecordProcessor
from tests.collector import Collector
from tests.otlp_receiver import HANG, OK, OtlpReceiver, PartialSuccess, Status
from tests.spool_exporters import FAILURE, Obedient
from tests.spool_records import numbered

TRANSPORTS: Final = pytest.mark.parametrize("transport", ["grpc", "http"])


def exporter_to(
    transport: str, grpc_endpoint: str, http_endpoint: str, timeout: float = 10.0
) -> LogRecordExporter:
    """One of the SDK's."""
    if transport == "grpc":
        return GrpcExporter(endpoint=grpc_endpoint, timeout=timeout)
    return HttpExporter(endpoint=f"{http_endpoint}/v1/logs", timeout=timeout)


@pytest.fixture
def attempts(receiver: OtlpReceiver, request: pytest.FixtureRequest) -> Iterator[Attempts]:
    """Attempts over the transport that the test asks for."""
    transport = request.getfixturevalue("transport")
    made = Attempts(exporter_to(transport, receiver.grpc_endpoint, receiver.http_endpoint, timeout=0.5))
    yield made
    made.shutdown()


def both(http: Answer, grpc: Answer) -> dict[str, Answer]:
    """What the transports make of the same."""
    return {"http": http, "grpc": grpc}


@TRANSPORTS
@pytest.mark.parametrize(
    ("scripted", "expected"),
    [
        (OK, both(Answer("delivered"), Answer("delivered"))),
        (PartialSuccess(2), both(Answer("delivered", rejected=2), Answer("delivered", rejected=2))),
        (Status(503), both(Answer("hold", "HTTP 503"), Answer("hold", "gRPC UNAVAILABLE"))),
        (Status(503, 7), both(Answer("hold", "HTTP 503", 7.0), Answer("hold", "gRPC UNAVAILABLE", 7.0))),
        (Status(400), both(Answer("refused", "HTTP 400"), Answer("refused", "gRPC INVALID_ARGUMENT"))),
        (Status(401), both(Answer("hold", "HTTP 401"), Answer("hold", "gRPC UNAUTHENTICATED"))),
        (
            Status(413),
            both(Answer("split", "HTTP 413"), Answer("hold", "gRPC UNKNOWN", suspect=True)),
        ),
        (
            Status(429),
            both(Answer("hold", "HTTP 429"), Answer("split", "gRPC RESOURCE_EXHAUSTED", suspect=True)),
        ),
        (
            Status(429, 3),
            both(Answer("hold", "HTTP 429", 3.0), Answer("hold", "gRPC RESOURCE_EXHAUSTED", 3.0)),
        ),
        (
            Status(500),
            both(Answer("hold", "HTTP 500", suspect=True), Answer("hold", "gRPC INTERNAL", suspect=True)),
        ),
        (HANG, both(Answer("hold", "ReadTimeout"), Answer("hold", "gRPC DEADLINE_EXCEEDED"))),
    ],
)
def test_one_attempt(
    receiver: OtlpReceiver, transport: str, attempts: Attempts, scripted: Any, expected: dict[str, Answer]
) -> None:
    """Each answer is heard for what it is, after one request, and nothing of it reaches the host's log."""
    receiver.answer_with(scripted)
    assert attempts([numbered(1)]) == expected[transport]
    assert len(receiver.requests) == 1


@TRANSPORTS
def test_an_answer_is_forgotten(receiver: OtlpReceiver, transport: str, attempts: Attempts) -> None:
    """A batch that never leaves the process is not taken for delivered because the last one was."""
    assert attempts([numbered(1)]) == Answer("delivered")
    attempts.shutdown()
    assert attempts([numbered(2)]) == Answer("hold", "no answer", suspect=True)
    assert [event.timestamp for event in receiver.telemetry().events] == [1]
    assert transport in {"grpc", "http"}


@TRANSPORTS
def test_nobody_listens(transport: str) -> None:
    """A refused connection is an outage."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        attempts = Attempts(exporter_to(transport, endpoint, endpoint, timeout=1.0))
        answer = attempts([numbered(1)])
        attempts.shutdown()
    reasons = {"http": {"ConnectionError"}, "grpc": {"gRPC UNAVAILABLE", "gRPC DEADLINE_EXCEEDED"}}
    assert answer == Answer("hold", answer.reason)
    assert answer.reason in reasons[transport]


def test_a_reset_in_the_middle_of_a_body() -> None:
    """A success whose body breaks off is not known to be one."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")

    thread = threading.Thread(target=serve)
    thread.start()
    attempts = Attempts(HttpExporter(endpoint=f"http://127.0.0.1:{server.getsockname()[1]}/v1/logs"))
    answer = attempts([numbered(1)])
    thread.join(30)
    server.close()
    attempts.shutdown()
    assert (answer.verdict, answer.suspect) == ("hold", False)


def answered(head: bytes, body: bytes, *, more: bool, step: float = 0.0) -> tuple[SessionListener, int]:
    """A listener that has heard an answer, and how often its endpoint has sent the body.

    Args:
        head: The status line and the headers.
        body: What is sent behind it.
        more: Whether that is sent again until the connection is closed; else nothing more comes.
        step: Seconds that pass between two looks at the clock.
    """
    sent = 0

    def serve() -> None:
        nonlocal sent
        connection, _ = server.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 " + head + b"\r\n\r\n")
            while more or not sent:
                connection.sendall(body)
                sent += 1
            while connection.recv(65536):  # until it is closed
                pass

    listener = SessionListener(requests.Session(), 60.0, itertools.count(0.0, step).__next__)
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        with contextlib.suppress(NotDeliveredError):
            response = listener.request("POST", f"http://127.0.0.1:{server.getsockname()[1]}/", data=b"x")
            assert response.content == b""
        thread.join(30)
        listener.renew()
    return listener, sent


@pytest.mark.parametrize(
    ("status", "expected"),
    [("200 OK", Answer("delivered")), ("400 Bad Request", Answer("refused", "HTTP 400"))],
)
def test_a_body_without_an_end(status: str, expected: Answer) -> None:
    """Of a body that is too long some is read, then the connection is closed and the status decides."""
    piece = b"100000\r\n" + bytes(2**20) + b"\r\n"
    listener, sent = answered(f"{status}\r\nTransfer-Encoding: chunked".encode(), piece, more=True)
    assert listener.answer == expected
    assert sent < 50  # what the kernel has room for


@pytest.mark.parametrize(
    ("status", "expected"),
    [("200 OK", Answer("hold", "ReadTimeout")), ("400 Bad Request", Answer("refused", "HTTP 400"))],
)
def test_a_body_that_comes_too_slowly(status: str, expected: Answer) -> None:
    """The timeout is for all of an answer: a success that is not whole by then is not known to be one."""
    head = f"{status}\r\nContent-Length: 1000".encode()
    listener, _ = answered(head, bytes(100), more=False, step=1.0)
    assert listener.answer == expected


def test_a_redirect_is_not_followed() -> None:
    """A POST that is redirected becomes a GET, whose success would mean nothing."""
    server = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{server.getsockname()[1]}"
    asked: list[bytes] = []

    def serve() -> None:
        for answer in (f"302 Found\r\nLocation: {address}/other", "200 OK"):
            connection, _ = server.accept()
            with connection:
                asked.append(connection.recv(65536).partition(b" ")[0])
                connection.sendall(
                    f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
                )

    thread = threading.Thread(target=serve, daemon=True)  # the second one never comes
    thread.start()
    attempts = Attempts(HttpExporter(endpoint=f"{address}/v1/logs", timeout=5))
    assert attempts([numbered(1)]) == Answer("hold", "HTTP 302")
    assert asked == [b"POST"]
    attempts.shutdown()
    with socket.create_connection(server.getsockname()) as last:
        last.sendall(b"end ")
        thread.join(30)
    server.close()


def test_a_session_of_the_host_s(receiver: OtlpReceiver) -> None:
    """A session with credentials keeps them; it is asked to make the request, and to close."""
    session = requests.Session()
    session.headers["authorization"] = "Bearer x"
    exporter = HttpExporter(endpoint=f"{receiver.http_endpoint}/v1/logs", session=session)
    attempts = Attempts(exporter)
    assert attempts([numbered(1)]) == Answer("delivered")
    attempts.shutdown()
    assert receiver.requests[0].headers["authorization"] == "Bearer x"
    assert type(session.request).__name__ == "method"  # others who use it are not listened to


class Patient:
    """A session of `requests` and a stub of gRPC that remember how long they were to wait."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def request(self, _method: str, _url: str, *, timeout: Any, **_: Any) -> Any:
        """One request that fails."""
        self.asked.append(timeout)
        raise requests.ReadTimeout

    def Export(self, *, timeout: Any, **_: Any) -> Any:  # noqa: N802  the service's name for it
        """One call."""
        self.asked.append(timeout)
        return ExportLogsServiceResponse()


@pytest.mark.parametrize("bound", [None, 300.0])
@pytest.mark.parametrize(
    ("asked", "waited"),
    [
        (300.0, 50.0),
        (50.0, 50.0),
        (10, 10),
        (None, 50.0),
        ((5, 300), (5, 50.0)),
        ((None, None), (50.0, 50.0)),
    ],
)
def test_an_attempt_ends_before_its_lease(asked: Any, waited: Any, bound: float | None) -> None:
    """However long an exporter may wait, to connect and to read together take less than a silence may."""
    patient = Patient()
    listener = SessionListener(patient, timeout=bound)
    with pytest.raises(NotDeliveredError):
        listener.request("POST", "http://x", timeout=asked)
    assert patient.asked == [waited]
    assert 2 * LONGEST_SECONDS < SILENCE_SECONDS


def test_a_call_ends_before_its_lease(receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over gRPC, too, `OTEL_EXPORTER_OTLP_TIMEOUT=300` is at most 50 s for an attempt."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "300")
    exporter = GrpcExporter(endpoint=receiver.grpc_endpoint)
    patient = exporter._client = Patient()  # type: ignore[assignment]  # noqa: SLF001  where the listener looks
    attempts = Attempts(exporter, timeout=300.0)
    assert attempts([numbered(1)]) == Answer("delivered")
    assert patient.asked == [50.0]
    attempts.shutdown()


def test_the_places_of_the_listeners(receiver: OtlpReceiver) -> None:
    """Each exporter gets one listener, however often it is looked at; a strange one gets none."""
    for transport, kind in (("grpc", StubListener), ("http", SessionListener)):
        exporter = exporter_to(transport, receiver.grpc_endpoint, receiver.http_endpoint)
        first, second = Attempts(exporter), Attempts(exporter)
        assert type(first._listener) is kind  # noqa: SLF001  it has no public place
        assert first._listener is second._listener  # noqa: SLF001  the same
        first.shutdown()
    assert Attempts(Obedient())._listener is None  # noqa: SLF001  the same


def test_an_exporter_of_anybody_s() -> None:
    """Of one that is not the SDK's only success and failure are known, or what it raises."""
    assert Attempts(Obedient())([numbered(1)]) == Answer("delivered")
    assert Attempts(Obedient(lambda: FAILURE))([numbered(1)]) == Answer("hold", "no answer", suspect=True)

    def fail() -> Any:
        raise ValueError("Payments down at ACME")

    assert Attempts(Obedient(fail))([numbered(1)]) == Answer("hold", "ValueError", suspect=True)


@TRANSPORTS
def test_an_outage_of_the_real_collector(collector: Collector, transport: str, tmp_path: Path) -> None:
    """What is emitted before, during and after it arrives, once each and in order."""
    exporter = exporter_to(transport, collector.grpc_endpoint, collector.http_endpoint)
    processor = DurableLogRecordProcessor(exporter, tmp_path / "spool", delay=0.0)
    processor.take(numbered(1))
    assert processor.force_flush() is True
    collector.stop()
    for number in range(2, 3000):
        processor.take(numbered(number))
    assert processor.force_flush() is False
    collector.start()
    while not processor.force_flush():  # what gRPC still remembers of the outage
        pass
    processor.take(numbered(3000))
    assert processor.force_flush() is True
    processor.shutdown()
    assert [event.timestamp for event in collector.wait_for_events(3000)] == list(range(1, 3001))


@TRANSPORTS
def test_a_poisonous_record(receiver: OtlpReceiver, transport: str, tmp_path: Path) -> None:
    """A record too deep for protobuf, which no exporter can encode, is set aside; all others arrive."""
    deep: Any = 1
    for _ in range(90):
        deep = [deep]
    exporter = exporter_to(transport, receiver.grpc_endpoint, receiver.http_endpoint)
    processor = DurableLogRecordProcessor(exporter, tmp_path / "spool", delay=0.0, batch_size=4)
    for number in range(1, 13):
        processor.take(numbered(number, deep if number == 3 else None))
    while processor.status().waiting_bytes:
        processor.force_flush()
    assert processor.status().quarantined == 1
    processor.shutdown()
    assert sorted({event.timestamp for event in receiver.telemetry().events}) == [1, 2, *range(4, 13)]


@TRANSPORTS
def test_an_answer_after_an_outage(receiver: OtlpReceiver, transport: str, attempts: Attempts) -> None:
    """However often connections are made anew, each answer is heard, after one request."""
    receiver.answer_with(Status(503), Status(503), Status(400), OK)
    assert [attempts([numbered(number)]).verdict for number in range(1, 5)] == [
        *("hold", "hold", "refused", "delivered")
    ]
    assert len(receiver.requests) == 4
    assert transport in {"grpc", "http"}
