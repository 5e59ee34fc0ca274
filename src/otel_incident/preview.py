"""What leaves, before it does: one event of each kind as OTLP JSON, made by the code that sends.

The events take the real emitter, the real policy and the real encoder of the OTLP exporters; only
the last step is missing. The incident and the people are made up, the identity is this installation's.
"""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, final

from google.protobuf.json_format import MessageToDict
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.resources import Resource

from otel_incident.emitter import IncidentEmitter
from otel_incident.events import Actor, Incident, IncidentEvent
from otel_incident.identity import Identity
from otel_incident.pipeline import Pipeline
from otel_incident.records import through_processors
from otel_incident.vocabulary import ACTIONS, INCIDENT_DIAGNOSTIC_ID

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadableLogRecord

    from otel_incident.config import Config

SAMPLE: Final = Incident(
    id="11111111-1111-4111-8111-111111111111",
    active=True,
    commander_id="22222222-2222-4222-8222-222222222222",
    team_id="33333333-3333-4333-8333-333333333333",
    created_at=datetime(2026, 1, 1, 12, tzinfo=UTC),
    post_id="44444444-4444-4444-8444-444444444444",
    checklist_count=3,
)
"""A made-up incident that says everything that can be said."""

_ACTOR: Final = Actor(id="55555555-5555-4555-8555-555555555555", roles=("end_user",))
_TIMESTAMP: Final = 1_767_272_400_000_000_000  # an hour after the incident was created
_NOT_MADE_YET: Final = "made-at-the-first-event"


@final
class _Kept:
    """Keeps what would be handed to the exporters."""

    def __init__(self) -> None:
        self.records: list[ReadableLogRecord] = []

    def take(self, record: ReadableLogRecord) -> None:
        """Keep a record where a processor would queue it."""
        self.records.append(record)


def preview(config: Config) -> dict[str, Any]:
    """One `ExportLogsServiceRequest` in OTLP JSON, with one event of each kind.

    Args:
        config: The settings; where they have telemetry off, nothing is made on disk for this.
    """
    kept = _Kept()
    pipeline = Pipeline(
        replace(config, off="", problems=(), span_events=False),
        write=through_processors(_resource(config), [kept]),
        meter_provider=NoOpMeterProvider(),
    )
    emitter = IncidentEmitter(route=pipeline.route)
    for action in ACTIONS:
        emitter.emit(
            IncidentEvent(
                action=action,
                incident=SAMPLE,
                actor=_ACTOR,
                public=True if action == "create" else None,
                stage_index=1 if action == "change_stage" else None,
                timestamp=_TIMESTAMP,
            )
        )
    request: dict[str, Any] = _as_otlp_json(
        MessageToDict(encode_logs(kept.records), use_integers_for_enums=True)
    )
    return request


def text(config: Config) -> str:
    """The preview as indented JSON."""
    return json.dumps(preview(config), indent=2)


def _resource(config: Config) -> Resource:
    if not config.off:
        return Identity(config).resource()
    # off means no file: show the id that exists, or say that none does
    known = Identity(config).peek_diagnostic_id() or _NOT_MADE_YET
    identity = Identity(replace(config, off="", diagnostic_id="0" * 12))
    return identity.resource().merge(Resource({INCIDENT_DIAGNOSTIC_ID: known}))


def _as_otlp_json(message: Any) -> Any:
    """Protobuf's JSON with the two differences that OTLP asks for: ids are hex, not base64."""
    if isinstance(message, list):
        return [_as_otlp_json(item) for item in message]
    if not isinstance(message, dict):
        return message
    return {
        key: base64.b64decode(value).hex() if key in {"traceId", "spanId"} else _as_otlp_json(value)
        for key, value in message.items()
    }
