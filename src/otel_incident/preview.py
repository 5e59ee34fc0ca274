"""What leaves, before it does: one event of each kind as OTLP JSON, made by the code that sends.

The events take the real emitter, the real policy and the real encoder of the OTLP exporters; only
the last step is missing. The incident and the people are made up, the identity is this installation's as
far as it exists: nothing is made for a look. What is known only at run time is said in notes.
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

from otel_incident.config import UNREADABLE
from otel_incident.emitter import IncidentEmitter
from otel_incident.errors import HookFileError
from otel_incident.events import Actor, Incident, IncidentEvent
from otel_incident.hooks.file_complaints import about_distribution, about_hooks
from otel_incident.hooks.shipped import enabled
from otel_incident.hooks.spec import load
from otel_incident.identity import HASH_TO_COME, ID_TO_COME, Identity
from otel_incident.pipeline import Pipeline
from otel_incident.records import through_processors
from otel_incident.vocabulary import ACTIONS

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
        config: The settings; where they have telemetry off, it is what would leave if they had not.
    """
    on = replace(config, off="", problems=(), span_events=False)
    distribution = _Hooks(config).distribution
    kept = _Kept()
    pipeline = Pipeline(
        on,
        write=through_processors(Identity(on, makes=False).resource(distribution), [kept]),
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


def notes(config: Config) -> list[str]:
    """What is wrong with the hook files, and what of the preview is known only when the host runs."""
    hooks = _Hooks(config)
    found = [f"{problem}. The file will not be in force." for problem in hooks.problems]
    found += [f"{complaint}." for complaint in hooks.complaints]
    identity = Identity(replace(config, off=""), makes=False)
    if identity.diagnostic_id() == ID_TO_COME:
        if config.off == UNREADABLE:
            why = f"is not known, since {config.off}"
        elif config.state_dir is None:
            why = "is made at each start, since there is no home directory to keep it in"
        else:
            why = f"is made at the first event, and none can be read in {config.state_dir} now"
        found.append(f"The diagnostic id {why}; {ID_TO_COME} stands for it.")
    if "hmac" in config.id_modes.values() and identity.pseudonym("") == HASH_TO_COME:
        found.append(f"The key of the hashes is made at the first event; {HASH_TO_COME} stands for each.")
    if config.server_version or hooks.is_absent:
        return found
    found.append(
        f"The version of the distribution {hooks.distribution} holds once a hook of {hooks.source} has found "
        "its host, unless service.version says another."
        if hooks.distribution
        else f"The version of a host with a preset ({', '.join(hooks.presets)}) is known when it runs: it is "
        "not imported here."
    )
    return found


@final
class _Hooks:
    """The hook files, as far as they say something without the host.

    Attributes:
        problems: Why a file of the operator's is refused.
        complaints: What is wrong with the others.
        distribution: The first distribution that one names, "" for none.
        is_absent: Whether that is not installed, which is among the complaints.
        source: Which file names it.
        presets: The hosts of the presets.
    """

    def __init__(self, config: Config) -> None:
        self.problems: list[HookFileError] = []
        self.complaints: list[str] = []
        self.is_absent = False
        self.distribution = self.source = ""
        self.presets = [preset.name for preset in enabled(config.disabled_hooks) if not preset.client]
        for path in config.hook_files:
            try:
                file = load(path)
            except HookFileError as error:
                self.problems.append(error)
                continue
            absent = about_distribution(file)
            self.complaints += [f"{file.source}, {said}" for said in (about_hooks(file), absent) if said]
            if file.distribution and not self.distribution:
                self.distribution, self.source, self.is_absent = file.distribution, file.source, bool(absent)


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
