"""Who is speaking: the diagnostic id, the versions, and a resource that says nothing else of its own."""

import hashlib
import hmac
import re
import uuid
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import pytest

from otel_incident.config import Config
from otel_incident.identity import Identity
from otel_incident.version import __version__
from tests.policy_oracle import is_hash

UNKNOWN: Final = (
    "The host's version is unknown: set OTEL_INCIDENT_SERVER_VERSION, or service.version in "
    "OTEL_RESOURCE_ATTRIBUTES."
)
NO_MOUNTS: Final = Path("/nothing/there")
ID: Final = "123e4567-e89b-12d3-a456-426614174000"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The state directory of these tests."""
    return tmp_path / "state"


def make(directory: Path | None, **settings: Any) -> Identity:
    """An identity in a directory on a disk that stays."""
    return Identity(Config(state_dir=directory, **settings), mountinfo=NO_MOUNTS)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was said, all of it as warnings."""
    assert {(record.name, record.levelname) for record in caplog.records} <= {("otel_incident", "WARNING")}
    return [record.getMessage() for record in caplog.records]


def test_the_diagnostic_id_is_made_once_and_kept(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is a random UUID, the same for every identity that reads the directory."""
    made = make(directory).diagnostic_id()
    assert uuid.UUID(made).version == 4
    assert (directory / "diagnostic-id").read_text() == f"{made}\n"
    assert make(directory).diagnostic_id() == made
    assert make(directory.parent / "other").diagnostic_id() != made
    assert lines(caplog) == []


def test_looking_makes_nothing(directory: Path) -> None:
    """Who only looks sees the id and the hashes as far as they can be known, and makes no directory."""

    def look() -> Identity:
        return Identity(Config(state_dir=directory), NO_MOUNTS, makes=False)

    assert look().diagnostic_id() == "00000000-0000-0000-0000-000000000000"
    assert look().pseudonym("jane.doe") == "hmac-00000000000000000000000000000000"
    assert not directory.exists()
    made = make(directory)
    assert look().diagnostic_id() != made.diagnostic_id() == look().diagnostic_id()
    assert look().pseudonym("jane.doe") != made.pseudonym("jane.doe") == look().pseudonym("jane.doe")


@pytest.mark.parametrize("with_directory", ["with", "without"])
def test_the_operator_s_id_comes_first(directory: Path, with_directory: str) -> None:
    """`OTEL_INCIDENT_DIAGNOSTIC_ID` needs no directory and makes none."""
    identity = make(directory if with_directory == "with" else None, diagnostic_id=ID)
    assert identity.diagnostic_id() == ID
    assert not directory.exists()


@pytest.mark.parametrize("value", ["Acme's production", "prod", "1" * 65])
def test_an_operator_s_id_that_is_none(directory: Path, value: str, caplog: pytest.LogCaptureFixture) -> None:
    """A name in the id's place is passed over, with one line however many ask; the kept id holds."""
    found = {make(directory, diagnostic_id=value).diagnostic_id() for _ in range(2)}
    assert found == {(directory / "diagnostic-id").read_text().strip()}
    (line,) = lines(caplog)
    assert line == (
        "OTEL_INCIDENT_DIAGNOSTIC_ID cannot be used: expected an id that a machine made (a UUID, say); "
        "the one kept in the state directory holds."
    )


@pytest.mark.parametrize("content", ["", "Acme's production\n", "\x00", "\u0661" * 12])
def test_a_kept_id_that_is_none_is_set_aside(directory: Path, content: str) -> None:
    """What an operator or an accident wrote there never leaves; it is kept beside the new one."""
    directory.mkdir(0o700)
    (directory / "diagnostic-id").write_text(content)
    made = make(directory).diagnostic_id()
    assert uuid.UUID(made)
    (aside,) = [path for path in directory.iterdir() if path.name.startswith("diagnostic-id.unreadable-")]
    assert aside.read_text() == content


def test_an_id_that_an_operator_wrote_is_taken(directory: Path) -> None:
    """An id moved from another machine holds, with or without a line break."""
    directory.mkdir(0o700)
    (directory / "diagnostic-id").write_text(f" {ID} \n\n")
    assert make(directory).diagnostic_id() == ID


def test_a_hash_is_keyed(directory: Path) -> None:
    """Another installation makes another hash of the same id; one installation always the same."""
    one, same, other = make(directory), make(directory), make(directory.parent / "other")
    assert is_hash(one.pseudonym("jane.doe"))
    assert one.pseudonym("jane.doe") == one.pseudonym("jane.doe") == same.pseudonym("jane.doe")
    assert one.pseudonym("jane.doe") != one.pseudonym("john.doe")
    assert one.pseudonym("jane.doe") != other.pseudonym("jane.doe")
    key = (directory / "key").read_bytes()
    assert len(key) == 32
    assert one.pseudonym("jane") == f"hmac-{hmac.new(key, b'jane', hashlib.sha256).hexdigest()[:32]}"
    assert is_hash(one.pseudonym("\ud800"))


def test_without_a_home_the_identity_is_the_process_s(caplog: pytest.LogCaptureFixture) -> None:
    """With nowhere to keep it, the id holds for the process, for everybody who asks; it is said once."""
    identities = [make(None) for _ in range(3)]
    assert len({each.diagnostic_id() for each in identities}) == 1
    assert len({each.pseudonym("jane.doe") for each in identities}) == 1
    assert lines(caplog) == [
        f"There is no home directory to keep the {what} in, so it is another one at each start: set "
        "OTEL_INCIDENT_STATE_DIR to a writable directory."
        for what in ("diagnostic id", "key")
    ]


def test_a_directory_that_cannot_be_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The host's resource and our events still name one installation, and one line says what to do."""
    path = tmp_path / "file"
    path.write_text("a file")
    assert len({make(path).diagnostic_id() for _ in range(3)}) == 1
    (line,) = lines(caplog)
    assert line == (
        f"The state directory {path} cannot be used (Not a directory): make it writable for this process, "
        "or set OTEL_INCIDENT_STATE_DIR to a directory that is. Until then its diagnostic id is another one "
        "at each start."
    )


def test_a_directory_that_is_repaired_changes_nothing(tmp_path: Path) -> None:
    """A process keeps the id that it has said, even if the directory can be used later."""
    path = tmp_path / "state"
    path.write_text("a file")
    first = make(path).diagnostic_id()
    path.unlink()
    assert make(path).diagnostic_id() == first


@pytest.mark.parametrize("kind", ["overlay", "tmpfs"])
def test_a_directory_that_does_not_last_is_mentioned_once(
    directory: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """On a container's own file system the identity will change: one line, whoever asks for what."""
    mountinfo = directory.parent / "mountinfo"
    # a mount point may hold bytes that are no text
    mountinfo.write_bytes(
        b"21 1 8:1 / /\xff rw - ext4 /dev/sda rw\n22 1 0:21 / / rw - %s x rw\n" % kind.encode()
    )
    for _ in range(2):
        identity = Identity(Config(state_dir=directory), mountinfo=mountinfo)
        identity.diagnostic_id()
        identity.pseudonym("jane.doe")
    (line,) = lines(caplog)
    assert line == (
        f"The state directory {directory} is on {kind} and ends with its container or machine: the "
        "installation's identity will change, and events that wait there are lost. Mount a volume there, or "
        "set OTEL_INCIDENT_STATE_DIR."
    )


def test_a_directory_behind_a_link_is_where_it_leads(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A link to a volume is on the volume, wherever the link is."""
    volume = directory.parent / "volume"
    volume.mkdir()
    directory.symlink_to(volume)
    mountinfo = directory.parent / "mountinfo"
    mountinfo.write_text(f"1 1 0:1 / / rw - overlay x rw\n2 1 8:1 / {volume} rw - ext4 x rw\n")
    Identity(Config(state_dir=directory), mountinfo=mountinfo).diagnostic_id()
    assert lines(caplog) == []


@pytest.mark.parametrize(
    ("settings", "base", "distribution", "version"),
    [
        ({"server_version": "1"}, {"service.version": "2"}, "pytest", "1"),
        ({}, {"service.version": "2"}, "pytest", "2"),
        ({}, {}, "pytest", metadata.version("pytest")),
        ({}, {"service.version": ""}, "pytest", metadata.version("pytest")),
        ({}, {}, "no-such-distribution", "unknown"),
        ({}, {}, "", "unknown"),
    ],
)
def test_the_host_s_version(
    directory: Path, settings: dict[str, str], base: dict[str, str], distribution: str, version: str
) -> None:
    """The variable, else `service.version`, else the matched host's distribution, else `unknown`."""
    found = make(directory, **settings).attributes(base, distribution)
    assert found["incident.server.version"] == version
    fills = not base.get("service.version") and version != "unknown"
    assert found.get("service.version") == (version if fills else None)


@pytest.mark.parametrize(
    ("value", "source"),
    [
        ({"settings": {"server_version": "5.4 (Acme)"}}, "OTEL_INCIDENT_SERVER_VERSION"),
        ({"base": {"service.version": "5.4 (Acme)"}}, "service.version"),
        ({"base": {"service.version": 5.4}}, "service.version"),
        ({"base": {"service.version": "v" * 65}}, "service.version"),
    ],
)
def test_a_version_that_is_none(
    directory: Path, caplog: pytest.LogCaptureFixture, value: dict[str, Any], source: str
) -> None:
    """A version with anything else in it is passed over and said once, without it; the next one counts."""
    for _ in range(2):
        found = make(directory, **value.get("settings", {})).attributes(value.get("base", {}), "pytest")
        assert found["incident.server.version"] == metadata.version("pytest")
    assert lines(caplog) == [
        f"{source} is no version (expected at most 64 of 0-9 A-Z a-z . + _ ~ : -); passed over."
    ]


def test_an_unknown_version_is_said_once(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody knows the version: one warning, and neither a warning nor a version where it is too early."""
    assert "incident.server.version" not in make(directory).attributes({}, may_be_unknown=True)
    assert lines(caplog) == []
    for _ in range(2):
        make(directory).attributes({})
    assert lines(caplog) == [UNKNOWN]


def test_metadata_that_cannot_be_read(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host whose distribution is damaged has an unknown version, and its events."""

    def damaged(_: str) -> str:
        raise KeyError

    monkeypatch.setattr(metadata, "version", damaged)
    assert make(directory).attributes({}, "django")["incident.server.version"] == "unknown"


def test_the_license(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A license is said only if the operator set one, and if it is an id; its text is not repeated."""
    assert "incident.license.id" not in make(directory).attributes({"service.version": "1"})
    assert make(directory, license_id=ID).attributes({"service.version": "1"})["incident.license.id"] == ID
    for _ in range(2):
        identity = make(directory, license_id="Acme GmbH")
        assert "incident.license.id" not in identity.attributes({"service.version": "1"})
    assert lines(caplog) == [
        "OTEL_INCIDENT_LICENSE_ID cannot be used: expected an id that a machine made; left out."
    ]


def test_the_attributes_are_these(directory: Path) -> None:
    """The diagnostic id, the host's version, ours, and nothing else."""
    found = make(directory).attributes({"service.version": "2"})
    assert set(found) == {"incident.diagnostic.id", "incident.server.version", "incident.plugin.version"}
    assert found["incident.plugin.version"] == __version__
    assert re.fullmatch(r"[0-9a-f-]{36}", found["incident.diagnostic.id"])
