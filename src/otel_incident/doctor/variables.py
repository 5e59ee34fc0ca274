"""What of the SDK's own variables cannot be used, said by the variable's name and with what to write.

The SDK's configurator raises at an exporter or a protocol that it does not know, of whichever signal, and
`opentelemetry-instrument` then loads no instrumentor: nothing of ours runs that could say so. The exporters
for their part speak of what they cannot use by an exception's class, or of nothing at all.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from opentelemetry.util._importlib_metadata import entry_points

from otel_incident.config_exporters import (
    COMPRESSIONS_OF_GRPC,
    DEFAULT_ENDPOINT,
    GRPC,
    is_number,
    leaves_no_time,
)
from otel_incident.doctor.findings import failure, warning

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otel_incident.config import Config
    from otel_incident.doctor.findings import Finding

_SIGNALS: Final = ("traces", "metrics", "logs")
_PROTOCOLS: Final = ("grpc", "http/protobuf")
_STOPS: Final = "opentelemetry-instrument stops at it and loads no instrumentation, this one neither"
_FILES: Final = ("CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY")
_SHOWN: Final = 100  # of a value


def look(variables: Mapping[str, str], config: Config) -> list[Finding]:
    """Every variable that stops the SDK, or that the exporters of events cannot use.

    Args:
        variables: The environment.
        config: The settings; with a configuration file the SDK reads none of these variables.
    """
    if config.config_file is not None:
        return []
    found: list[Finding] = []
    if entry_points(group="opentelemetry_configurator"):
        for finding in (each for signal in _SIGNALS for each in _stopping(variables, signal)):
            if finding not in found:  # the protocol of all signals is one variable
                found.append(finding)
    kinds = [name for name in config.exporters if name in DEFAULT_ENDPOINT]
    return [*found, *_unusable(variables, kinds)] if kinds else found


def _stopping(variables: Mapping[str, str], signal: str) -> Iterable[Finding]:
    """What the SDK's configurator raises at, for one signal."""
    variable = f"OTEL_{signal.upper()}_EXPORTER"
    value = variables.get(variable) or "otlp"  # as the distro has it where it is not set
    if value.strip().lower() == "none":
        return
    for name in (each.strip() for each in value.split(",")):
        if name == "otlp":
            yield from _protocol(variables, signal)
        elif name.lower() == "none":
            yield failure(
                "settings",
                f"{variable}={_shown(value)} has none beside others: {_STOPS}",
                "write none alone, or take it out",
            )
        elif not entry_points(group=f"opentelemetry_{signal}_exporter", name=name):
            yield failure(
                "settings",
                f"{variable} names {_shown(name)}, an exporter that no installed package has: {_STOPS}",
                f"install its package, or write otlp or none in {variable}",
            )


def _protocol(variables: Mapping[str, str], signal: str) -> Iterable[Finding]:
    names = (f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    variable = next((name for name in names if variables.get(name)), "")
    value = variables.get(variable, "").strip()
    if variable and value not in _PROTOCOLS:
        to_do = f"write {' or '.join(_PROTOCOLS)} in {variable}"
        if value == "http/json":
            to_do += ", or name the exporter itself: OTEL_LOGS_EXPORTER=otlp_json_http, for each signal"
        yield failure("settings", f"{variable}={_shown(value)} is no protocol of the SDK's: {_STOPS}", to_do)


def _unusable(variables: Mapping[str, str], kinds: list[str]) -> Iterable[Finding]:
    """What an OTLP exporter of events cannot use."""
    name, value = _set(variables, "HEADERS")
    parts = [part.strip() for part in value.split(",") if part.strip()]
    bad = [
        index for index, part in enumerate(parts, 1) if not part.partition("=")[0].strip() or "=" not in part
    ]
    if bad:
        which = ", ".join(map(str, bad))
        yield warning(
            "settings",
            f"{name} has what is no header (part {which} of {len(parts)}), which is not sent",
            "write name=value, separated by commas, in values %20 for a blank and %2C for a comma",
        )
    # over gRPC an exporter is not made at all of these
    says = failure if GRPC in kinds else warning
    name, value = _set(variables, "TIMEOUT")
    if value and (leaves_no_time(value) or not is_number(value)):
        how = failure if leaves_no_time(value) else says
        yield how(
            "settings", f"{name}={_shown(value)} is no number of seconds above 0", "write 10, or unset it"
        )
    name, value = _set(variables, "COMPRESSION")
    known = COMPRESSIONS_OF_GRPC if GRPC in kinds else ("gzip", "deflate", "none")
    if value and value.lower() not in known:
        yield says(
            "settings",
            f"{name}={_shown(value)} is no compression of this exporter's",
            f"write {' or '.join(known)}, or unset it",
        )
    for suffix in _FILES:
        name, value = _set(variables, suffix)
        if value and (why := _not_read(value)):
            yield warning(
                "settings", f"{name} names a file that cannot be read ({why})", "correct it, or unset it"
            )


def no_time(variables: Mapping[str, str]) -> str:
    """The variable that leaves an exporter no time for an answer; "" for none.

    Args:
        variables: The environment.
    """
    name, value = _set(variables, "TIMEOUT")
    return name if leaves_no_time(value) else ""


def _set(variables: Mapping[str, str], suffix: str) -> tuple[str, str]:
    """The variable that holds for log records, and its value; "" where neither is set."""
    names = (f"OTEL_EXPORTER_OTLP_LOGS_{suffix}", f"OTEL_EXPORTER_OTLP_{suffix}")
    return next(
        ((name, variables[name].strip()) for name in names if variables.get(name, "").strip()), ("", "")
    )


def _not_read(path: str) -> str:
    """Why a file cannot be read, as a class's name; "" if it can."""
    try:
        with Path(path).open("rb"):
            return ""
    except (OSError, ValueError) as error:
        return type(error).__name__


def _shown(value: str) -> str:
    return repr(value if len(value) <= _SHOWN else f"{value[:_SHOWN]}...")
