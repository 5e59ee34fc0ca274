"""`OTEL_CONFIG_FILE`: the part of it that is about incidents, and what it takes the place of.

The file is read with the public reader of `opentelemetry-configuration`. Upstream hands an instrumentor
nothing of a file that is disabled or whose options are wrong, so both are looked at here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from otel_incident.environment_variables import (
    OTEL_INCIDENT_ALLOWED_ATTRIBUTES,
    OTEL_INCIDENT_DIAGNOSTIC_ID,
    OTEL_INCIDENT_DISABLED_HOOKS,
    OTEL_INCIDENT_ENABLED,
    OTEL_INCIDENT_FORBIDDEN_ATTRIBUTES,
    OTEL_INCIDENT_GATE,
    OTEL_INCIDENT_HOOKS,
    OTEL_INCIDENT_ID_MODE,
    OTEL_INCIDENT_LICENSE_ID,
    OTEL_INCIDENT_SERVER_VERSION,
    OTEL_INCIDENT_SPAN_EVENTS,
    OTEL_INCIDENT_SPOOL,
    OTEL_INCIDENT_SPOOL_DIR,
    OTEL_INCIDENT_SPOOL_MAX_AGE,
    OTEL_INCIDENT_SPOOL_MAX_BYTES,
    OTEL_INCIDENT_SPOOL_SYNC,
    OTEL_INCIDENT_STATE_DIR,
)
from otel_incident.errors import ConfigurationError

REPLACED_BY_FILE: Final = ("OTEL_LOGS_EXPORTER", "OTEL_EXPORTER_OTLP_", "OTEL_BLRP_")
"""Variables by prefix that a file replaces: with one, the SDK does not read them."""

# `OTEL_CONFIG_FILE` options under `instrumentation/development: python: incident:`, and the
# variable whose rules hold for each.
_FILE_OPTIONS: Final[Mapping[str, str]] = {
    "enabled": OTEL_INCIDENT_ENABLED,
    "gate": OTEL_INCIDENT_GATE,
    "allowed_attributes": OTEL_INCIDENT_ALLOWED_ATTRIBUTES,
    "forbidden_attributes": OTEL_INCIDENT_FORBIDDEN_ATTRIBUTES,
    "hooks": OTEL_INCIDENT_HOOKS,
    "disabled_hooks": OTEL_INCIDENT_DISABLED_HOOKS,
    "id_mode": OTEL_INCIDENT_ID_MODE,
    "state_dir": OTEL_INCIDENT_STATE_DIR,
    "diagnostic_id": OTEL_INCIDENT_DIAGNOSTIC_ID,
    "license_id": OTEL_INCIDENT_LICENSE_ID,
    "server_version": OTEL_INCIDENT_SERVER_VERSION,
    "span_events": OTEL_INCIDENT_SPAN_EVENTS,
    "spool": OTEL_INCIDENT_SPOOL,
    "spool_dir": OTEL_INCIDENT_SPOOL_DIR,
    "spool_sync": OTEL_INCIDENT_SPOOL_SYNC,
    "spool_max_bytes": OTEL_INCIDENT_SPOOL_MAX_BYTES,
    "spool_max_age": OTEL_INCIDENT_SPOOL_MAX_AGE,
}
OPTION_OF: Final[Mapping[str, str]] = {variable: name for name, variable in _FILE_OPTIONS.items()}
"""The option of a file or a call that sets a variable."""
_OF_THE_GATE: Final = ("gate", "allowed_attributes", "forbidden_attributes", "hooks", "disabled_hooks")
_LISTS: Final = ("allowed_attributes", "forbidden_attributes", "disabled_hooks")
_ALSO: Final = {
    **dict.fromkeys(_LISTS, ", or as a list of them"),
    "hooks": ", or as a list of them",
    "id_mode": ", or as a table of modes by attribute",
}


def load_file(path: str) -> Any:
    """The parsed file (an `OpenTelemetryConfiguration`), None where no path is given.

    Raises:
        ConfigurationError: It cannot be read, or what reads it is not installed.
    """
    if not path:
        return None
    try:
        from opentelemetry.configuration import load_config_file  # noqa: PLC0415  optional, and slow to import

        return load_config_file(path)
    except ImportError:
        raise ConfigurationError(
            "OTEL_CONFIG_FILE is set, but opentelemetry-configuration is not installed: install it, "
            "or unset the variable. Incident telemetry stays off."
        ) from None
    except Exception as error:  # the reader of the file is not ours: whatever it raises, we stay off
        why = " ".join(str(error).split())  # a parser's message has several lines
        raise ConfigurationError(
            f"OTEL_CONFIG_FILE ({path}) cannot be read ({type(error).__name__}: {why}). "
            "Incident telemetry stays off."
        ) from error


def options_in(file: Any, path: str) -> dict[str, str]:
    """The options of this instrumentation in a file, as variables.

    Raises:
        ConfigurationError: One of them is not known or has the wrong type; the message names the file.
    """
    try:
        return as_variables(_block(file))
    except ConfigurationError as error:
        raise ConfigurationError(f"OTEL_CONFIG_FILE ({path}): {error}") from None


def for_gate_alone(file: Any, options: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
    """What options that cannot be used as a whole say of the gate, as variables; and what of it is not read.

    What has the wrong type decides for less to leave: a mode is one that nobody can read, of what goes the
    texts in a list count, and what may stay is nothing.
    """
    variables: dict[str, str] = {}
    unread: list[str] = []
    for said in (_block(file), options):
        for name in [each for each in _OF_THE_GATE if each in said]:
            value = said[name]
            try:
                variables |= as_variables({name: value})
            except ConfigurationError as error:
                unread.append(str(error))
                kinds = str | Path if name == "hooks" else str
                texts = [each for each in value if isinstance(each, kinds)] if isinstance(value, list) else []
                if name == "gate":
                    variables[_FILE_OPTIONS[name]] = str(value)
                elif name == "allowed_attributes":
                    variables[_FILE_OPTIONS[name]] = ""
                elif texts and name != "disabled_hooks":
                    variables |= as_variables({name: texts})
    return variables, unread


def _block(file: Any) -> Mapping[str, Any]:
    """What is said about this instrumentation in a file."""
    if file is None or file.instrumentation_development is None:
        return {}
    python = file.instrumentation_development.python or {}
    return python.get("incident") or {}


def with_lists(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a call with a list wherever several texts may be given, as a tuple, a set or any iterable.

    What can be read but once is read here: the options may be looked at again for what they say of the gate.
    """
    given = dict(options)
    for name in [each for each in ("hooks", *_LISTS) if each in given]:
        value = given[name]
        if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping):
            with suppress(Exception):  # an iterator of the host's: then the type is what is wrong
                given[name] = list(value)
    return given


