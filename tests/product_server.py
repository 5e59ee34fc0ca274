"""A product's API on the loopback: it answers each request as a test says, and remembers what was asked."""

import json
import ssl
import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self
from urllib.parse import urlsplit

from tests.certificates import Certificates


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer.

    Attributes:
        status: Of HTTP.
        body: What becomes JSON; bytes as they are, None for nothing.
        headers: Besides those of the body.
    """

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: its method, its path without what is asked besides, and its JSON."""

    method: str
    path: str
    body: Any


class ProductServer:
    """Listens from construction to `close()`; a context manager.

    Args:
        answers: By `METHOD /path`, one answer or several in turn, the last of them from then on.
        certificates: For TLS; without them it is plain.
    """

    def __init__(
        self, answers: dict[str, Reply | list[Reply]], certificates: Certificates | None = None
    ) -> None:
        self.asked: list[Asked] = []
        self._answers: Final = {
            request: deque(given if isinstance(given, list) else [given])
            for request, given in answers.items()
        }
        self._lock = threading.Lock()
        product = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                sent = self.rfile.read(int(self.headers.get("content-length") or 0))
                reply = product.answer(Asked(self.command, urlsplit(self.path).path, _json(sent)))
                said = reply.body if isinstance(reply.body, bytes) else _text(reply.body)
                self.send_response(reply.status)
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815  as the base class calls them

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if certificates is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificates.server_cert, certificates.server_key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port: Final = int(self._server.server_address[1])
        scheme = "https" if certificates is not None else "http"
        self.url: Final = f"{scheme}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        """The server, already listening."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, asked: Asked) -> Reply:
        """What a request gets: 404 where the test names no answer."""
        with self._lock:
            self.asked.append(asked)
            answers = self._answers.get(f"{asked.method} {asked.path}")
            if answers is None:
                return Reply(404, {"message": "There is no such thing"})
            return answers.popleft() if len(answers) > 1 else answers[0]


def _json(sent: bytes) -> Any:
    try:
        return json.loads(sent)
    except ValueError:
        return None


def _text(body: object) -> bytes:
    return b"" if body is None else json.dumps(body).encode()
