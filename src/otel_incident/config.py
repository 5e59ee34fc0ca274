"""The one reader of the environment and of `OTEL_CONFIG_FILE`.

Everything that can be set is read here, once, into a frozen `Config`; nothing else in the package
looks at the environment. A value that cannot be used never stops the host: it becomes one line in
`Config.problems` and the default holds, except where the safe answer is another one: a gate that
cannot be read is `strict`, a switch that cannot be read is off.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, final

from otel_incident.config_exporters import (
    DEFAULT_ENDPOINT,
    Batch,
    check_timeout,
    read_batch,
    read_endpoints,
    read_exporters,
    read_insecure,
    read_refused_by_grpc,
)
from otel_incident.config_file import (
    REPLACED_BY_FILE,
    as_variables,
    described_processors,
    for_gate_alone,
    load_file,
    options_in,
    with_lists,
)
from otel_incident.config_spool import Spooling, read_spooling
from otel_incident.config_values import Values
from otel_incident.environment_variables import (
    OTEL_INCIDENT_ALLOWED_ATTRIBUTES,
    OTEL_INCIDENT_DIAGNOSTIC_ID,
    OTEL_INCIDENT_DISABLED_HOOKS,
    OTEL_INCIDENT_ENABLED,
    OTEL_INCIDENT_FORBIDDEN_ATTRIBUTES,
    OTEL_INCIDENT_GATE,
    OTEL_INCIDENT_HOOKS,
    OTEL_INCIDENT_ID_MODE,
    OTEL_INCIDENT_LICENSE_ID,
    OTEL_INCIDENT_SERVER_VERSION,
    OTEL_INCIDENT_SPAN_EVENTS,
    OTEL_INCIDENT_SPOOL,
    OTEL_INCIDENT_STATE_DIR,
)
from otel_incident.errors import ConfigurationError
from otel_incident.vocabulary import ATTRIBUTES, EVENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

Gate = Literal["standard", "strict", "audit", "off"]
GATES: Final[tuple[Gate, ...]] = ("standard", "strict", "audit", "off")

SDK_DISABLED: Final = "OTEL_SDK_DISABLED=true"
"""What `Config.off` says where the SDK as a whole is off."""

UNREADABLE: Final = "the configuration cannot be read"
"""What `Config.off` says where nothing but the gate's settings is known."""

_ID_MODES: Final = ("plain", "hmac", "drop")
_EVENT_IDS: Final = frozenset(
    name for event in EVENTS.values() for name in event.attributes if ATTRIBUTES[name].rule == "id"
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
        disabled_hooks: Names of presets that are to stay off, as set.
        id_modes: `plain`, `hmac` or `drop` by attribute name; "" is the mode of all others.
        state_dir: Where identity is kept; None where there is no home directory to keep it in.
        diagnostic_id, license_id, server_version: As set, unchecked; "" when not set.
        span_events: Whether events are also put on the current span.
        exporters: Entry point names of the log exporters, resolved by protocol; empty sends none.
        endpoints: Where each OTLP exporter sends, by that name; a configuration file says its own.
        insecure: Whether gRPC does without TLS where the endpoint has no `https`; None where nobody says.
        refused_by_grpc: The variables of which its exporter cannot be made.
        batch: The batch processor's settings; those of a configuration file stand in the file.
        spooling: How events are kept until they are delivered.
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
    disabled_hooks: tuple[str, ...] = ()
    id_modes: Mapping[str, Literal["plain", "hmac", "drop"]] = field(default_factory=dict)
    state_dir: Path | None = None
    diagnostic_id: str = ""
    license_id: str = ""
    server_version: str = ""
    span_events: bool = False
    exporters: tuple[str, ...] = ("otlp_proto_grpc",)
    endpoints: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_ENDPOINT))
    insecure: bool | None = None
    refused_by_grpc: tuple[str, ...] = ()
    batch: Batch = field(default_factory=Batch)
    spooling: Spooling = field(default_factory=Spooling)
    config_file: Any = None
    problems: tuple[str, ...] = ()

    @property
    def gated(self) -> bool:
        """Whether a gate is to stand."""
        return self.gate != "off" and (not self.off or self.gate_alone)

    @property
    def delivery(self) -> tuple[object, ...]:
        """All that decides where events go, and how."""
        return (
            self.exporters,
            self.endpoints,
            self.insecure,
            self.batch,
            self.spooling,
            self.config_file,
        )

    @classmethod
    def from_env(
        cls,
        environ: Mapping[str, str] | None = None,
        options: Mapping[str, Any] | None = None,
        *,
        as_if_on: bool = False,
    ) -> Config:
        """Read the environment, the configuration file and an instrumentor's options.

        Args:
            environ: The variables; by default the process's.
            options: What `IncidentInstrumentor().instrument(...)` was given, by the file's option names;
                they come before the file's, the file's before the environment's.
            as_if_on: Read all the rest, too, where a switch has telemetry off and little of it counts.
        """
        # config.py is the room that may: everything else is handed a Config
        variables = dict(os.environ if environ is None else environ)  # noqa: TID251  as said above
        if not as_if_on and variables.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            return cls(off=SDK_DISABLED)
        if not as_if_on and _says_yes(variables.get("DO_NOT_TRACK", "")):
            return cls(off="DO_NOT_TRACK is set", **_gate_in(variables))
        path = variables.get("OTEL_CONFIG_FILE", "").strip()
        options = with_lists(options or {})
        file = None
        try:
            file = load_file(path)
            given = options_in(file, path) | as_variables(options)
        except ConfigurationError as error:
            said, unread = for_gate_alone(file, options)
            return _unreadable(str(error), variables | said, unread)
        if not as_if_on and file is not None and file.disabled:
            return cls(off="OTEL_CONFIG_FILE says disabled: true", **_gate_in(variables | given))
        if file is None:
            return _Reader(variables | given, given).config()
        left = {name: value for name, value in variables.items() if not name.startswith(REPLACED_BY_FILE)}
        names = tuple(f"file:{index}" for index in range(len(described_processors(file))))
        # beside a file, too, the SDK's exporters read these two
        insecure = read_insecure(Values(variables, given))
        read = _Reader(left | given, given).config()
        return replace(read, config_file=file, exporters=names, insecure=insecure)


