"""`otel-incident doctor`: the whole path of an event in one screen, and what to do where it ends.

It looks at what a process with this environment would find, and makes nothing. To tell whether the endpoint
takes events it connects and sends one request without a record in it, by the exporter that would send events.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping

_ABOUT = (
    "Looks at the whole path of an event, as a process with this environment would find it: run it as the "
    "user and with the variables of the host. Each line is ok, a warning, or a failure, which says what to "
    "do. Connects to the endpoint, and sends it one request without a record by the exporter that would "
    "send events: with its headers, certificates and proxy. The answer is waited for as long as the exporter "
    "would. Exit status: 0 if there is no failure, else 1."
)


def add_arguments(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Give `otel-incident` the command.

    Args:
        commands: Those that there are.
    """
    parser = commands.add_parser(
        "doctor", help="why nothing arrives: the whole path in one screen", description=_ABOUT
    )
    parser.add_argument("--offline", action="store_true", help="connect to nothing")
    parser.add_argument("--json", action="store_true", help="the same as JSON")


def run(chosen: argparse.Namespace, variables: Mapping[str, str], say: Callable[[str], None]) -> int:
    """Look, and say what was found; returns the exit status.

    Args:
        chosen: What the parser made of the command line.
        variables: The environment.
        say: Prints.
    """
    from otel_incident.doctor.examination import examine  # noqa: PLC0415  the catalog needs neither SDK nor exporters
    from otel_incident.doctor.findings import worst  # noqa: PLC0415  the same

    findings = examine(variables, offline=chosen.offline)
    if chosen.json:
        told = {"level": worst(findings), "findings": [each._asdict() for each in findings]}
        say(json.dumps(told, indent=2))
    else:
        say("\n".join(each.line for each in findings))
    return 1 if worst(findings) == "failure" else 0
