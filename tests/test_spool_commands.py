"""`otel-incident spool status`, `show` and `requeue`: what waits is seen, what was set aside comes back."""

import fcntl
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from otel_incident.cli import main
from otel_incident.config import Config, spooling_if_on, variables_of_process
from otel_incident.spool import quarantine
from otel_incident.spool import waiting as waiting_module
from otel_incident.spool.cursors import Cursor
from otel_incident.spool.lease import Lease
from otel_incident.spool.segments import Segment, segments_in
from otel_incident.spool_cli.folders import Environment, find
from otel_incident.spool_cli.status import status
from otel_incident.spool_cli.words import iso, size
from tests.processes import Ended, run, start, succeed
from tests.spool_records import line
from tests.spooled import AT, ENDPOINT, GRPC, HTTP, Spooled, environment, give_away

CONTENT: Final = "Payments down at ACME"
AS_NOBODY: Final = """
    import contextlib, io, os, sys
    from otel_incident.cli import main
    # nobody may not read Python's own library either: all of it that is needed is read before
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        main(["spool", "status"])
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    sys.exit(main(sys.stdin.readline().split()))
"""


@pytest.fixture(autouse=True)
def _desk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of the service `desk`."""
    environment(monkeypatch)


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """The exit status of a command, and what it has printed."""
    code = main(["spool", *words])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def of_folder(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What `status --json` says of the one folder."""
    code, out, err = told(capsys, "status", "--json")
    assert (code, err) == (0, "")
    (folder,) = json.loads(out)["folders"]
    assert isinstance(folder, dict)
    return folder


def test_there_is_no_spool(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Where no event has been kept yet, that is said, and nothing is made."""
    where = tmp_path / "state" / "spool"
    assert told(capsys, "status") == (
        0,
        f"There is no spool in {where}: no event has been kept there yet.\n",
        "",
    )
    assert told(capsys, "show") == (
        2,
        "",
        "otel-incident: there is no spool here: `otel-incident spool status` says where it would be.\n",
    )
    assert told(capsys, "requeue") == (0, "Nothing is set aside.\n", "")
    assert told(capsys, "drain") == (0, "Nothing waits.\n", "")
    assert not (tmp_path / "state").exists()


def test_the_directory_is_none(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Each command names a file that lies where the spool would be, and what to do; the status is 1."""
    where = tmp_path / "state" / "spool"
    where.parent.mkdir(0o700)
    where.touch()
    problem = (
        f"otel-incident: {where} cannot be read (Not a directory): move away what is there, or set "
        "OTEL_INCIDENT_SPOOL_DIR to a directory.\n"
    )
    assert told(capsys, "status") == (1, f"The spool is {where}, and cannot be read.\n", problem)
    assert told(capsys, "requeue") == (1, "Nothing is set aside.\n", problem)
    assert told(capsys, "drain") == (1, "Nothing waits.\n", problem)
    assert told(capsys, "show")[0] == 2


def test_there_is_no_place_for_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a home directory there is a line that says what to set."""
    for name in ("OTEL_INCIDENT_STATE_DIR", "XDG_STATE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    assert told(capsys, "status") == (
        0,
        "There is no home directory to keep events in: set OTEL_INCIDENT_SPOOL_DIR.\n",
        "",
    )


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "otel-incident spool: error: the following arguments are required: COMMAND"),
        (["stats"], "otel-incident spool: error: argument COMMAND: invalid choice: 'stats'"),
        (["status", "--yaml"], "otel-incident: error: unrecognized arguments: --yaml"),
        (["show", "one", "two"], "otel-incident: error: unrecognized arguments: two"),
        (
            ["requeue", "--reason"],
            "otel-incident spool requeue: error: argument --reason: expected one argument",
        ),
    ],
)
def test_what_is_no_command(capsys: pytest.CaptureFixture[str], words: list[str], complaint: str) -> None:
    """Wrong arguments end it with 2, the usage, and the argument that is wrong."""
    with pytest.raises(SystemExit) as ended:
        main(["spool", *words])
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert (out, err.splitlines()[0].partition(" [")[0].split()[:2]) == ("", ["usage:", "otel-incident"])
    assert err.splitlines()[-1].startswith(complaint)


def test_status_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    """Service, endpoint, what waits and since when, what was set aside and why, and who delivers."""
    spooled = Spooled()
    written = spooled.write(0, 1, 2)
    spooled.set_aside("HTTP 400", [line(AT), line(AT)])
    spooled.set_aside("unreadable", [b"no record\n"])
    told_before = f"""\
The spool is {spooled.path.parent}.

{spooled.name} (of this environment)
  service: desk
  otlp_proto_http, to http://collector.invalid:4318/v1/logs
    3 records ({sum(map(len, written)) / 1000:.1f} kB) wait since 2023-11-14T22:13:20Z; %s
    3 records set aside: 2 http-400, 1 unreadable
"""
    assert told(capsys, "status") == (0, told_before % "no running process delivers", "")
    lease = Lease(spooled.path / f"{HTTP}.lease")
    assert lease.take()
    assert told(capsys, "status", spooled.name) == (0, told_before % "a running process delivers", "")
    lease.give_back()
    assert told(capsys, "status") == (0, told_before % "no running process delivers", "")


def unusable(path: Path, how: str) -> str:
    """Make a lock one that its host cannot use; the system's words for why."""
    if how == "directory":
        path.mkdir()
        return "Is a directory"
    if how == "link":
        path.symlink_to("nowhere")
        return "Too many levels of symbolic links"
    path.touch(0o600)  # as a backup that root has put back
    if os.geteuid() == 0:
        os.chown(path.parent, 65534, 65534)
    path.chmod(0o000)
    return "Permission denied"


@pytest.mark.parametrize("how", ["directory", "link", "of root"])
def test_status_of_a_lease_that_cannot_be_used(capsys: pytest.CaptureFixture[str], how: str) -> None:
    """Where no process can have the lock, `status` says so, why, and what to do."""
    spooled = Spooled()
    spooled.write(1)
    why = unusable(spooled.path / f"{HTTP}.lease", how)
    problem = (
        f"{HTTP}.lease cannot be used ({why}): give it to the user {spooled.path.owner()}, or move it away"
    )
    assert of_folder(capsys)["exporters"][HTTP]["lease_problem"] == problem
    code, out, err = told(capsys, "status")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1].endswith(
        f" waits since 2023-11-14T22:13:20.000000001Z; no process can deliver, since {problem}"
    )