def _says_yes(value: str) -> bool:
    return value.strip().lower() not in {"", "0", "false", "no", "off"}


def _unreadable(line: str, variables: Mapping[str, str], unread: list[str]) -> Config:
    """What is left where the settings as a whole cannot be read.

    Whoever asked for a gate relies on it and on what it takes out, whatever else he mistyped.
    """
    gate = _gate_in(variables)
    others = tuple(each for each in unread if each not in line)
    if not gate["gate_is_set"]:
        line += " No gate is set, and none is in place."
    elif gate["gate"] != "off":
        line += f" The gate ({gate['gate']}) holds all the same."
    return Config(off=UNREADABLE, problems=(line, *others), gate_alone=gate["gate_is_set"], **gate)


def _gate_in(variables: Mapping[str, str]) -> dict[str, Any]:
    """What is known of the gate where nothing else is read."""
    read = _Reader(variables, {}).config()
    names = (
        "gate",
        "gate_is_set",
        "allowed_attributes",
        "forbidden_attributes",
        "hook_files",
        "disabled_hooks",
    )
    return {name: getattr(read, name) for name in names}


def strict_is_asked_for(options: Mapping[str, Any]) -> bool:
    """Whether the gate was to be strict, where the settings as a whole could not be read.

    Args:
        options: What the instrumentor was given.
    """
    given, _ = for_gate_alone(None, options)
    said = given.get(OTEL_INCIDENT_GATE) or os.environ.get(OTEL_INCIDENT_GATE, "")  # noqa: TID251  as above
    return said.strip().lower() not in {"", "standard", "audit", "off"}


def spooling_if_on(environ: Mapping[str, str] | None = None) -> Spooling:
    """Where events wait, or would if telemetry and the spool were on: what has been left is there still.

    Args:
        environ: The variables; by default the process's.
    """
    variables = dict(os.environ if environ is None else environ)  # noqa: TID251  as above
    path = variables.get("OTEL_CONFIG_FILE", "").strip()
    try:
        given = options_in(load_file(path), path)
    except ConfigurationError:  # which is said when the settings are read
        given = {}
    return _Reader({**variables, **given, OTEL_INCIDENT_SPOOL: "true"}, given).config().spooling


def config_for_tests() -> Config:
    """What decides how an event of this process looks, and not where it goes.

    A test job may have telemetry switched off; where a file cannot be read the variables hold.
    """
    config = _Process.config
    if config is None or config.off:
        variables = dict(os.environ)  # noqa: TID251  as above
        path = variables.get("OTEL_CONFIG_FILE", "").strip()
        given: dict[str, str] = {}
        with contextlib.suppress(ConfigurationError):  # which is said when the settings are read
            given = options_in(load_file(path), path)
        config = _Reader({**variables, **given}, given).config()
    problems = tuple(each for each in config.problems if "ID_MODE" in each or "id_mode" in each)
    return Config(id_modes=config.id_modes, span_events=config.span_events, problems=problems)


