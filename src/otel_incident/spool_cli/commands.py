"""Runs the commands about the spool; what they do is in the modules that they are named after."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING, Any, Final

from otel_incident.config import spooling_if_on
from otel_incident.errors import SpoolCommandError
from otel_incident.spool_cli.drain import drain
from otel_incident.spool_cli.folders import Environment, choose, find
from otel_incident.spool_cli.matching import destinations_of, refusal
from otel_incident.spool_cli.requeue import requeue
from otel_incident.spool_cli.show import default, show
from otel_incident.spool_cli.status import status, text
from otel_incident.spool_cli.words import printable, records

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from otel_incident.config import Config
    from otel_incident.spool_cli.folders import Folder

DONE: Final = 0
NOT_DONE: Final = 1
USAGE: Final = 2


def run(chosen: argparse.Namespace, config: Config, say: Callable[[str], None]) -> int:
    """Run one of the commands; returns the exit status.

    Args:
        chosen: What the parser made of the command line.
        config: This environment's.
        say: Prints.
    """
    environment = Environment.of(config, spooling_if_on())
    found, problems = find(environment)
    for line in problems:
        _complain(line)
    try:
        named = getattr(chosen, "folders", None)
        folders = choose(named, environment, found) if named else found
        if chosen.spool == "status":
            done = _status(chosen, status(environment, folders, problems), say)
        elif chosen.spool == "show":
            done = _show(chosen, environment, found)
        elif chosen.spool == "requeue":
            done = _requeue(chosen, environment, folders, say)
        else:
            done = drain(environment, folders, chosen.timeout, say, _complain)
    except SpoolCommandError as error:
        _complain(str(error))
        return USAGE
    return DONE if done and not problems else NOT_DONE


def _status(chosen: argparse.Namespace, told: dict[str, Any], say: Callable[[str], None]) -> bool:
    say(json.dumps(told, indent=2) if chosen.json else text(told))
    return not any(folder["not_readable"] for folder in told["folders"])


def _show(chosen: argparse.Namespace, environment: Environment, found: Sequence[Folder]) -> bool:
    folders = choose([chosen.folder], environment, found) if chosen.folder else [default(environment, found)]
    done = True
    for folder in folders:
        if folder.unreadable:
            _complain(_not_readable(folder, "show"))
            done = False
            continue
        try:
            show(folder, raw=chosen.raw, quarantine=chosen.quarantine)
        except BrokenPipeError:
            raise
        except OSError as error:
            _complain(f"{folder.shown} cannot be read ({_why(error)}).")
            done = False
    return done


def _requeue(
    chosen: argparse.Namespace,
    environment: Environment,
    folders: Sequence[Folder],
    say: Callable[[str], None],
) -> bool:
    done = True
    if not folders:
        say("Nothing is set aside.")
    elif chosen.reason:
        _known(chosen.reason, folders)
    for folder in folders:
        if not folder.is_own or folder.unreadable:
            _complain(_not_readable(folder, "requeue"))
            done = False
            continue
        try:
            count = requeue(folder, chosen.reason, durable=environment.spooling.sync)
            left = sum(sum(folder.quarantine(name).counts().values()) for name in folder.targets)
        except OSError as error:
            _complain(
                f"{folder.shown}: not all that was set aside could be put back ({_why(error)}); what was "
                "not is still set aside. Mend that and run this again."
            )
            done = False
            continue
        rest = f"; {records(left)} {'stays' if left == 1 else 'stay'} set aside" if left else ""
        say(f"{folder.shown}: {records(count)} put back into the queue{rest}.")
        if count and not environment.off and not destinations_of(folder, environment):
            _complain(refusal(folder))  # done as asked, and no use yet
    return done


def _known(reason: str, folders: Sequence[Folder]) -> None:
    """Whether anything is set aside for a reason in folders that can be read, if anything is at all.

    Raises:
        SpoolCommandError: Nothing is; the line says for which reasons something is.
    """
    readable = [folder for folder in folders if folder.is_own and not folder.unreadable]
    reasons: set[str] = set()
    for folder in readable:
        with contextlib.suppress(OSError):  # which is said when it is put back
            reasons.update(*(folder.quarantine(name).counts() for name in folder.targets))
    if reasons and reason not in reasons:
        there = ", ".join(map(printable, sorted(reasons)))
        raise SpoolCommandError(
            f"nothing is set aside for the reason {printable(reason)}: name one of those for which something "
            f"is, {there}."
        )


def _not_readable(folder: Folder, command: str) -> str:
    if folder.is_own:
        return f"{folder.shown} cannot be read ({folder.unreadable})."
    return folder.of_other(command)


def _why(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else type(error).__name__


def _complain(line: str) -> None:
    sys.stderr.write(f"otel-incident: {line}\n")
    sys.stderr.flush()
