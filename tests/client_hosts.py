"""Applications whose incidents are in a product elsewhere, which they reach through its client library.

Each is a few lines in a process of its own under `opentelemetry-instrument`, with not a word about telemetry.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tests.host_environment import HostEnvironment
from tests.incident_course import DESCRIBED
from tests.otlp_receiver import OtlpReceiver
from tests.processes import Ended
from tests.telemetry import LogEvent

CONTENT: Final = ("Checkout is down", "Payments", "error 502", "jane.doe", "gateway", "acme")
"""What is in what these applications send and are answered, and nobody else may learn."""

PRELUDE: Final = """
import os, sys

URL = os.environ["PRODUCT_URL"]


def attempt(call, *arguments, **named):
    try:
        return call(*arguments, **named)
    except Exception as error:
        print("raised", type(error).__name__)


async def attempt_async(call, *arguments, **named):
    try:
        return await call(*arguments, **named)
    except Exception as error:
        print("raised", type(error).__name__)


"""
OLDEST: Final = "clients_oldest"
"""The environment with the oldest versions of the clients for which presets are."""
OWN: Final = ("incident.action", "incident.checklist.item.count", "log.record.uid")
"""Attributes that an event has whatever it is about."""


@dataclass(frozen=True, slots=True)
class Driven:
    """What an application has done.

    Attributes:
        ended: How it ended.
        events: What arrived.
    """

    ended: Ended
    events: Sequence[LogEvent]

    def said(self) -> list[tuple[str, dict[str, Any]]]:
        """The action of each event and its attributes, without those that every event has.

        A duration is checked here, since it depends on when the event was.
        """
        said = []
        for event in self.events:
            left = {name: value for name, value in event.attributes.items() if name not in OWN}
            if "incident.duration" in left:
                created = datetime.fromisoformat(str(left["incident.created_at"]))
                since = event.timestamp // 1_000_000 - int(created.timestamp() * 1000)
                assert left.pop("incident.duration") == since / 1000
            said.append((str(event.attributes["incident.action"]), left))
        return said


def are_oldest(clients: HostEnvironment) -> bool:
    """Whether these are the oldest versions, some of which try nothing again by themselves."""
    return clients.base.directory.name.startswith(f"{OLDEST}-")


def drive(
    environment: HostEnvironment,
    receiver: OtlpReceiver,
    directory: Path,
    program: str,
    variables: Mapping[str, str],
) -> Driven:
    """Run an application to its end; of its content nothing may be in what arrives, and it has no complaint.

    Args:
        environment: Where the clients are.
        receiver: Takes the events.
        directory: Where it runs.
        program: What it does; `URL` is the product's.
        variables: `PRODUCT_URL`, and what else is set.
    """
    path = directory / "application.py"
    path.write_text(PRELUDE + textwrap.dedent(program))
    words = [environment.tool("opentelemetry-instrument"), environment.tool("python"), str(path)]
    ended = environment.run(
        words,
        {
            **DESCRIBED,
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_INCIDENT_STATE_DIR": str(directory / "state"),
            **variables,
        },
        directory,
    )
    assert ended.status == 0, ended.stderr
    raw = receiver.raw_bytes()
    assert [text for text in CONTENT if text.encode() in raw] == []
    return Driven(ended, receiver.telemetry().events)
