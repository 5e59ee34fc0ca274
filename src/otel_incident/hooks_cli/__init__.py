"""The commands about hook files: what they would find in this environment, and what they let leave."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from otel_incident.config import Config

BAD_FILE: Final = 2
_FILES: Final = "default: those of OTEL_INCIDENT_HOOKS, and the presets whose host is installed"
_CHECK: Final = (
    "For each hook: whether what it would watch is there, whether something else refers to the same function "
    "and calls it past the hook (a route or a task that was registered before), and whether its paths can "
    "lead "
    "anywhere. It imports the modules that the hooks name, from this directory and this environment, so "
    "their "
    "code runs, as it does when the host starts; Django is set up by DJANGO_SETTINGS_MODULE, which models of "
    "Django need. With --no-import nothing of the host's runs: its source is read. Exit status: 0 if all is "
    "found, 1 if something is not or cannot be told, 2 if a file cannot be used."
)


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Give `otel-incident hooks` its commands."""
    commands = parser.add_subparsers(dest="hooks", required=True, metavar="COMMAND")
    checking = commands.add_parser(
        "check", help="what each hook would watch here (imports it)", description=_CHECK
    )
    checking.add_argument(
        "--no-import", action="store_true", help="run nothing of the host's: read its source"
    )
    checking.add_argument("--json", action="store_true", help="the same as JSON")
    explaining = commands.add_parser(
        "explain", help="in words: when which event leaves, with what of the host"
    )
    for each in (checking, explaining):
        each.add_argument("files", nargs="*", metavar="FILE", type=Path, help=_FILES)


def run(chosen: argparse.Namespace, config: Config, say: Callable[[str], None]) -> int:
    """Run one of the commands; returns the exit status.

    Args:
        chosen: What the parser made of the command line.
        config: This environment's.
        say: Prints.
    """
    from otel_incident.hooks.content import although  # noqa: PLC0415  the catalog needs none of this
    from otel_incident.hooks_cli.files import chosen_files  # noqa: PLC0415  the same

    files, refused = chosen_files(chosen.files, config)
    for error in refused:
        holds = although(error, gated=config.gated)
        sys.stderr.write(f"otel-incident: {error}. The file is not in force.{holds}\n")
    if not files and not refused:
        sys.stderr.write(
            "otel-incident: there is no hook file and no host with a preset: name a file, or set "
            "OTEL_INCIDENT_HOOKS.\n"
        )
        return BAD_FILE
    if chosen.hooks == "explain":
        from otel_incident.hooks_cli.explain import explanation  # noqa: PLC0415  the same

        say("\n\n".join(explanation(file, config) for file in files))
        return BAD_FILE if refused else 0
    from otel_incident.hooks_cli.check import as_data, as_text, check, of_file  # noqa: PLC0415  the same

    findings = check(files, importing=not chosen.no_import)
    say(json.dumps(as_data(files, findings, refused), indent=2) if chosen.json else as_text(files, findings))
    if refused:
        return BAD_FILE
    if any(of_file(each) for each in files):
        return 1
    return 0 if all(each.verdict == "found" for each in findings) else 1
