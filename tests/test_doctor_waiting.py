"""`otel-incident doctor` says what waits on disk, and what to do about it."""

import pytest

from otel_incident.spool.lease import Lease
from otel_incident.spool_cli.words import size
from tests.doctor import about, diagnosis, host
from tests.spooled import ENDPOINT, HTTP, Spooled, environment


@pytest.fixture(autouse=True)
def _host(monkeypatch: pytest.MonkeyPatch) -> None:
    host(monkeypatch)


def test_what_waits(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """How much waits here and since when, and what to do where no process delivers it."""
    environment(monkeypatch)
    spooled = Spooled()
    lines = spooled.write(0, 1)
    spooled.end()
    spooled.set_aside("HTTP 400", lines[:1])
    status, said = diagnosis(capsys, "--offline")
    assert about("waiting", said) == [
        (
            f"warning: 2 records ({size(sum(map(len, lines)))}) wait since 2023-11-14T22:13:20Z for "
            f"{ENDPOINT}/v1/logs; no running process delivers; start the host, or: otel-incident spool drain"
        ),
        (
            f"warning: 1 record for {ENDPOINT}/v1/logs set aside, since they were refused (http-400); see "
            "them: "
            f"otel-incident spool show --quarantine {spooled.name}; send them again: otel-incident spool "
            "requeue "
            f"{spooled.name}"
        ),
    ]
    assert status == 0


def test_what_a_running_process_delivers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then it waits as it should."""
    environment(monkeypatch)
    spooled = Spooled()
    lines = spooled.write(0)
    spooled.end()
    lease = Lease(spooled.path / f"{HTTP}.lease")
    assert lease.take()
    _, said = diagnosis(capsys, "--offline")
    lease.give_back()
    assert about("waiting", said) == [
        (
            f"ok: 1 record ({size(len(lines[0]))}) waits since 2023-11-14T22:13:20Z for {ENDPOINT}/v1/logs; "
            "a running "
            "process delivers"
        )
    ]


def test_what_waits_for_another_endpoint(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not leave to this environment's, which is said with what to do."""
    environment(monkeypatch, endpoint="http://before.invalid:4318")
    spooled = Spooled()
    lines = spooled.write(0)
    spooled.end()
    environment(monkeypatch)
    _, said = diagnosis(capsys, "--offline")
    assert about("waiting", said) == [
        (
            f"warning: 1 record ({size(len(lines[0]))}) waits since 2023-11-14T22:13:20Z for "
            "http://before.invalid:4318/v1/logs, which is not where this environment sends: it does not "
            "leave to "
            f"another; with the variables of the service desk: otel-incident spool drain {spooled.name}"
        )
    ]


def test_without_a_spool(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What that costs is said."""
    monkeypatch.setenv("OTEL_INCIDENT_SPOOL", "false")
    _, said = diagnosis(capsys, "--offline")
    assert about("waiting", said) == [
        (
            "warning: the spool is off: what is not delivered when a process ends is lost; unset "
            "OTEL_INCIDENT_SPOOL"
        )
    ]
