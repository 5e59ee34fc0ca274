"""The collector's build manifest and `local.yaml`: pinned, and passing events on as they were sent."""

from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests import stock_exporters as stock
from tests.backend import Backend
from tests.collector import LOCAL_CONFIG, ROOT, Collector
from tests.otlp_receiver import OtlpReceiver, Transport
from tests.telemetry import LogEvent, MetricPoint, SpanData

COMPONENTS: Final = "v0.158.0"
STABLE: Final = "v1.64.0"

CORE: Final = "go.opentelemetry.io/collector"
CONTRIB: Final = "github.com/open-telemetry/opentelemetry-collector-contrib"

ORIGIN: Final[dict[str, Any]] = {
    "scope_name": stock.SCOPE_NAME,
    "scope_version": stock.SCOPE_VERSION,
    "scope_attributes": {},
    "scope_schema_url": "",
    "resource": stock.RESOURCE,
    "resource_types": {"service.name": "string"},
    "resource_schema_url": "",
    "attributes": stock.ATTRIBUTES,
    "attribute_types": stock.ATTRIBUTE_TYPES,
}


def manifest() -> dict[str, Any]:
    """The builder's manifest."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "collector-config" / "builder.yaml").read_text())
    return found


def endpoint(backend: Backend, transport: Transport) -> str:
    """Where to send."""
    return backend.grpc_endpoint if transport == "grpc" else backend.http_endpoint


def test_the_manifest_pins_every_module_to_one_release() -> None:
    """These modules in these versions, and no other: one that floats would be another program every day."""
    modules = {
        kind: [entry.pop("gomod") for entry in entries]
        for kind, entries in manifest().items()
        if kind != "dist"
    }

    assert modules == {
        "receivers": [
            f"{CORE}/receiver/otlpreceiver {COMPONENTS}",
            f"{CONTRIB}/receiver/otlpjsonfilereceiver {COMPONENTS}",
        ],
        "processors": [
            f"{CORE}/processor/batchprocessor {COMPONENTS}",
            f"{CORE}/processor/memorylimiterprocessor {COMPONENTS}",
            f"{CONTRIB}/processor/redactionprocessor {COMPONENTS}",
            f"{CONTRIB}/processor/transformprocessor {COMPONENTS}",
            f"{CONTRIB}/processor/filterprocessor {COMPONENTS}",
            f"{CONTRIB}/processor/groupbyattrsprocessor {COMPONENTS}",
        ],
        "exporters": [
            f"{CORE}/exporter/debugexporter {COMPONENTS}",
            f"{CORE}/exporter/otlpexporter {COMPONENTS}",
            f"{CORE}/exporter/otlphttpexporter {COMPONENTS}",
            f"{CONTRIB}/exporter/fileexporter {COMPONENTS}",
        ],
        "extensions": [
            f"{CONTRIB}/extension/storage/filestorage {COMPONENTS}",
            f"{CONTRIB}/extension/healthcheckextension {COMPONENTS}",
        ],
        "providers": [
            f"{CORE}/confmap/provider/envprovider {STABLE}",
            f"{CORE}/confmap/provider/fileprovider {STABLE}",
            f"{CORE}/confmap/provider/yamlprovider {STABLE}",
        ],
    }


def test_the_manifest_names_the_release_it_builds() -> None:
    """`otelcol-incident --version` tells which collector it is."""
    assert manifest()["dist"]["version"] == COMPONENTS.removeprefix("v")


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_a_log_event_comes_out_as_it_was_sent(backend: Backend, transport: Transport) -> None:
    """The event's name, each attribute with its type, both times; no body, no severity, nothing added."""
    assert stock.export(transport, "logs", endpoint(backend, transport)) == "SUCCESS"

    assert backend.wait_for_events(1) == [
        LogEvent(
            event_name=stock.EVENT_NAME,
            body=None,
            has_body=False,
            severity_number=0,
            severity_text="",
            timestamp=stock.TIMESTAMP,
            observed_timestamp=stock.OBSERVED,
            trace_id="",
            span_id="",
            flags=0,
            dropped_attributes_count=0,
            **ORIGIN,
        )
    ]


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_a_span_comes_out_as_it_was_sent(backend: Backend, transport: Transport) -> None:
    """The host's own spans are as whole as its logs."""
    assert stock.export(transport, "traces", endpoint(backend, transport)) == "SUCCESS"

    assert backend.wait_for_spans(1) == [
        SpanData(
            name=stock.SPAN_NAME,
            kind="server",
            events=(),
            links=(),
            status_code="unset",
            status_message="",
            trace_id=f"{stock.TRACE_ID:032x}",
            span_id=f"{stock.SPAN_ID:016x}",
            parent_span_id="",
            tracestate="",
            flags=256,  # the SDK says that it knows whether the parent is remote
            start=stock.TIMESTAMP,
            end=stock.OBSERVED,
            dropped_attributes_count=0,
            **ORIGIN,
        )
    ]


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_a_data_point_comes_out_as_it_was_sent(backend: Backend, transport: Transport) -> None:
    """And so are its metrics."""
    assert stock.export(transport, "metrics", endpoint(backend, transport)) == "SUCCESS"

    assert backend.wait_for_metrics(1) == [
        MetricPoint(
            name=stock.METRIC_NAME,
            unit="{item}",
            description="described",
            kind="sum",
            value=7,
            count=None,
            sum=None,
            min=None,
            max=None,
            bounds=(),
            bucket_counts=(),
            temporality="cumulative",
            is_monotonic=True,
            exemplar_count=0,
            start=stock.TIMESTAMP,
            timestamp=stock.OBSERVED,
            **ORIGIN,
        )
    ]


