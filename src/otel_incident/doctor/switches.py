"""Whether telemetry is on, and every switch that turns it off: not only the first one that is found."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from otel_incident.config import SDK_DISABLED, Config
from otel_incident.doctor.findings import failure, ok, warning
from otel_incident.installation import NOT_LOADED, disabled_by_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_incident.doctor.findings import Finding

_CORRECT: Final = "correct the file, or unset OTEL_CONFIG_FILE; the host's log says more"
_QUOTED: Final = re.compile(r"\((\w+): .*\)", re.DOTALL)
# What `Config.off` says, the variable that it comes from, and what to do.
_VARIABLES: Final = {
    SDK_DISABLED: "OTEL_SDK_DISABLED",
    "DO_NOT_TRACK is set": "DO_NOT_TRACK",
    "OTEL_INCIDENT_ENABLED is not true": "OTEL_INCIDENT_ENABLED",
}


def look(variables: Mapping[str, str]) -> tuple[list[Finding], Config | None]:
    """What turns telemetry off, and the settings that would hold if it were on.

    Args:
        variables: The environment.

    Returns:
        The findings, and the settings; None where they stand in a file that cannot be read, or is disabled.
    """
    found: list[Finding] = []
    left = dict(variables)
    options: dict[str, Any] = {}
    config = Config.from_env(left, options)
    while config.off:
        variable = _VARIABLES.get(config.off)
        if variable is None:
            return [*found, *_file(config), *_instrumentations(variables)], None
        found.append(_switched_off(variable, config.off, with_file="OTEL_CONFIG_FILE" in left))
        if variable == "OTEL_INCIDENT_ENABLED":
            options = {"enabled": True}  # an option comes before the file, which comes before the variable
        problems = [each for each in config.problems if variable in each or "enabled" in each]
        found += [warning("settings", each.removesuffix(".")) for each in problems]
        left.pop(variable, None)
        config = Config.from_env(left, options)
    found += _instrumentations(variables)
    if not config.exporters:
        found.append(_no_exporter(config))
    if not any(each.level == "failure" for each in found):
        found.insert(0, ok("on", "no switch is off"))
    return found, replace(config, off="")


def _switched_off(variable: str, why: str, *, with_file: bool) -> Finding:
    if variable == "OTEL_INCIDENT_ENABLED":
        if with_file:
            to_do = "unset it, and `enabled` in OTEL_CONFIG_FILE, or set them to true"
            return failure("on", f"off: {why}", to_do)
        return failure("on", f"off: {why}", f"unset {variable} or set it to true")
    return failure("on", f"off: {why}", f"unset {variable}")


def _file(config: Config) -> list[Finding]:
    """What is wrong with a configuration file as a whole."""
    if config.problems:
        # what a reader of YAML says of a line may quote a header's value
        lines = [
            _QUOTED.sub(r"(\1)", each).replace(" Incident telemetry stays off.", "")
            for each in config.problems
        ]
        return [failure("on", f"off: {each.removesuffix('.')}", _CORRECT) for each in lines]
    return [failure("on", f"off: {config.off}", "say disabled: false in it, or unset OTEL_CONFIG_FILE")]


def _instrumentations(variables: Mapping[str, str]) -> list[Finding]:
    """Whether the command is told to leave us out, by the SDK's own variable."""
    name = disabled_by_name(variables)
    return [failure("on", NOT_LOADED.format(name), f"take {name} out of it")] if name else []


def _no_exporter(config: Config) -> Finding:
    if config.config_file is not None:
        return failure(
            "on",
            "OTEL_CONFIG_FILE names no log exporter: events are made and sent nowhere",
            "describe a processor with an exporter under logger_provider",
        )
    return failure(
        "on",
        "OTEL_LOGS_EXPORTER=none: events are made and sent nowhere",
        "unset it or set it to otlp",
    )
