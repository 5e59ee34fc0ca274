"""Whether what waits in a folder may be sent from here: nothing meant for one endpoint leaves to another.

A folder's name ends in a hash of its service and of the endpoints that its events were meant for, with the
query that a description leaves out since there may be a secret in it. So the hash decides.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from otel_incident.config_exporters import GRPC
from otel_incident.destinations import folder_of, named
from otel_incident.spool_cli.words import printable

if TYPE_CHECKING:
    from otel_incident.destinations import Destination
    from otel_incident.spool_cli.folders import Environment, Folder


def destinations_of(folder: Folder, environment: Environment) -> list[Destination]:
    """The destinations of this environment that a folder's events were meant for; none if it is not them.

    Args:
        folder: Which one.
        environment: That of the one who asks.
    """
    service = environment.service if folder.service is None else folder.service
    every = environment.destinations
    for count in range(1, len(every) + 1):
        for some in itertools.combinations(every, count):
            found = named(some)
            if folder_of(service, found) == folder.name and _as_described(folder, found):
                return found
    return []


def refusal(folder: Folder) -> str:
    """The line for a folder whose events were meant for others than this environment's destinations."""
    targets = {name: target for name, target in folder.targets.items() if target is not None}
    if not targets:
        return (
            f"{folder.shown} does not say where its events go, so none are sent: run this with the "
            "variables of the host that has written them."
        )
    where = "; ".join(
        f"{printable(target.exporter)} at {printable(target.endpoint) or 'its own endpoint'}"
        for target in targets.values()
    )
    return (
        f"{folder.shown} waits for other endpoints than this environment's, so nothing is sent: set "
        f"OTEL_LOGS_EXPORTER, OTEL_EXPORTER_OTLP_PROTOCOL and OTEL_EXPORTER_OTLP_ENDPOINT as its host has "
        f"them ({where})."
    )


def _as_described(folder: Folder, found: list[Destination]) -> bool:
    told = {name: _place(*target) for name, target in folder.targets.items() if target is not None}
    return not told or told == {each.name: _place(each.kind, each.shown) for each in found}


def _place(exporter: str, endpoint: str) -> tuple[str, str]:
    """An endpoint whichever way it is written; TLS or not, and a path's case, the hash tells apart."""
    bare = endpoint.rpartition("://")[2] if exporter == GRPC else endpoint
    return exporter, bare.lower()
