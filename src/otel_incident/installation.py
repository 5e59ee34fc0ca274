"""What this installation has set about the gate, as its commands, the doctor and its canary tests need it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from otel_incident.config import SDK_DISABLED, Config
from otel_incident.gate.arguments import globs_in
from otel_incident.gate.rules import GateRules
from otel_incident.hooks.content import content_in
from otel_incident.hooks.ownership import is_of
from otel_incident.hooks.shipped import enabled

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otel_incident.gate.rules import Mode
    from otel_incident.hooks.shipped import Preset

_NAMES: Final = ("incident", "*")  # of our entry point, and of all
_DISABLED: Final = "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"
NOT_LOADED: Final = f"{_DISABLED} names {{}}: opentelemetry-instrument does not load this package"
"""What is said where `disabled_by_name` gives a name, with that name."""

_AS_THEY_ARE: Final = "the host's own spans, logs and metrics leave as they are"
_NOTHING_LEAVES: Final = "the SDK makes no spans, logs or metrics, so nothing of the host's leaves either"


def disabled_by_name(variables: Mapping[str, str]) -> str:
    """By which name the command is told to leave us out, by the SDK's own variable; "" where it is not."""
    names = {each.strip() for each in variables.get(_DISABLED, "").split(",")}
    return next((each for each in _NAMES if each in names), "")


def why_there_is_no_gate(variables: Mapping[str, str]) -> str:
    """What keeps the gate out of a host with this environment; "" where nothing does."""
    config = Config.from_env(variables, {})
    if config.off and not config.gate_alone:
        return config.off
    name = disabled_by_name(variables)
    return NOT_LOADED.format(name) if name else ""


def without_gate(mode: str, why: str) -> str:
    """What it means that there is no gate.

    Args:
        mode: That is set; `off` needs no reason.
        why: What keeps the gate out, as `why_there_is_no_gate` says it.
    """
    leaves = _NOTHING_LEAVES if why == SDK_DISABLED else _AS_THEY_ARE
    return f"off: {leaves}" if mode == "off" else f"{mode} is not in place ({why}): {leaves}"


def content_names(config: Config) -> dict[str, tuple[str, ...]]:
    """What hosts call their content, by hook file: the operator's, and presets whose host is installed."""
    named = content_in(config.hook_files, gated=config.gated)
    named |= {each.name: each.content() for each in enabled(config.disabled_hooks) if is_installed(each)}
    return {source: names for source, names in named.items() if names}


def is_installed(preset: Preset) -> bool:
    """Whether a preset's host is there, and is the one that it means; not imported."""
    module = preset.module.partition(".")[0]
    spec = find_spec(module)
    if spec is None:
        return False
    return is_of(preset.distribution, module, spec.submodule_search_locations or [spec.origin or ""])


def rules_of(
    config: Config, mode: Mode, *, allowed: Iterable[str] = (), forbidden: Iterable[str] = ()
) -> GateRules:
    """The rules by which the gate of this installation would filter.

    Args:
        config: The installation's.
        mode: Of the gate.
        allowed: Globs of keys besides those that the installation allows.
        forbidden: Globs of keys besides those that it forbids.

    Raises:
        TypeError: The globs are one text, or not all of them are texts.
    """
    rules = GateRules(
        mode,
        allowed=[*config.allowed_attributes, *globs_in(allowed, "allowed")],
        forbidden=[*config.forbidden_attributes, *globs_in(forbidden, "forbidden")],
    )
    for names in content_names(config).values():
        rules.standard.forbid(names)
    return rules
