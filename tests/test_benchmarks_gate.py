"""What the benchmark of the gate says of the peers that it measures it against."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from benchmarks import gate
from otel_incident.gate.rules import GateRules
from otel_incident.gate.spans import SpanFilter

REQUIREMENTS: Final = Path(gate.__file__).with_name("requirements-gate.txt")
PEERS: Final = {
    "logfire": "logfire, Scrubber",
    "sentry_sdk": "sentry-sdk, EventScrubber",
    "amazon": "ADOT, AttributeRedactingSpanProcessor",
}


def test_a_missing_peer_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """On standard error one line names each that is not there, and the installation that has them all."""
    for module in PEERS:
        monkeypatch.setitem(sys.modules, module, None)
    assert set(PEERS.values()).isdisjoint(gate.candidates())
    line = (
        f"NOT MEASURED: {'; '.join(PEERS.values())}. Not installed, or not with what it imports: "
        f"pip install --no-deps -r benchmarks/{REQUIREMENTS.name}\n"
    )
    assert capsys.readouterr() == ("", line)
    wanted = [line.partition("==")[0] for line in REQUIREMENTS.read_text().splitlines()]
    assert {"logfire", "sentry-sdk", "aws-opentelemetry-distro"} <= set(wanted)


@pytest.mark.parametrize(("attributes", "taken"), [(gate._CLEAN, 0), (gate._DIRTY, 3)])  # noqa: SLF001  what is measured
def test_a_span_loses_what_its_table_says(attributes: Mapping[str, Any], taken: int) -> None:
    """Of the span that may leave strict takes nothing, its name neither; of the other three attributes."""
    rules = GateRules("strict")
    strict = SpanFilter(rules)
    for span in gate.ended(attributes)[:8]:
        left = strict(span)
        assert left.name == span.name
        assert len(left.attributes or {}) == len(attributes) - taken
        assert left.dropped_attributes == taken
    assert sum(rules.dropped.counts().values()) == 8 * taken


def test_nothing_is_said_where_all_peers_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    """A run that measures all of them has nothing to complain of."""
    gate.complain([])
    assert capsys.readouterr() == ("", "")
