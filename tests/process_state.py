"""What the package keeps for a whole process, put back to where a new process starts."""

import os
from pathlib import Path
from typing import Final

import pytest

from otel_incident import announcements, config, emitter, ending, guard, identity, pipeline
from tests.backend import REQUIRE

# What decides, besides the OTEL_ variables, whether events leave and where identity is kept.
_OTHERS: Final = ("DO_NOT_TRACK", "STATE_DIRECTORY", "XDG_STATE_HOME")


def clear_environment(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    """No setting of whoever runs the tests reaches them, and none of their state reaches his home."""
    for name in list(os.environ):  # noqa: TID251  about the tests, not the package's configuration
        if name in _OTHERS or (name.startswith("OTEL_") and name != REQUIRE):
            monkeypatch.delenv(name)
    # Not HOME: the tools that tests call keep their caches there.
    monkeypatch.setenv("XDG_STATE_HOME", str(directory / "xdg-state"))
    monkeypatch.setenv("OTEL_INCIDENT_STATE_DIR", str(directory / "state"))


def forget_everything() -> None:
    """End the default pipeline, switch reporting on, and forget what was counted and said."""
    config.set_config_of_process(None)
    former = pipeline.set_default_pipeline(None)
    if former is not None:
        former.shutdown()
    emitter.set_disabled(disabled=False)
    guard.boundary.swallowed.clear()
    guard.boundary.said.clear()
    guard.boundary.unseen = 0
    guard.boundary.ending = False
    ending.ending.left = 1.0
    guard.set_reraise(reraise=False)
    identity._process.forget()  # noqa: SLF001  no process ever wants to
    announcements.forget()
