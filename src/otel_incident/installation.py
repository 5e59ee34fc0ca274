"""What this installation has set about the gate, as its commands and its canary tests need it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from otel_incident.gate.arguments import globs_in
from otel_incident.gate.rules import GateRules
from otel_incident.hooks.activation import read_files
from otel_incident.hooks.ownership import is_of
from otel_incident.hooks.shipped import enabled

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_incident.config import Config
    from otel_incident.gate.rules import Mode
    from otel_incident.hooks.shipped import Preset


def content_names(config: Config) -> dict[str, tuple[str, ...]]:
    """What hosts call their content, by hook file: the operator's, and presets whose host is installed."""
    presets = [preset.read() for preset in enabled(config.disabled_hooks) if is_installed(preset)]
    return {file.source: file.content for file in [*read_files(config.hook_files), *presets] if file.content}


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
