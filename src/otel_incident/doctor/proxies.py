"""Which proxy is in the way of an exporter, found as the libraries that send find it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from otel_incident.config_exporters import GRPC, HTTP_JSON

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_incident.destinations import Destination


class Address(NamedTuple):
    """Where a connection goes."""

    host: str
    port: int

    @property
    def shown(self) -> str:
        """Without what in it may be secret."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def address_of(endpoint: str, default_port: int = 443) -> Address | None:
    """Host and port of an endpoint, with a scheme or without; None where it has none.

    Args:
        endpoint: As it is configured.
        default_port: Where it names none and its scheme is not `http`.
    """
    try:
        parts = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
        port = parts.port or (80 if parts.scheme == "http" else default_port)
    except ValueError:
        return None
    return Address(parts.hostname, port) if parts.hostname else None


def proxy_for(destination: Destination) -> Address | None:
    """The proxy that requests to a destination take by the variables of the environment; None for none.

    Args:
        destination: An exporter of OTLP.
    """
    target = address_of(destination.endpoint)
    if target is None or destination.kind == HTTP_JSON:  # whose exporter goes past every proxy
        return None
    proxies = getproxies()
    found = (
        _of_grpc(target, proxies)
        if destination.kind == GRPC
        else _of_http(destination.endpoint, target, proxies)
    )
    return address_of(found, 80) if found else None


def _of_http(endpoint: str, target: Address, proxies: Mapping[str, str]) -> str:
    """As `requests` chooses."""
    if proxy_bypass(target.shown):
        return ""
    return proxies.get(urlsplit(endpoint).scheme) or proxies.get("all") or ""


def _of_grpc(target: Address, proxies: Mapping[str, str]) -> str:
    """As gRPC chooses, whatever the scheme."""
    excepted = proxies.get("no_grpc") or proxies.get("no") or ""
    names = [each.strip() for each in excepted.split(",") if each.strip()]
    if any(target.host.endswith(name.removeprefix("*")) for name in names):
        return ""
    return next((proxies[name] for name in ("grpc", "https", "http") if proxies.get(name)), "")
