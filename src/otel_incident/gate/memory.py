"""What a gate notes on what it hands on, so that the next one neither takes more out nor counts it twice.

What a host's own processors are handed has passed the gate, and passes it again before an exporter. The notes
are attributes of ours on the SDK's objects: they last as long as those, and who makes such an object anew
leaves them behind, which costs a route or counts something twice, and lets nothing through.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from otel_incident.gate.beside import Judged

_JUDGED: Final = "_otel_incident_judged"
_AUDITED: Final = "_otel_incident_audited"


def judged_on(span: object) -> Judged:
    """The values that gates have judged on a span so far; {} of one that is no copy of a gate's."""
    judged = getattr(span, _JUDGED, None)
    return judged.copy() if type(judged) is dict else {}


def remember_judged(span: object, judged: Judged) -> None:
    """Note on a copy that a gate has made which values have been judged."""
    _note(span, _JUDGED, judged)


def was_audited(item: object) -> bool:
    """Whether it has been counted what strict would take out of a span or a log record."""
    return getattr(item, _AUDITED, None) is True


def note_audited(item: object) -> None:
    """Note on a span or a log record that it has been."""
    _note(item, _AUDITED, True)  # noqa: FBT003  the value of the note


def _note(item: object, name: str, value: Any) -> None:
    with contextlib.suppress(AttributeError):  # a release of the SDK may have no room for it
        setattr(item, name, value)
