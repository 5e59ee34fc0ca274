"""The causes that no server of the tests can be made to show: told from what the libraries raise and say."""

import errno
import os
import ssl
from typing import Final

import pytest

from otel_incident.config_exporters import GRPC, HTTP, HTTP_JSON, Batch
from otel_incident.destinations import Destination
from otel_incident.doctor.advice import advice_on_cause
from otel_incident.doctor.causes import Why, why, why_grpc
from otel_incident.doctor.proxies import Address, Proxy, address_of, passed_proxy, proxy_for


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
        Proxy("https_proxy", Address("proxy", 3128)),
    )
    assert finding.line == (
        "failure  endpoint  the proxy does not let this through; ask whoever runs it, or name the endpoint's "
        "host in no_proxy"
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


URL: Final = "http://proxy:3128"
PROXY: Final = Address("proxy", 3128)
# Of gRPC, as it was seen at a proxy that notes what comes: variables, the one that is taken, and if there is
# none, the one that is passed.
OF_GRPC: Final = [
    ({"https_proxy": URL}, "https_proxy", None),
    ({"http_proxy": URL}, "http_proxy", None),
    ({"grpc_proxy": URL, "https_proxy": "http://other"}, "grpc_proxy", None),
    ({"HTTPS_PROXY": URL}, None, "HTTPS_PROXY"),
    ({"ALL_PROXY": URL}, None, "ALL_PROXY"),
    ({"https_proxy": "proxy:3128"}, None, "https_proxy"),
    ({"https_proxy": "socks5://proxy:3128", "http_proxy": URL}, None, "https_proxy"),
    ({"https_proxy": URL, "no_proxy": "acme.example"}, None, None),
    ({"https_proxy": URL, "no_proxy": ".acme.example"}, None, None),
    ({"https_proxy": URL, "no_proxy": ".example, other"}, None, None),
    ({"https_proxy": URL, "no_proxy": "cme.example"}, "https_proxy", None),
    ({"https_proxy": URL, "no_proxy": "*"}, "https_proxy", None),
    ({"https_proxy": URL, "NO_PROXY": "acme.example"}, "https_proxy", None),
    ({"https_proxy": URL, "no_grpc_proxy": "acme.example"}, None, None),
]


@pytest.mark.parametrize(("variables", "taken", "passed"), OF_GRPC)
def test_the_proxy_of_grpc(
    variables: dict[str, str], taken: str | None, passed: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads lower case, takes `http://` alone, and knows no `*`."""
    put(variables, monkeypatch)
    to = destination(GRPC, "acme.example:4317")
    assert proxy_for(to, variables) == (None if taken is None else Proxy(taken, PROXY))
    if taken is None:
        found = passed_proxy(to, variables)
        assert (found.variable if found is not None else None) == passed


def test_addresses_that_grpc_reaches_without_a_proxy() -> None:
    """They may be named as a network."""
    variables = {"https_proxy": URL, "no_proxy": "10.0.0.0/8"}
    assert proxy_for(destination(GRPC, "http://10.1.2.3:4317"), variables) is None
    assert proxy_for(destination(GRPC, "http://11.1.2.3:4317"), variables) == Proxy("https_proxy", PROXY)


@pytest.mark.parametrize(
    ("endpoint", "variables", "taken"),
    [
        ("https://acme.example", {"HTTPS_PROXY": URL, "http_proxy": "http://other"}, "HTTPS_PROXY"),
        ("http://acme.example", {"https_proxy": URL}, None),
        ("http://acme.example", {"ALL_PROXY": URL}, "ALL_PROXY"),
        ("https://acme.example", {"https_proxy": URL, "grpc_proxy": "http://other"}, "https_proxy"),
        ("https://acme.example", {"https_proxy": URL, "NO_PROXY": "example"}, None),
        ("http://10.1.2.3:4318", {"http_proxy": URL, "no_proxy": "10.0.0.0/8"}, None),
        ("acme.example:4318", {"all_proxy": URL}, None),
    ],
)
def test_the_proxy_of_http(
    endpoint: str, variables: dict[str, str], taken: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `requests` chooses it for protobuf; the exporter of JSON goes past it."""
    put(variables, monkeypatch)
    expected = None if taken is None else Proxy(taken, PROXY)
    assert proxy_for(destination(HTTP, endpoint), variables) == expected
    assert proxy_for(destination(HTTP_JSON, endpoint), variables) is None
    if "://" in endpoint:
        assert passed_proxy(destination(HTTP_JSON, endpoint), variables) == expected


def put(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Make them the environment's only ones about proxies."""
    for name in list(os.environ):  # noqa: TID251  about the tests, not the package's configuration
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def test_no_proxy_leads_to_what_is_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that cannot be read needs none."""
    put({"http_proxy": URL}, monkeypatch)
    assert proxy_for(destination(HTTP, "http://[x"), {"http_proxy": URL}) is None
