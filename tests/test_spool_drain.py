"""`otel-incident spool drain`: what waits leaves now, to the endpoint that it was meant for, to no other."""

import contextlib
import fcntl
import io
import json
import os
import pty
import struct
import termios
from collections.abc import Callable
from typing import Any, Final

import pytest

from otel_incident.cli import main
from otel_incident.config import Config, spooling_if_on
from otel_incident.spool import delivery
from otel_incident.spool.cursors import Cursor
from otel_incident.spool.lease import Lease, is_held
from otel_incident.spool.segments import segments_in
from otel_incident.spool.spool import Spool
from otel_incident.spool_cli import drain as drain_module
from otel_incident.spool_cli.drain import drain
from otel_incident.spool_cli.folders import Environment, find
from otel_incident.spool_cli.matching import destinations_of
from otel_incident.spool_cli.progress import Progress
from otel_incident.spool_cli.status import status
from tests.otlp_receiver import OK, OtlpReceiver, PartialSuccess, Status
from tests.spooled import AT, ENDPOINT, GRPC, HTTP, Spooled, environment
from tests.waiting import wait_until

CONTENT: Final = "Payments down at ACME"


@pytest.fixture(autouse=True)
def _desk(monkeypatch: pytest.MonkeyPatch, receiver: OtlpReceiver) -> None:
    """The environment of the service `desk`, which sends to the receiver."""
    environment(monkeypatch, endpoint=receiver.http_endpoint)
    # a command's handler would outlive its test
    monkeypatch.setattr("otel_incident.cli.logging.basicConfig", lambda **_: None)


@pytest.fixture
def spools(monkeypatch: pytest.MonkeyPatch) -> list[Spool]:
    """The spools that a drain has made."""
    made: list[Spool] = []

    def make(*arguments: Any, **named: Any) -> Spool:
        made.append(Spool(*arguments, **named))
        return made[-1]

    monkeypatch.setattr(drain_module, "Spool", make)
    return made


def failed(spools: list[Spool], name: str = HTTP) -> None:
    """Return when the last spool knows why it cannot deliver."""
    wait_until(lambda: spools[-1].status()[name].outage, 30, "an attempt that failed")


def where(receiver: OtlpReceiver, rest: str) -> str:
    """The end of a complaint."""
    return f"{receiver.http_endpoint}/v1/logs: {rest}"


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """The exit status of `drain`, what it has printed, and its complaints without the progress."""
    code = main(["spool", "drain", *words])
    printed = capsys.readouterr()
    lines = [each for each in printed.err.splitlines(keepends=True) if " delivered, " not in each]
    return code, printed.out, "".join(lines)


class Clock:
    """A clock that moves only while the command waits, and what else happens meanwhile.

    Args:
        step: Seconds that pass with each wait.
        meanwhile: Called with the number of the wait.
    """

    def __init__(self, step: float, meanwhile: Callable[[int], object] = lambda _: None) -> None:
        self.seconds = 0.0
        self.waits = 0
        self._step = step
        self._meanwhile = meanwhile

    def now(self) -> float:
        """Seconds."""
        return self.seconds

    def pause(self, _: float) -> None:
        """Let something happen, and time pass."""
        self.waits += 1
        self._meanwhile(self.waits)
        self.seconds += self._step


def drained(clock: Clock, timeout: float | None = None) -> tuple[bool, list[str], list[str]]:
    """What a drain of all folders says, prints and complains of, by a clock of the test's own."""
    here = Environment.of(Config.from_env(), spooling_if_on())
    folders, problems = find(here)
    assert problems == []
    said: list[str] = []
    complaints: list[str] = []
    done = drain(here, folders, timeout, said.append, complaints.append, now=clock.now, pause=clock.pause)
    return done, said, complaints


def test_all_leaves(capsys: pytest.CaptureFixture[str], receiver: OtlpReceiver) -> None:
    """What waits is delivered in order, the segments are gone, and the exit status is 0."""
    spooled = Spooled()
    spooled.write(*range(1500), body=CONTENT)
    spooled.end()
    assert told(capsys) == (0, f"{spooled.name}: 1,500 records delivered; nothing waits.\n", "")
    assert [event.timestamp for event in receiver.telemetry().events] == [AT + n for n in range(1500)]
    assert segments_in(spooled.path / "segments") == []
    assert told(capsys) == (0, "Nothing waits.\n", "")
    assert told(capsys, spooled.name, "--timeout", "5") == (0, "Nothing waits.\n", "")
    lease = Lease(spooled.path / f"{HTTP}.lease")
    assert lease.take()
    lease.give_back()


