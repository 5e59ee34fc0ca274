"""`otel-incident preview`: one event of each kind as it would leave from here, and nothing is made for it."""

import json
import os
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import pytest

from otel_incident.cli import main
from otel_incident.config import Config
from otel_incident.identity import Identity
from otel_incident.preview import notes, preview
from otel_incident.vocabulary import EVENTS
from tests.policy_oracle import is_hash
from tests.processes import succeed

PRESETS: Final = (
    "The version of a host with a preset (argus-server, django-helpdesk, firefighter-incident) is known when "
    "it runs: it is not imported here."
)
NO_ID: Final = "00000000-0000-0000-0000-000000000000"
NO_HASH: Final = "hmac-00000000000000000000000000000000"
HOOKS: Final = """
[host]
name = "desk"
distribution = "pytest"

[[hook]]
name = "declare"
kind = "call"
target = "desk.services:declare"
action = "create"
incident.id = "result.id"
"""


def identity_in(request: Mapping[str, Any]) -> dict[str, str]:
    """The attributes of a request's resource."""
    (resource_logs,) = request["resourceLogs"]
    return {entry["key"]: entry["value"]["stringValue"] for entry in resource_logs["resource"]["attributes"]}


def values_of(request: Mapping[str, Any], name: str) -> set[str]:
    """What an attribute of the events is."""
    (scope,) = request["resourceLogs"][0]["scopeLogs"]
    return {
        attribute["value"]["stringValue"]
        for record in scope["logRecords"]
        for attribute in record["attributes"]
        if attribute["key"] == name
    }


def test_the_preview_is_one_event_of_each_kind(tmp_path: Path) -> None:
    """The OTLP JSON carries five events with only what the registry lists."""
    request = preview(Config(state_dir=tmp_path / "state", server_version="7.8.1"))
    (scope_logs,) = request["resourceLogs"][0]["scopeLogs"]
    records = scope_logs["logRecords"]
    assert [record["eventName"] for record in records] == list(EVENTS)
    assert identity_in(request)["incident.server.version"] == "7.8.1"
    for record in records:
        assert record["body"] == {}  # how the SDK encodes that there is none
        assert {entry["key"] for entry in record["attributes"]} <= set(EVENTS[record["eventName"]].attributes)


def test_the_identity_that_exists_is_shown(tmp_path: Path) -> None:
    """The diagnostic id and the hashes are those of the events that leave from here."""
    config = Config(state_dir=tmp_path / "state", server_version="1", id_modes={"": "hmac"})
    kept = Identity(config)
    diagnostic_id, pseudonym = kept.diagnostic_id(), kept.pseudonym("11111111-1111-4111-8111-111111111111")
    request = preview(config)
    assert identity_in(request)["incident.diagnostic.id"] == diagnostic_id
    assert values_of(request, "incident.id") == {pseudonym}
    assert notes(config) == []


@pytest.mark.parametrize("off", ["", "DO_NOT_TRACK is set"])
def test_nothing_is_made_for_a_preview(tmp_path: Path, off: str) -> None:
    """Neither directory nor id nor key: a look by another user must not keep the service's from its own."""
    config = Config(off=off, state_dir=tmp_path / "state", server_version="1", id_modes={"": "hmac"})
    request = preview(config)
    assert identity_in(request)["incident.diagnostic.id"] == NO_ID
    assert values_of(request, "user.hash") == values_of(request, "incident.id") == {NO_HASH}
    assert is_hash(NO_HASH)
    assert list(tmp_path.iterdir()) == []
    assert notes(config) == [
        (
            "The diagnostic id is made at the first event, and none can be read in "
            f"{tmp_path / 'state'} now; {NO_ID} stands for it."
        ),
        f"The key of the hashes is made at the first event; {NO_HASH} stands for each.",
    ]


