"""A small WSGI server for hosts: a free port, a thread for each request, ended as a service manager ends it.

    python -m serve helpdesk_site.wsgi:application --port-file port --report report.json

It writes its port into a file once it listens; SIGTERM and SIGINT end it when the requests at hand are done.
The report says which threads there were then.
"""

import argparse
import importlib
import json
import signal
import socketserver
import threading
from pathlib import Path
from typing import Any, NoReturn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server


class Server(socketserver.ThreadingMixIn, WSGIServer):
    """Waits for the requests at hand when it is closed."""

    daemon_threads = False


class Handler(WSGIRequestHandler):
    """Does not log each request."""

    def log_message(self, *_: Any) -> None:
        """Nothing."""


def end(*_: object) -> NoReturn:
    """The first signal ends the server; a second one must not interrupt that."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    raise SystemExit(0)


def main() -> None:
    """Serve until a signal."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("application", help="module:name")
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True)
    options = parser.parse_args()
    module, _, name = options.application.partition(":")
    application = getattr(importlib.import_module(module), name)
    with make_server("127.0.0.1", 0, application, Server, Handler) as server:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        partial = options.port_file.with_suffix(".partial")
        partial.write_text(str(server.server_port))
        partial.rename(options.port_file)  # whoever waits for the file finds it whole
        try:
            server.serve_forever(poll_interval=0.05)
        finally:
            # without those of requests, the last of which may be about to end
            names = (thread.name for thread in threading.enumerate()[1:])
            others = sorted(name for name in names if "process_request_thread" not in name)
            options.report.write_text(json.dumps({"threads": others}))


if __name__ == "__main__":
    main()
