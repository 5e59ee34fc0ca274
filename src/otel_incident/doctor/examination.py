"""The order in which the doctor looks: from the switch to the endpoint, as an event travels."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from otel_incident.config import spooling_if_on
from otel_incident.destinations import destinations
from otel_incident.doctor import delivery, installation, packages, switches, waiting
from otel_incident.doctor import variables as sdk_variables
from otel_incident.doctor.findings import warning
from otel_incident.identity import Identity
from otel_incident.installation import why_there_is_no_gate
from otel_incident.overhearing import overhearing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from otel_incident.config import Config
    from otel_incident.doctor.findings import Finding


def examine(variables: Mapping[str, str], *, offline: bool = False) -> list[Finding]:
    """Everything that there is to say of an environment.

    Args:
        variables: Those of the environment.
        offline: Whether to connect to nothing.
    """
    with _overhearing():
        found, config = switches.look(variables)
        no_gate = why_there_is_no_gate(variables)
    found += packages.general()
    if config is None:  # what holds is in a file that cannot be read, or that says no more
        return found
    sdk = sdk_variables.look(variables, config)
    said = {_variable(each) for each in sdk}  # which say more of it
    found = [each for each in found if _variable(each) not in said]
    found += [each for each in installation.settings(config) if _variable(each) not in said]
    found += sdk
    found += installation.hooks(config, no_gate)
    found += installation.gate(config, no_gate)
    found += _speaker(config)
    for destination in destinations(config):
        found += delivery.look(destination, config, variables, offline=offline)
    return found + waiting.look(config, spooling_if_on(variables))


def _variable(finding: Finding) -> str:
    """The variable with which a finding begins, or another first word."""
    return re.split(r"[^A-Z_]", finding.text, maxsplit=1)[0] or finding.text


def _speaker(config: Config) -> list[Finding]:
    """Who is speaking: what a host would say of it in its log is a finding here."""
    identity = Identity(config, makes=False)
    with _overhearing() as heard:
        identity.resource(installation.distribution(config))
    return [
        *installation.identity(config),
        *(warning("identity", line.removesuffix(".")) for line in heard),
        *delivery.service(identity.service_name()),
    ]


@contextlib.contextmanager
def _overhearing() -> Iterator[list[str]]:
    """Keep from the log what this package says, and silence what OpenTelemetry's own packages say.

    They may quote a file with a header in it; what there is to say of it is said as a finding.
    """
    with overhearing() as heard, overhearing("opentelemetry"):
        yield heard