@pytest.mark.parametrize("id_mode", ["plain", "hmac"])
def test_the_gate_would_take_nothing_out_of_it(
    id_mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a new installation, where ids and key are to come, `policy check` in strict objects to nothing."""
    monkeypatch.setenv("OTEL_INCIDENT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("OTEL_INCIDENT_ID_MODE", id_mode)
    assert main(["preview"]) == 0
    seen = tmp_path / "preview.json"
    seen.write_text(capsys.readouterr().out)
    assert NO_ID in seen.read_text()
    assert main(["policy", "check", str(seen), "--mode", "strict"]) == 0
    assert capsys.readouterr().out == f"{seen}, mode strict: 5 records, nothing would be removed.\n"


def test_without_a_home_the_id_is_made_at_each_start() -> None:
    """Where nothing can be kept the note says that instead of a place."""
    assert notes(Config(state_dir=None)) == [
        (
            "The diagnostic id is made at each start, since there is no home directory to keep it in; "
            f"{NO_ID} stands for it."
        ),
        PRESETS,
    ]


@pytest.mark.parametrize(
    ("switch", "said"),
    [
        ("OTEL_SDK_DISABLED=true", "OTEL_SDK_DISABLED=true"),
        ("DO_NOT_TRACK=1", "DO_NOT_TRACK is set"),
        ("OTEL_INCIDENT_ENABLED=false", "OTEL_INCIDENT_ENABLED is not true"),
    ],
)
def test_what_would_leave_is_by_the_variables(
    switch: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where a switch has telemetry off, the preview is that of this installation, switched on."""
    monkeypatch.setenv(*switch.split("=", 1))
    monkeypatch.setenv("OTEL_INCIDENT_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("OTEL_INCIDENT_SERVER_VERSION", "7.8.1")
    assert main(["preview"]) == 0
    out, err = capsys.readouterr()
    identity = identity_in(json.loads(out))
    assert (identity["incident.diagnostic.id"], identity["incident.server.version"]) == (NO_ID, "7.8.1")
    assert err.splitlines() == [
        f"otel-incident: telemetry is off ({said}); switched on, this would leave:",
        (
            "otel-incident: The diagnostic id is made at the first event, and none can be read in "
            f"{tmp_path / 'state'} now; {NO_ID} stands for it."
        ),
    ]


def test_settings_that_cannot_be_read_are_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the configuration cannot be read, that is said to be why the diagnostic id is not shown."""
    monkeypatch.setenv("OTEL_CONFIG_FILE", str(tmp_path / "gone.yaml"))
    assert main(["preview"]) == 0
    note = f"The diagnostic id is not known, since the configuration cannot be read; {NO_ID} stands for it."
    assert f"otel-incident: {note}" in capsys.readouterr().err.splitlines()


def test_an_id_that_is_none_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A diagnostic id that the operator set and that cannot be used is said as the host would say it."""
    config = Config(state_dir=tmp_path / "state", server_version="1", diagnostic_id="production")
    assert identity_in(preview(config))["incident.diagnostic.id"] == NO_ID
    (line,) = caplog.messages
    assert line == (
        "OTEL_INCIDENT_DIAGNOSTIC_ID cannot be used: expected an id that a machine made (a UUID, say); "
        "the one kept in the state directory holds."
    )


def test_root_sees_the_identity_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An administrator is shown what the service's user keeps, and nothing of it changes its owner."""
    config = Config(state_dir=tmp_path / "state", server_version="1")
    made = Identity(config).diagnostic_id()
    stat = os.stat_result
    before = [(path.name, path.stat().st_uid) for path in (tmp_path / "state").iterdir()]
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(
        Path,
        "stat",
        lambda path: stat((*os.stat(path)[:4], 1234, *os.stat(path)[5:10])),  # noqa: PTH116  the real one
    )
    assert identity_in(preview(config))["incident.diagnostic.id"] == made
    monkeypatch.setattr(os, "geteuid", lambda: 77)
    assert identity_in(preview(config))["incident.diagnostic.id"] == NO_ID
    monkeypatch.undo()
    assert [(path.name, path.stat().st_uid) for path in (tmp_path / "state").iterdir()] == before


def test_the_version_of_a_hook_file_s_distribution_is_shown(tmp_path: Path) -> None:
    """The distribution that the operator's file names gives the version, and a note says when it holds."""
    path = tmp_path / "hooks.toml"
    path.write_text(HOOKS)
    config = Config(state_dir=tmp_path / "state", hook_files=(path,), diagnostic_id="77")
    identity = identity_in(preview(config))
    assert identity["incident.server.version"] == metadata.version("pytest")
    assert identity["service.version"] == metadata.version("pytest")
    (note,) = notes(config)
    assert note == (
        f"The version of the distribution pytest holds once a hook of {path} has found its host, unless "
        "service.version says another."
    )


def test_a_distribution_that_is_not_installed_is_said(tmp_path: Path) -> None:
    """The note names the file and the key, as of a file without a hook unless that names content."""
    path, bare, alone = (tmp_path / f"{name}.toml" for name in ("hooks", "bare", "alone"))
    path.write_text(HOOKS.replace('"pytest"', '"acme-desk"'))
    bare.write_text('[host]\nname = "bare"\n')
    alone.write_text('[host]\nname = "alone"\ncontent = ["title"]\n')
    config = Config(state_dir=tmp_path / "state", hook_files=(path, bare, alone), diagnostic_id="77")
    assert notes(config) == [
        (
            f"{path}, key 'host.distribution': no distribution 'acme-desk' is installed, so it says nothing "
            "of the host's version; correct or remove it."
        ),
        f"{bare}, key 'hook': is missing, so nothing of bare is reported; add a [[hook]].",
    ]


def test_a_hook_file_that_is_refused_is_said(tmp_path: Path) -> None:
    """What is wrong with a file is said before anything leaves; the files after it count."""
    path, bad, gone = tmp_path / "hooks.toml", tmp_path / "bad.toml", tmp_path / "gone.toml"
    path.write_text(HOOKS)
    bad.write_text(HOOKS.replace('action = "create"', 'action = "declare"'))
    long = tmp_path / "long.toml"
    long.write_text(f"x = {'1' * 5000}")
    config = Config(state_dir=tmp_path / "state", hook_files=(bad, gone, long, path), diagnostic_id="77")
    first, second, third, *_ = notes(config)
    assert first.startswith(f"{bad}, hook 'declare', key 'action': ")
    assert first.endswith(". The file will not be in force.")
    assert second == f"{gone}: cannot be read (No such file or directory). The file will not be in force."
    assert third == f"{long}: holds a number that is too long. The file will not be in force."
    assert identity_in(preview(config))["incident.server.version"] == metadata.version("pytest")


def test_the_preview_is_not_cut_by_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK's limits on attributes hold for the preview as little as for what leaves."""
    config = Config(state_dir=tmp_path / "state", server_version="7.8.1")
    whole = values_of(preview(config), "incident.id")
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4")
    monkeypatch.setenv("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "many")
    assert values_of(preview(config), "incident.id") == whole == {"11111111-1111-4111-8111-111111111111"}


def test_the_preview_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints nothing but the request on standard output, and the notes on standard error."""
    assert main(["preview"]) == 0
    printed = capsys.readouterr()
    assert list(json.loads(printed.out)) == ["resourceLogs"]
    assert f"otel-incident: {PRESETS}\n" in printed.err


def test_a_preview_imports_no_host(tmp_path: Path) -> None:
    """A preset's host is not imported for its version: who looks at the telemetry does not start the host."""
    ended = succeed(
        """
        import sys
        from otel_incident.cli import main
        status = main(["preview"])
        print(status, sorted({"django", "helpdesk"} & set(sys.modules)), file=sys.stderr)
        """,
        {"OTEL_INCIDENT_STATE_DIR": str(tmp_path / "state"), "OTEL_INCIDENT_SERVER_VERSION": "1"},
    )
    assert ended.stderr.endswith("0 []\n")