def test_what_waits_and_why(receiver: OtlpReceiver, spools: list[Spool]) -> None:
    """Where the endpoint is down, it ends 30 s after the last progress with how much waits, and why."""
    spooled = Spooled()
    written = spooled.write(1, 2, 3, body=CONTENT)
    receiver.answer_with(Status(503))
    clock = Clock(10.0, lambda _: failed(spools))
    done, said, complaints = drained(clock)
    assert (done, clock.waits) == (False, 3)
    assert said == [f"{spooled.name}: 0 records delivered."]
    assert complaints == [
        (
            f"{spooled.name}: 3 records ({sum(map(len, written)) / 1000:.1f} kB) still wait for "
            f"otlp_proto_http at {receiver.http_endpoint}/v1/logs: HTTP 503; there was no progress for 30 s."
        )
    ]
    lease = spooled.path / f"{HTTP}.lease"
    wait_until(lambda: not is_held(lease), 30, "the end of the attempt that was under way")
    receiver.answer_with(OK)
    assert drained(Clock(0.0)) == (True, [f"{spooled.name}: 3 records delivered; nothing waits."], [])


def test_a_time_limit(receiver: OtlpReceiver, spools: list[Spool]) -> None:
    """`--timeout` ends it sooner, and says so."""
    spooled = Spooled()
    spooled.write(1)
    receiver.answer_with(Status(401))
    clock = Clock(4.0, lambda _: failed(spools))
    done, _, (complaint,) = drained(clock, timeout=8.0)
    assert (done, clock.waits) == (False, 2)
    assert complaint.startswith(f"{spooled.name}: 1 record (")
    assert complaint.endswith(
        " still waits for otlp_proto_http at " + where(receiver, "HTTP 401; 8 s have passed.")
    )


