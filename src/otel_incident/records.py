"""How an event becomes a log record: the last step before a logger, and the dearest one for the host.

Into a logger of the caller's an event goes through the Logs API. Our own pipeline hands its processors a
record that is complete: the SDK's logger would copy and clean attributes that the policy has just found
to be of the exact types, and its processor copy the record, which together is half of what it costs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from otel_incident.version import __version__
from otel_incident.vocabulary import SCHEMA_URL, SCOPE_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry._logs import Logger as ApiLogger
    from opentelemetry.sdk.resources import Resource

    from otel_incident.route import Write

SEVERITY_TEXT: Final = "INFO"


class Taker(Protocol):
    """A processor of our own pipeline, as far as a record's way into it goes."""

    def take(self, record: ReadableLogRecord, /) -> None:
        """Take a record that is complete."""
        ...


def through_api(logger: ApiLogger) -> Write:
    """Into a logger of the caller's, which may limit, clean and decorate records as its owner likes."""

    def write(
        event_name: str,
        attributes: Mapping[str, Any],
        *,
        timestamp: int,
        observed_timestamp: int,
        context: Context | None,
    ) -> None:
        logger.emit(
            timestamp=timestamp,
            observed_timestamp=observed_timestamp,
            context=context,
            severity_number=SeverityNumber.INFO,
            severity_text=SEVERITY_TEXT,
            attributes=attributes,
            event_name=event_name,
        )

    return write


def through_processors(resource: Resource, processors: Sequence[Taker]) -> Write:
    """Straight to the processors of our own pipeline; the attributes must have passed the policy.

    The environment's limits on attributes do not apply: an id that a limit cut short is another id.

    Args:
        resource: Who is speaking; nothing in it changes with a fork.
        processors: They deliver.
    """
    scope = scope_of_events()
    nothing = Context()

    def write(
        event_name: str,
        attributes: Mapping[str, Any],
        *,
        timestamp: int,
        observed_timestamp: int,
        context: Context | None,
    ) -> None:
        record = LogRecord(
            timestamp=timestamp,
            observed_timestamp=observed_timestamp,
            context=context,
            severity_number=SeverityNumber.INFO,
            severity_text=SEVERITY_TEXT,
            attributes=attributes,
            event_name=event_name,
        )
        record.context = nothing  # it has the ids now; what else the context holds is the host's
        complete = ReadableLogRecord(record, resource, scope)
        for processor in processors:
            processor.take(complete)

    return write


def scope_of_events() -> InstrumentationScope:
    """Whose records these are."""
    return InstrumentationScope(SCOPE_NAME, __version__, SCHEMA_URL)
