"""Which proxy an exporter takes, and which it goes past, found as the libraries that send find it."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

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


class Proxy(NamedTuple):
    """A proxy of the environment's.

    Attributes:
        variable: What names it.
        address: None where that cannot be read.
    """

    variable: str
    address: Address | None

    @property
    def shown(self) -> str:
        """Without what in it may be secret."""
        return self.address.shown if self.address is not None else f"of {self.variable}"


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


def proxy_for(destination: Destination, variables: Mapping[str, str]) -> Proxy | None:
    """The proxy that requests to a destination take; None for none.

    Args:
        destination: An exporter of OTLP.
        variables: The environment.
    """
    target = address_of(destination.endpoint)
    if target is None or destination.kind == HTTP_JSON:  # whose exporter goes past every proxy
        return None
    if destination.kind == GRPC:
        return None if _is_excepted_by_grpc(target, variables) else _of_grpc(variables)
    return _of_requests(destination.endpoint, variables)


def passed_proxy(destination: Destination, variables: Mapping[str, str]) -> Proxy | None:
    """The proxy that is named for such an endpoint, where its exporter goes past it; None for none.

    Args:
        destination: An exporter of OTLP that takes none.
        variables: The environment.
    """
    target, endpoint = address_of(destination.endpoint), destination.endpoint
    if target is None or (destination.kind == GRPC and _is_excepted_by_grpc(target, variables)):
        return None
    # gRPC does without a scheme
    return _of_requests(endpoint if "://" in endpoint else f"https://{endpoint}", variables)


def _of_requests(endpoint: str, variables: Mapping[str, str]) -> Proxy | None:
    """As `requests` chooses: by the endpoint's scheme, whatever the case of the variable."""
    from requests.utils import get_environ_proxies, select_proxy  # noqa: PLC0415  dear

    scheme = urlsplit(endpoint).scheme
    url = select_proxy(endpoint, get_environ_proxies(endpoint))
    for name in (f"{scheme}_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            if url and variables.get(variable) == url:
                return Proxy(variable, address_of(url, 80))
    return None


def _of_grpc(variables: Mapping[str, str]) -> Proxy | None:
    """As gRPC chooses, whatever the endpoint's scheme: the first that is set, in lower case and of HTTP."""
    name = next((name for name in ("grpc_proxy", "https_proxy", "http_proxy") if variables.get(name)), "")
    url = variables.get(name, "")
    return Proxy(name, address_of(url, 80)) if url.startswith("http://") else None


def _is_excepted_by_grpc(target: Address, variables: Mapping[str, str]) -> bool:
    """Whether gRPC goes there without a proxy: it reads lower case, and knows no `*`."""
    excepted = variables.get("no_grpc_proxy") or variables.get("no_proxy") or ""
    names = [each.strip().lower().removeprefix(".") for each in excepted.split(",") if each.strip()]
    return any(
        target.host == name or target.host.endswith(f".{name}") or _is_in(target.host, name) for name in names
    )


def _is_in(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:  # a name
        return False
