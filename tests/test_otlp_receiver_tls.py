"""The recording receiver behind TLS and mTLS: who gets in, who does not."""

import http.client
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import grpc  # type: ignore[import-untyped]  # grpcio ships no types
import pytest

from tests import stock_exporters as stock
from tests.certificates import Certificates, make_certificates
from tests.otlp_client import call, post
from tests.otlp_receiver import OtlpReceiver, Signal, Tls, Transport


@pytest.fixture
def tls_receiver(certificates: Certificates) -> Iterator[OtlpReceiver]:
    """A receiver that shows a certificate and asks for none."""
    with OtlpReceiver(tls=Tls(certificates.server_cert, certificates.server_key)) as running:
        yield running


@pytest.fixture
def mtls_receiver(certificates: Certificates) -> Iterator[OtlpReceiver]:
    """A receiver that asks for a client certificate."""
    tls = Tls(certificates.server_cert, certificates.server_key, client_ca=certificates.ca)
    with OtlpReceiver(tls=tls) as running:
        yield running


def http_trust(certificates: Certificates, *, show: bool = False) -> ssl.SSLContext:
    """A client that trusts this authority, and shows its own certificate if told to."""
    context = ssl.create_default_context(cafile=certificates.ca)
    if show:
        context.load_cert_chain(certificates.client_cert, certificates.client_key)
    return context


def grpc_trust(certificates: Certificates) -> Any:
    """The same over gRPC, without a certificate of its own."""
    return grpc.ssl_channel_credentials(certificates.ca.read_bytes())


@pytest.mark.parametrize("signal", ["logs", "traces", "metrics"])
@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_stock_exporters_get_in_with_a_certificate(
    mtls_receiver: OtlpReceiver,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    transport: Transport,
    signal: Signal,
) -> None:
    """The SDK's exporters of each signal and transport send through mTLS."""
    # Where a system sets these, requests takes them before the authority that the exporter was given.
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    endpoint = mtls_receiver.grpc_endpoint if transport == "grpc" else mtls_receiver.http_endpoint
    assert endpoint.startswith("https://127.0.0.1:")

    assert stock.export(transport, signal, endpoint, certificates=certificates) == "SUCCESS"

    (request,) = mtls_receiver.accepted
    assert (request.signal, request.transport) == (signal, transport)


def test_tls_alone_asks_for_no_certificate(tls_receiver: OtlpReceiver, certificates: Certificates) -> None:
    """Whoever trusts the server's authority gets in."""
    assert post(tls_receiver.http_endpoint, b"", context=http_trust(certificates)).status == 200
    assert call(tls_receiver.grpc_endpoint, b"", credentials=grpc_trust(certificates)).code == "OK"


def test_without_a_client_certificate_mtls_refuses(
    mtls_receiver: OtlpReceiver, certificates: Certificates
) -> None:
    """The connection fails, and nothing is recorded."""
    with pytest.raises(OSError, match=r"certificate required|reset|EOF"):
        post(mtls_receiver.http_endpoint, b"", context=http_trust(certificates))
    assert call(mtls_receiver.grpc_endpoint, b"", credentials=grpc_trust(certificates)).code == "UNAVAILABLE"
    assert mtls_receiver.requests == ()


def test_a_client_of_another_authority_refuses_the_server(
    tls_receiver: OtlpReceiver, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """An exporter that trusts somebody else sends it nothing."""
    others = make_certificates(tmp_path_factory.mktemp("others"))

    with pytest.raises(ssl.SSLCertVerificationError):
        post(tls_receiver.http_endpoint, b"", context=http_trust(others))
    assert call(tls_receiver.grpc_endpoint, b"", credentials=grpc_trust(others)).code == "UNAVAILABLE"
    assert tls_receiver.requests == ()


def test_plain_text_is_refused_and_does_not_stop_others(
    tls_receiver: OtlpReceiver, certificates: Certificates
) -> None:
    """A client without TLS gets no answer; the next one with TLS does."""
    plain = tls_receiver.http_endpoint.replace("https://", "http://")

    with pytest.raises((OSError, http.client.HTTPException)):
        post(plain, b"")

    assert post(tls_receiver.http_endpoint, b"", context=http_trust(certificates)).status == 200


def test_close_ends_tls_connections_that_are_kept_alive_or_silent(certificates: Certificates) -> None:
    """`close()` waits neither for a next request nor for a handshake that never comes."""
    receiver = OtlpReceiver(tls=Tls(certificates.server_cert, certificates.server_key))
    trust = http_trust(certificates)
    kept = http.client.HTTPSConnection("127.0.0.1", receiver.http_port, context=trust)
    kept.request("POST", "/v1/logs", b"")
    assert kept.getresponse().read() == b""
    with socket.create_connection(("127.0.0.1", receiver.http_port)):
        # Answered after the silent one was let in: connections are taken in turn.
        assert post(receiver.http_endpoint, b"", context=trust).status == 200

        receiver.close()

    kept.close()
