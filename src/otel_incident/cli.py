"""`otel-incident`: see what can leave and what would, before it does. Only `spool drain` sends."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from typing import TYPE_CHECKING, Any, Final

from otel_incident import doctor, hooks_cli, policy_cli, spool_cli
from otel_incident.config import UNREADABLE, Config, variables_of_process
from otel_incident.version import __version__
from otel_incident.vocabulary import (
    ATTRIBUTES,
    EVENTS,
    METRICS,
    RESOURCE,
    SCHEMA_URL,
    SCOPE_NAME,
    SERVICE_VERSION,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from otel_incident.vocabulary import Requirement

_BY_OPERATOR: Final = {
    "service.name": "OTEL_SERVICE_NAME, or the configuration file; unknown_service:<program> without",
    SERVICE_VERSION: "OTEL_RESOURCE_ATTRIBUTES, or the configuration file; filled in by us without",
    "<any other>": "OTEL_RESOURCE_ATTRIBUTES, or the configuration file: passed on as the operator wrote it, "
    "unless it begins with incident. or otel_incident.",
}
_BY_SDK: Final = {
    "telemetry.sdk.language": "python",
    "telemetry.sdk.name": "opentelemetry",
    "telemetry.sdk.version": "the version of the OpenTelemetry SDK",
}
_FIELDS: Final = {
    "timestamp": "when it happened",
    "observed_timestamp": "when it was queued",
    "event_name": "the event's name",
    "severity_number, severity_text": "INFO",
    "trace_id, span_id, trace_flags": "of the host's trace in which the change was made, if there was one",
    "scope": f"{SCOPE_NAME}, the version of this package, the schema URL {SCHEMA_URL}",
}
_NOT_OURS: Final = (
    "An emitter that was given a logger provider hands its events to that: the resource is then the "
    "provider's, and what its processors add is theirs. Metrics go out with the host's own. The endpoint "
    "also sees the address that sends, the exporter's User-Agent, and what headers the operator sets."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status.

    Args:
        arguments: By default the process's own.
    """
    parser = argparse.ArgumentParser(prog="otel-incident", description=__doc__)
    parser.add_argument("--version", action="version", version=f"otel-incident {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    listing = commands.add_parser("catalog", help="everything that an event can hold, who sets it, and why")
    listing.add_argument("--json", action="store_true", help="the same as JSON")
    commands.add_parser("preview", help="one event of each kind, exactly as it would leave from here")
    policy_cli.add_commands(commands.add_parser("policy", help="what the gate does, here and to a payload"))
    spool_cli.add_commands(commands.add_parser("spool", help="what waits on disk, and its delivery"))
    hooks_cli.add_commands(commands.add_parser("hooks", help="what hook files find here, and let leave"))
    doctor.add_arguments(commands)
    chosen = parser.parse_args(arguments)
    logging.basicConfig(format="otel-incident: %(message)s", stream=sys.stderr, level=logging.WARNING)
    try:
        if chosen.command == "policy":
            return policy_cli.run(chosen, variables_of_process(), _say)
        if chosen.command == "spool":
            return spool_cli.run(chosen, _config(), _say)
        if chosen.command == "hooks":
            return hooks_cli.run(chosen, _config(), _say)
        if chosen.command == "doctor":
            return doctor.run(chosen, variables_of_process(), _say)
        if chosen.command == "catalog":
            _say(json.dumps(catalog(), indent=2) if chosen.json else catalog_text())
        else:
            _preview()
    except BrokenPipeError:  # the reader (`| head`) has seen enough
        sys.stderr.close()
    return 0


def catalog() -> dict[str, Any]:
    """What an event and its metrics can hold, and who says it, as plain data."""
    return {
        "schema_url": SCHEMA_URL,
        "scope": SCOPE_NAME,
        "events": [
            {
                "name": event.name,
                "brief": event.brief,
                "seed_name": event.seed_name,
                "attributes": _described(event.attributes),
            }
            for event in EVENTS.values()
        ],
        "fields": _FIELDS,
        "resource": _described(RESOURCE),
        "resource_by_operator": _BY_OPERATOR,
        "resource_by_sdk": _BY_SDK,
        "not_ours": _NOT_OURS,
        "metrics": [
            {
                "name": metric.name,
                "instrument": metric.instrument,
                "unit": metric.unit,
                "brief": metric.brief,
                "why": metric.why,
                "attributes": _described(metric.attributes),
            }
            for metric in METRICS.values()
        ],
    }


def catalog_text() -> str:
    """What an event and its metrics can hold, and who says it, for a person to read."""
    lines = [
        "Everything that an event of otel-incident and its metrics can hold. Of our own, what is not here",
        "cannot leave; what the operator and the OpenTelemetry SDK set is named as theirs.",
        "",
    ]
    for title, levels in (
        *((f"Event {event.name}: {event.brief}", event.attributes) for event in EVENTS.values()),
        ("Resource (who is speaking)", RESOURCE),
        *((f"Metric {metric.name} ({metric.instrument}, {metric.unit}): {metric.brief}", metric.attributes)
          for metric in METRICS.values()),
    ):  # fmt: skip
        lines += [title, *(f"  {name}  ({level})" for name, level in levels.items()), ""]
    for title, sources in (
        ("Resource, set by the operator", _BY_OPERATOR),
        ("Resource, set by the SDK", _BY_SDK),
        ("Fields of every event", _FIELDS),
    ):
        lines += [title, *(f"  {name}: {source}" for name, source in sources.items()), ""]
    lines += ["Beside that", f"  {_NOT_OURS}", "", "Attributes"]
    for attribute in ATTRIBUTES.values():
        seed = f"; seed: {attribute.seed_name}" if attribute.seed_name else ""
        lines += [
            f"  {attribute.name}: {attribute.type}, {attribute.rule}{seed}; whom: {attribute.identifies}",
            f"      {attribute.brief} {attribute.why}",
        ]
        if attribute.members:
            lines.append(f"      One of: {', '.join(attribute.members)}.")
    return "\n".join(lines)


def _described(levels: Mapping[str, Requirement]) -> list[dict[str, Any]]:
    described = []
    for name, level in levels.items():
        attribute = ATTRIBUTES[name]
        entry: dict[str, Any] = {**attribute._asdict(), "requirement": level}
        entry["members"] = list(attribute.members)
        described.append(entry)
    return described


def _config() -> Config:
    config = Config.from_env()
    _complain(config.problems)
    return config


def _preview() -> None:
    from otel_incident.preview import notes, text  # noqa: PLC0415  the catalog needs neither SDK nor exporters

    config = Config.from_env()
    off = [f"telemetry is off ({config.off}); switched on, this would leave:"] if config.off else []
    if off and config.off != UNREADABLE:
        config = Config.from_env(as_if_on=True)
    _complain((*config.problems, *off, *notes(config)))
    _say(text(config))


def _complain(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stderr.write(f"otel-incident: {line}\n")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
