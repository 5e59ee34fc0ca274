"""The presets: hook files that ship with the package, each of which waits for its host.

To read them all would cost every process some milliseconds at its start, and most have one of the hosts or
none. So what a preset waits for stands here, and its file is read when that is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final, final

from otel_incident.forks import no_fork_while_importing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_incident.hooks.definitions import HookFile


@final
@dataclass(frozen=True, slots=True)
class Preset:
    """A preset that has not been read.

    Attributes:
        name: Its file's, without the ending.
        module: The module whose import switches it on.
        distribution: The distribution that the module must be of.
        client: Whether it is about a client library, which is not the host.
        oldest: The oldest version with which it reports what it says; "" where only one was tried.
    """

    name: str
    module: str
    distribution: str
    client: bool = False
    oldest: str = ""

    def read(self) -> HookFile:
        """The file."""
        with no_fork_while_importing():
            from otel_incident.hooks.spec import parse  # noqa: PLC0415  not at the start of a host

        return parse(self._text(), self.name, preset=True)

    def content(self) -> tuple[str, ...]:
        """What it names as content."""
        with no_fork_while_importing():
            from otel_incident.hooks.spec import content_of  # noqa: PLC0415  as above

        return content_of(self._text(), self.name)[0]

    def _text(self) -> str:
        file = resources.files("otel_incident.hooks") / "presets" / f"{self.name}.toml"
        return file.read_text("utf-8")


def _client(name: str, module: str, oldest: str) -> Preset:
    """A preset of a client library, which is called as its distribution."""
    return Preset(name, module, name, client=True, oldest=oldest)


PRESETS: Final = (
    Preset("argus-server", "argus", "argus-server"),
    _client("datadog-api-client", "datadog_api_client.v2.api.incidents_api", "2.0.0"),
    Preset("django-helpdesk", "helpdesk", "django-helpdesk"),
    Preset("firefighter-incident", "firefighter", "firefighter-incident"),
    _client("incident-io", "incident_io.api.incidents_v2", "1.0.0"),
    _client("mattermostautodriver", "mattermostautodriver", "10.11.2"),
    _client("opsgenie-sdk", "opsgenie_sdk", "2.1.3"),
    _client("pagerduty", "pagerduty", "2.0.0"),
    _client("rootly", "rootly_sdk.api.incidents", "1.0.0"),
    _client("thehive4py", "thehive4py", "2.0.0"),
)


def enabled(disabled: Iterable[str]) -> tuple[Preset, ...]:
    """The presets but for those that an operator has switched off.

    Args:
        disabled: Their names, in any case.
    """
    off = {name.lower() for name in disabled}
    return tuple(preset for preset in PRESETS if preset.name not in off)


def unknown(disabled: Iterable[str]) -> list[str]:
    """A line for each name that an operator has switched off and no preset has."""
    known = sorted(preset.name for preset in PRESETS)
    return [
        f"OTEL_INCIDENT_DISABLED_HOOKS: no preset is called {name!r}; known are {', '.join(known)}"
        for name in disabled
        if name.lower() not in known
    ]