def test_status_as_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The same as data, for each folder and exporter."""
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "otlp_proto_http,otlp_proto_grpc")
    spooled = Spooled()
    written = spooled.write(7, 8)
    cursor = Cursor(spooled.path / f"{GRPC}.cursor")
    (segment,) = segments_in(spooled.path / "segments")
    cursor.move(segment.name, len(written[0]))
    cursor.keep()
    code, out, err = told(capsys, "status", "--json")
    assert (code, err) == (0, "")
    exporters = {
        GRPC: {"exporter": GRPC, "endpoint": ENDPOINT},
        HTTP: {"exporter": HTTP, "endpoint": f"{ENDPOINT}/v1/logs"},
    }
    rest = {"quarantined": {}, "delivered_by_a_process": False, "lease_problem": ""}
    assert json.loads(out) == {
        "off": "",
        "directories": [str(spooled.path.parent), str(spooled.path.parents[1] / "otel-incident" / "spool")],
        "environment": {"service": "desk", "folder": spooled.name, "exporters": exporters},
        "problems": [],
        "folders": [
            {
                "name": spooled.name,
                "path": str(spooled.path),
                "of_this_environment": True,
                "for_these_endpoints": True,
                "service": "desk",
                "not_readable": "",
                "exporters": {
                    GRPC: {
                        **exporters[GRPC],
                        "waiting": {"records": 1, "bytes": len(written[1]), "since": iso(AT + 8)},
                        **rest,
                    },
                    HTTP: {
                        **exporters[HTTP],
                        "waiting": {"records": 2, "bytes": sum(map(len, written)), "since": iso(AT + 7)},
                        **rest,
                    },
                },
            }
        ],
    }


def test_nothing_waits(capsys: pytest.CaptureFixture[str]) -> None:
    """A folder in which nothing waits is listed as such."""
    Spooled()
    assert "    nothing waits; no running process delivers\n" in told(capsys, "status")[1]
    assert of_folder(capsys)["exporters"][HTTP]["waiting"] == {"records": 0, "bytes": 0, "since": None}
    assert told(capsys, "show") == (0, f"{Spooled().name}: nothing waits.\n", "")
    assert told(capsys, "show", "--quarantine") == (0, f"{Spooled().name}: nothing is set aside.\n", "")


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("DO_NOT_TRACK", "1", "Telemetry is off here (DO_NOT_TRACK is set): nothing is kept or delivered."),
        (
            "OTEL_SDK_DISABLED",
            "true",
            "Telemetry is off here (OTEL_SDK_DISABLED=true): nothing is kept or delivered.",
        ),
        (
            "OTEL_INCIDENT_ENABLED",
            "false",
            "Telemetry is off here (OTEL_INCIDENT_ENABLED is not true): nothing is kept or delivered.",
        ),
        (
            "OTEL_INCIDENT_SPOOL",
            "false",
            "The spool is off here (OTEL_INCIDENT_SPOOL): events wait in memory only.",
        ),
        (
            "OTEL_LOGS_EXPORTER",
            "none",
            "No exporter is configured here: nothing is kept or delivered.",
        ),
    ],
)
def test_what_is_off_is_said(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    line: str,
) -> None:
    """Where nothing is kept or delivered the reason comes first, and what was left is shown all the same."""
    spooled = Spooled()
    spooled.write(1)
    monkeypatch.setenv(variable, value)
    code, out, err = told(capsys, "status")
    assert (code, err) == (0, "")
    assert out.startswith(f"{line}\nThe spool is {spooled.path.parent}.\n\n{spooled.name}\n  service: desk\n")
    assert "    1 record (" in out


def test_another_environment(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell without the variables of the host is told which folder would be its own."""
    theirs = Spooled("mail")
    code, out, err = told(capsys, "status")
    assert (code, err) == (0, "")
    own = Environment.of(Config.from_env(), spooling_if_on()).folder
    assert own.startswith("desk-")
    assert out.splitlines()[1] == (
        f"None of its folders is the one of this environment, {own} (service desk): see OTEL_SERVICE_NAME, "
        "OTEL_LOGS_EXPORTER and OTEL_EXPORTER_OTLP_*."
    )
    assert f"\n{theirs.name}\n  service: mail\n" in out
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mail")
    assert f"\n{theirs.name} (of this environment)\n" in told(capsys, "status")[1]


