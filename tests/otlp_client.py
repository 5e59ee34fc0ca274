"""Sends bytes over OTLP and shows the whole answer, which the SDK's exporters reduce to yes or no."""

import http.client
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import grpc  # type: ignore[import-untyped]  # grpcio ships no types

from tests.otlp_wire import PROTOBUF, Signal

_METHODS: Final[Mapping[Signal, str]] = {
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
}


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer over HTTP; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class GrpcAnswer:
    """An answer over gRPC; `body` is the message's bytes, empty if refused."""

    code: str
    details: str
    trailers: Mapping[str, str | bytes]
    body: bytes


def post(
    endpoint: str,
    body: bytes,
    *,
    signal: Signal = "logs",
    path: str | None = None,
    headers: Mapping[str, str] | None = None,
    context: ssl.SSLContext | None = None,
    timeout: float = 10.0,
) -> HttpAnswer:
    """POST `body` as it is; `path` in place of the signal's own. OSError if there is no answer."""
    url = urlsplit(endpoint)
    connection = (
        http.client.HTTPConnection(url.hostname or "", url.port, timeout=timeout)
        if context is None
        else http.client.HTTPSConnection(url.hostname or "", url.port, timeout=timeout, context=context)
    )
    try:
        connection.request(
            "POST", path or f"/v1/{signal}", body, {"content-type": PROTOBUF, **(headers or {})}
        )
        response = connection.getresponse()
        found = {key.lower(): value for key, value in response.getheaders()}
        return HttpAnswer(response.status, found, response.read())
    finally:
        connection.close()


def call(
    endpoint: str,
    body: bytes,
    *,
    signal: Signal = "logs",
    metadata: Sequence[tuple[str, str | bytes]] = (),
    credentials: Any = None,
    gzip: bool = False,
    timeout: float = 10.0,
) -> GrpcAnswer:
    """Call Export with `body` as it is; a refusal is an answer, not an exception."""
    address = urlsplit(endpoint).netloc
    with (
        grpc.insecure_channel(address) if credentials is None else grpc.secure_channel(address, credentials)
    ) as channel:
        # Without serializers grpcio hands the message's bytes through.
        export = channel.unary_unary(_METHODS[signal])
        compression = grpc.Compression.Gzip if gzip else None
        try:
            answer, done = export.with_call(body, timeout, metadata, compression=compression)
        except grpc.RpcError as error:
            return GrpcAnswer(error.code().name, error.details(), dict(error.trailing_metadata() or ()), b"")
        return GrpcAnswer(done.code().name, done.details(), dict(done.trailing_metadata() or ()), answer)
