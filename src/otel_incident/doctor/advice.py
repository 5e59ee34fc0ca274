"""What to change, for everything that an endpoint can say and for every way of not reaching it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_incident.config_exporters import GRPC
from otel_incident.doctor.findings import failure, warning
from otel_incident.doctor.proxies import address_of

if TYPE_CHECKING:
    from otel_incident.destinations import Destination
    from otel_incident.doctor.causes import Cause, Why
    from otel_incident.doctor.findings import Finding
    from otel_incident.doctor.proxies import Proxy
    from otel_incident.spool.answers import Answer

_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_AUTHORITY: Final = "OTEL_EXPORTER_OTLP_CERTIFICATE"
_CREDENTIALS: Final = "correct the credentials in OTEL_EXPORTER_OTLP_HEADERS"
_LATER: Final = "nothing is lost meanwhile: events wait in the spool; ask whoever runs the endpoint"

# How it is, and what to do; {host} and {port} are those of the endpoint, or of the proxy in {variable}.
_CAUSES: Final[dict[Cause, tuple[str, str]]] = {
    "name": ("DNS knows no address for {host}", f"correct {_ENDPOINT}, or the name server"),
    "refused": (
        "connection refused by {host} port {port}",
        f"start the collector there, or correct {_ENDPOINT}",
    ),
    "unreachable": ("there is no route to {host}", f"correct the network, or {_ENDPOINT}"),
    "timeout": (
        "timeout: no answer from {host} port {port}",
        "see whether a firewall drops the packets, or the endpoint hangs",
    ),
    "closed": (
        "{host} port {port} has closed the connection without an answer",
        f"it may ask for TLS (https:// in {_ENDPOINT}), for a client's certificate, or not speak OTLP",
    ),
    "expired": ("TLS: the certificate of {host} has expired", "renew it there"),
    "not yet valid": ("TLS: the certificate of {host} is not valid yet", "set the clock of this machine"),
    "misnamed": (
        "TLS: the certificate of {host} is for other names",
        f"use one of those in {_ENDPOINT}, or renew the certificate with {{host}} in it",
    ),
    "untrusted": (
        "TLS: the certificate of {host} is of an authority that is not trusted here",
        f"name the authority's file in {_AUTHORITY}",
    ),
    "client certificate": (
        "TLS: {host} port {port} asks for another certificate of the client",
        "name one in OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and its key in OTEL_EXPORTER_OTLP_CLIENT_KEY",
    ),
    "no TLS": (
        "TLS: {host} port {port} speaks none",
        f"write http:// in {_ENDPOINT}, or use its port for TLS",
    ),
    "TLS": ("TLS: the handshake with {host} port {port} failed", "see its log for the reason"),
    "other protocol": ("{host} port {port} speaks another protocol", ""),
    "unreadable certificate": (
        "TLS: a certificate file that is configured cannot be read",
        f"correct {_AUTHORITY} and OTEL_EXPORTER_OTLP_CLIENT_*",
    ),
    "malformed": (
        "the exporter cannot use the endpoint as it is written",
        f"write {_ENDPOINT} as in https://collector.example:4318, without a user",
    ),
    "malformed proxy": (
        "the exporter cannot use the proxy in {variable} as it is written",
        "write {variable} as in http://proxy.example:3128",
    ),
    "no SOCKS": (
        "{variable} names a SOCKS proxy, and the package PySocks, which that needs, is not installed",
        "pip install 'requests[socks]', or correct {variable}",
    ),
    "proxy refuses": (
        "the proxy does not let this through",
        "ask whoever runs it, or name the endpoint's host in no_proxy",
    ),
    "unknown": ("not reached, for a reason that is not known", "see the collector's log"),
}
_PROTOCOL: Final = {
    True: "gRPC's port is usually 4317: correct it, or set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
    False: "HTTP's port is usually 4318: correct it, or set OTEL_EXPORTER_OTLP_PROTOCOL=grpc",
}

_ANSWERS: Final[dict[str, tuple[str, str]]] = {
    "HTTP 401": ("the endpoint does not know who is asking", _CREDENTIALS),
    "HTTP 403": ("the endpoint does not let this sender in", _CREDENTIALS),
    "HTTP 404": (
        "there is nothing at this path",
        f"correct it: /v1/logs is added to {_ENDPOINT}, and not to OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
    ),
    "HTTP 405": ("this path takes no POST", f"correct the path in {_ENDPOINT}"),
    "HTTP 407": ("the proxy wants credentials", "write them into the URL of HTTPS_PROXY or HTTP_PROXY"),
    "HTTP 415": (
        "the endpoint does not take this encoding",
        "set OTEL_EXPORTER_OTLP_PROTOCOL to what it speaks",
    ),
    "HTTP 429": ("the endpoint takes no more for now", _LATER),
    "gRPC UNAUTHENTICATED": ("the endpoint does not know who is asking", _CREDENTIALS),
    "gRPC PERMISSION_DENIED": ("the endpoint does not let this sender in", _CREDENTIALS),
    "gRPC UNIMPLEMENTED": (
        "the endpoint speaks gRPC, but takes no OTLP logs",
        f"give the collector a pipeline for logs, or correct {_ENDPOINT}",
    ),
    "gRPC RESOURCE_EXHAUSTED": ("the endpoint takes no more for now", _LATER),
}
_EMPTY: Final = frozenset({"HTTP 400", "HTTP 422", "gRPC INVALID_ARGUMENT"})


def advice_on_cause(destination: Destination, why: Why, proxy: Proxy | None) -> Finding:
    """Why an endpoint was not reached.

    Args:
        destination: Whose endpoint.
        why: What went wrong.
        proxy: The proxy in the way, if there is one.
    """
    cause = why.cause
    if cause == "malformed" and proxy is not None and proxy.address is None:
        cause = "malformed proxy"
    text, to_do = _CAUSES[cause]
    if cause == "other protocol":
        to_do = _PROTOCOL[destination.kind == GRPC]
    # gRPC does not say on which part of the way it went wrong
    at_proxy = proxy is not None and (why.at_proxy or (destination.kind == GRPC and why.cause in _ON_THE_WAY))
    target = proxy.address if at_proxy and proxy is not None else address_of(destination.endpoint)
    host, port = (target.host, target.port) if target is not None else ("the endpoint", 0)
    variable = proxy.variable if proxy is not None else "the proxy's variable"
    text, to_do = (each.format(host=host, port=port, variable=variable) for each in (text, to_do))
    if at_proxy and cause != "proxy refuses":
        return failure(
            "endpoint",
            f"proxy: {text}",
            f"correct {variable}, or name the endpoint's host in no_proxy",
        )
    return failure("endpoint", text, to_do)


_ON_THE_WAY: Final[frozenset[Cause]] = frozenset({"name", "refused", "unreachable"})


def advice_on_answer(destination: Destination, answer: Answer) -> Finding:
    """What an endpoint's answer means that is no success.

    Args:
        destination: Whose endpoint.
        answer: Its answer.
    """
    said = answer.reason or "no answer"
    where = destination.shown
    if said in _EMPTY:
        return warning(
            "endpoint",
            f"{said} from {where}: it refuses a request without a record; events may be taken all the same",
            "see the collector's log when one is sent",
        )
    if said in _ANSWERS:
        meaning, to_do = _ANSWERS[said]
        return failure("endpoint", f"{said} from {where}: {meaning}", to_do)
    if said.startswith("HTTP 3"):
        return failure(
            "endpoint",
            f"{said} from {where}: it redirects, and no event follows",
            f"write the last address into {_ENDPOINT}",
        )
    if said.startswith(("HTTP 5", "gRPC ")):
        return failure("endpoint", f"{said} from {where}: the endpoint has an error of its own", _LATER)
    return failure("endpoint", f"{said} from {where}", "see the collector's log")
