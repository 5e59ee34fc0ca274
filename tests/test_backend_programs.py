"""How the README's backends are built, with a Go toolchain that only pretends."""

import os
from pathlib import Path
from typing import Final

import pytest

from tests.backend_programs import NotBuiltError, Program, find

PROGRAM: Final = Program("Backend", "example.org/backend/cmd", ("example.org/backend v1.2.3",), tags="small")

# Writes down what it is called with and what go.mod says; makes what `-o` names, whatever comes of it.
GO: Final = """#!/bin/sh
echo "$* GOTOOLCHAIN=$GOTOOLCHAIN CGO_ENABLED=$CGO_ENABLED GOFLAGS=$GOFLAGS" >> "$FAKE/calls"
cp go.mod "$FAKE/go.mod"
while test "$1" != -o; do shift; done
echo built > "$2"
echo "the reason" >&2
exit "${FAKE_STATUS:-0}"
"""


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go first on PATH, an empty cache."""
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text(GO)
    go.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(go.parent), os.defpath]))
    monkeypatch.setenv("FAKE", str(tmp_path))
    monkeypatch.setenv("GOFLAGS", "-buildvcs=false")
    monkeypatch.setenv("OTEL_INCIDENT_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


def test_it_is_built_once_from_what_is_pinned(workshop: Path) -> None:
    """By the Go that is there, without C, and with the flags of whoever runs it kept; then only found."""
    first, second = find(PROGRAM, build=True), find(PROGRAM, build=True)

    assert first == second == PROGRAM.path
    assert first.read_text() == "built\n"
    assert (workshop / "go.mod").read_text() == (
        "module build\n\ngo 1.25\n\nrequire example.org/backend v1.2.3\n"
    )
    (call,) = (workshop / "calls").read_text().splitlines()
    assert call.startswith("build -trimpath -ldflags=-s -w -tags=small -o ")
    assert call.endswith(
        "/built example.org/backend/cmd GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS=-buildvcs=false -mod=mod"
    )
    assert sorted(path.name for path in first.parent.iterdir()) == ["backend", "lock"]


def test_another_version_is_another_program(workshop: Path) -> None:
    """They lie beside one another in the cache."""
    other = Program(PROGRAM.name, PROGRAM.package, ("example.org/backend v1.2.4",), tags="small")

    assert find(PROGRAM, build=True) != find(other, build=True)
    assert PROGRAM.path.parent.parent == other.path.parent.parent == workshop / "cache" / "backends"


def test_a_failed_build_leaves_no_program_and_says_why(
    workshop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even one that was written before the build failed."""
    monkeypatch.setenv("FAKE_STATUS", "3")

    with pytest.raises(NotBuiltError, match=r"^Backend cannot be built: the reason$"):
        find(PROGRAM, build=True)

    assert sorted(path.name for path in PROGRAM.path.parent.iterdir()) == ["lock"]
    assert (workshop / "calls").exists()


def test_nothing_is_built_unless_asked_for(workshop: Path) -> None:
    """An ordinary run of the tests uses what is there, and says how to make it."""
    words = r"^Backend is not built yet; with Go on PATH: python3 -m tests\.backend_programs$"
    with pytest.raises(NotBuiltError, match=words):
        find(PROGRAM, build=False)

    assert not (workshop / "calls").exists()


def test_without_go_the_reason_is_named(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing failed, something is missing."""
    monkeypatch.setenv("PATH", str(workshop))

    with pytest.raises(NotBuiltError, match=r"^Backend is not built yet, and building it needs Go on PATH$"):
        find(PROGRAM, build=True)
