"""The commands about the policy: what it says, what it does to a payload, and the same for the collector."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otel_incident.config import GATES, Config
from otel_incident.errors import PayloadError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping

    from otel_incident.gate.rules import Mode
    from otel_incident.policy_cli.check import Checked, Taken

BAD_INPUT = 2


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Give `otel-incident policy` its commands."""
    commands = parser.add_subparsers(dest="policy", required=True, metavar="COMMAND")
    explaining = commands.add_parser("explain", help="what each mode of the gate does, and what is set here")
    explaining.add_argument("--json", action="store_true", help="the same as JSON")
    checking = commands.add_parser("check", help="would this leave, and what would be removed?")
    checking.add_argument(
        "payload", metavar="PAYLOAD.json", help="OTLP/JSON: a request, or one a line; - is standard input"
    )
    checking.add_argument(
        "--mode",
        choices=GATES,
        help="of the gate (default: this installation's); audit also says what strict would remove",
    )
    checking.add_argument("--json", action="store_true", help="the same as JSON")
    commands.add_parser("collector", help="the strict allowlist as a configuration of the collector")


def run(chosen: argparse.Namespace, variables: Mapping[str, str], say: Callable[[str], None]) -> int:
    """Run one of the commands; returns the exit status.

    Args:
        chosen: What the parser made of the command line.
        variables: Those of the environment.
        say: Prints.
    """
    config = _settings(variables)
    # each imports what it needs: `explain` needs no encoder, `collector` no SDK
    if chosen.policy == "collector":
        from otel_incident.policy_cli.collector import collector_config  # noqa: PLC0415  only for the command that needs it

        say(collector_config().rstrip("\n"))
        return 0
    from otel_incident.installation import why_there_is_no_gate, without_gate  # noqa: PLC0415  as above

    no_gate = why_there_is_no_gate(variables)
    if chosen.policy == "explain":
        from otel_incident.policy_cli import explain  # noqa: PLC0415  only for the command that needs it

        told = explain.explanation(config, no_gate)
        say(json.dumps(told, indent=2) if chosen.json else explain.text(told))
        return 0
    if no_gate and chosen.mode is None and config.gate != "off":
        sys.stderr.write(f"otel-incident: The gate: {without_gate(config.gate, no_gate)}.\n")
    return _check(chosen, config, say)


def _settings(variables: Mapping[str, str]) -> Config:
    """What is set; where the SDK is off, too, and with it all that would be read."""
    left = {name: value for name, value in variables.items() if name != "OTEL_SDK_DISABLED"}
    config = Config.from_env(left)
    for line in config.problems:
        sys.stderr.write(f"otel-incident: {line}\n")
    return replace(config, off=Config.from_env(variables).off)


def _check(chosen: argparse.Namespace, config: Config, say: Callable[[str], None]) -> int:
    from otel_incident.installation import rules_of  # noqa: PLC0415  only for the command that needs it
    from otel_incident.policy_cli.check import check  # noqa: PLC0415  only for the command that needs it
    from otel_incident.policy_cli.payload import requests_in  # noqa: PLC0415  only for the command that needs it

    source = "standard input" if chosen.payload == "-" else chosen.payload
    mode = chosen.mode or config.gate
    filtering: Mode = "strict" if mode == "strict" else "standard"  # audit removes what standard does
    audited: list[Taken] | None = None
    try:
        requests = list(requests_in(_read(chosen.payload), source))
        checked = check(requests, rules_of(config, filtering), source)
        if mode == "off":
            checked = checked._replace(taken=[])
        if mode == "audit":
            audited = check(requests, rules_of(config, "strict"), source).taken
    except PayloadError as error:
        sys.stderr.write(f"otel-incident: {error}\n")
        return BAD_INPUT
    if chosen.json:
        say(json.dumps(_as_data(mode, checked, audited), indent=2))
    else:
        say(_as_text(mode, source, checked, audited))
    return 1 if checked.taken else 0


def _read(payload: str) -> str:
    name = "standard input" if payload == "-" else payload
    try:
        raw = sys.stdin.buffer.read() if payload == "-" else Path(payload).read_bytes()
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise PayloadError(f"{name}: is not UTF-8; export it as OTLP/JSON.") from None
    except (OSError, ValueError) as error:  # ValueError: a path that no file can have
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise PayloadError(
            f"{name}: cannot be read ({reason}); check the path and its permissions."
        ) from None


def _as_data(mode: str, checked: Checked, audited: list[Taken] | None) -> dict[str, Any]:
    """The answer; of audit, `removed_in_strict` besides."""
    data = {
        "mode": mode,
        "records": checked.records,
        "removed": [taken._asdict() for taken in checked.taken],
    }
    if audited is not None:
        data["removed_in_strict"] = [taken._asdict() for taken in audited]
    return data


def _as_text(mode: str, source: str, checked: Checked, audited: list[Taken] | None) -> str:
    records = f"{checked.records} record{'' if checked.records == 1 else 's'}"
    lines = _listed(checked.taken)
    end = f"{source}, mode {mode}: {records}"
    end += (
        f"; {_removed(len(checked.taken))}, the rest would leave" if lines else ", nothing would be removed"
    )
    if audited:
        lines += [*([""] if lines else []), "What strict would remove:", *_listed(audited)]
        end += f"; in strict {_removed(len(audited))}"
    elif audited is not None:
        end += "; in strict nothing would be removed"
    return "\n".join([*lines, "", f"{end}."] if lines else [f"{end}."])


def _listed(found: list[Taken]) -> list[str]:
    lines: list[str] = []
    fields: dict[tuple[int, str], dict[str, list[str]]] = {}
    for taken in found:
        keys = fields.setdefault((taken.line, taken.place), {}).setdefault(taken.field, [])
        keys += [_printable(taken.key)] if taken.key else []
    for where, by_field in fields.items():
        lines.append(f"line {where[0]}: {where[1]}")
        lines += [
            f"    {field}" + (f": {', '.join(keys)}" if keys else "") for field, keys in by_field.items()
        ]
    return lines


def _removed(count: int) -> str:
    return f"{count} thing{'' if count == 1 else 's'} would be removed"


def _printable(key: str) -> str:
    """A key of somebody's payload as a terminal may see it."""
    return key if key.isprintable() else json.dumps(key)
