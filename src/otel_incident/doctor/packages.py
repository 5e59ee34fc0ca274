"""Which packages are there that the path needs: the SDK, and what sets it up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.util._importlib_metadata import entry_points

from otel_incident.distributions import version_of
from otel_incident.doctor.findings import failure, ok, warning
from otel_incident.version import __version__

if TYPE_CHECKING:
    from otel_incident.doctor.findings import Finding

_SDK: Final = "opentelemetry-sdk"
_DISTRO: Final = "opentelemetry-distro"


def general() -> list[Finding]:
    """What `opentelemetry-instrument` needs to load us and to set up an SDK."""
    found = [f"otel-incident {__version__}", f"{_SDK} {version_of(_SDK)}"]
    findings: list[Finding] = []
    if not entry_points(group="opentelemetry_instrumentor", name="incident"):
        findings.append(
            failure(
                "packages",
                "otel-incident is on the path, but not installed: opentelemetry-instrument does not find it",
                "install it into this environment with pip",
            )
        )
    configurators = entry_points(group="opentelemetry_configurator")
    if configurators:
        distro = version_of(_DISTRO)
        found.append(f"{_DISTRO} {distro}" if distro else "another distribution's configurator")
    else:
        findings.append(
            warning(
                "packages",
                f"{_DISTRO} is not installed: opentelemetry-instrument configures no SDK, so the host's own "
                "spans, logs and metrics go nowhere; incident events leave all the same",
                f"pip install {_DISTRO}",
            )
        )
    return [ok("packages", ", ".join(found)), *findings]
