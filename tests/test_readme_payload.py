"""The payload that the README shows to whoever has to approve it is the one that would leave."""

import functools
import json
import re
from pathlib import Path
from typing import Any, Final

import pytest
from opentelemetry.sdk.version import __version__ as sdk_version

from otel_incident import preview
from otel_incident.config import Config
from otel_incident.pipeline import Pipeline
from otel_incident.version import __version__
from tests.collector import ROOT

SECTION: Final = (
    (ROOT / "README.md")
    .read_text(encoding="utf-8")
    .split("## What leaves your server\n")[1]
    .split("\n## ")[0]
)
VERSIONS: Final = {'"0.1.0"': f'"{__version__}"', '"1.45.2"': f'"{sdk_version}"'}
"""What the page shows as this package's and the SDK's version, and what they are here."""

NOW: Final = 1_767_272_400_012_000_000  # 12 ms after the event that the preview makes up
UID: Final = "01KDWT9H4C6FBA3F4H9CG6XJF6"
DIAGNOSTIC_ID: Final = "66666666-6666-4666-8666-666666666666"


def shown() -> Any:
    """The section's one payload, with the versions that are installed."""
    (block,) = re.findall(r"```json\n(.*?)```", SECTION, re.DOTALL)
    for example, installed in VERSIONS.items():
        assert example in block
        block = block.replace(example, installed)
    return json.loads(block)


def test_the_payload_is_what_leaves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The emitter, the policy and the encoder make it, to the last field; only time and uid are fixed."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "desk")
    fixed = functools.partial(Pipeline, now=lambda: NOW, new_uid=lambda _now: UID)
    monkeypatch.setattr(preview, "Pipeline", fixed)

    made = preview.preview(
        Config(state_dir=tmp_path / "state", diagnostic_id=DIAGNOSTIC_ID, server_version="5.4.0")
    )

    (scope_logs,) = made["resourceLogs"][0]["scopeLogs"]
    (ended,) = [record for record in scope_logs["logRecords"] if record["eventName"] == "incident.end"]
    scope_logs["logRecords"] = [ended]
    assert shown() == made
