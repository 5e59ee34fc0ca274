"""Hosts in processes of their own that emit into a spool, and what has arrived once nothing waits there."""

from pathlib import Path
from typing import Final

from otel_incident.spool.processor import DurableLogRecordProcessor
from tests.otlp_receiver import OK, OtlpReceiver
from tests.spool_exporters import otlp_exporter

QUIET: Final = {
    "PYTHONWARNINGS": "ignore::DeprecationWarning",  # Python of forks beside threads
    "GRPC_VERBOSITY": "NONE",  # gRPC's C library writes of forks, past Python's logging
}

KNOWN: Final = {**QUIET, "OTEL_INCIDENT_DIAGNOSTIC_ID": "1", "OTEL_INCIDENT_SERVER_VERSION": "1"}
"""The same of a host that reports incidents, which has an installation's id and a version."""

EMITTER: Final = """
    import os, sys
    from opentelemetry._logs import LogRecord
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk.resources import Resource
    from otel_incident import DurableLogRecordProcessor

    def exporter():
        if os.environ.get("TRANSPORT") == "grpc":
            from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
            return OTLPLogExporter(os.environ["ENDPOINT"], timeout=10)
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        return OTLPLogExporter(os.environ["ENDPOINT"] + "/v1/logs", timeout=10)

    processor = DurableLogRecordProcessor(exporter, os.environ["DIRECTORY"], delay=0.01)
    provider = LoggerProvider(Resource({}), shutdown_on_exit=False)
    provider.add_log_record_processor(processor)
    logger = provider.get_logger("tests")

    def emit(number):
        logger.emit(LogRecord(timestamp=number, observed_timestamp=1))
"""
"""A host that emits numbers; what it does with that comes behind."""


def variables(
    directory: Path, receiver: OtlpReceiver, transport: str = "http", **more: str
) -> dict[str, str]:
    """What an emitter needs to know."""
    endpoint = receiver.grpc_endpoint if transport == "grpc" else receiver.http_endpoint
    return {"DIRECTORY": str(directory), "ENDPOINT": endpoint, "TRANSPORT": transport, **QUIET, **more}


def arrived(receiver: OtlpReceiver) -> list[int]:
    """The numbers that were accepted, in order of arrival."""
    return [event.timestamp for event in receiver.telemetry().events]


def deliver_all(directory: Path, receiver: OtlpReceiver, *, kills: int = 0) -> list[int]:
    """What has arrived when nothing waits any more, in order of arrival.

    Args:
        directory: Of the spool.
        receiver: Where it goes.
        kills: How many processes were killed while they wrote: the kernel ends a write between two pages, and
            half a line, whose call has not returned, is set aside.
    """
    receiver.answer_with(OK)
    exporter = otlp_exporter("http", receiver.http_endpoint)
    processor = DurableLogRecordProcessor(exporter, directory, delay=0.0)
    try:
        assert processor.force_flush() is True, processor.status()
        assert processor.status().quarantined <= kills, processor.status()
    finally:
        processor.shutdown()
    return arrived(receiver)
