"""The causes that no server of the tests can be made to show: told from what the libraries raise and say."""

import errno
import ssl

import pytest

from otel_incident.config_exporters import GRPC, HTTP, Batch
from otel_incident.destinations import Destination
from otel_incident.doctor.advice import advice_on_cause
from otel_incident.doctor.causes import Why, why, why_grpc
from otel_incident.doctor.proxies import Address, address_of, proxy_for


def destination(kind: str, endpoint: str) -> Destination:
    """An exporter that is never made."""
    return Destination(kind, kind, endpoint, Batch(), lambda: pytest.fail("made"))


class ProxyError(OSError):
    """As `requests` calls it."""


def tls(reason: str) -> ssl.SSLError:
    """An error of TLS with OpenSSL's reason."""
    error = ssl.SSLError()
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.EHOSTUNREACH, "No route to host"), Why("unreachable")),
        (ConnectionResetError(), Why("closed")),
        (tls("TLSV13_ALERT_CERTIFICATE_REQUIRED"), Why("client certificate")),
        (tls("DH_KEY_TOO_SMALL"), Why("TLS")),
        (ProxyError(OSError("Tunnel connection failed: 407")), Why("proxy refuses", at_proxy=True)),
        (ProxyError(ConnectionRefusedError()), Why("refused", at_proxy=True)),
        (RuntimeError(), Why("unknown")),
    ],
)
def test_an_error(error: Exception, expected: Why) -> None:
    """Its class, or that of what it wraps, says the cause."""
    assert why(error) == expected


def test_errors_that_hold_one_another() -> None:
    """A chain that ends in itself is looked at once."""
    one, other = RuntimeError(), RuntimeError()
    one.__cause__, other.__cause__ = other, one
    assert why(one) == Why("unknown")


@pytest.mark.parametrize(
    ("details", "cause"),
    [
        ("DNS resolution failed for collector:4317: C-ares status is not ARES_SUCCESS", "name"),
        ("failed to connect to all addresses; last error: No route to host", "unreachable"),
        ("failed to connect to all addresses; last error: Connection timed out", "timeout"),
        ("HTTP proxy returned response code 403", "proxy refuses"),
        ("Peer name collector is not in peer certificate", "misnamed"),
        (
            "failed to connect: Ssl handshake failed: SSL_ERROR_SSL: TLSV1_ALERT_BAD_CERTIFICATE",
            "client certificate",
        ),
        ("failed to connect: Ssl handshake failed", "TLS"),
        ("the upstream has answered: connection refused", "unknown"),
    ],
)
def test_what_grpc_says(details: str, cause: str) -> None:
    """Its own words of several releases are known; a server's words that look like them are not believed."""
    assert why_grpc("UNAVAILABLE", details).cause == cause


@pytest.mark.parametrize("kind", [GRPC, HTTP])
def test_a_proxy_that_refuses(kind: str) -> None:
    """It is not the endpoint's refusal."""
    finding = advice_on_cause(
        destination(kind, "http://collector:4318"),
        Why("proxy refuses", at_proxy=True),
        Address("proxy", 3128),
    )
    assert finding.line == (
        "failure  endpoint  the proxy does not let this through; ask whoever runs it, or set NO_PROXY"
    )


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("http://collector/v1/logs", Address("collector", 80)),
        ("https://collector", Address("collector", 443)),
        ("collector:4317", Address("collector", 4317)),
        ("https://jane:s3cr3t@[::1]:4318/?key=s3cr3t", Address("::1", 4318)),
        ("http://[x", None),
        ("http://collector:port", None),
        ("", None),
    ],
)
def test_an_address(endpoint: str, expected: Address | None) -> None:
    """Host and port, as they are or by default, without a secret."""
    assert address_of(endpoint) == expected


def test_an_address_of_version_six_is_shown_in_brackets() -> None:
    """So that its port can be told."""
    assert Address("::1", 4318).shown == "[::1]:4318"


def test_no_proxy_leads_to_what_is_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that cannot be read needs none."""
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    assert proxy_for(destination(HTTP, "http://[x")) is None
