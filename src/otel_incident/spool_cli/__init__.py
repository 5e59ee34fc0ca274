"""The commands about the spool: what waits on disk, what exactly it is, and how to have it delivered."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_incident.config import Config


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Give `otel-incident spool` its commands."""
    commands = parser.add_subparsers(dest="spool", required=True, metavar="COMMAND")
    telling = commands.add_parser("status", help="what waits, since when, for whom, and what was set aside")
    telling.add_argument("--json", action="store_true", help="the same as JSON")
    showing = commands.add_parser("show", help="the exact payload that waits")
    showing.add_argument(
        "folder", nargs="?", metavar="FOLDER", help="a name or a path (default: this environment's)"
    )
    showing.add_argument("--raw", action="store_true", help="as it is: a line of OTLP JSON for each record")
    showing.add_argument("--quarantine", action="store_true", help="what was set aside instead")
    draining = commands.add_parser("drain", help="deliver now")
    draining.add_argument(
        "--timeout", type=_seconds, metavar="SECONDS", help="end then (default: 30 s after the last progress)"
    )
    back = commands.add_parser("requeue", help="send again what was set aside")
    back.add_argument("--reason", default="", help="only what was set aside for this, as status says it")
    for each in (telling, draining, back):
        each.add_argument("folders", nargs="*", metavar="FOLDER", help="names or paths (default: all)")


def run(chosen: argparse.Namespace, config: Config, say: Callable[[str], None]) -> int:
    """Run one of the commands; returns the exit status: 0 done, 1 not done, 2 not understood.

    Args:
        chosen: What the parser made of the command line.
        config: This environment's.
        say: Prints.
    """
    from otel_incident.spool_cli import commands  # noqa: PLC0415  the catalog needs no SDK

    return commands.run(chosen, config, say)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError("must be a number of seconds above 0")
    return seconds
