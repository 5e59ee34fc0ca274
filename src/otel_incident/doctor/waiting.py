"""What waits on disk: as `otel-incident spool status` finds it, in a line for each that is worth one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_incident.doctor.findings import ok, warning
from otel_incident.spool_cli.folders import Environment, find
from otel_incident.spool_cli.status import status
from otel_incident.spool_cli.words import records, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_incident.config import Config
    from otel_incident.config_spool import Spooling
    from otel_incident.doctor.findings import Finding


def look(config: Config, spooling: Spooling) -> list[Finding]:
    """What waits here, for this environment's endpoints and for others.

    Args:
        config: The settings.
        spooling: Those of the spool as if it were on: what was left is there still.
    """
    environment = Environment.of(config, spooling)
    folders, problems = find(environment)
    found = [*_switched_off(config), *(warning("waiting", each.removesuffix(".")) for each in problems)]
    for folder in status(environment, folders)["folders"]:
        found += _of_folder(folder)
    return found or [ok("waiting", "nothing")]


def _switched_off(config: Config) -> Iterator[Finding]:
    if not config.spooling.on:
        yield warning(
            "waiting",
            "the spool is off: what is not delivered when a process ends is lost",
            "unset OTEL_INCIDENT_SPOOL",
        )
    elif config.spooling.directory is None:
        yield warning(
            "waiting",
            "there is no home directory to keep events in: what is not delivered when a process ends is lost",
            "set OTEL_INCIDENT_SPOOL_DIR to a writable directory",
        )


def _of_folder(folder: dict[str, Any]) -> Iterator[Finding]:
    name = folder["name"]
    if folder["not_readable"]:
        yield warning("waiting", f"{name} cannot be read: {folder['not_readable'].removesuffix('.')}")
        return
    for exporter in folder["exporters"].values():
        to = exporter["endpoint"] or "an endpoint that is not known"
        waits, aside = exporter["waiting"], sum(exporter["quarantined"].values())
        if waits["bytes"]:
            verb = "waits" if waits["records"] == 1 else "wait"
            text = (
                f"{records(waits['records'])} ({size(waits['bytes'])}) {verb} since {waits['since']} for {to}"
            )
            yield _waits(text, folder, exporter)
        if aside:
            reasons = ", ".join(exporter["quarantined"])
            yield warning(
                "waiting",
                f"{records(aside)} for {to} set aside, since they were refused ({reasons})",
                f"see them: otel-incident spool show --quarantine {name}; send them again: otel-incident "
                "spool "
                f"requeue {name}",
            )


def _waits(text: str, folder: dict[str, Any], exporter: dict[str, Any]) -> Finding:
    if exporter["lease_problem"]:
        return warning("waiting", f"{text}; no process can deliver", exporter["lease_problem"])
    if exporter["delivered_by_a_process"]:
        return ok("waiting", f"{text}; a running process delivers")
    if folder["of_this_environment"]:
        return warning(
            "waiting", f"{text}; no running process delivers", "start the host, or: otel-incident spool drain"
        )
    return warning(
        "waiting",
        f"{text}, which is not where this environment sends: it does not leave to another",
        f"with the variables of the service {folder['service'] or 'that wrote it'}: otel-incident spool "
        "drain "
        f"{folder['name']}",
    )
