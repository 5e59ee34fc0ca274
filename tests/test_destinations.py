"""What decides where events wait: the service and the endpoints in force, and nothing beside them."""

import json
from pathlib import Path
from typing import Final

import pytest

from otel_incident.config import Config
from otel_incident.destinations import DESCRIPTION, describe, destinations, folder_of

GENERAL: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
OWN: Final = "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"
INSECURE: Final = "OTEL_EXPORTER_OTLP_INSECURE"
OWN_INSECURE: Final = "OTEL_EXPORTER_OTLP_LOGS_INSECURE"
PROTOCOL: Final = "OTEL_EXPORTER_OTLP_PROTOCOL"
FILE: Final = """
file_format: "1.0"
logger_provider:
  processors:
"""


def folder(service: str = "desk", **variables: str) -> str:
    """The folder for a service in an environment in which only this is set."""
    return folder_of(service, destinations(Config.from_env(variables)))


def described(tmp_path: Path, *exporters: str) -> Config:
    """The configuration of a file with these exporters, each in a batch processor."""
    path = tmp_path / "otel.yaml"
    path.write_text(FILE + "".join(f"    - batch: {{exporter: {each}}}\n" for each in exporters))
    return Config.from_env({"OTEL_CONFIG_FILE": str(path)})


def test_a_folder_s_name() -> None:
    """It begins with the service's name as far as a file system likes it, and ends with 12 hex digits."""
    readable, _, check = folder("Incident Desk/2 ü").rpartition("-")
    assert readable == "incident-desk-2"
    assert len(check) == 12
    assert int(check, 16) >= 0
    assert folder("...").startswith("service-")
    assert len(folder("x" * 500)) == 40 + 1 + 12


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {GENERAL: "http://localhost:4317"}),
        ({}, {"OTEL_LOGS_EXPORTER": "otlp"}),
        ({}, {"OTEL_LOGS_EXPORTER": "otlp", PROTOCOL: "grpc"}),  # as the distribution sets them
        ({GENERAL: "http://a:4317"}, {OWN: "http://a:4317"}),
        ({GENERAL: "http://a:4317"}, {OWN: "http://a:4317", GENERAL: "http://b:4317"}),
        (
            {PROTOCOL: "http/protobuf", GENERAL: "http://a:4318/"},
            {PROTOCOL: "http/protobuf", OWN: "http://a:4318/v1/logs"},
        ),
        ({PROTOCOL: "http/protobuf"}, {"OTEL_LOGS_EXPORTER": "otlp_proto_http"}),
        ({GENERAL: "http://a:4317"}, {GENERAL: "http://me:secret@a:4317"}),
        ({GENERAL: "http://a:4317"}, {GENERAL: "HTTP://A:4317"}),
        ({GENERAL: "https://a:4317"}, {GENERAL: "a:4317"}),  # which gRPC's exporter takes for TLS
        ({GENERAL: "https://a:4317"}, {GENERAL: "me:secret@A:4317"}),
        ({GENERAL: "https://a:4317"}, {GENERAL: "a:4317", INSECURE: "false"}),
        ({GENERAL: "https://a:4317"}, {GENERAL: "https://a:4317", INSECURE: "true"}),  # the scheme decides
        ({GENERAL: "http://a:4317"}, {GENERAL: "a:4317", INSECURE: "True"}),
        ({GENERAL: "http://a:4317"}, {GENERAL: "a:4317", OWN_INSECURE: "true"}),
        ({GENERAL: "http://a:4317"}, {GENERAL: "a:4317", OWN_INSECURE: "true", INSECURE: "false"}),
        (
            {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=1"},
            {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=2"},
        ),
        ({"OTEL_LOGS_EXPORTER": "otlp,acme"}, {"OTEL_LOGS_EXPORTER": "acme,otlp"}),
        ({"OTEL_LOGS_EXPORTER": "acme"}, {"OTEL_LOGS_EXPORTER": "acme", GENERAL: "http://a:4317"}),
    ],
)
def test_the_same_place(one: dict[str, str], other: dict[str, str]) -> None:
    """Whichever variable says it, with the distribution or without: the same endpoint is the same folder."""
    assert folder(**one) == folder(**other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({GENERAL: "http://a:4317"}, {GENERAL: "http://b:4317"}),
        ({GENERAL: "http://a:4317"}, {GENERAL: "https://a:4317"}),
        ({GENERAL: "http://a:4317"}, {GENERAL: "http://a:4318"}),
        ({GENERAL: "http://a:4317"}, {GENERAL: "a:4317"}),
        ({GENERAL: "http://a:4317"}, {GENERAL: "a:4317", OWN_INSECURE: "false", INSECURE: "true"}),
        ({GENERAL: "https://a:4317"}, {GENERAL: "a:4317", INSECURE: "true"}),
        ({GENERAL: "http://a:4317?tenant=1"}, {GENERAL: "http://a:4317?tenant=2"}),
        ({}, {PROTOCOL: "http/protobuf"}),
        ({}, {"OTEL_LOGS_EXPORTER": "otlp,acme"}),
        ({}, {"service": "another desk"}),
    ],
)
def test_another_place(one: dict[str, str], other: dict[str, str]) -> None:
    """What waits for one service and endpoint is apart from what waits for any other."""
    assert folder(**one) != folder(**other)


