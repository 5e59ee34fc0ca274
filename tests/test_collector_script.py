"""`scripts/collector`, with a Go toolchain that only pretends: where the binary goes, what is said."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.collector import LOCAL_CONFIG, ROOT
from tests.waiting import wait_until

MANIFEST: Final = ROOT / "collector-config" / "builder.yaml"

# Writes down what it is called with; its `go install` makes a builder that waits for the gate, if there is
# one, and makes a binary that prints its arguments.
GO: Final = """#!/bin/sh
echo "$* GOTOOLCHAIN=$GOTOOLCHAIN CGO_ENABLED=$CGO_ENABLED GOFLAGS=$GOFLAGS" >> "$FAKE/calls"
cat > "$GOBIN/builder" <<'end'
#!/bin/sh
echo "builder $*" >> "$FAKE/calls"
test -p "$FAKE/gate" && read -r opened < "$FAKE/gate"
mkdir otelcol
printf '#!/bin/sh\\necho "ran $*"\\n' > otelcol/otelcol-incident
chmod +x otelcol/otelcol-incident
exit "${FAKE_STATUS:-0}"
end
chmod +x "$GOBIN/builder"
"""


@dataclass(frozen=True, slots=True)
class Workshop:
    """A directory with the pretended Go, a home and a cache."""

    directory: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def binary(self) -> Path:
        """Where the script has to put it: the cache, and in it a folder named after the manifest."""
        digest = hashlib.sha256(MANIFEST.read_bytes()).hexdigest()[:16]
        return self.directory / "cache" / "collector" / digest / "otelcol-incident"

    @property
    def calls(self) -> list[str]:
        """What was called so far."""
        written = self.directory / "calls"
        return written.read_text().splitlines() if written.exists() else []

    def start(self, *arguments: str, variables: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start the script."""
        return subprocess.Popen(  # noqa: S603 -- the words are ours
            [sys.executable, str(ROOT / "scripts" / "collector"), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**self.variables, **(variables or {})},
        )

    def run(self, *arguments: str, variables: Mapping[str, str] | None = None) -> tuple[int, str, list[str]]:
        """Run the script; its status, its stdout, the lines of its stderr."""
        with self.start(*arguments, variables=variables) as process:
            stdout, stderr = process.communicate(timeout=30)
        return process.returncode, stdout, stderr.splitlines()


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    """Go first on PATH, an empty cache."""
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text(GO)
    go.chmod(0o755)
    return Workshop(
        tmp_path,
        {
            "PATH": os.pathsep.join([str(go.parent), os.defpath]),
            "HOME": str(tmp_path / "home"),
            "FAKE": str(tmp_path),
            "OTEL_INCIDENT_CACHE_DIR": str(tmp_path / "cache"),
        },
    )


def test_a_path_that_is_not_built_is_an_error_of_one_line(workshop: Workshop) -> None:
    """Nothing on stdout, so that `$(scripts/collector path)` is empty, and nothing is built."""
    status, stdout, stderr = workshop.run("path")

    assert (status, stdout) == (1, "")
    assert stderr == ["collector: not built yet; run: scripts/collector build"]
    assert workshop.calls == []


@pytest.mark.parametrize("command", ["build", "run"])
def test_without_go_one_line_says_what_to_do(workshop: Workshop, command: str) -> None:
    """The status is 2: nothing failed, something is missing."""
    status, stdout, stderr = workshop.run(command, variables={"PATH": str(workshop.directory)})

    assert (status, stdout) == (2, "")
    assert stderr == [
        "collector: not built yet, and building it needs Go: install Go 1.25 or newer, on PATH",
    ]


def test_it_is_built_once_with_the_builder_of_its_release(workshop: Workshop) -> None:
    """By the Go that is there, without C, and with the flags of whoever runs it kept; then only found."""
    first = workshop.run("build", variables={"GOFLAGS": "-buildvcs=false"})
    second = workshop.run("build")

    settings = "GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS=-buildvcs=false -mod=mod"
    assert workshop.calls == [
        f"install go.opentelemetry.io/collector/cmd/builder@v0.158.0 {settings}",
        f"builder --config {MANIFEST}",
    ]
    assert first[:2] == second[:2] == (0, f"{workshop.binary}\n")
    assert "4 to 5 minutes" in first[2][0]
    assert second[2] == []
    assert sorted(path.name for path in workshop.binary.parent.iterdir()) == ["lock", "otelcol-incident"]


@pytest.mark.parametrize(
    ("variables", "cache"),
    [
        ({"OTEL_INCIDENT_CACHE_DIR": "", "XDG_CACHE_HOME": "{}/xdg"}, "xdg/otel-incident"),
        ({"OTEL_INCIDENT_CACHE_DIR": "", "XDG_CACHE_HOME": ""}, "home/.cache/otel-incident"),
    ],
)
def test_the_cache_is_where_caches_are(workshop: Workshop, variables: dict[str, str], cache: str) -> None:
    """XDG's place for it, or `~/.cache`, unless another is named; an empty variable counts as unset."""
    given = {name: value.format(workshop.directory) for name, value in variables.items()}

    status, stdout, _ = workshop.run("build", variables=given)

    expected = workshop.directory / cache / workshop.binary.relative_to(workshop.directory / "cache")
    assert (status, stdout) == (0, f"{expected}\n")


def test_a_failed_build_leaves_no_binary_and_can_be_repeated(workshop: Workshop) -> None:
    """Not even one that the builder had written before it failed."""
    status, stdout, stderr = workshop.run("build", variables={"FAKE_STATUS": "3"})

    assert (status, stdout) == (1, "")
    assert stderr[-1].startswith("collector: the build failed: ")
    assert stderr[-1].endswith("/builder ended with status 3, its reason is above")
    assert workshop.run("path")[0] == 1
    assert workshop.run("build")[:2] == (0, f"{workshop.binary}\n")


def test_two_at_once_build_once(workshop: Workshop) -> None:
    """The second waits, says so, and finds what the first has built."""
    gate = workshop.directory / "gate"
    os.mkfifo(gate)
    with workshop.start("build") as first:
        wait_until(lambda: len(workshop.calls) == 2, 10, "the first is building")
        with workshop.start("build") as second:
            assert second.stderr is not None
            assert second.stderr.readline() == "collector: another process is building it: waiting for that\n"

            gate.write_text("open\n")

            assert first.communicate(timeout=30)[0] == f"{workshop.binary}\n"
            assert second.communicate(timeout=30)[0] == f"{workshop.binary}\n"
    assert len(workshop.calls) == 2


@pytest.mark.parametrize(
    ("arguments", "config"),
    [([], str(LOCAL_CONFIG)), (["--config", "other.yaml"], "other.yaml")],
    ids=["unnamed", "named"],
)
def test_run_becomes_the_collector(workshop: Workshop, arguments: list[str], config: str) -> None:
    """With local.yaml or the file that is named, and with all further arguments."""
    status, stdout, _ = workshop.run("run", *arguments, "--set=a=b", "--feature-gates", "c")

    assert (status, stdout) == (0, f"ran --config {config} --set=a=b --feature-gates c\n")


def test_arguments_nobody_takes_are_refused(workshop: Workshop) -> None:
    """`build` and `path` pass nothing on."""
    status, stdout, stderr = workshop.run("build", "--force")

    assert (status, stdout) == (2, "")
    assert stderr[-1] == "scripts/collector: error: unknown arguments: --force"