def test_an_endpoint_that_comes_back(receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again each second, however long a host would wait by now."""
    monkeypatch.setattr(delivery, "FIRST_BACKOFF", 1e6)
    monkeypatch.setattr(delivery, "LAST_BACKOFF", 1e6)
    spooled = Spooled()
    spooled.write(1, 2)
    receiver.answer_with(Status(503), Status(503), Status(503), OK)

    def another_attempt(_: int) -> None:
        with contextlib.suppress(TimeoutError):  # one that comes just when another has failed is passed over
            receiver.wait_for_requests(len(receiver.requests) + 1, 0.2)

    assert drained(Clock(1.0, another_attempt))[0] is True
    assert [event.timestamp for event in receiver.telemetry().events] == [AT + 1, AT + 2]


def test_interrupted(receiver: OtlpReceiver, spools: list[Spool]) -> None:
    """Ctrl-C ends it with what is left, not with a traceback."""
    spooled = Spooled()
    spooled.write(1)
    receiver.answer_with(Status(503))

    def interrupt(_: int) -> None:
        failed(spools)
        raise KeyboardInterrupt

    done, said, (complaint,) = drained(Clock(0.0, interrupt))
    assert (done, said) == (False, [f"{spooled.name}: 0 records delivered."])
    assert complaint.endswith(where(receiver, "HTTP 503; it was interrupted."))


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "soon"])
def test_a_time_limit_that_is_none(capsys: pytest.CaptureFixture[str], value: str) -> None:
    """What is no number of seconds is a usage error."""
    with pytest.raises(SystemExit) as ended:
        main(["spool", "drain", f"--timeout={value}"])
    assert ended.value.code == 2
    assert "argument --timeout: must be a number of seconds above 0" in capsys.readouterr().err


def test_what_can_never_be_delivered(capsys: pytest.CaptureFixture[str], receiver: OtlpReceiver) -> None:
    """What the endpoint refuses is set aside; the exit status is 1 and the line says what to do."""
    spooled = Spooled()
    spooled.write(1, body=CONTENT)
    receiver.answer_with(Status(400))
    code, out, err = told(capsys)
    assert (code, out) == (1, f"{spooled.name}: 0 records delivered; nothing waits.\n")
    assert err.splitlines()[-1] == (
        f"otel-incident: {spooled.name}: 1 record that otlp_proto_http can never deliver set aside: "
        "`otel-incident spool status` says why, `otel-incident spool requeue` sends them again."
    )
    assert CONTENT not in out + err
    receiver.answer_with(OK)
    assert main(["spool", "requeue"]) == 0
    assert capsys.readouterr().out == f"{spooled.name}: 1 record put back into the queue.\n"
    assert told(capsys)[0] == 0
    assert [event.timestamp for event in receiver.telemetry().events] == [AT + 1]


def test_a_partial_success(capsys: pytest.CaptureFixture[str], receiver: OtlpReceiver) -> None:
    """What the endpoint took and refused for good has left, and is said."""
    spooled = Spooled()
    spooled.write(1, 2)
    receiver.answer_with(PartialSuccess(1))
    code, out, err = told(capsys)
    assert (code, out) == (0, f"{spooled.name}: 2 records delivered; nothing waits.\n")
    assert err.splitlines()[-1] == (
        f"otel-incident: {spooled.name}: 1 record of those delivered to otlp_proto_http refused for good."
    )


def test_another_process_delivers(receiver: OtlpReceiver) -> None:
    """Where a host has the lease nothing is sent from here, and what it does is waited for."""
    spooled = Spooled()
    first, second = spooled.write(1, 2)
    lease = Lease(spooled.path / f"{HTTP}.lease")
    assert lease.take()
    clock = Clock(10.0)
    done, said, (complaint,) = drained(clock)
    assert (done, clock.waits) == (False, 3)
    assert said == [f"{spooled.name}: 0 records delivered."]
    assert complaint.endswith(
        where(receiver, "a running process delivers it; there was no progress for 30 s.")
    )

    def host(wait: int) -> None:
        (segment,) = segments_in(spooled.path / "segments")
        cursor = Cursor(spooled.path / f"{HTTP}.cursor")
        if wait in {2, 4}:
            cursor.move(segment.name, len(first) if wait == 2 else len(first + second))
            assert cursor.keep()

    clock = Clock(20.0, host)
    assert drained(clock) == (True, [f"{spooled.name}: 0 records delivered; nothing waits."], [])
    assert clock.waits == 4
    assert receiver.requests == ()
    lease.give_back()


def test_a_host_that_ends_meanwhile(receiver: OtlpReceiver) -> None:
    """What a host has left when it ends is delivered from here."""
    spooled = Spooled()
    spooled.write(1)
    lease = Lease(spooled.path / f"{HTTP}.lease")
    assert lease.take()

    def host(wait: int) -> None:
        if wait == 2:
            lease.give_back()
            receiver.wait_for_requests(1, 30)

    assert drained(Clock(0.1, host)) == (True, [f"{spooled.name}: 1 record delivered; nothing waits."], [])


def test_another_endpoint(
    capsys: pytest.CaptureFixture[str], receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for another endpoint stays, and the line names that and what to set."""
    environment(monkeypatch)
    theirs = Spooled()
    theirs.write(1)
    environment(monkeypatch, endpoint=receiver.http_endpoint)
    line = (
        f"otel-incident: {theirs.name} waits for other endpoints than this environment's, so nothing is "
        "sent: set OTEL_LOGS_EXPORTER, OTEL_EXPORTER_OTLP_PROTOCOL and OTEL_EXPORTER_OTLP_ENDPOINT as its "
        f"host has them (otlp_proto_http at {ENDPOINT}/v1/logs).\n"
    )
    before = theirs.tree()
    assert told(capsys) == (1, "", line)
    assert told(capsys, theirs.name) == (1, "", line)
    ours = Spooled()
    ours.write(2)
    assert told(capsys) == (1, f"{ours.name}: 1 record delivered; nothing waits.\n", line)
    assert theirs.tree()[f"{theirs.name}/segments"] == before[f"{theirs.name}/segments"]
    assert [event.timestamp for event in receiver.telemetry().events] == [AT + 2]


@pytest.mark.parametrize(
    ("written", "insecure"), [("{}", "true"), ("HTTP://{}", ""), ("http://LOCALHOST:{port}", "")]
)
def test_the_same_endpoint_in_other_words(
    capsys: pytest.CaptureFixture[str],
    receiver: OtlpReceiver,
    monkeypatch: pytest.MonkeyPatch,
    written: str,
    insecure: str,
) -> None:
    """A folder is delivered by whoever sends to its endpoint, whichever way that is written."""
    port = receiver.grpc_endpoint.rpartition(":")[2]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    environment(monkeypatch, endpoint=f"http://localhost:{port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    spooled = Spooled()
    spooled.write(1)
    spooled.end()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", written.format(f"localhost:{port}", port=port))
    if insecure:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_INSECURE", insecure)
    assert told(capsys) == (0, f"{spooled.name}: 1 record delivered; nothing waits.\n", "")
    assert len(receiver.accepted) == 1


def test_another_endpoint_that_is_told_alike(
    capsys: pytest.CaptureFixture[str], receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An endpoint that differs in its query alone, which no description shows, is another one."""
    where = f"{receiver.http_endpoint}/v1/logs"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", f"{where}?tenant=1")
    theirs = Spooled()
    theirs.write(1)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", f"{where}?tenant=2")
    code, out, err = told(capsys)
    assert (code, out) == (1, "")
    assert err.startswith(f"otel-incident: {theirs.name} waits for other endpoints than this environment's")
    assert "tenant" not in err
    assert receiver.requests == ()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", f"{where}?tenant=1")
    here = Environment.of(Config.from_env(), spooling_if_on())
    (folder,) = find(here)[0]
    assert [each.endpoint for each in destinations_of(folder, here)] == [f"{where}?tenant=1"]


def test_a_description_that_lies(capsys: pytest.CaptureFixture[str], receiver: OtlpReceiver) -> None:
    """A description that somebody has changed, or a folder that he has renamed, leads nowhere else."""
    theirs = Spooled()
    theirs.write(1)
    described = json.loads((theirs.path / "destination.json").read_text())
    theirs.path.rename(theirs.path.with_name("desk-0123456789ab"))
    assert told(capsys)[0] == 1
    described["exporters"][HTTP]["endpoint"] = "http://elsewhere.invalid/v1/logs"
    theirs.path.with_name("desk-0123456789ab").rename(theirs.path)
    (theirs.path / "destination.json").write_text(json.dumps(described))
    assert told(capsys)[0] == 1
    assert receiver.requests == ()


def test_no_description(
    capsys: pytest.CaptureFixture[str], receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a description the folder of this environment is known by its name; another is not sent."""
    spooled = Spooled()
    spooled.write(1)
    (spooled.path / "destination.json").unlink()
    (spooled.path / f"{HTTP}.lease").touch()
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mail")
    assert told(capsys) == (
        1,
        "",
        (
            f"otel-incident: {spooled.name} does not say where its events go, so none are sent: run this "
            "with the variables of the host that has written them.\n"
        ),
    )
    assert receiver.requests == ()
    monkeypatch.setenv("OTEL_SERVICE_NAME", "desk")
    assert told(capsys)[0] == 0


def test_several_services_and_exporters(
    capsys: pytest.CaptureFixture[str], receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every folder whose exporters are all among this environment's is delivered, whatever its service."""
    alone = Spooled("mail")
    alone.write(1)
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "otlp_proto_http,otlp_proto_grpc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", f"{receiver.http_endpoint}/v1/logs")
    both = Spooled("news")
    both.write(2)
    assert both.names == ["otlp_proto_grpc", HTTP]
    code, out, _ = told(capsys, "mail", "--timeout", "20")
    assert (code, out) == (2, "")
    code, out, _ = told(capsys, alone.name)
    assert (code, out) == (0, f"{alone.name}: 1 record delivered; nothing waits.\n")
    monkeypatch.delenv("OTEL_LOGS_EXPORTER")
    assert told(capsys)[0] == 1
    assert [event.timestamp for event in receiver.telemetry().events] == [AT + 1]


def test_over_grpc(
    capsys: pytest.CaptureFixture[str],
    receiver: OtlpReceiver,
    spools: list[Spool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What waits for an endpoint of gRPC is delivered in order; what it refuses stays, with its status."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.grpc_endpoint)
    spooled = Spooled()
    spooled.write(*range(600))
    assert spooled.names == [GRPC]
    receiver.answer_with(Status(401))
    done, said, (complaint,) = drained(Clock(40.0, lambda _: failed(spools, GRPC)))
    assert (done, said) == (False, [f"{spooled.name}: 0 records delivered."])
    assert complaint.endswith(
        f"still wait for {GRPC} at {receiver.grpc_endpoint}: gRPC UNAUTHENTICATED; there was no progress for "
        "30 s."
    )
    lease = spooled.path / f"{GRPC}.lease"
    wait_until(lambda: not is_held(lease), 30, "the end of the attempt that was under way")
    receiver.answer_with(OK)
    capsys.readouterr()
    assert told(capsys) == (0, f"{spooled.name}: 600 records delivered; nothing waits.\n", "")
    assert [event.timestamp for event in receiver.telemetry().events] == [AT + n for n in range(600)]


@pytest.mark.parametrize("alive", [HTTP, GRPC])
def test_one_of_two_exporters_is_dead(
    receiver: OtlpReceiver, spools: list[Spool], monkeypatch: pytest.MonkeyPatch, alive: str
) -> None:
    """The other one gets everything; the exit status and the line say for which one it still waits."""
    # one endpoint for both, where only one of the two protocols is spoken
    endpoint = receiver.http_endpoint if alive == HTTP else receiver.grpc_endpoint
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", f"{HTTP},{GRPC}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    dead, at = (GRPC, endpoint) if alive == HTTP else (HTTP, f"{endpoint}/v1/logs")
    spooled = Spooled()
    written = spooled.write(1, 2, 3)
    reasons: list[str] = []

    def meanwhile(_: int) -> None:
        receiver.wait_for_events(3, timeout=30)
        failed(spools, dead)
        reasons.append(spools[-1].status()[dead].outage)

    done, said, (complaint,) = drained(Clock(40.0, meanwhile))
    assert (done, said) == (False, [f"{spooled.name}: 3 records delivered."])
    assert complaint.removesuffix("; there was no progress for 30 s.").removesuffix(reasons[-1]) == (
        f"{spooled.name}: 3 records ({sum(map(len, written)) / 1000:.1f} kB) still wait for {dead} at {at}: "
    )
    here = Environment.of(Config.from_env(), spooling_if_on())
    (folder,) = status(here, find(here)[0])["folders"]
    waiting = {name: each["waiting"]["records"] for name, each in folder["exporters"].items()}
    assert waiting == {alive: 0, dead: 3}
    assert [event.timestamp for event in receiver.telemetry().events] == [AT + 1, AT + 2, AT + 3]


def test_telemetry_is_off(
    capsys: pytest.CaptureFixture[str], receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where telemetry is off nothing is sent, though something waits."""
    Spooled().write(1)
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    assert told(capsys) == (
        1,
        "",
        (
            "otel-incident: telemetry is off here (DO_NOT_TRACK is set): nothing is kept or delivered. So "
            "nothing is delivered from here.\n"
        ),
    )
    assert receiver.requests == ()


def test_an_exporter_that_is_not_installed(spools: list[Spool], monkeypatch: pytest.MonkeyPatch) -> None:
    """An exporter that cannot be made is the reason why its events wait."""
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "acme")
    spooled = Spooled()
    spooled.write(1)
    done, _, (complaint,) = drained(Clock(10.0, lambda _: failed(spools, "acme")))
    assert done is False
    assert complaint.endswith(
        " still waits for acme at its own endpoint: no installed package has an exporter of that name in the "
        "group opentelemetry_logs_exporter; there was no progress for 30 s."
    )


def test_a_folder_that_lets_others_in(capsys: pytest.CaptureFixture[str], receiver: OtlpReceiver) -> None:
    """A folder that others may look into is one that no host delivers from; the line says how to mend it."""
    spooled = Spooled()
    spooled.write(1)
    spooled.path.chmod(0o755)
    assert told(capsys) == (
        1,
        "",
        (
            f"otel-incident: {spooled.name} lets other users in, so no host delivers from it: run `chmod 700 "
            f"{spooled.path}`.\n"
        ),
    )
    assert receiver.requests == ()


def test_old_events_are_not_dropped(
    capsys: pytest.CaptureFixture[str], receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a host would drop for its age or its size leaves all the same when a person asks for it."""
    monkeypatch.setenv("OTEL_INCIDENT_SPOOL_MAX_AGE", "1")
    monkeypatch.setenv("OTEL_INCIDENT_SPOOL_MAX_BYTES", "1")
    spooled = Spooled()
    spooled.write(*range(600))
    spooled.end()
    assert told(capsys)[:2] == (0, f"{spooled.name}: 600 records delivered; nothing waits.\n")
    assert len(receiver.telemetry().events) == 600


class Terminal(io.StringIO):
    """What a progress is shown on."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def fileno(self) -> int:
        """Of a terminal."""
        return self._descriptor

    def isatty(self) -> bool:
        """It is one."""
        return True


@pytest.mark.parametrize(("columns", "width"), [(20, 19), (0, 79), (200, 100)])
def test_the_width_of_a_terminal(columns: int, width: int) -> None:
    """On a terminal one line is rewritten, cut to its width, and gone at the end; what is logged stays."""
    leading, following = pty.openpty()
    fcntl.ioctl(following, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    stream = Terminal(following)
    progress = Progress(stream)
    progress.show("x" * 100)
    cut = "x" * 100 if width == 100 else "x" * (width - 1) + "…"
    assert stream.getvalue() == f"\r{cut}"
    progress.show("short")
    progress.show("short")
    progress.line("a line")
    progress.clear()
    rest = stream.getvalue().removeprefix(f"\r{cut}")
    assert rest == f"\r{'short':{width}}\r     \ra line\n"
    os.close(leading)
    os.close(following)


def test_no_terminal() -> None:
    """Elsewhere there is a line at first, and then one every five seconds if it is another."""
    stream, clock = io.StringIO(), Clock(0.0)
    progress = Progress(stream, clock.now)
    for at, text in ((0, "a"), (1, "b"), (5, "b"), (11, "b"), (12, "c")):
        clock.seconds = at
        progress.show(text)
    progress.clear()
    assert stream.getvalue() == "a\nb\nc\n"


def test_nobody_delivers_yet(receiver: OtlpReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first attempt the progress names no process: there is none but the command's own."""
    monkeypatch.setattr(Spool, "nudge", lambda _: None)  # its threads have not begun
    shown: list[str] = []
    monkeypatch.setattr(Progress, "show", lambda _, text: shown.append(text))
    spooled = Spooled()
    waits = f"{sum(map(len, spooled.write(1, 2)))} B"
    assert drained(Clock(40.0))[0] is False
    assert shown == [f"0 records delivered, {waits} wait"]
    lease = Lease(spooled.path / f"{HTTP}.lease")
    assert lease.take()
    assert drained(Clock(40.0))[0] is False
    lease.give_back()
    assert shown[1:] == [f"{shown[0]} (a running process delivers it)"]
    assert receiver.requests == ()


def test_a_lease_that_cannot_be_used(receiver: OtlpReceiver) -> None:
    """Where the lock cannot be had that is the reason, and no process that would deliver is made up."""
    spooled = Spooled()
    spooled.write(1)
    (spooled.path / f"{HTTP}.lease").mkdir()
    done, _, (complaint,) = drained(Clock(40.0))
    assert done is False
    user = spooled.path.owner()
    assert complaint.endswith(
        where(
            receiver,
            f"{HTTP}.lease cannot be used (Is a directory): give it to the user {user}, or move it away; "
            "there was no progress for 30 s.",
        )
    )
    assert receiver.requests == ()


def test_the_progress_is_on_stderr(capsys: pytest.CaptureFixture[str], receiver: OtlpReceiver) -> None:
    """How far it has got is told on stderr; stdout is the result."""
    Spooled().write(1)
    assert main(["spool", "drain"]) == 0
    out, err = capsys.readouterr()
    assert "wait" not in out.replace("nothing waits", "")
    assert err.splitlines()[0].startswith(
        ("0 records delivered, ", "1 record delivered, ")
    )  # the sender's quick
    assert receiver.accepted
