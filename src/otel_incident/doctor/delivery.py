"""Where events go, and what the endpoint says when it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.util._importlib_metadata import entry_points

from otel_incident.config_exporters import GRPC, HTTP, HTTP_JSON
from otel_incident.distributions import version_of
from otel_incident.doctor.findings import failure, ok, warning
from otel_incident.doctor.probe import probe
from otel_incident.doctor.proxies import passed_proxy, proxy_for
from otel_incident.doctor.variables import no_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_incident.config import Config
    from otel_incident.destinations import Destination
    from otel_incident.doctor.findings import Finding

_GROUP: Final = "opentelemetry_logs_exporter"
_SPOKEN: Final = {
    GRPC: ("OTLP over gRPC", "opentelemetry-exporter-otlp-proto-grpc"),
    HTTP: ("OTLP over HTTP", "opentelemetry-exporter-otlp-proto-http"),
    HTTP_JSON: ("OTLP over HTTP in JSON", "opentelemetry-exporter-otlp-json-http"),
}

_PAST: Final = {
    GRPC: "gRPC reads grpc_proxy, https_proxy and http_proxy, in lower case, and takes http:// alone",
    HTTP_JSON: "this exporter knows none",
}


def service(name: str) -> list[Finding]:
    """What the service is called.

    Args:
        name: `service.name` of the resource.
    """
    if name.startswith("unknown_service"):
        return [warning("service", f"has no name of its own: {name}", "set OTEL_SERVICE_NAME")]
    return [ok("service", name)]


def look(
    destination: Destination, config: Config, variables: Mapping[str, str], *, offline: bool
) -> list[Finding]:
    """What is to be said of one exporter: what it speaks, where it sends, and whether that takes events.

    Args:
        destination: The exporter.
        config: The settings.
        variables: The environment.
        offline: Whether to connect to nothing.
    """
    name = destination.name
    if config.config_file is None and not entry_points(group=_GROUP, name=destination.kind):
        package = _SPOKEN.get(destination.kind, ("", ""))[1]
        to_do = f"pip install {package}" if package else "install its package, or correct OTEL_LOGS_EXPORTER"
        return [failure("exporter", f"{name} is not installed", to_do)]
    if destination.kind not in _SPOKEN:
        where = "writes to the console" if destination.is_console else "is none of OTLP's: it is not tried"
        return [ok("exporter", f"{name} {where}")]
    spoken, package = _SPOKEN[destination.kind]
    proxy = proxy_for(destination, variables)
    through = f" through the proxy {proxy.shown}" if proxy is not None else ""
    if (
        destination.kind in _PAST
        and proxy is None
        and (passed := passed_proxy(destination, variables)) is not None
    ):
        through = f", past the proxy in {passed.variable}: {_PAST[destination.kind]}"
    found = [ok("exporter", f"{name} {version_of(package)}: {spoken} to {destination.shown}{through}")]
    if offline:
        return [*found, ok("endpoint", "not asked (--offline)")]
    if config.config_file is None and (variable := no_time(variables)):
        return [
            *found,
            failure("endpoint", f"not asked: {variable} leaves no time for an answer", "correct it"),
        ]
    return [*found, probe(destination, config, variables, proxy)]
