"""The error tree: what this package raises, and where it may be seen.

    IncidentTelemetryError
    ├── ConfigurationError      a setting that cannot be used; reported as one line, never raised into a host
    ├── HookFileError           a hook file that is refused; names the file, the hook, the key and the reason
    ├── PayloadError            `policy check` cannot read what it was given
    ├── SpoolCommandError       `otel-incident spool` was given something that it cannot use
    ├── StateDirectoryError     the state directory cannot be read or written; identity goes on in memory
    └── PolicyViolation         raised by `otel_incident.testing` alone, where production drops and counts

Messages name what, where and what to do. They never quote a value that came from a host's data:
settings and hook files are written by the operator and may be quoted, incidents may not.
"""

from __future__ import annotations


class IncidentTelemetryError(Exception):
    """The root of every error of this package."""


class ConfigurationError(IncidentTelemetryError):
    """A setting cannot be used: the message names the variable, the reason and what holds instead."""


class HookFileError(IncidentTelemetryError):
    """A hook file is refused as a whole, so that it is never half in force.

    Args:
        file: The path or preset name of the file.
        hook: The `name` of the hook, or "" when the error is not inside one.
        key: The dotted key at fault, or "" for the file as a whole.
        reason: One sentence: what is wrong and what is expected.
        content: What the file names as content, which a gate takes out all the same.
    """

    def __init__(self, file: str, hook: str, key: str, reason: str, content: tuple[str, ...] = ()) -> None:
        where = file
        if hook:
            where += f", hook {hook!r}"
        if key:
            where += f", key {key!r}"
        super().__init__(f"{where}: {reason}")
        self.file = file
        self.hook = hook
        self.key = key
        self.reason = reason
        self.content = content


class PayloadError(IncidentTelemetryError):
    """A payload cannot be read: the message names the file, the line, the field and what to do, no value."""


class SpoolCommandError(IncidentTelemetryError):
    """A command about the spool was given what it cannot use: the message names it, and what to do."""


class StateDirectoryError(IncidentTelemetryError):
    """The state directory cannot hold the installation's identity: the message names the path and why."""


class PolicyViolation(IncidentTelemetryError):  # noqa: N818  a violation is what the policy calls it
    """A value broke its rule under `otel_incident.testing`; it names attribute, reason and rule, no value."""
