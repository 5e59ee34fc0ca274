"""What the README shows of `otel-incident doctor` and `otel-incident hooks` is what the commands print."""

import re
from pathlib import Path
from typing import Final

import pytest

from otel_incident.cli import main
from otel_incident.distributions import version_of
from otel_incident.doctor import installation
from otel_incident.spool import waiting
from otel_incident.state import own_directory
from tests.collector import ROOT
from tests.doctor import host
from tests.otlp_receiver import OtlpReceiver, Status
from tests.processes import run
from tests.spooled import Spooled, environment

README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION: Final = README.split("## When nothing arrives\n")[1].split("\n## ")[0]
SINCE: Final = 1_767_268_800_000_000_000
SERVICES: Final = """
ROUTES = {}


def post(path):
    def register(function):
        ROUTES[path] = function
        return function
    return register


def declare(title, owner):
    return owner


@post("/incidents")
def close(incident):
    return incident
"""


def shown() -> list[str]:
    """The section's samples: of the doctor, and of the check of hooks."""
    return re.findall(r"```text\n(.*?)```", SECTION, re.DOTALL)


def test_the_doctor(
    receiver: OtlpReceiver,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """It prints the sample, but for addresses, versions and the folder in which it is."""
    host(monkeypatch)
    environment(monkeypatch, endpoint=receiver.http_endpoint)
    monkeypatch.setenv("OTEL_INCIDENT_HOOKS", str(tmp_path / "hooks.toml"))
    (tmp_path / "hooks.toml").write_text(re.findall(r"```toml\n(.*?)```", README, re.DOTALL)[0])
    state = own_directory(tmp_path / "state")
    (state / "diagnostic-id").write_text("66666666-6666-4666-8666-666666666666\n")
    monkeypatch.setattr(installation, "_MOUNTINFO", tmp_path / "none")
    monkeypatch.setattr(waiting, "observed", lambda _: SINCE)
    spooled = Spooled()
    spooled.write(*range(3))
    spooled.end()
    receiver.answer_with(Status(401))

    assert main(["doctor"]) == 1

    sample = shown()[0]
    for package, example in (
        ("otel-incident", "0.1.0"),
        ("opentelemetry-sdk", "1.45.2"),
        ("opentelemetry-distro", "0.66b2"),
    ):
        sample = sample.replace(f"{package} {example}", f"{package} {version_of(package)}")
    package = "opentelemetry-exporter-otlp-proto-http"
    sample = sample.replace("otlp_proto_http 1.45.2", f"otlp_proto_http {version_of(package)}")
    sample = sample.replace("http://collector:4318", receiver.http_endpoint)
    sample = sample.replace("/var/lib/desk", str(state)).replace("hooks.toml", str(tmp_path / "hooks.toml"))
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == (sample, "")


def test_the_check_of_hooks(tmp_path: Path) -> None:
    """It prints the sample."""
    (tmp_path / "desk").mkdir()
    (tmp_path / "desk" / "__init__.py").write_text("")
    (tmp_path / "desk" / "services.py").write_text(SERVICES)
    hook = (
        '[[hook]]\nname = "{0}"\nkind = "call"\ntarget = "desk.services:{0}"\n'
        'action = "{1}"\nincident.id = "{2}"\n'
    )
    (tmp_path / "hooks.toml").write_text(
        '[host]\nname = "desk"\n'
        + hook.format("declare", "create", "arg.owner.id")
        + hook.format("close", "end", "arg.incident.id")
        + hook.format("reopen", "restart", "arg.incident.id")
        + hook.replace('name = "{0}"', 'name = "hand-over"').format(
            "declare", "change_commander", "arg.commander.id"
        )
    )
    ended = run(
        f"""
        import os, sys
        os.chdir({str(tmp_path)!r})
        from otel_incident.cli import main
        sys.exit(main(["hooks", "check", "hooks.toml"]))
        """
    )
    assert (ended.status, ended.stdout, ended.stderr) == (1, shown()[1], "")
