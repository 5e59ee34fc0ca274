"""What is set up here: the settings, the hook files and presets, the gate, and the identity."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_incident.config import SDK_DISABLED
from otel_incident.doctor.findings import failure, ok, warning
from otel_incident.gate.rules import GateRules
from otel_incident.gate.wrapping import Wrapping
from otel_incident.hooks.file_complaints import about_hooks
from otel_incident.hooks.shipped import unknown
from otel_incident.hooks_cli.files import chosen_files
from otel_incident.identity import ID_TO_COME, Identity
from otel_incident.installation import without_gate
from otel_incident.state import ephemeral_mount, places_of

if TYPE_CHECKING:
    from otel_incident.config import Config
    from otel_incident.doctor.findings import Finding
    from otel_incident.errors import HookFileError
    from otel_incident.hooks.definitions import HookFile

_MOUNTINFO: Final = Path("/proc/self/mountinfo")
_TO_CHECK: Final = "`otel-incident hooks check` says whether the host has what is named"
_GATES: Final = {
    "standard": "takes what hosts call their content out of the host's own signals, and nothing else",
    "strict": "takes whatever is not known to be free of content out of the host's own signals",
    "audit": "does what standard does, and counts what strict would take out",
}


def settings(config: Config) -> list[Finding]:
    """What is set and cannot be used."""
    return [warning("settings", each.removesuffix("."), "correct it") for each in config.problems]


def hooks(config: Config, no_gate: str = "") -> list[Finding]:
    """Which hook files and presets would be in force.

    Args:
        config: The settings.
        no_gate: What keeps the gate out of the host; "" where nothing does.
    """
    gated = config.gated and not no_gate
    live, refused = chosen_files((), config)
    found = [warning("hooks", line, "correct or remove it") for line in unknown(config.disabled_hooks)]
    found += [
        failure("hooks", f"{error}; the file is not in force{_although(error, gated=gated)}", "correct it")
        for error in refused
    ]
    found += [_read(file, gated=gated) for file in live]
    if live:
        return found
    if not refused:
        found.append(
            warning(
                "hooks",
                "there is no hook file and no host with a preset: only what the host's own code reports "
                "becomes an event",
                "name one in OTEL_INCIDENT_HOOKS",
            )
        )
    return found


def distribution(config: Config) -> str:
    """The distribution of the first host that a hook file or a preset names; "" where none does."""
    files, _ = chosen_files((), config)
    # a client library that a preset is about is not the host
    hosts = (file for file in files if not (file.preset and file.clients))
    return next((file.distribution for file in hosts if file.distribution), "")


def gate(config: Config, off: str = "") -> list[Finding]:
    """What of the host's own signals is taken out, and whether that can be done with this SDK.

    Args:
        config: The settings.
        off: What keeps the gate out of the host; "" where nothing does.
    """
    if off or config.gate == "off":
        text = without_gate(config.gate, off)
        if config.gate == "strict" and off != SDK_DISABLED:
            return [failure("gate", text, "see the switch named there")]
        return [warning("gate", text)]
    try:
        rules = GateRules(
            config.gate, allowed=config.allowed_attributes, forbidden=config.forbidden_attributes
        )
        wrapping = Wrapping(rules)
        wrapping.install()
        missing, changed = [*wrapping.ungated], wrapping.changed()
        wrapping.undo()
    except Exception as error:  # noqa: BLE001  whatever it is, the host's process will meet it too
        missing, changed = [type(error).__name__], []
    if missing:
        return [
            failure(
                "gate",
                f"{config.gate} cannot be put in place with this SDK ({'; '.join(missing)})",
                "install another release of opentelemetry-sdk",
            )
        ]
    found = [ok("gate", f"{config.gate}: {_GATES[config.gate]}")]
    if changed:  # by what starts with every Python here, such as a vendor's agent
        found.append(
            warning(
                "gate",
                f"{config.gate} does not cover what somebody has put into the SDK's {', '.join(changed)}",
            )
        )
    return found


def identity(config: Config, mountinfo: Path = _MOUNTINFO) -> list[Finding]:
    """Whether the installation has an identity that lasts.

    Args:
        config: The settings.
        mountinfo: Where the kernel lists the mounts.
    """
    directory = config.state_dir
    if directory is None:
        return [
            warning(
                "identity",
                "there is no home directory to keep the diagnostic id in: it is another one at each start",
                "set OTEL_INCIDENT_STATE_DIR to a writable directory",
            )
        ]
    kept = Identity(config, makes=False).diagnostic_id()
    found = [*_unusable(directory), *_ephemeral(directory, mountinfo)]
    if kept != ID_TO_COME:
        return [ok("identity", f"diagnostic id {kept}, kept in {directory}"), *found]
    if found:
        return found
    return [ok("identity", f"the diagnostic id is made at the first event, in {directory}")]


def _unusable(directory: Path) -> list[Finding]:
    """Why the state directory cannot be used; nothing is made to find out."""
    there = next((each for each in (directory, *directory.parents) if each.exists()), directory)
    to_do = "set OTEL_INCIDENT_STATE_DIR to a directory that is writable for the host's user"
    if not there.is_dir():
        return [failure("identity", f"the state directory {directory} cannot be: {there} is a file", to_do)]
    if not os.access(there, os.W_OK | os.X_OK):
        return [
            failure(
                "identity", f"the state directory {directory} cannot be used: {there} is not writable", to_do
            )
        ]
    kept = next((each for each in places_of(directory) if (each / "diagnostic-id").exists()), None)
    if kept is not None and kept.stat().st_uid != os.geteuid():
        return [
            warning(
                "identity",
                f"the state directory {directory} is another user's",
                "run this as the user of the host, or what it says holds for you alone",
            )
        ]
    return []


def _ephemeral(directory: Path, mountinfo: Path) -> list[Finding]:
    try:
        text = mountinfo.read_text("utf-8", "surrogateescape")  # mount points are bytes to the kernel
    except OSError:  # not a Linux kernel: nothing is known, so nothing is said
        return []
    kind = ephemeral_mount(directory.resolve(), text)
    if not kind:
        return []
    return [
        warning(
            "identity",
            f"{directory} is on {kind} and ends with its container or machine: so do the identity, and the "
            "events that wait there",
            "mount a volume there, or set OTEL_INCIDENT_STATE_DIR",
        )
    ]


def _read(file: HookFile, *, gated: bool) -> Finding:
    called = _called(file)
    if about_hooks(file):
        return warning("hooks", f"{called} has no hook: nothing of {file.host} is reported", "add one")
    if not file.hooks and not gated:
        return warning("hooks", f"{called}: no hook; it names content of {file.host}, and there is no gate")
    if not file.hooks:
        return ok("hooks", f"{called}: no hook; it names content of {file.host} for the gate")
    return ok("hooks", f"{called}: {_count(len(file.hooks), 'hook')} read for {file.host}; {_TO_CHECK}")


def _although(error: HookFileError, *, gated: bool) -> str:
    return ", but what it names as content is" if gated and error.content else ""


def _called(file: HookFile) -> str:
    return f"preset {file.source}" if file.preset else file.source


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
