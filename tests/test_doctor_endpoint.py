"""`otel-incident doctor` asks the endpoint: each way of not arriving has a line of its own."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.certificates import Certificates
from tests.doctor import about, diagnosis, endpoint_line, host, send_to
from tests.otlp_receiver import HANG, OtlpReceiver, PartialSuccess, Status, Tls


@pytest.fixture(autouse=True)
def _host(monkeypatch: pytest.MonkeyPatch) -> None:
    host(monkeypatch)


@pytest.fixture(params=["grpc", "http"])
def transport(request: pytest.FixtureRequest) -> str:
    """Either transport."""
    return str(request.param)


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield int(listening.getsockname()[1])


def test_a_name_that_nobody_knows(
    transport: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name server's no is told from all else."""
    send_to(monkeypatch, transport, "http://collector.invalid:4999")
    assert endpoint_line(capsys) == (
        "failure: DNS knows no address for collector.invalid; correct OTEL_EXPORTER_OTLP_ENDPOINT, or the "
        "name "
        "server"
    )


def test_a_port_that_is_closed(
    transport: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens there."""
    send_to(monkeypatch, transport, "http://127.0.0.1:1")
    assert endpoint_line(capsys) == (
        "failure: connection refused by 127.0.0.1 port 1; start the collector there, or correct "
        "OTEL_EXPORTER_OTLP_ENDPOINT"
    )


def test_a_server_that_hangs(
    transport: str, silent: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for as long as the exporter would wait."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.3")
    send_to(monkeypatch, transport, f"http://127.0.0.1:{silent}")
    assert endpoint_line(capsys) == (
        f"failure: timeout: no answer from 127.0.0.1 port {silent}; see whether a firewall drops the "
        "packets, or "
        "the endpoint hangs"
    )


def test_a_collector_that_hangs(
    receiver: OtlpReceiver,
    transport: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that has got the request and says nothing is a timeout, too."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.3")
    receiver.answer_with(HANG)
    send_to(monkeypatch, transport, receiver.grpc_endpoint if transport == "grpc" else receiver.http_endpoint)
    assert endpoint_line(capsys).startswith("failure: timeout: no answer from 127.0.0.1 port ")


ANSWERS: Final = {
    401: ("UNAUTHENTICATED", "the endpoint does not know who is asking", "CREDENTIALS"),
    403: ("PERMISSION_DENIED", "the endpoint does not let this sender in", "CREDENTIALS"),
    429: ("RESOURCE_EXHAUSTED", "the endpoint takes no more for now", "LATER"),
    500: ("INTERNAL", "the endpoint has an error of its own", "LATER"),
    503: ("UNAVAILABLE", "the endpoint has an error of its own", "LATER"),
}
TO_DO: Final = {
    "CREDENTIALS": "correct the credentials in OTEL_EXPORTER_OTLP_HEADERS",
    "LATER": "nothing is lost meanwhile: events wait in the spool; ask whoever runs the endpoint",
}


@pytest.mark.parametrize("status", list(ANSWERS))
def test_an_answer_that_is_no_success(
    status: int,
    receiver: OtlpReceiver,
    transport: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The status is said, and what to do about it; what the server says besides is not repeated."""
    receiver.answer_with(Status(status, message="jane has no account"))
    url = receiver.grpc_endpoint if transport == "grpc" else receiver.http_endpoint
    send_to(monkeypatch, transport, url)
    code, meaning, to_do = ANSWERS[status]
    said = f"gRPC {code} from {url}" if transport == "grpc" else f"HTTP {status} from {url}/v1/logs"
    assert endpoint_line(capsys) == f"failure: {said}: {meaning}; {TO_DO[to_do]}"


def test_a_path_that_is_not_there(
    receiver: OtlpReceiver, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """404 is mostly a path that was written where it is added, or the other way round."""
    send_to(monkeypatch, "http", f"{receiver.http_endpoint}/v1/logs")
    assert endpoint_line(capsys) == (
        f"failure: HTTP 404 from {receiver.http_endpoint}/v1/logs/v1/logs: there is nothing at this path; "
        "correct "
        "it: /v1/logs is added to OTEL_EXPORTER_OTLP_ENDPOINT, and not to OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"
    )


def test_a_collector_without_logs(
    receiver: OtlpReceiver, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over gRPC the same is a service that is not implemented."""
    receiver.answer_with(Status(404))
    send_to(monkeypatch, "grpc", receiver.grpc_endpoint)
    assert endpoint_line(capsys) == (
        f"failure: gRPC UNIMPLEMENTED from {receiver.grpc_endpoint}: the endpoint speaks gRPC, but takes no "
        "OTLP "
        "logs; give the collector a pipeline for logs, or correct OTEL_EXPORTER_OTLP_ENDPOINT"
    )


def test_an_endpoint_that_redirects(
    receiver: OtlpReceiver, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No event follows a redirection, so it is a failure."""
    receiver.answer_with(Status(308))
    send_to(monkeypatch, "http", receiver.http_endpoint)
    assert endpoint_line(capsys) == (
        f"failure: HTTP 308 from {receiver.http_endpoint}/v1/logs: it redirects, and no event follows; "
        "write the "
        "last address into OTEL_EXPORTER_OTLP_ENDPOINT"
    )


def test_an_endpoint_that_wants_a_record(
    receiver: OtlpReceiver,
    transport: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A refusal of the request as such says nothing of events: a warning, and the status is 0."""
    receiver.answer_with(Status(400))
    url = receiver.grpc_endpoint if transport == "grpc" else receiver.http_endpoint
    send_to(monkeypatch, transport, url)
    said = f"gRPC INVALID_ARGUMENT from {url}" if transport == "grpc" else f"HTTP 400 from {url}/v1/logs"
    assert endpoint_line(capsys, status=0) == (
        f"warning: {said}: it refuses a request without a record; events may be taken all the same; see the "
        "collector's log when one is sent"
    )


def test_a_partial_success_is_one(
    receiver: OtlpReceiver, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of no record nothing can be refused."""
    receiver.answer_with(PartialSuccess(0, "s3cr3t"))
    send_to(monkeypatch, "http", receiver.http_endpoint)
    assert endpoint_line(capsys, status=0).startswith("ok: ")


def test_the_wrong_protocol(
    receiver: OtlpReceiver,
    transport: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A client of gRPC at the port of HTTP, and the other way round, is told, with what mends it."""
    url = receiver.http_endpoint if transport == "grpc" else receiver.grpc_endpoint
    send_to(monkeypatch, transport, url)
    port = url.rpartition(":")[2]
    to_do = {
        "grpc": "gRPC's port is usually 4317: correct it, or set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
        "http": "HTTP's port is usually 4318: correct it, or set OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
    }
    assert endpoint_line(capsys) == (
        f"failure: 127.0.0.1 port {port} speaks another protocol; {to_do[transport]}"
    )


@pytest.mark.parametrize(
    ("served", "trusted", "line"),
    [
        (
            "server_cert",
            False,
            (
                "TLS: the certificate of 127.0.0.1 is of an authority that is not trusted here; name the "
                "authority's "
                "file in OTEL_EXPORTER_OTLP_CERTIFICATE"
            ),
        ),
        ("expired_cert", True, "TLS: the certificate of 127.0.0.1 has expired; renew it there"),
        (
            "misnamed_cert",
            True,
            (
                "TLS: the certificate of 127.0.0.1 is for other names; use one of those in "
                "OTEL_EXPORTER_OTLP_ENDPOINT, or renew the certificate with 127.0.0.1 in it"
            ),
        ),
    ],
)
def test_a_certificate_that_is_wrong(
    served: str,
    trusted: bool,  # noqa: FBT001  a case of a table
    line: str,
    transport: str,
    certificates: Certificates,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of the wrong authority, expired, or for another name: each is said as what it is."""
    if trusted:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(certificates.ca))
    with OtlpReceiver(tls=Tls(getattr(certificates, served), certificates.server_key)) as receiver:
        url = receiver.grpc_endpoint if transport == "grpc" else receiver.http_endpoint
        send_to(monkeypatch, transport, url)
        assert endpoint_line(capsys) == f"failure: {line}"
        assert receiver.requests == ()


def test_tls_that_is_as_it_should_be(
    transport: str,
    certificates: Certificates,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the authority's file the request arrives."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(certificates.ca))
    with OtlpReceiver(tls=Tls(certificates.server_cert, certificates.server_key)) as receiver:
        url = receiver.grpc_endpoint if transport == "grpc" else receiver.http_endpoint
        send_to(monkeypatch, transport, url)
        assert endpoint_line(capsys, status=0).startswith(f"ok: {url}")


def test_an_authority_whose_file_is_not_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file that is named and cannot be read is no fault of the endpoint's."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(tmp_path / "ca.pem"))
    send_to(monkeypatch, "http", "https://127.0.0.1:1")
    assert endpoint_line(capsys) == (
        "failure: TLS: a certificate file that is configured cannot be read; correct "
        "OTEL_EXPORTER_OTLP_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_*"
    )


def test_tls_where_there_is_none(
    receiver: OtlpReceiver,
    transport: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`https` at a port without TLS, which gRPC also speaks where no scheme is written."""
    url = receiver.grpc_endpoint if transport == "grpc" else receiver.http_endpoint
    send_to(monkeypatch, transport, url.replace("http", "https", 1))
    port = url.rpartition(":")[2]
    assert endpoint_line(capsys) == (
        f"failure: TLS: 127.0.0.1 port {port} speaks none; write http:// in OTEL_EXPORTER_OTLP_ENDPOINT, or "
        "use "
        "its port for TLS"
    )


def test_no_tls_where_there_is_some(
    transport: str,
    certificates: Certificates,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`http` at a port with TLS: all that is seen is that the connection is closed, and that is said."""
    with OtlpReceiver(tls=Tls(certificates.server_cert, certificates.server_key)) as receiver:
        url = receiver.grpc_endpoint if transport == "grpc" else receiver.http_endpoint
        send_to(monkeypatch, transport, url.replace("https", "http"))
        port = url.rpartition(":")[2]
        assert endpoint_line(capsys) == (
            f"failure: 127.0.0.1 port {port} has closed the connection without an answer; it may ask for TLS "
            "(https:// in OTEL_EXPORTER_OTLP_ENDPOINT), for a client's certificate, or not speak OTLP"
        )


def test_a_proxy_that_is_not_there(
    transport: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy in use is named without its user, and what fails at it is not said of the endpoint."""
    monkeypatch.setenv("http_proxy", "http://jane:s3cr3t@127.0.0.1:1")
    send_to(monkeypatch, transport, "http://collector.example:4999")
    status, lines = diagnosis(capsys)
    (exporter,) = about("exporter", lines)
    assert exporter.endswith(" through the proxy 127.0.0.1:1")
    assert about("endpoint", lines) == [
        (
            "failure: proxy: connection refused by 127.0.0.1 port 1; correct http_proxy, or name the "
            "endpoint's host in no_proxy"
        )
    ]
    assert status == 1


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        (
            "ALL_PROXY",
            "socks5://jane:s3cr3t@127.0.0.1:1",
            (
                "ALL_PROXY names a SOCKS proxy, and the package PySocks, which that needs, is not installed; "
                "pip install 'requests[socks]', or correct ALL_PROXY"
            ),
        ),
        *(
            (
                "https_proxy",
                value,
                (
                    "the exporter cannot use the proxy in https_proxy as it is written; write https_proxy as "
                    "in http://proxy.example:3128"
                ),
            )
            for value in ("ftp://jane:s3cr3t@127.0.0.1:1", "http://", "http://127.0.0.1:99999")
        ),
    ],
)
def test_a_proxy_that_cannot_be_used(
    variable: str, value: str, line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its variable is named, and the endpoint, of which nothing is wrong, is not blamed."""
    monkeypatch.setenv(variable, value)
    send_to(monkeypatch, "http", "https://collector.example:4318")
    assert endpoint_line(capsys) == f"failure: {line}"


@pytest.mark.parametrize(
    ("transport", "variable", "value"),
    [("grpc", "HTTP_PROXY", "http://127.0.0.1:1"), ("grpc", "http_proxy", "socks5://127.0.0.1:1")],
)
def test_a_proxy_that_grpc_does_not_take(
    transport: str,
    variable: str,
    value: str,
    receiver: OtlpReceiver,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is said to go past it, as it does: the request arrives."""
    monkeypatch.setenv(variable, value)
    send_to(monkeypatch, transport, receiver.grpc_endpoint)
    status, lines = diagnosis(capsys)
    (exporter,) = about("exporter", lines)
    assert exporter.endswith(
        f", past the proxy in {variable}: gRPC reads grpc_proxy, https_proxy and http_proxy, in lower case, "
        "and takes http:// alone"
    )
    assert (status, len(receiver.requests)) == (0, 1)


def test_a_host_that_needs_no_proxy(
    receiver: OtlpReceiver,
    transport: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`no_proxy` is heeded as the exporters heed it."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    send_to(monkeypatch, transport, receiver.grpc_endpoint if transport == "grpc" else receiver.http_endpoint)
    status, lines = diagnosis(capsys)
    assert "proxy" not in "".join(lines)
    assert status == 0


@pytest.mark.parametrize(
    "endpoint", ["http://jane:s3cr3t@127.0.0.1:1/?key=s3cr3t", "jane:s3cr3t@127.0.0.1:1"]
)
def test_secrets_in_an_endpoint_are_not_shown(
    endpoint: str, transport: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a user nor a password nor a query, with a scheme or without."""
    send_to(monkeypatch, transport, endpoint)
    status, lines = diagnosis(capsys)
    assert len(about("exporter", lines)) == len(about("endpoint", lines)) == status == 1
