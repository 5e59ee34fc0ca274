"""The resource of our events, and the detector that puts the identity on the host's."""

import json
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import pytest
from opentelemetry.sdk.resources import OTELResourceDetector, Resource

from otel_incident.config import Config
from otel_incident.guard import set_reraise, swallowed
from otel_incident.identity import Identity, IncidentResourceDetector
from otel_incident.version import __version__
from tests.processes import succeed

OWN: Final = {"incident.diagnostic.id", "incident.server.version", "incident.plugin.version"}


def make(directory: Path) -> Identity:
    """An identity in a directory on a disk that stays."""
    return Identity(Config(state_dir=directory), mountinfo=Path("/nothing/there"))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The state directory of these tests, as the environment names it."""
    return tmp_path / "state"


def test_the_resource_is_the_operator_s(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the operator says of the service is kept, percent-decoded; our namespaces are ours alone."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "incident desk")
    monkeypatch.setenv(
        "OTEL_RESOURCE_ATTRIBUTES",
        "service.name=other,deployment.environment.name=a%20b,incident.title=secret,otel_incident.x=y,"
        "incident.diagnostic.id=77,service.version=2",
    )
    identity = make(directory)
    resource = identity.resource()
    assert dict(resource.attributes) == {
        "service.name": "incident desk",
        "service.version": "2",
        "deployment.environment.name": "a b",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": metadata.version("opentelemetry-sdk"),
        "incident.diagnostic.id": identity.diagnostic_id(),
        "incident.server.version": "2",
        "incident.plugin.version": __version__,
    }
    assert resource.schema_url == ""


def test_the_resource_is_otherwise_the_sdk_s(directory: Path) -> None:
    """Without a word of the operator it has what the SDK's default has, and the identity."""
    resource = make(directory).resource()
    ours = {name for name in resource.attributes if name.startswith("incident.")}
    assert {name: value for name, value in resource.attributes.items() if name not in ours} == {
        name: value for name, value in Resource.create().attributes.items() if name != "service.instance.id"
    }


def test_no_detector_is_run(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Detectors that the host's own resource has find things that nobody here said may leave."""
    monkeypatch.setenv("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", "process,os,host")
    assert "process.pid" in Resource.create().attributes
    found = set(make(directory).resource().attributes)
    assert found == {
        *OTELResourceDetector().detect().attributes,
        *("service.name", "telemetry.sdk.language", "telemetry.sdk.name", "telemetry.sdk.version"),
        *("incident.diagnostic.id", "incident.server.version", "incident.plugin.version"),
    }


RESOURCE: Final = """
    import json
    from opentelemetry.sdk.resources import Resource
    created = Resource.create()
    print(json.dumps({"attributes": dict(created.attributes), "schema_url": created.schema_url}))
"""


def created(directory: Path, **variables: str) -> dict[str, Any]:
    """What the SDK makes of the host's own resource, in a process of its own."""
    detectors = {"OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "otel,incident"}
    ended = succeed(RESOURCE, {"OTEL_INCIDENT_STATE_DIR": str(directory), **detectors, **variables})
    assert ended.stderr == ""
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_the_detector_puts_the_identity_on_the_host_s_resource(directory: Path) -> None:
    """Named in the SDK's variable, it adds the same identity that our events have, and no schema."""
    found = created(directory, OTEL_RESOURCE_ATTRIBUTES="service.version=2,service.name=desk")
    kept = (directory / "diagnostic-id").read_text().strip()
    assert found["schema_url"] == ""
    del found["attributes"]["service.instance.id"]  # the SDK's own, another one at each start
    assert found["attributes"] == {
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": metadata.version("opentelemetry-sdk"),
        "service.name": "desk",
        "service.version": "2",
        "incident.diagnostic.id": kept,
        "incident.server.version": "2",
        "incident.plugin.version": __version__,
    }
    assert created(directory)["attributes"]["incident.diagnostic.id"] == kept


@pytest.mark.parametrize(
    "variables", [{"OTEL_SDK_DISABLED": "true"}, {"DO_NOT_TRACK": "1"}, {"OTEL_INCIDENT_ENABLED": "false"}]
)
def test_the_detector_is_off_where_we_are(directory: Path, variables: dict[str, str]) -> None:
    """Where telemetry is off it adds nothing and makes nothing."""
    assert not OWN & set(created(directory, **variables)["attributes"])
    assert not directory.exists()


def test_the_detector_names_the_process_s_one_identity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Even where it cannot be kept, the host's resource and our events have one diagnostic id."""
    path = tmp_path / "file"
    path.write_text("a file")
    monkeypatch.setenv("OTEL_INCIDENT_STATE_DIR", str(path))
    detected = IncidentResourceDetector().detect().attributes["incident.diagnostic.id"]
    assert Identity(Config.from_env()).resource().attributes["incident.diagnostic.id"] == detected
    assert caplog.text.count("cannot be used") == 1


def test_the_detector_never_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of ours leaves the host's resource as it was, unless the host asks for errors."""
    set_reraise(reraise=False)

    def fail(*_: object, **__: object) -> Config:
        raise ZeroDivisionError

    monkeypatch.setattr(Config, "from_env", fail)
    assert IncidentResourceDetector().detect() == Resource.get_empty()
    assert swallowed() == {"identity": 1}
    with pytest.raises(ZeroDivisionError):
        IncidentResourceDetector(raise_on_error=True).detect()