class _Reader:
    """Reads what only this module needs, and puts it all together."""

    def __init__(self, variables: Mapping[str, str], given: Mapping[str, str]) -> None:
        self._values = Values(variables, given)

    def config(self) -> Config:
        values = self._values
        enabled = values.boolean(OTEL_INCIDENT_ENABLED, default=True, when_bad=False)
        mistyped = bool(values.problems)
        gate = self._gate()
        gate_is_set = bool(values.text(OTEL_INCIDENT_GATE))
        state_dir = self._state_dir()
        read = Config(
            off="" if enabled else f"{OTEL_INCIDENT_ENABLED} is not true",
            gate=gate,
            gate_is_set=gate_is_set,
            gate_alone=mistyped and gate_is_set,  # who cannot be read has not said that it may go
            allowed_attributes=values.globs(OTEL_INCIDENT_ALLOWED_ATTRIBUTES),
            forbidden_attributes=values.globs(OTEL_INCIDENT_FORBIDDEN_ATTRIBUTES),
            hook_files=tuple(
                Path(part.strip())
                for part in values.text(OTEL_INCIDENT_HOOKS).split(os.pathsep)
                if part.strip()
            ),
            disabled_hooks=values.list(OTEL_INCIDENT_DISABLED_HOOKS),
            id_modes=self._id_modes(),
            state_dir=state_dir,
            diagnostic_id=values.text(OTEL_INCIDENT_DIAGNOSTIC_ID),
            license_id=values.text(OTEL_INCIDENT_LICENSE_ID),
            server_version=values.text(OTEL_INCIDENT_SERVER_VERSION),
            span_events=values.boolean(OTEL_INCIDENT_SPAN_EVENTS, default=False, when_bad=False),
            exporters=read_exporters(values),
            endpoints=read_endpoints(values),
            insecure=read_insecure(values),
            refused_by_grpc=read_refused_by_grpc(values),
            batch=read_batch(values),
            spooling=read_spooling(values, state_dir),
        )
        if not DEFAULT_ENDPOINT.keys().isdisjoint(read.exporters):
            check_timeout(values)
        return replace(read, problems=tuple(values.problems))

    def _gate(self) -> Gate:
        value = self._values.text(OTEL_INCIDENT_GATE)
        if not value:
            return "standard"
        for gate in GATES:
            if value.lower() == gate:
                return gate
        self._values.problem(OTEL_INCIDENT_GATE, value, f"one of {', '.join(GATES)}", "strict holds")
        return "strict"

    def _id_modes(self) -> dict[str, Literal["plain", "hmac", "drop"]]:
        modes: dict[str, Literal["plain", "hmac", "drop"]] = {}
        bad: list[tuple[str, str]] = []
        value = self._values.text(OTEL_INCIDENT_ID_MODE)
        for part in filter(None, (part.strip() for part in value.split(","))):
            name, _, mode = (piece.strip() for piece in part.rpartition("="))
            mode = mode.lower()
            if mode not in _ID_MODES or (name and name not in _EVENT_IDS):
                bad.append((part, name))
                continue
            modes[name] = mode  # type: ignore[assignment]  # one of _ID_MODES, as checked above
        expected = "plain, hmac or drop, alone or as <id attribute>=<mode>, separated by commas"
        for part, name in bad:
            holds = modes.get(name, modes.get("", "plain"))
            self._values.problem(
                OTEL_INCIDENT_ID_MODE, part, expected, f"it is passed over, and {holds} holds"
            )
        return modes

    def _state_dir(self) -> Path | None:
        explicit = self._values.directory(OTEL_INCIDENT_STATE_DIR, "its default")
        if explicit is not None:
            return explicit
        by_systemd = self._values.text("STATE_DIRECTORY").split(":")[0]
        if by_systemd:
            return Path(by_systemd)
        xdg = self._values.text("XDG_STATE_HOME")
        if xdg and Path(xdg).is_absolute():  # a relative one is invalid, says the XDG specification
            return Path(xdg) / "otel-incident"
        home = self._values.text("HOME")
        return Path(home) / ".local" / "state" / "otel-incident" if home else None


def variables_of_process() -> dict[str, str]:
    """The environment, for a command that says which variable means what."""
    return dict(os.environ)  # noqa: TID251  as above


class _Process:
    """What the instrumentor was given, while it is on or has been told to be off."""

    config: Config | None = None


def config_of_process() -> Config:
    """The settings for every emitter of this process: the instrumentor's, else the environment's."""
    return _Process.config or Config.from_env()


def set_config_of_process(config: Config | None) -> None:
    """Make these the settings of the process; None: those of the environment."""
    _Process.config = config