def test_an_endpoint_that_was_changed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits or was set aside for a former endpoint is named, and so is what delivers it."""
    spooled = Spooled()
    spooled.set_aside("HTTP 400", [line(AT)])
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://new.invalid:4318")
    code, out, err = told(capsys, "status")
    assert (code, err) == (0, "")
    assert out.splitlines()[-3:] == [
        "    nothing waits; no running process delivers",
        "    1 record set aside: 1 http-400",
        (
            "  its endpoints are not this environment's: with its host's variables, `otel-incident spool "
            "drain` delivers it"
        ),
    ]
    refused = (
        f"otel-incident: {spooled.name} waits for other endpoints than this environment's, so nothing is "
        "sent: set OTEL_LOGS_EXPORTER, OTEL_EXPORTER_OTLP_PROTOCOL and OTEL_EXPORTER_OTLP_ENDPOINT as its "
        f"host has them (otlp_proto_http at {ENDPOINT}/v1/logs).\n"
    )
    assert told(capsys, "drain") == (
        0,
        (
            f"Nothing waits.\n{spooled.name}: 1 record set aside before: `otel-incident spool status` says "
            "why, `otel-incident spool requeue` puts back what can be sent.\n"
        ),
        "",
    )
    assert told(capsys, "requeue") == (0, f"{spooled.name}: 1 record put back into the queue.\n", refused)
    assert told(capsys, "drain") == (1, "", refused)
    assert of_folder(capsys)["for_these_endpoints"] is False
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", ENDPOINT)
    assert of_folder(capsys)["for_these_endpoints"] is True
    assert "its endpoints" not in told(capsys, "status")[1]
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")
    assert "its endpoints" not in told(capsys, "status")[1]


def test_looking_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """`status` and `show` leave every file and folder as it was, to the time of its last change."""
    spooled = Spooled()
    spooled.write(1, 2)
    spooled.set_aside("HTTP 400", [line(AT)])
    before = spooled.tree()
    for words in (["status"], ["status", "--json"], ["show"], ["show", "--raw"], ["show", "--quarantine"]):
        assert told(capsys, *words)[0] == 0
    assert spooled.tree() == before


def test_a_process_may_have_a_segment_for_long(capsys: pytest.CaptureFixture[str]) -> None:
    """What waits is as old as its oldest record that waits, not as the segment that it is in."""
    spooled = Spooled()
    first, *_ = spooled.write(0, 86_400_000_000_000)
    (segment,) = segments_in(spooled.path / "segments")
    cursor = Cursor(spooled.path / f"{HTTP}.cursor")
    cursor.move(segment.name, len(first))
    cursor.keep()
    assert of_folder(capsys)["exporters"][HTTP]["waiting"]["since"] == "2023-11-15T22:13:20Z"


def test_files_vanish(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A segment that is gone between its listing and its reading counts for nothing."""
    spooled = Spooled()
    spooled.write(1)
    ghost = Segment(spooled.path / "segments" / "0-1-a.jsonl")
    monkeypatch.setattr(waiting_module, "segments_in", lambda path: [ghost, *segments_in(path)])
    assert of_folder(capsys)["exporters"][HTTP]["waiting"]["records"] == 1


