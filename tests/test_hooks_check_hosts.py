"""`otel-incident hooks check` in the environments of the apps that have a preset, without starting them."""

import json
from pathlib import Path
from typing import Final

import pytest

from tests import argus_host, firefighter_host, helpdesk_host
from tests.host_environment import HostEnvironment, host_environment
from tests.postgresql import PostgreSQL

NOWHERE: Final = PostgreSQL(9, "for-tests", Path())
"""No database is asked."""


def variables_of(name: str, environment: HostEnvironment, directory: Path) -> dict[str, str]:
    """What a host asks for."""
    if name == "helpdesk":
        return helpdesk_host.variables_of(directory)
    if name == "argus":
        return argus_host.Installation(environment, NOWHERE, {}).variables("none")
    return firefighter_host.variables_of(NOWHERE, "none")


@pytest.mark.parametrize(
    ("name", "preset", "hooks"),
    [
        ("helpdesk", "django-helpdesk", {"ticket": "helpdesk.Ticket"}),
        (
            "argus",
            "argus-server",
            {
                "start and restart": "argus_incident.Event",
                "end": "argus_incident.Event",
                "level": "argus_incident.Incident",
            },
        ),
        (
            "firefighter",
            "firefighter-incident",
            {"incident": "incidents.Incident", "commander": "incidents.IncidentRole"},
        ),
    ],
    ids=["django-helpdesk", "argus-server", "firefighter-incident"],
)
def test_all_that_a_preset_watches_is_there(
    name: str, preset: str, hooks: dict[str, str], tmp_path: Path
) -> None:
    """Each hook of the preset is found in the unmodified host, and there is nothing to say of any."""
    environment = host_environment(name, tmp_path)
    program = environment.package / "bin" / "otel-incident"
    words = [environment.tool("python"), str(program), "hooks", "check", "--json"]
    ended = environment.run(words, variables_of(name, environment, tmp_path), tmp_path)
    assert ended.status == 0, ended.stderr
    assert json.loads(ended.stdout) == {
        "refused": [],
        "files": [{"file": preset, "preset": True, "notes": []}],
        "found": [
            {
                "file": preset,
                "preset": True,
                "hooks": [hook],
                "kind": "model",
                "target": target,
                "verdict": "found",
                "notes": [],
            }
            for hook, target in hooks.items()
        ],
    }