def as_variables(options: Mapping[str, Any]) -> dict[str, str]:
    """Options of a file or a call, as the variables whose rules hold for them.

    Raises:
        ConfigurationError: An option is not known or is not of a type that a variable could have.
    """
    variables = {}
    for name, value in options.items():
        variable = _FILE_OPTIONS.get(name)
        if variable is None:
            raise ConfigurationError(
                f"The option {name!r} of the incident instrumentation is not known; known are "
                f"{', '.join(_FILE_OPTIONS)}. Correct or remove it. Incident telemetry stays off."
            )
        if value is False and name == "gate":  # how YAML reads `gate: off`
            variables[variable] = "off"
        elif isinstance(value, bool):
            variables[variable] = "true" if value else "false"
        elif (
            isinstance(value, list)
            and name == "hooks"
            and all(isinstance(item, str | Path) for item in value)
        ):
            variables[variable] = os.pathsep.join(str(item) for item in value)
        elif isinstance(value, list) and name in _LISTS and all(isinstance(item, str) for item in value):
            variables[variable] = ",".join(value)
        elif isinstance(value, dict) and name == "id_mode":
            variables[variable] = ",".join(
                f"{key}={mode}" if key else str(mode) for key, mode in value.items()
            )
        elif isinstance(value, str | int | Path):
            variables[variable] = str(value)
        elif value is not None:
            raise ConfigurationError(
                f"The option {name!r} of the incident instrumentation has the wrong type "
                f"({type(value).__name__}). Write it as a text, in quotes{_ALSO.get(name, '')}. "
                "Incident telemetry stays off."
            )
    return variables


def described_processors(file: Any) -> list[Any]:
    """The log record processors of a configuration file that have an exporter."""
    provider = file.logger_provider
    processors = provider.processors if provider is not None else []
    return [each for each in processors if each.batch is not None or each.simple is not None]
