"""What this installation has set about the gate, as its commands need it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from otel_incident.gate.rules import GateRules
from otel_incident.hooks.activation import read_files

if TYPE_CHECKING:
    from otel_incident.config import Config
    from otel_incident.gate.rules import Mode


def content_names(config: Config) -> dict[str, tuple[str, ...]]:
    """What hosts call their content, by hook file: the operator's, and presets whose host is installed."""
    return {
        file.source: file.content
        for file in read_files(config.hook_files)
        if file.content and (not file.preset or find_spec(file.module.partition(".")[0]) is not None)
    }


def rules_of(config: Config, mode: Mode) -> GateRules:
    """The rules by which the gate of this installation would filter."""
    rules = GateRules(mode, allowed=config.allowed_attributes, forbidden=config.forbidden_attributes)
    for names in content_names(config).values():
        rules.standard.forbid(names)
    return rules
