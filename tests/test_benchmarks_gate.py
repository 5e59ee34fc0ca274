"""What the benchmark of the gate says of the peers that it measures it against."""

import sys
from pathlib import Path
from typing import Final

import pytest

from benchmarks import gate

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


def test_nothing_is_said_where_all_peers_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    """A run that measures all of them has nothing to complain of."""
    gate.complain([])
    assert capsys.readouterr() == ("", "")