def test_a_file_leads_to_the_same_place(tmp_path: Path) -> None:
    """The configuration file and the variables share a folder where they name the same endpoint."""
    grpc = described(tmp_path, "{otlp_grpc: }")
    assert folder_of("desk", destinations(grpc)) == folder()
    http = described(tmp_path, "{otlp_http: {endpoint: 'http://a:4318/v1/logs'}}")
    by_variables = folder(**{PROTOCOL: "http/protobuf", GENERAL: "http://a:4318"})
    assert folder_of("desk", destinations(http)) == by_variables


def test_a_file_s_endpoint_without_a_scheme(tmp_path: Path) -> None:
    """Beside a file the variable decides about TLS, too, as it does for the SDK's exporter."""
    file = str(tmp_path / "otel.yaml")
    described(tmp_path, "{otlp_grpc: {endpoint: 'a:4317'}}")
    for insecure, scheme in (("true", "http"), ("false", "https")):
        config = Config.from_env({"OTEL_CONFIG_FILE": file, INSECURE: insecure})
        assert folder_of("desk", destinations(config)) == folder(**{GENERAL: f"{scheme}://a:4317"})


def test_the_exporters_of_a_file(tmp_path: Path) -> None:
    """Each has its kind, its endpoint and a name of its own, whatever order the file has them in."""
    exporters = [
        "{otlp_http: {endpoint: 'http://b/v1/logs'}}",
        "{otlp_http: {endpoint: 'http://a/v1/logs'}}",
        "{otlp_http: {encoding: json}}",
        "{otlp_grpc: }",
        "{console: }",
        "{otlp_file/development: {output_stream: 'file:///tmp/x.jsonl'}}",
        "{my_vendor: {key: 1}}",
    ]
    expected = [
        ("console", "console", ""),
        ("my_vendor", "my_vendor", ""),
        ("otlp_file_development", "otlp_file_development", "file:///tmp/x.jsonl"),
        ("otlp_json_http", "otlp_json_http", "http://localhost:4318/v1/logs"),
        ("otlp_proto_grpc", "otlp_proto_grpc", "http://localhost:4317"),
        ("otlp_proto_http", "otlp_proto_http", "http://a/v1/logs"),
        ("otlp_proto_http-2", "otlp_proto_http", "http://b/v1/logs"),
    ]
    for order in (exporters, exporters[::-1]):
        found = destinations(described(tmp_path, *order))
        assert [(each.name, each.kind, each.endpoint) for each in found] == expected
    assert [each.name for each in found if each.is_console] == ["console"]


def test_what_is_written_down(tmp_path: Path) -> None:
    """A folder says whose it is and where it leads, without a user, a password or a query; once."""
    found = destinations(Config.from_env({GENERAL: "https://me:secret@a:4317/x?token=1#y"}))
    describe(tmp_path, "desk", found)
    assert json.loads((tmp_path / DESCRIPTION).read_text()) == {
        "format": 1,
        "service": "desk",
        "exporters": {"otlp_proto_grpc": {"exporter": "otlp_proto_grpc", "endpoint": "https://a:4317/x"}},
    }
    describe(tmp_path, "another", found)
    assert json.loads((tmp_path / DESCRIPTION).read_text())["service"] == "desk"
    assert [path.name for path in tmp_path.iterdir()] == [DESCRIPTION]
