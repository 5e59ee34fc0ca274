"""`otel-incident spool status`: what waits, since when, for whom, and what was set aside and why.

It reads what the processes read and changes nothing, so it can be asked while they run.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from otel_incident.spool.lease import is_held
from otel_incident.spool.waiting import Waiting, count_records, waiting
from otel_incident.spool_cli.matching import destinations_of
from otel_incident.spool_cli.words import iso, printable, records, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_incident.spool_cli.folders import Environment, Folder


def status(
    environment: Environment, folders: Sequence[Folder], problems: Sequence[str] = ()
) -> dict[str, Any]:
    """How it stands, as plain data.

    Args:
        environment: That of the one who asks.
        folders: What was found.
        problems: A line for each place that cannot be looked into.
    """
    own = environment.folder
    return {
        "off": environment.off,
        "directories": [str(place) for place in environment.places],
        "problems": [*problems],
        "environment": {
            "service": environment.service,
            "folder": own,
            "exporters": {
                each.name: {"exporter": each.kind, "endpoint": each.shown}
                for each in environment.destinations
            },
        },
        "folders": [_folder(folder, environment, this=folder.name == own) for folder in folders],
    }


def text(told: dict[str, Any]) -> str:
    """A status for a person to read."""
    return "\n".join(_lines(told))


def _folder(folder: Folder, environment: Environment, *, this: bool) -> dict[str, Any]:
    return {
        "name": folder.name,
        "path": str(folder.path),
        "of_this_environment": this,
        "for_these_endpoints": bool(destinations_of(folder, environment)),
        "service": folder.service,
        "not_readable": folder.of_other("status")
        if folder.unreadable and not folder.is_own
        else folder.unreadable,
        "exporters": {name: _exporter(folder, name) for name in folder.targets},
    }


def _exporter(folder: Folder, name: str) -> dict[str, Any]:
    target = folder.targets[name]
    cursor = folder.cursor(name)
    found, count, aside = Waiting(), 0, {}
    with contextlib.suppress(OSError):  # the folder is gone
        found = waiting(folder.segments, cursor)
        count = count_records(folder.segments, cursor)
    with contextlib.suppress(OSError):
        aside = folder.quarantine(name).counts()
    return {
        "exporter": None if target is None else target.exporter,
        "endpoint": None if target is None else target.endpoint,
        "waiting": {
            "records": count,
            "bytes": found.bytes,
            "since": iso(found.since) if found.since else None,
        },
        "quarantined": aside,
        "delivered_by_a_process": is_held(folder.lease(name)),
        "lease_problem": folder.lease_problem(name),
    }


def _lines(told: dict[str, Any]) -> Iterator[str]:
    if told["off"]:
        yield _sentence(told["off"])
    if not told["directories"]:
        yield "There is no home directory to keep events in: set OTEL_INCIDENT_SPOOL_DIR."
        return
    where = printable(told["directories"][0])
    if told["problems"]:
        yield f"The spool is {where}, and cannot be read."
        return
    if not told["folders"]:
        yield f"There is no spool in {where}: no event has been kept there yet."
        return
    yield f"The spool is {where}."
    here = told["environment"]
    if here["folder"] and not any(each["of_this_environment"] for each in told["folders"]):
        yield (
            f"None of its folders is the one of this environment, {printable(here['folder'])} (service "
            f"{printable(here['service'])}): see OTEL_SERVICE_NAME, OTEL_LOGS_EXPORTER and "
            "OTEL_EXPORTER_OTLP_*."
        )
    for each in told["folders"]:
        yield from ("", *_of_folder(each, elsewhere=bool(here["exporters"])))


def _of_folder(folder: dict[str, Any], *, elsewhere: bool) -> Iterator[str]:
    """The lines of one; `elsewhere`: whether this environment sends anywhere, perhaps to others."""
    yield printable(folder["name"]) + (" (of this environment)" if folder["of_this_environment"] else "")
    if folder["not_readable"]:
        yield f"  cannot be read: {folder['not_readable']}"
        return
    service = folder["service"]
    yield f"  service: {'not known' if service is None else printable(service)}"
    for name, exporter in folder["exporters"].items():
        endpoint = exporter["endpoint"]
        to = (
            "an endpoint that is not known" if endpoint is None else printable(endpoint) or "its own endpoint"
        )
        yield f"  {printable(name)}, to {to}"
        yield f"    {_waiting(exporter)}"
        yield from (f"    {line}" for line in _aside(exporter["quarantined"]))
    kept = any(each["waiting"]["bytes"] or each["quarantined"] for each in folder["exporters"].values())
    if kept and elsewhere and not folder["for_these_endpoints"]:
        yield (
            "  its endpoints are not this environment's: with its host's variables, `otel-incident spool "
            "drain` delivers it"
        )


def _waiting(exporter: dict[str, Any]) -> str:
    held = exporter["delivered_by_a_process"]
    by = "a running process delivers" if held else "no running process delivers"
    if exporter["lease_problem"]:
        by = f"no process can deliver, since {exporter['lease_problem']}"
    waits = exporter["waiting"]
    if not waits["bytes"]:
        return f"nothing waits; {by}"
    verb = "waits" if waits["records"] == 1 else "wait"
    return f"{records(waits['records'])} ({size(waits['bytes'])}) {verb} since {waits['since']}; {by}"


def _aside(quarantined: dict[str, int]) -> Iterator[str]:
    if quarantined:
        total = sum(quarantined.values())
        reasons = ", ".join(f"{count:,} {printable(reason)}" for reason, count in quarantined.items())
        yield f"{records(total)} set aside: {reasons}"


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."
