"""The recording receiver's two listeners: OTLP over gRPC and over HTTP, with TLS or without.

They keep every byte as it came: the gRPC handlers have no deserializer, the HTTP handler reads the body
itself. What to answer is not decided here.
"""

import gzip
import http.server
import socket
import socketserver
import ssl
import sys
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, TypeAlias

import grpc  # type: ignore[import-untyped]  # grpcio ships no types

from tests.otlp_wire import GRPC_CODES, PATHS, Received, Reply, Signal, retry_details

Handler: TypeAlias = Callable[[Received], Reply | None]
"""Decides the reply; None drops the connection without one."""

LOOPBACK: Final = "127.0.0.1"

_SERVICES: Final[dict[str, Signal]] = {
    "opentelemetry.proto.collector.logs.v1.LogsService": "logs",
    "opentelemetry.proto.collector.trace.v1.TraceService": "traces",
    "opentelemetry.proto.collector.metrics.v1.MetricsService": "metrics",
}
_CODES: Final[dict[int, Any]] = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM files of a TLS listener; with `client_ca` clients must show a certificate of that authority."""

    cert: Path
    key: Path
    client_ca: Path | None = None


class GrpcServer:
    """OTLP/gRPC on a loopback port."""

    def __init__(self, handle: Handler, port: int = 0, tls: Tls | None = None) -> None:
        """Listen; `port` 0 takes a free one."""
        self._handle = handle
        # Hanging requests each hold a worker until they are released.
        self._workers = ThreadPoolExecutor(max_workers=64, thread_name_prefix="otlp-grpc")
        self._server = grpc.server(
            self._workers,
            handlers=[self._service(name, signal) for name, signal in _SERVICES.items()],
            options=[
                ("grpc.so_reuseport", 0),  # a port in use is an error, not a port shared with another test
                ("grpc.max_receive_message_length", -1),
            ],
        )
        address = f"{LOOPBACK}:{port}"
        if tls is None:
            self.port = int(self._server.add_insecure_port(address))
        else:
            credentials = grpc.ssl_server_credentials(
                [(tls.key.read_bytes(), tls.cert.read_bytes())],
                root_certificates=tls.client_ca.read_bytes() if tls.client_ca else None,
                require_client_auth=tls.client_ca is not None,
            )
            self.port = int(self._server.add_secure_port(address, credentials))
        self._server.start()

    def close(self) -> None:
        """Stop at once and wait for the workers; the caller has released what hangs."""
        self._server.stop(grace=0).wait()
        self._workers.shutdown()

    def _service(self, name: str, signal: Signal) -> Any:
        def export(body: bytes, context: Any) -> bytes:
            return self._export(signal, body, context)

        # Without serializers grpcio hands the message's bytes through.
        method = grpc.unary_unary_rpc_method_handler(export)
        return grpc.method_handlers_generic_handler(name, {"Export": method})

    def _export(self, signal: Signal, body: bytes, context: Any) -> bytes:
        headers: dict[str, str] = {}
        for key, value in context.invocation_metadata():
            text = value.decode("latin-1") if isinstance(value, bytes) else value
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
        reply = self._handle(Received(signal, "grpc", headers, raw=body, payload=body))
        if reply is None:
            context.abort(grpc.StatusCode.UNAVAILABLE, "the receiver was closed")
        elif not reply.accepted:
            if str(reply.retry_after or "").isdecimal():
                context.set_trailing_metadata([("grpc-status-details-bin", retry_details(reply))])
            context.abort(
                _CODES.get(GRPC_CODES.get(reply.status, -1), grpc.StatusCode.UNKNOWN), reply.message
            )
        else:
            return reply.body
        raise AssertionError  # abort() has raised


class HttpServer:
    """OTLP/HTTP on a loopback port."""

    def __init__(self, handle: Handler, port: int = 0, tls: Tls | None = None) -> None:
        """Listen; `port` 0 takes a free one."""
        self._server = _Listener((LOOPBACK, port), handle)
        self.port = int(self._server.server_address[1])
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls.cert, tls.key)
            if tls.client_ca is not None:
                context.load_verify_locations(tls.client_ca)
                context.verify_mode = ssl.CERT_REQUIRED
            # The handshake waits for the connection's own thread: a silent client must not stop the others.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name="otlp-http")
        self._thread.start()

    def close(self) -> None:
        """Stop, end every open connection, and wait for their threads; the caller has released what hangs."""
        self._server.shutdown()
        self._thread.join()
        self._server.end_connections()
        self._server.server_close()


class _Listener(http.server.ThreadingHTTPServer):
    """A thread for each connection, each ended and joined on close, so that no test leaks a socket."""

    daemon_threads = False  # only others are joined by server_close()

    def __init__(self, address: tuple[str, int], handle: Handler) -> None:
        self.handle_export = handle
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, _Connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def end_connections(self) -> None:
        """Wake the threads that wait for a next request on a kept-alive connection."""
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # it was gone already

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that leave or fail the handshake: tests make them. All else is a bug."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Connection(http.server.BaseHTTPRequestHandler):
    """One connection: requests in turn, each handed on with its bytes."""

    protocol_version = "HTTP/1.1"
    server: socketserver.BaseServer

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        raw = self.rfile.read(length)
        if len(raw) < length:  # the client has gone in the middle of it
            self.close_connection = True
            return
        signal = PATHS.get(self.path)
        if signal is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        headers: dict[str, str] = {}
        for key, value in self.headers.items():
            name = key.lower()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        try:
            payload = _decompress(raw, headers.get("content-encoding", "identity"))
        except (OSError, EOFError, zlib.error):
            self.send_error(HTTPStatus.BAD_REQUEST, "body is not in its content-encoding")
            return
        if payload is None:
            self.send_error(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "content-encoding must be gzip or deflate")
            return
        assert isinstance(self.server, _Listener)  # for mypy
        reply = self.server.handle_export(Received(signal, "http", headers, raw=raw, payload=payload))
        if reply is None:
            self.close_connection = True
            return
        self._send(reply)

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("content-type", reply.content_type)
        self.send_header("content-length", str(len(reply.body)))
        if reply.retry_after is not None:
            self.send_header("retry-after", str(reply.retry_after))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, *_: Any) -> None:
        """Keep the tests' output clean; what came is in the receiver."""


def _decompress(raw: bytes, encoding: str) -> bytes | None:
    """The body as the sender serialized it; None for an encoding that OTLP does not name."""
    match encoding.strip().lower():
        case "gzip":
            return gzip.decompress(raw)
        case "deflate":
            return zlib.decompress(raw)
        case "identity" | "none" | "":
            return raw
        case _:
            return None
