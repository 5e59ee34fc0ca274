"""The one reader of the environment and of `OTEL_CONFIG_FILE`.

Everything that can be set is read here, once, into a frozen `Config`; nothing else in the package
looks at the environment. A value that cannot be used never stops the host: it becomes one line in
`Config.problems` and the default holds, except where the safe answer is another one: a gate that
cannot be read is `strict`, a switch that cannot be read is off.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, final

from otel_incident.config_file import (
    OPTION_OF,
    REPLACED_BY_FILE,
    as_variables,
    described_processors,
    gate_alone,
    load_file,
    options_in,
)
from otel_incident.environment_variables import (
    OTEL_INCIDENT_ALLOWED_ATTRIBUTES,
    OTEL_INCIDENT_DIAGNOSTIC_ID,
    OTEL_INCIDENT_ENABLED,
    OTEL_INCIDENT_FORBIDDEN_ATTRIBUTES,
    OTEL_INCIDENT_GATE,
    OTEL_INCIDENT_HOOKS,
    OTEL_INCIDENT_ID_MODE,
    OTEL_INCIDENT_LICENSE_ID,
    OTEL_INCIDENT_SERVER_VERSION,
    OTEL_INCIDENT_SPAN_EVENTS,
    OTEL_INCIDENT_STATE_DIR,
)
from otel_incident.errors import ConfigurationError
from otel_incident.vocabulary import ATTRIBUTES, EVENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

Gate = Literal["standard", "strict", "audit", "off"]
GATES: Final[tuple[Gate, ...]] = ("standard", "strict", "audit", "off")

_ID_MODES: Final = ("plain", "hmac", "drop")
_EVENT_IDS: Final = frozenset(
    name for event in EVENTS.values() for name in event.attributes if ATTRIBUTES[name].rule == "id"
)
# More would overflow a timer or a queue in the thread that sends.
_MAX_SETTING: Final = 2**31 - 1
_SHOWN: Final = 100  # of a value that cannot be used, in its one line
_TRUE: Final = frozenset({"true", "1", "yes", "on"})
_FALSE: Final = frozenset({"false", "0", "no", "off"})
# The protocol names of the OTLP specification, and the exporters that speak them. The SDK's own
# resolution is private; a test compares the two.
_OTLP_EXPORTERS: Final[Mapping[str, str]] = {
    "grpc": "otlp_proto_grpc",
    "http/protobuf": "otlp_proto_http",
    "http/json": "otlp_json_http",
}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """How a batch processor is set up: by `OTEL_BLRP_*`, or by the configuration file for each exporter."""

    schedule_delay_millis: int = 1000
    max_queue_size: int = 2048
    max_export_batch_size: int = 512
    export_timeout_millis: int = 30_000

    @classmethod
    def described_by(cls, processor: Any) -> Batch:
        """The settings of a processor in the configuration file; those that cannot be used are default."""
        described, default = processor.batch, cls()

        def usable(value: object, otherwise: int) -> int:
            return value if type(value) is int and 0 < value <= _MAX_SETTING else otherwise

        if described is None:  # a simple processor: an event never waits for a network here
            return default
        queue = usable(described.max_queue_size, default.max_queue_size)
        return cls(
            schedule_delay_millis=usable(described.schedule_delay, default.schedule_delay_millis),
            max_queue_size=queue,
            max_export_batch_size=min(
                queue, usable(described.max_export_batch_size, default.max_export_batch_size)
            ),
            export_timeout_millis=usable(described.export_timeout, default.export_timeout_millis),
        )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Every setting, read and checked.

    Attributes:
        off: The switch that turns telemetry off, as one phrase; "" when it is on.
        gate: What is removed from the host's own signals.
        gate_is_set: Whether the operator has said so.
        gate_alone: Whether the gate holds although telemetry is off.
        allowed_attributes, forbidden_attributes: Globs of keys that the gate lets through or removes besides.
        hook_files: The hook files of the operator, in order.
        id_modes: `plain`, `hmac` or `drop` by attribute name; "" is the mode of all others.
        state_dir: Where identity is kept; None where there is no home directory to keep it in.
        diagnostic_id, license_id, server_version: As set, unchecked; "" when not set.
        span_events: Whether events are also put on the current span.
        exporters: Entry point names of the log exporters, resolved by protocol; empty sends none.
        batch: The batch processor's settings; those of a configuration file stand in the file.
        config_file: The parsed `OTEL_CONFIG_FILE` (an `OpenTelemetryConfiguration`), None without one.
        problems: One line for each value that could not be used.
    """

    off: str = ""
    gate: Gate = "standard"
    gate_is_set: bool = False
    gate_alone: bool = False
    allowed_attributes: tuple[str, ...] = ()
    forbidden_attributes: tuple[str, ...] = ()
    hook_files: tuple[Path, ...] = ()
    id_modes: Mapping[str, Literal["plain", "hmac", "drop"]] = field(default_factory=dict)
    state_dir: Path | None = None
    diagnostic_id: str = ""
    license_id: str = ""
    server_version: str = ""
    span_events: bool = False
    exporters: tuple[str, ...] = ("otlp_proto_grpc",)
    batch: Batch = Batch()
    config_file: Any = None
    problems: tuple[str, ...] = ()

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str] | None = None, options: Mapping[str, Any] | None = None
    ) -> Config:
        """Read the environment, the configuration file and an instrumentor's options.

        Args:
            environ: The variables; by default the process's.
            options: What `IncidentInstrumentor().instrument(...)` was given, by the file's option names;
                they come before the file's, the file's before the environment's.
        """
        # config.py is the room that may: everything else is handed a Config
        variables = dict(os.environ if environ is None else environ)  # noqa: TID251
        if variables.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            return cls(off="OTEL_SDK_DISABLED=true")
        if _says_yes(variables.get("DO_NOT_TRACK", "")):
            return cls(off="DO_NOT_TRACK is set", **_gate_in(variables))
        path = variables.get("OTEL_CONFIG_FILE", "").strip()
        file = None
        try:
            file = load_file(path)
            given = options_in(file, path) | as_variables(options or {})
        except ConfigurationError as error:
            off = cls(off="the configuration cannot be read", problems=(str(error),))
            said = gate_alone(file, options or {})
            gate = _gate_in(variables | ({OTEL_INCIDENT_GATE: said} if said else {}))
            # whoever asked for a gate relies on it, whatever else he mistyped
            return replace(off, **gate, gate_alone=gate["gate_is_set"])
        if file is not None and file.disabled:
            return cls(off="OTEL_CONFIG_FILE says disabled: true", **_gate_in(variables))
        if file is None:
            return _Reader(variables | given, given).config()
        left = {name: value for name, value in variables.items() if not name.startswith(REPLACED_BY_FILE)}
        names = tuple(f"file:{index}" for index in range(len(described_processors(file))))
        return replace(_Reader(left | given, given).config(), config_file=file, exporters=names)


