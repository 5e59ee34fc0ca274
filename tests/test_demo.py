"""`scripts/demo` for real, as a user starts it; how it judges is tested in `test_demo_judgement.py`."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from examples.demo.options import parse
from tests.backend import collector_binary
from tests.collector import ROOT
from tests.otlp_receiver import OtlpReceiver, Status

# The first run makes an environment; on a slow machine behind a slow index that takes its time.
SECONDS: Final = 600
EVENTS: Final = 51
ROW: Final = re.compile(r"^  [0-9:.]{12}  (incident\.[a-z_]+) ", re.MULTILINE)


def run_demo(scratch: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the demonstration without a terminal; what a failed one leaves to look at is left in `scratch`."""
    return subprocess.run(  # noqa: S603  the words are ours
        [sys.executable, str(ROOT / "scripts" / "demo"), *options],
        env={**os.environ, "TMPDIR": str(scratch)},  # noqa: TID251  a child gets the tests' environment
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_every_event_arrives_once_and_no_content_does(tmp_path: Path) -> None:
    """The demonstration ends with status 0, shows each event that is due, and found no string of content."""
    done = run_demo(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    names = ROW.findall(done.stdout)
    assert len(names) == EVENTS
    assert {name: names.count(name) for name in names} == {
        "incident.create": 6,
        "incident.change_commander": 9,
        "incident.change_stage": 18,
        "incident.end": 12,
        "incident.restart": 6,
    }
    found = re.search(
        r"content that the host held: ([0-9]+); of these anywhere in what arrived: 0\n", done.stdout
    )
    assert found is not None
    assert int(found[1]) > 150
    assert "service.instance.id, which was sent on purpose, is found" in done.stdout
    assert f"{EVENTS} of {EVENTS} events arrived, each exactly once" in done.stdout
    if isinstance(collector_binary(), Path):
        assert f"the real one wrote {EVENTS} events" in done.stdout
    assert "\033" not in done.stdout, "escape codes are for terminals"
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_a_collector_of_the_users_gets_everything(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """`--endpoint` passes the events and the host's own telemetry on to a collector that is not ours."""
    done = run_demo(tmp_path, "--endpoint", receiver.http_endpoint)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [event.event_name for event in receiver.telemetry().events] == ROW.findall(done.stdout)
    assert receiver.spans()
    assert receiver.metrics()


def test_what_the_users_collector_refuses_is_missing(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """A collector that takes nothing makes the demonstration fail, and say what is missing."""
    receiver.answer_with(Status(400))
    done = run_demo(tmp_path, "--endpoint", receiver.http_endpoint)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "incident 6: missing is event 1 to 6: incident.create, incident.change_stage" in done.stdout
    assert f"0 of {EVENTS} events arrived; not as they should have" in done.stdout


def test_an_endpoint_where_nobody_listens_is_said_at_once(free_port: int, tmp_path: Path) -> None:
    """Nothing is played for a collector that is not there."""
    done = run_demo(tmp_path, "--endpoint", f"http://127.0.0.1:{free_port}")
    assert done.returncode == 1
    assert f"nothing answers at http://127.0.0.1:{free_port}" in done.stdout
    assert "Playing" not in done.stdout


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://collector.example",
        "127.0.0.1:4318",
        "http://",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:abc",
        "http://127.0.0.1:0",
        "http://[::1",
        "http://collector..example:4318",
        "http://jane:s3cr3t@127.0.0.1:4318",
        "http://jane@127.0.0.1:4318",
    ],
)
def test_an_endpoint_that_it_cannot_use_is_refused(endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Only plain HTTP is spoken to a collector of the user's; a mistake is one line that repeats nothing."""
    with pytest.raises(SystemExit) as ended:
        parse(["--endpoint", endpoint])
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[-1] == (
        "scripts/demo: error: argument --endpoint: expected a URL like http://127.0.0.1:4318; for a "
        "collector that wants https or credentials, start a local one that passes on to it"
    )
    assert "s3cr3t" not in said.err
    assert "jane" not in said.err


def test_a_mistake_ends_the_demonstration_with_status_2(tmp_path: Path) -> None:
    """As a command line that cannot be used does everywhere, before anything is set up."""
    done = run_demo(tmp_path, "--endpoint", "http://127.0.0.1:99999")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


@pytest.fixture
def free_port() -> int:
    """A port on which nobody listens."""
    with OtlpReceiver() as receiver:
        return receiver.http_port
