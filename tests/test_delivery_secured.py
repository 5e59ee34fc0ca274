"""TLS, mTLS, headers and compression by the SDK's own variables, over both transports."""

from collections.abc import Iterator
from typing import Final

import pytest

from otel_incident import Incident, IncidentEmitter
from otel_incident.pipeline import default_pipeline
from tests.certificates import Certificates
from tests.emitting_host import endpoint_of
from tests.otlp_receiver import OtlpReceiver, Tls
from tests.waiting import wait_until

TRANSPORTS: Final = ("grpc", "http")


@pytest.fixture(autouse=True)
def _no_authority_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """With these, `requests` overrides what an exporter was told to trust."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    """Either transport."""
    return str(request.param)


@pytest.fixture
def secured(certificates: Certificates) -> Iterator[OtlpReceiver]:
    """A receiver behind TLS that asks its clients for a certificate."""
    tls = Tls(certificates.server_cert, certificates.server_key, certificates.ca)
    with OtlpReceiver(tls=tls) as receiver:
        yield receiver


def report(receiver: OtlpReceiver, transport: str, monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    """One event, delivered as the environment says or not."""
    endpoint = endpoint_of(transport, receiver.grpc_endpoint, receiver.http_endpoint)
    for name, value in {**endpoint, **variables}.items():
        monkeypatch.setenv(name, value)
    IncidentEmitter().create(Incident(id=1))
    default_pipeline().force_flush()


def client(certificates: Certificates) -> dict[str, str]:
    """The variables of a client that has a certificate."""
    return {
        "OTEL_EXPORTER_OTLP_CERTIFICATE": str(certificates.ca),
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(certificates.client_key),
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(certificates.client_cert),
    }


def test_mutual_tls(
    secured: OtlpReceiver, transport: str, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an authority and a client's certificate events pass a TLS endpoint that asks for both."""
    report(secured, transport, monkeypatch, **client(certificates))
    assert [event.event_name for event in secured.wait_for_events(1)] == ["incident.create"]


@pytest.mark.parametrize(
    "missing", ["OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"]
)
def test_without_a_certificate_nothing_leaves(
    secured: OtlpReceiver,
    transport: str,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    missing: str,
) -> None:
    """An endpoint that cannot be trusted, or does not trust us, gets no event, and one line says so."""
    variables = client(certificates)
    del variables[missing]
    if missing.endswith("CLIENT_CERTIFICATE"):
        del variables["OTEL_EXPORTER_OTLP_CLIENT_KEY"]
    variables |= {"OTEL_EXPORTER_OTLP_TIMEOUT": "0.5", "OTEL_INCIDENT_SERVER_VERSION": "1"}
    report(secured, transport, monkeypatch, **variables)
    assert secured.requests == ()
    # the thread that delivers says it after the flush has been told
    (line,) = wait_until(
        lambda: [record for record in caplog.records if record.name == "otel_incident"], 10, "a line"
    )
    assert line.getMessage().startswith("Log records wait in the spool: the exporter otlp_proto_")
    assert [record for record in caplog.records if record.name != "otel_incident"] == []


def test_headers(receiver: OtlpReceiver, transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`OTEL_EXPORTER_OTLP_HEADERS` reach the endpoint, percent-decoded; those for logs come before."""
    report(
        receiver,
        transport,
        monkeypatch,
        OTEL_EXPORTER_OTLP_LOGS_HEADERS="authorization=Bearer%20token,x-tenant=desk",
        OTEL_EXPORTER_OTLP_HEADERS="authorization=other",
    )
    (request,) = receiver.wait_for_requests(1)
    assert request.headers["authorization"] == "Bearer token"
    assert request.headers["x-tenant"] == "desk"


def test_compression(receiver: OtlpReceiver, transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`OTEL_EXPORTER_OTLP_COMPRESSION=gzip` compresses, and what arrives is the same."""
    report(receiver, transport, monkeypatch, OTEL_EXPORTER_OTLP_COMPRESSION="gzip")
    (event,) = receiver.wait_for_events(1)
    (request,) = receiver.requests
    assert event.event_name == "incident.create"
    if transport == "http":  # gRPC undoes it by itself, without a trace
        assert request.headers["content-encoding"] == "gzip"
        assert request.raw[:2] == b"\x1f\x8b"


def test_the_endpoint_for_logs_comes_before(
    receiver: OtlpReceiver, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`OTEL_EXPORTER_OTLP_LOGS_ENDPOINT` is where events go, whatever the general endpoint is."""
    own = receiver.grpc_endpoint if transport == "grpc" else f"{receiver.http_endpoint}/v1/logs"
    for name, value in endpoint_of(transport, "http://127.0.0.1:1", "http://127.0.0.1:1").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", own)
    IncidentEmitter().create(Incident(id=1))
    assert default_pipeline().force_flush()
    assert len(receiver.wait_for_events(1)) == 1