def _says_yes(value: str) -> bool:
    return value.strip().lower() not in {"", "0", "false", "no", "off"}


def _gate_in(variables: Mapping[str, str]) -> dict[str, Any]:
    """What is known of the gate where nothing else is read."""
    read = _Reader(variables, {}).config()
    names = ("gate", "gate_is_set", "allowed_attributes", "forbidden_attributes")
    return {name: getattr(read, name) for name in names}


def strict_is_asked_for(options: Mapping[str, Any]) -> bool:
    """Whether the gate was to be strict, where the settings as a whole could not be read.

    Args:
        options: What the instrumentor was given.
    """
    said = gate_alone(None, options) or os.environ.get(OTEL_INCIDENT_GATE, "")  # noqa: TID251  as above
    return said.strip().lower() not in {"", "standard", "audit", "off"}


class _Reader:
    """Reads variables one by one and collects a line for each that cannot be used."""

    def __init__(self, variables: Mapping[str, str], given: Mapping[str, str]) -> None:
        self._variables = variables
        self._given = given  # as options, so that a line about one names what was written
        self._problems: list[str] = []

    def config(self) -> Config:
        enabled = self._boolean(OTEL_INCIDENT_ENABLED, default=True, when_bad=False)
        gate = self._gate()
        read = Config(
            off="" if enabled else f"{OTEL_INCIDENT_ENABLED} is not true",
            gate=gate,
            gate_is_set=bool(self._text(OTEL_INCIDENT_GATE)),
            allowed_attributes=self._list(OTEL_INCIDENT_ALLOWED_ATTRIBUTES),
            forbidden_attributes=self._list(OTEL_INCIDENT_FORBIDDEN_ATTRIBUTES),
            hook_files=tuple(
                Path(part.strip())
                for part in self._text(OTEL_INCIDENT_HOOKS).split(os.pathsep)
                if part.strip()
            ),
            id_modes=self._id_modes(),
            state_dir=self._state_dir(),
            diagnostic_id=self._text(OTEL_INCIDENT_DIAGNOSTIC_ID),
            license_id=self._text(OTEL_INCIDENT_LICENSE_ID),
            server_version=self._text(OTEL_INCIDENT_SERVER_VERSION),
            span_events=self._boolean(OTEL_INCIDENT_SPAN_EVENTS, default=False, when_bad=False),
            exporters=self._exporters(),
            batch=self._batch(),
        )
        return replace(read, problems=tuple(self._problems))

    def _text(self, name: str) -> str:
        return self._variables.get(name, "").strip()

    def _list(self, name: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in self._text(name).split(",") if part.strip())

    def _problem(self, name: str, value: str, expected: str, holds: str) -> None:
        value = value if len(value) <= _SHOWN else f"{value[:_SHOWN]}..."
        name = f"The option {OPTION_OF[name]}" if name in self._given else name
        self._problems.append(f"{name}={value!r} cannot be used: expected {expected}; {holds}.")

    def _boolean(self, name: str, *, default: bool, when_bad: bool) -> bool:
        value = self._text(name)
        if not value:
            return default
        if value.lower() in _TRUE:
            return True
        if value.lower() not in _FALSE:
            self._problem(name, value, "true or false", f"{str(when_bad).lower()} holds")
            return when_bad
        return False

    def _gate(self) -> Gate:
        value = self._text(OTEL_INCIDENT_GATE)
        if not value:
            return "standard"
        for gate in GATES:
            if value.lower() == gate:
                return gate
        self._problem(OTEL_INCIDENT_GATE, value, f"one of {', '.join(GATES)}", "strict holds")
        return "strict"

    def _id_modes(self) -> dict[str, Literal["plain", "hmac", "drop"]]:
        modes: dict[str, Literal["plain", "hmac", "drop"]] = {}
        value = self._text(OTEL_INCIDENT_ID_MODE)
        for part in filter(None, (part.strip() for part in value.split(","))):
            name, _, mode = (piece.strip() for piece in part.rpartition("="))
            mode = mode.lower()
            if mode not in _ID_MODES or (name and name not in _EVENT_IDS):
                expected = "plain, hmac or drop, alone or as <id attribute>=<mode>, separated by commas"
                self._problem(
                    OTEL_INCIDENT_ID_MODE, part, expected, "it is passed over, plain being the default"
                )
                continue
            modes[name] = mode  # type: ignore[assignment]  # one of _ID_MODES, as checked above
        return modes

    def _state_dir(self) -> Path | None:
        explicit = self._text(OTEL_INCIDENT_STATE_DIR)
        if explicit:
            return Path(explicit).absolute()  # a host may change its directory before the first event
        by_systemd = self._text("STATE_DIRECTORY").split(":")[0]
        if by_systemd:
            return Path(by_systemd)
        xdg = self._text("XDG_STATE_HOME")
        if xdg and Path(xdg).is_absolute():  # a relative one is invalid, says the XDG specification
            return Path(xdg) / "otel-incident"
        home = self._text("HOME")
        return Path(home) / ".local" / "state" / "otel-incident" if home else None

    def _exporters(self) -> tuple[str, ...]:
        names = [name.strip() for name in self._text("OTEL_LOGS_EXPORTER").split(",") if name.strip()]
        if not names:
            names = ["otlp"]
        if any(name.lower() == "none" for name in names):
            if len(names) > 1:
                value = self._text("OTEL_LOGS_EXPORTER")
                self._problem(
                    "OTEL_LOGS_EXPORTER", value, "`none` alone or a list of exporters", "none holds"
                )
            return ()
        resolved = (self._otlp() if name == "otlp" else name for name in names)
        return tuple(
            dict.fromkeys(resolved)
        )  # each once: the same exporter twice would send each event twice

    def _otlp(self) -> str:
        for name in ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
            value = self._text(name)
            if value in _OTLP_EXPORTERS:
                return _OTLP_EXPORTERS[value]
            if value:
                self._problem(name, value, f"one of {', '.join(_OTLP_EXPORTERS)}", "grpc holds")
                break
        return _OTLP_EXPORTERS["grpc"]

    def _batch(self) -> Batch:
        default = Batch()
        read = Batch(
            schedule_delay_millis=self._positive("OTEL_BLRP_SCHEDULE_DELAY", default.schedule_delay_millis),
            max_queue_size=self._positive("OTEL_BLRP_MAX_QUEUE_SIZE", default.max_queue_size),
            max_export_batch_size=self._positive(
                "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", default.max_export_batch_size
            ),
            export_timeout_millis=self._positive("OTEL_BLRP_EXPORT_TIMEOUT", default.export_timeout_millis),
        )
        if read.max_export_batch_size <= read.max_queue_size:
            return read
        name = "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE"
        value = str(read.max_export_batch_size)
        if self._text(name) == value:  # else the queue alone was set, or the size has had its line already
            self._problem(name, value, f"at most the queue's {read.max_queue_size}", "the queue's size holds")
        return replace(read, max_export_batch_size=read.max_queue_size)

    def _positive(self, name: str, default: int) -> int:
        value = self._text(name)
        if not value:
            return default
        # by length first: Python refuses to read a number of thousands of digits
        if value.isascii() and value.isdigit() and len(value) <= 20 and 0 < int(value) <= _MAX_SETTING:  # noqa: PLR2004  any length that int() takes
            return int(value)
        self._problem(name, value, f"an integer from 1 to {_MAX_SETTING}", f"{default} holds")
        return default


class _Process:
    """What the instrumentor was given, while it is on or has been told to be off."""

    config: Config | None = None


def config_of_process() -> Config:
    """The settings for every emitter of this process: the instrumentor's, else the environment's."""
    return _Process.config or Config.from_env()


def set_config_of_process(config: Config | None) -> None:
    """Make these the settings of the process; None: those of the environment."""
    _Process.config = config
