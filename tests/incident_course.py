"""One incident's course in a process of any environment, in code and by hooks, and what must arrive."""

import re
import subprocess
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from otel_incident.version import __version__
from otel_incident.vocabulary import SCHEMA_URL, SCOPE_NAME
from tests.host_environment import HostEnvironment
from tests.telemetry import LogEvent

DIAGNOSTIC_ID: Final = "5f0c7c1e-2f7a-4a55-9d3e-7c1f5f6b8a90"
DESCRIBED: Final = {
    "OTEL_SERVICE_NAME": "incident desk",
    "OTEL_INCIDENT_SERVER_VERSION": "5.4.0",
    "OTEL_INCIDENT_DIAGNOSTIC_ID": DIAGNOSTIC_ID,
    "OTEL_INCIDENT_SPOOL": "false",  # such a process may have no home directory
}
"""Who is speaking; with it a process has nothing to say on stderr."""

IN_CODE: Final = textwrap.dedent("""
    from otel_incident import Actor, Incident, IncidentEmitter
    from otel_incident.pipeline import default_pipeline

    emitter = IncidentEmitter()
    incident = Incident(
        id="mytpaxxhs7dtx8qtc5fzmd4k1a",
        active=True,
        commander_id=7,
        team_id="123e4567-e89b-12d3-a456-426614174000",
        created_at=1_600_000_000_000,
        checklist_count=3,
    )
    actor = Actor(id="42", roles=("system_admin",))
    emitter.create(incident, actor=actor, public=True)
    emitter.change_commander(incident, actor=actor)
    emitter.change_stage(incident, actor=actor, stage_index=2)
    emitter.end(incident, actor=actor)
    emitter.restart(incident, actor=actor)
    default_pipeline().force_flush()
    print("the host goes on")
""")
"""The five calls, with every value that can be said."""

GOES_ON: Final = "the host goes on\n"
"""What each of the programs prints, whatever becomes of its telemetry."""

_DESK: Final = """
    class Incident:
        def __init__(self, title, owner_id):
            self.id = 41
            self.title = title
            self.owner_id = owner_id

    def declare(title, owner_id):
        return Incident(title, owner_id)

    def resolve(incident):
        incident.title = "Resolved: " + incident.title
"""
_MAIN: Final = """
    import sys
    import desk

    desk.resolve(desk.declare("Checkout is down", 7))
    print("the host goes on", flush=True)
    sys.stdin.read()
"""
_HOOKS: Final = """
    [host]
    name = "desk"
    content = ["title"]

    [[hook]]
    name = "declare"
    kind = "call"
    target = "desk:declare"
    action = "create"
    incident.id = "result.id"
    incident.commander_id = "arg.owner_id"

    [[hook]]
    name = "resolve"
    kind = "call"
    target = "desk:resolve"
    action = "end"
    incident.id = "arg.incident.id"
"""

_ULID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
_NOT_TEXT: Final = {
    "incident.active": "bool",
    "incident.public": "bool",
    "incident.checklist.count": "int",
    "incident.checklist.item.count": "int",
    "incident.stage.index": "int",
    "incident.duration": "double",
    "user.roles": "array",
}
"""The OTLP kinds that are not `string`."""
_COMMON: Final[dict[str, object]] = {
    "incident.id": "mytpaxxhs7dtx8qtc5fzmd4k1a",
    "incident.active": True,
    "incident.commander.id": "7",
    "incident.team.id": "123e4567-e89b-12d3-a456-426614174000",
    "incident.created_at": "2020-09-13T12:26:40.000Z",
    "incident.checklist.count": 3,
    "incident.checklist.item.count": 0,
    "user.id": "42",
    "user.roles": ("system_admin",),
}
_BY_CALLS: Final[Sequence[tuple[str, dict[str, object]]]] = (
    ("create", {**_COMMON, "incident.public": True}),
    ("change_commander", _COMMON),
    ("change_stage", {**_COMMON, "incident.stage.index": 2}),
    ("end", {**_COMMON, "incident.active": False}),
    ("restart", _COMMON),
)
_BY_HOOKS: Final[Sequence[tuple[str, dict[str, object]]]] = (
    ("create", {"incident.id": "41", "incident.active": True, "incident.commander.id": "7"}),
    ("end", {"incident.id": "41", "incident.active": False}),
)


@contextmanager
def desk(
    environment: HostEnvironment, directory: Path, variables: Mapping[str, str]
) -> Iterator[subprocess.Popen[str]]:
    """An application under `opentelemetry-instrument`, with a hook file; it runs until its stdin ends.

    Args:
        environment: Where it runs.
        directory: For its files; must exist.
        variables: Besides `DESCRIBED`.
    """
    for name, text in (("desk.py", _DESK), ("main.py", _MAIN), ("hooks.toml", _HOOKS)):
        (directory / name).write_text(textwrap.dedent(text))
    process = subprocess.Popen(  # noqa: S603  the words are the tests' own
        [environment.tool("opentelemetry-instrument"), environment.tool("python"), "main.py"],
        cwd=directory,
        env={
            **environment.variables(),
            **DESCRIBED,
            "OTEL_INCIDENT_HOOKS": str(directory / "hooks.toml"),
            "OTEL_INCIDENT_STATE_DIR": str(directory / "state"),
            "OTEL_BLRP_SCHEDULE_DELAY": "50",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "OTEL_METRICS_EXPORTER": "none",
            **variables,
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def assert_five_calls(events: Sequence[LogEvent], sdk_version: str) -> None:
    """The events of `IN_CODE` and nothing else: names, attributes, types, envelope and resource."""
    _assert_events(events, _BY_CALLS, sdk_version)


def assert_hooked(events: Sequence[LogEvent], sdk_version: str) -> None:
    """The same for those of `desk`."""
    _assert_events(events, _BY_HOOKS, sdk_version)


def _assert_events(
    events: Sequence[LogEvent], expected: Sequence[tuple[str, Mapping[str, object]]], sdk_version: str
) -> None:
    assert [event.event_name for event in events] == [f"incident.{action}" for action, _ in expected]
    for event, (action, attributes) in zip(events, expected, strict=True):
        own: dict[str, Any] = {
            "incident.action": action,
            "log.record.uid": event.attributes["log.record.uid"],
            "incident.checklist.item.count": 0,
        }
        if action == "end" and "incident.created_at" in attributes:
            own["incident.duration"] = (event.timestamp // 1_000_000 - 1_600_000_000_000) / 1000
        assert event.attributes == {**own, **attributes}
        assert event.attribute_types == {name: _NOT_TEXT.get(name, "string") for name in event.attributes}
        assert _ULID.fullmatch(str(event.attributes["log.record.uid"]))
        assert (event.has_body, event.severity_number, event.severity_text) == (False, 9, "INFO")
        assert 0 < event.timestamp <= event.observed_timestamp
        assert (event.trace_id, event.span_id, event.dropped_attributes_count) == ("", "", 0)
        assert (event.scope_name, event.scope_version) == (SCOPE_NAME, __version__)
        assert (event.scope_schema_url, event.scope_attributes) == (SCHEMA_URL, {})
        assert event.resource_schema_url == ""
        assert event.resource == {
            "incident.diagnostic.id": DIAGNOSTIC_ID,
            "incident.plugin.version": __version__,
            "incident.server.version": "5.4.0",
            "service.name": "incident desk",
            "service.version": "5.4.0",
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.version": sdk_version,
        }
        assert set(event.resource_types.values()) == {"string"}
    assert len({event.attributes["log.record.uid"] for event in events}) == len(events)
