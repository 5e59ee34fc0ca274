"""What the README shows of `otel-incident spool` is what the commands print."""

import re
from typing import Any, Final

import pytest

from otel_incident.cli import main
from otel_incident.spool import waiting
from otel_incident.spool.lease import Lease
from otel_incident.spool.spool import Spool
from otel_incident.spool_cli import drain as drain_module
from tests.collector import ROOT
from tests.otlp_receiver import OtlpReceiver, Status
from tests.spool_records import line
from tests.spooled import HTTP, Spooled, environment
from tests.waiting import wait_until

SECTION: Final = (
    (ROOT / "README.md").read_text(encoding="utf-8").split("## When events wait\n")[1].split("\n## ")[0]
)
SINCE: Final = 1_767_268_800_000_000_000
NAME: Final = "desk-71c7241bc7e0"


def shown() -> list[str]:
    """The section's samples: of status, of drain and of requeue."""
    return re.findall(r"```text\n(.*?)```", SECTION, re.DOTALL)


def test_status(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`status` prints the sample, the folder's name to the last digit."""
    environment(monkeypatch, endpoint="http://collector:4318")
    monkeypatch.setattr(waiting, "observed", lambda _: SINCE)
    spooled = Spooled()
    spooled.write(*range(3))
    spooled.set_aside("HTTP 400", [line(1), line(2)])
    lease = Lease(spooled.path / f"{HTTP}.lease")
    assert lease.take()
    assert main(["spool", "status"]) == 0
    lease.give_back()
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.replace(str(spooled.path.parent), "/var/lib/desk/spool") == shown()[0]


def test_drain(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, receiver: OtlpReceiver
) -> None:
    """`drain` from an endpoint that is down prints the sample, but for the endpoint's address."""
    environment(monkeypatch, endpoint=receiver.http_endpoint)
    receiver.answer_with(Status(503))
    monkeypatch.setattr(drain_module, "STILL_SECONDS", 0.0)
    sample = shown()[1].replace("http://collector:4318", receiver.http_endpoint)
    spooled = Spooled()
    spooled.write(*range(3))
    looked: list[int] = []

    def failed(*arguments: Any, **named: Any) -> Spool:
        """A spool whose first attempt has failed by the time that it is asked."""
        made = Spool(*arguments, **named)
        made.nudge()
        wait_until(lambda: made.status()[HTTP].outage, 30, "an attempt")
        looked.append(1)
        return made

    monkeypatch.setattr(drain_module, "Spool", failed)
    assert main(["spool", "drain"]) == 1
    printed = capsys.readouterr()
    complaints = [each for each in printed.err.splitlines() if each.startswith("otel-incident: desk-")]
    told = "\n".join([*printed.out.splitlines(), *complaints, ""])
    assert told.replace(spooled.name, NAME).replace("progress for 0 s", "progress for 30 s") == sample
    assert looked == [1]


def test_requeue(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`requeue` prints the sample."""
    environment(monkeypatch, endpoint="http://collector:4318")
    spooled = Spooled()
    spooled.set_aside("HTTP 400", [line(1), b"no record\n"])
    assert main(["spool", "requeue"]) == 0
    assert capsys.readouterr().out == shown()[2]


@pytest.mark.parametrize("command", re.findall(r"^otel-incident spool (\w+)", SECTION, re.MULTILINE))
def test_each_command_is_there(capsys: pytest.CaptureFixture[str], command: str) -> None:
    """The commands of the section are the program's."""
    with pytest.raises(SystemExit) as ended:
        main(["spool", command, "--help"])
    assert ended.value.code == 0
    usage = capsys.readouterr().out
    options = dict(re.findall(r"otel-incident spool (\w+) +#(.*)", SECTION))[command]
    for option in re.findall(r"--\w+", options):
        assert option in usage