def test_a_folder_vanishes() -> None:
    """A folder that is removed while it is looked at has nothing that waits."""
    spooled = Spooled()
    spooled.write(1)
    spooled.set_aside("HTTP 400", [line(AT)])
    here = Environment.of(Config.from_env(), spooling_if_on())
    folders, problems = find(here)
    shutil.rmtree(spooled.path)
    (folder,) = status(here, folders)["folders"]
    assert problems == []
    assert folder["exporters"][HTTP]["waiting"] == {"records": 0, "bytes": 0, "since": None}
    assert folder["exporters"][HTTP]["quarantined"] == {}


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"service":1,"exporters":{}}', b'{"service":"\xff'])
def test_a_description_that_is_none(capsys: pytest.CaptureFixture[str], text: bytes) -> None:
    """Where the description is damaged, the exporters are known by their files, their endpoints are not."""
    spooled = Spooled()
    spooled.write(1)
    (spooled.path / "destination.json").write_bytes(text)
    (spooled.path / f"{HTTP}.lease").touch()
    code, out, err = told(capsys, "status")
    assert (code, err) == (0, "")
    assert "  service: not known\n  otlp_proto_http, to an endpoint that is not known\n    1 record (" in out


@pytest.mark.parametrize("words", ["status", "show {}", "drain {}", "requeue {}"])
def test_a_folder_of_another_format(capsys: pytest.CaptureFixture[str], words: str) -> None:
    """What another release has made is named in one line with what to do, and none of it is touched."""
    spooled = Spooled()
    spooled.write(1)
    spooled.set_aside("HTTP 400", [line(AT)])
    description = spooled.path / "destination.json"
    description.write_text(description.read_text().replace('"format": 1', '"format": 2'))
    before = contents(spooled.path)
    code, out, err = told(capsys, *words.format(spooled.path).split())
    why = "it has format 2; use the release of otel-incident that made it"
    assert code == 1
    assert [each for each in (out + err).splitlines() if why in each] == [
        f"  cannot be read: {why}"
        if words == "status"
        else f"otel-incident: {spooled.path.name} cannot be read ({why})."
    ]
    assert contents(spooled.path) == before


def test_a_folder_that_says_no_format(capsys: pytest.CaptureFixture[str]) -> None:
    """One that was made before folders said so is read as the first format."""
    spooled = Spooled()
    spooled.write(1)
    description = spooled.path / "destination.json"
    description.write_text(description.read_text().replace('"format": 1,', ""))
    code, out, err = told(capsys, "status")
    assert (code, err) == (0, "")
    assert "  service: desk\n" in out


def contents(directory: Path) -> dict[str, bytes]:
    """All files of a directory."""
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize("host", ["h", "h\x1b[31m", "h\x1b"])
def test_hostile_names(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """Whatever is in a name, an endpoint or a reason, no control character reaches the terminal."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://user:password@{host}/?token=1")
    spooled = Spooled("d\x1b]0;x\x07\nk")
    spooled.write(1, body=f"{CONTENT}\x1b[2J")
    spooled.set_aside("HTTP 400", [line(AT)]).rename(
        spooled.path / f"{HTTP}.quarantine" / "1-\x1b[5m\n\udcff.jsonl"
    )
    hostile = spooled.path.with_name("x\x1b[1m\ny")
    shutil.copytree(spooled.path, hostile)
    (hostile / "segments" / "9\x1b\n.jsonl").write_bytes(line(1))
    (hostile / "a\x1b\n.lease").touch()
    (spooled.path / "segments" / "link.jsonl").symlink_to("/etc/passwd")
    spooled.path.with_name("linked-0123456789ab").symlink_to(spooled.path)
    spooled.path.with_name("fifo-0123456789ab").touch()
    for words in (
        ["status"],
        ["show", hostile.name],
        ["show", "--quarantine", hostile.name],
        ["requeue", "--reason", "x\x1b"],
        ["show", "\x1b"],
        ["show", "\0"],
        ["drain", "\x1b"],
    ):
        code, out, err = told(capsys, *words)
        assert code in {0, 2}
        assert all(character.isprintable() for character in (out + err).replace("\n", "")), words
        assert "password" not in out + err
        assert "token" not in out + err
        assert CONTENT not in (out + err if words[0] != "show" else err)
    assert len(json.loads(told(capsys, "status", "--json")[1])["folders"]) == 2


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A directory that others may look into; pytest keeps its own for its user."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_another_users_folder_is_named(open_to_all: Path) -> None:
    """A folder that cannot be looked into is named with its owner and the command to use; the status is 1."""
    folder = open_to_all / "desk-0123456789ab"
    folder.mkdir()
    (open_to_all / "lost+found").mkdir(mode=0)
    folder.chmod(0o000)
    ended = as_nobody("spool status", {"OTEL_INCIDENT_SPOOL_DIR": str(open_to_all)})
    assert (ended.status, ended.stderr) == (1, "")
    *_, name, why = ended.stdout.splitlines()
    assert name == "desk-0123456789ab"
    if os.geteuid() == 0:
        assert why == (
            "  cannot be read: desk-0123456789ab belongs to the user root: run `sudo -u root "
            f"--preserve-env=OTEL_INCIDENT_SPOOL_DIR otel-incident spool status {folder}`."
        )
    else:  # there is no other user to be
        assert why == "  cannot be read: Permission denied"


def test_another_users_directory_is_named(open_to_all: Path) -> None:
    """A spool that cannot even be listed is one line with its owner."""
    spool = open_to_all / "spool"
    spool.mkdir()
    owner = spool.owner()
    spool.chmod(0o000)
    ended = as_nobody("spool status", {"OTEL_INCIDENT_SPOOL_DIR": str(spool)})
    assert ended.status == 1
    assert ended.stdout == f"The spool is {spool}, and cannot be read.\n"
    assert ended.stderr == (
        f"otel-incident: {spool} cannot be read (Permission denied): run this as the user {owner}, whose it "
        "is.\n"
    )


def as_nobody(words: str, variables: dict[str, str]) -> Ended:
    """A command of a user who may read nothing of these tests'."""
    # nobody may not write coverage data either, and would say so
    unmeasured = {"COVERAGE_PROCESS_START": "", "COVERAGE_PROCESS_CONFIG": ""}
    process = start(AS_NOBODY, {**variables, **unmeasured})
    stdout, stderr = process.communicate(f"{words}\n", timeout=60)
    return Ended(process.returncode, stdout, stderr, 0.0)


READABLE: Final = """\
# waits for otlp_proto_http
time: 2023-11-14T22:13:20.000000005Z
observed: 2023-11-14T22:13:20.000000005Z
event: n
body: {"a": [1, "two"]}
attributes
  n  1700000000000000005
scope name: tests
scope version: 1
resource
  service.name  desk
"""


def test_show_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    """Each record that waits is a block with every field, times in ISO 8601, attributes as a table."""
    spooled = Spooled()
    spooled.write(5, body={"a": [1, "two"]})
    assert told(capsys, "show") == (0, READABLE, "")
    spooled.write(6, body="text")
    second = READABLE.replace("05Z", "06Z").replace("0005", "0006").replace('{"a": [1, "two"]}', "text")
    assert told(capsys, "show") == (0, f"{READABLE}\n{second}", "")


def test_show_a_request_that_holds_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """A line without a record is shown as the text that it is."""
    spooled = Spooled()
    spooled.set_aside("unreadable", [b'{"resourceLogs":[]}\n'])
    shown = (
        '# set aside by otlp_proto_http: unreadable\nno log record in OTLP JSON: "{\\"resourceLogs\\":[]}"\n'
    )
    assert told(capsys, "show", "--quarantine") == (0, shown, "")


def test_show_for_a_pipe(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """`--raw` is the lines on disk, byte for byte, and only those that some exporter has not had."""
    spooled = Spooled()
    written = spooled.write(*range(600))
    (segment,) = segments_in(spooled.path / "segments")
    cursor = Cursor(spooled.path / f"{HTTP}.cursor")
    cursor.move(segment.name, len(written[0]))
    cursor.keep()
    with segment.path.open("ab") as file:
        file.write(b'{"half')
    assert main(["spool", "show", "--raw"]) == 0
    assert capfdbinary.readouterr() == (b"".join(written[1:]), b"")
    assert main(["spool", "show", "--raw", str(spooled.path)]) == 0
    assert capfdbinary.readouterr().out == b"".join(written[1:])


def test_show_for_several_exporters(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each record is shown once, with the exporters that it waits for."""
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "otlp_proto_http,otlp_proto_grpc")
    spooled = Spooled()
    written = spooled.write(1, 2)
    (segment,) = segments_in(spooled.path / "segments")
    cursor = Cursor(spooled.path / f"{HTTP}.cursor")
    cursor.move(segment.name, len(written[0]))
    cursor.keep()
    _, out, _ = told(capsys, "show")
    assert [each for each in out.splitlines() if each.startswith("#")] == [
        "# waits for otlp_proto_grpc",
        "# waits for otlp_proto_grpc, otlp_proto_http",
    ]


def test_show_what_was_set_aside(capsys: pytest.CaptureFixture[str]) -> None:
    """`--quarantine` shows what was set aside, a line that is no record as the text that it is."""
    spooled = Spooled()
    spooled.set_aside("HTTP 400", [line(AT + 5, {"a": [1, "two"]})])
    spooled.set_aside("unreadable", [b"\x1bno\xff record\n"])
    set_aside = READABLE.replace("waits for otlp_proto_http", "set aside by otlp_proto_http: http-400")
    assert told(capsys, "show", "--quarantine") == (
        0,
        (
            f"{set_aside}\n# set aside by otlp_proto_http: unreadable\n"
            'no log record in OTLP JSON: "\\u001bno\\ufffd record"\n'
        ),
        "",
    )


def test_which_folder_is_shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is that of this environment, else the only one; else it has to be named."""
    mail = Spooled("mail")
    mail.write(1)
    assert told(capsys, "show")[:1] == (0,)
    news = Spooled("news")
    assert told(capsys, "show") == (
        2,
        "",
        f"otel-incident: name the folder that is to be shown, one of: {mail.path}, {news.path}.\n",
    )
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mail")
    assert told(capsys, "show")[1].startswith("# waits for otlp_proto_http\n")
    assert told(capsys, "show", news.name) == (0, f"{news.name}: nothing waits.\n", "")
    assert told(capsys, "show", "news") == (
        2,
        "",
        (
            "otel-incident: news is no folder of a spool: name one that `otel-incident spool status` lists "
            f"in {mail.path.parent}, or its path.\n"
        ),
    )


def test_a_reader_that_has_seen_enough() -> None:
    """`| head` ends the command without a word."""
    spooled = Spooled()
    spooled.write(*range(3000))
    variables = {"OTEL_INCIDENT_STATE_DIR": str(spooled.path.parents[1]), "OTEL_SERVICE_NAME": "desk"}
    for option in ("--raw", "--quarantine"):
        spooled.set_aside("HTTP 400", [line(AT)] * 2000)
        process = start(
            f"""
            import sys
            from otel_incident.cli import main
            sys.exit(main(["spool", "show", "{option}", "{spooled.name}"]))
            """,
            variables,
        )
        with process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.read(1)
            process.stdout.close()
            assert process.stderr.read() == ""


def test_requeue(capsys: pytest.CaptureFixture[str]) -> None:
    """What was set aside waits again, in a segment that nobody writes to; what is no record stays."""
    spooled = Spooled()
    sent, bad = [line(AT + number, CONTENT) for number in range(3)], f"{CONTENT}\n".encode()
    spooled.set_aside("HTTP 400", [sent[0], bad, sent[1]])
    spooled.set_aside("HTTP 413", [sent[2]])
    assert told(capsys, "requeue") == (
        0,
        f"{spooled.name}: 3 records put back into the queue; 1 record stays set aside.\n",
        "",
    )
    (segment,) = segments_in(spooled.path / "segments")
    assert segment.is_complete()
    assert segment.path.read_bytes() == b"".join(sent)
    assert stat.S_IMODE(segment.path.stat().st_mode) == 0o600
    folder = of_folder(capsys)["exporters"][HTTP]
    assert folder["quarantined"] == {"http-400": 1}
    assert folder["waiting"]["records"] == 3
    (left,) = (spooled.path / f"{HTTP}.quarantine").iterdir()
    assert left.read_bytes() == bad
    assert told(capsys, "requeue", spooled.name) == (
        0,
        f"{spooled.name}: 0 records put back into the queue; 1 record stays set aside.\n",
        "",
    )


def test_requeue_for_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """`--reason` puts back only what was set aside for it."""
    spooled = Spooled()
    spooled.set_aside("HTTP 400", [line(AT)])
    spooled.set_aside("HTTP 413", [line(AT + 1)])
    assert told(capsys, "requeue", "--reason", "http-413")[:2] == (
        0,
        f"{spooled.name}: 1 record put back into the queue; 1 record stays set aside.\n",
    )
    (segment,) = segments_in(spooled.path / "segments")
    assert segment.path.read_bytes() == line(AT + 1)
    assert of_folder(capsys)["exporters"][HTTP]["quarantined"] == {"http-400": 1}


def test_requeue_for_a_reason_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    """Where something is set aside, but not for that, the reasons there are named; the exit status is 2."""
    spooled = Spooled()
    spooled.set_aside("HTTP 413", [line(AT)])
    spooled.set_aside("HTTP 400", [line(AT)])
    before = spooled.tree()
    for folders in ([], [spooled.name]):
        assert told(capsys, "requeue", *folders, "--reason", "HTTP 400") == (
            2,
            "",
            (
                "otel-incident: nothing is set aside for the reason HTTP 400: name one of those for which "
                "something is, http-400, http-413.\n"
            ),
        )
    assert spooled.tree() == before
    assert told(capsys, "requeue")[0] == 0
    assert told(capsys, "requeue", "--reason", "http-400") == (
        0,
        f"{spooled.name}: 0 records put back into the queue.\n",
        "",
    )


KILLED: Final = """
    import os, sys
    from pathlib import Path
    from otel_incident.cli import main
    from otel_incident.spool.writer import SegmentWriter

    left = LEFT
    def counted(function):
        def call(*arguments, **named):
            global left
            if left == 0:
                os._exit(9)
            left -= 1
            return function(*arguments, **named)
        return call
    SegmentWriter.append = counted(SegmentWriter.append)
    Path.unlink = counted(Path.unlink)
    Path.rename = counted(Path.rename)
    sys.exit(main(["spool", "requeue"]))
"""


@pytest.mark.parametrize("left", range(9))
def test_requeue_is_killed(capsys: pytest.CaptureFixture[str], left: int) -> None:
    """Killed between any two steps, it has lost nothing; run again, everything waits, some of it twice."""
    spooled = Spooled()
    sent = [line(AT + number) for number in range(3)]
    spooled.set_aside("HTTP 400", sent[:2])
    spooled.set_aside("HTTP 413", sent[2:])
    variables = {"OTEL_INCIDENT_STATE_DIR": str(spooled.path.parents[1]), "OTEL_SERVICE_NAME": "desk"}
    assert run(KILLED.replace("LEFT", str(left)), variables).status == (9 if left < 8 else 0)
    folder = of_folder(capsys)["exporters"][HTTP]
    assert folder["waiting"]["records"] + sum(folder["quarantined"].values()) >= 3
    assert told(capsys, "requeue")[0] == 0
    waits = b"".join(each.path.read_bytes() for each in segments_in(spooled.path / "segments"))
    assert {each + b"\n" for each in waits.split(b"\n")[:-1]} == set(sent)
    assert of_folder(capsys)["exporters"][HTTP]["quarantined"] == {}


def test_two_requeue_at_once(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for a file that another one has given back meanwhile does not send it a second time."""
    spooled = Spooled()
    spooled.set_aside("HTTP 400", [line(AT)])
    real = fcntl.flock
    nested: list[int] = []

    class Lock:
        """`fcntl` with a lock that the other one gets first."""

        LOCK_EX = fcntl.LOCK_EX

        @staticmethod
        def flock(file: Any, how: int) -> None:
            if not nested:
                nested.append(1)
                assert main(["spool", "requeue"]) == 0
            real(file, how)

    monkeypatch.setattr(quarantine, "fcntl", Lock)
    code, out, err = told(capsys, "requeue")
    assert (code, err) == (0, "")
    assert out == (
        f"{spooled.name}: 1 record put back into the queue.\n"
        f"{spooled.name}: 0 records put back into the queue.\n"
    )
    waits = [each.path.read_bytes() for each in segments_in(spooled.path / "segments")]
    assert waits == [line(AT)]


@pytest.mark.parametrize("command", ["requeue", "drain"])
def test_only_its_owner_changes_a_folder(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Even root does not write into another user's folder: what he writes its owner could not read."""
    spooled = Spooled()
    spooled.write(1)
    spooled.set_aside("HTTP 400", [line(AT)])
    owner = "nobody" if os.geteuid() == 0 else spooled.path.owner()
    give_away(spooled.path, monkeypatch)
    before = spooled.tree()
    names = [name for name in variables_of_process() if name.startswith("OTEL_")]
    assert {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SERVICE_NAME"} <= {*names}
    assert told(capsys, command) == (
        1,
        "",
        (
            f"otel-incident: {spooled.name} belongs to the user {owner}: run `sudo -u {owner} "
            f"--preserve-env={','.join(sorted(names))} "
            f"otel-incident spool {command} {spooled.path}`.\n"
        ),
    )
    assert spooled.tree() == before


def test_a_disk_that_is_full(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be put back is said in one line, and is still set aside."""
    spooled = Spooled()
    spooled.set_aside("HTTP 400", [line(AT)])

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("otel_incident.spool.writer.os.write", full)
        code, out, err = told(capsys, "requeue")
    assert (code, out) == (1, "")
    assert err == (
        f"otel-incident: {spooled.name}: not all that was set aside could be put back (No space left on "
        "device); what was not is still set aside. Mend that and run this again.\n"
    )
    assert of_folder(capsys)["exporters"][HTTP]["quarantined"] == {"http-400": 1}


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (12_345_678, "12.3 MB"), (4_000_000_000, "4.0 GB")],
)
def test_sizes(count: int, words: str) -> None:
    """Bytes are said in decimal units."""
    assert size(count) == words


@pytest.mark.parametrize(
    ("nanoseconds", "words"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_500_000_000, "1970-01-01T00:00:01.5Z"),
        (2**64 - 1, "2554-07-21T23:34:33.709551615Z"),
        (2**70, f"{2**70} ns"),
    ],
)
def test_times(nanoseconds: int, words: str) -> None:
    """Times are ISO 8601 in UTC, as exact as they are; what no calendar has stays a number."""
    assert iso(nanoseconds) == words


def test_the_command_needs_no_host(tmp_path: Path) -> None:
    """`python -m otel_incident.cli spool status` works in an environment in which nothing is set."""
    ended = succeed(
        """
        import runpy, sys
        sys.argv = ["otel-incident", "spool", "status"]
        runpy.run_module("otel_incident.cli", run_name="__main__")
        """,
        {"HOME": str(tmp_path)},
    )
    where = tmp_path / ".local" / "state" / "otel-incident" / "spool"
    assert ended.stdout == f"There is no spool in {where}: no event has been kept there yet.\n"
    assert ended.stderr == ""