def test_what_was_acknowledged_survives_a_crash_of_the_collector(collector: Collector) -> None:
    """`local.yaml` writes before it answers; after a restart it goes on, in the same file and ports."""
    assert stock.export("grpc", "logs", collector.grpc_endpoint) == "SUCCESS"
    collector.kill()
    assert b'"eventName":"incident.create"' in collector.raw_bytes()

    collector.start()

    assert stock.export("http", "logs", collector.http_endpoint) == "SUCCESS"
    assert len(collector.wait_for_events(2)) == 2


def test_the_recording_receiver_stands_in_front_of_the_collector(collector: Collector) -> None:
    """Both hold the same: what the receiver recorded as protobuf, the collector wrote as JSON."""
    with OtlpReceiver(forward_http=collector.http_endpoint) as front:
        for signal in ("logs", "traces", "metrics"):
            for transport in ("grpc", "http"):
                assert stock.export(transport, signal, endpoint(front, transport), gzip=True) == "SUCCESS"

        assert len(collector.wait_for_metrics(2)) == 2
        assert collector.telemetry() == front.telemetry()


def test_the_configuration_listens_on_loopback_unless_told_otherwise() -> None:
    """The ports of the specification, but reachable by nobody else: it has no authentication."""
    receivers = yaml.safe_load(LOCAL_CONFIG.read_text())["receivers"]

    assert receivers["otlp"]["protocols"] == {
        "grpc": {"endpoint": "${env:COLLECTOR_GRPC_ENDPOINT:-127.0.0.1:4317}"},
        "http": {"endpoint": "${env:COLLECTOR_HTTP_ENDPOINT:-127.0.0.1:4318}"},
    }


def test_a_collector_that_cannot_start_says_why(collector_path: Path, tmp_path: Path) -> None:
    """A wrong configuration is an error with the collector's own words, not a timeout."""
    config = tmp_path / "wrong.yaml"
    config.write_text("receivers: {none: {}}\n")

    with pytest.raises(RuntimeError, match="'receivers' unknown type: \"none\""):
        Collector(collector_path, tmp_path / "collector", config=config)
