"""The desk on FastAPI, whose dependency finds the user, and below it on Starlette with its authentication.

python -m known_desk.asgi_site --port-file port --report report.json
"""

import argparse
import asyncio
import json
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Annotated

import fastapi
import uvicorn
from known_desk import incidents  # type: ignore[import-not-found]  # on the path of the hosts alone
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, BaseUser
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route


class Header(AuthenticationBackend):
    """Believes a header."""

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        """Whoever it names."""
        person = incidents.PEOPLE.get(conn.headers.get("x-user", ""))
        return None if person is None else (AuthCredentials(), person)


def close_in_a_thread(request: Request) -> Response:
    """End an incident."""
    incidents.close(request.path_params["number"])
    return Response()


def current_user(request: Request) -> incidents.Person | None:
    """Keep the user, as a dependency does."""
    request.state.user = incidents.PEOPLE.get(request.headers.get("x-user", ""))
    return request.state.user


User = Annotated[incidents.Person | None, fastapi.Depends(current_user)]
application = fastapi.FastAPI()
meeting: dict[str, asyncio.Barrier] = {}


@application.post("/close/{number}")
async def close(number: int, _user: User) -> None:
    """End an incident, together with another request."""
    barrier = meeting.setdefault("point", asyncio.Barrier(2))
    await barrier.wait()
    incidents.close(number)
    await barrier.wait()


application.mount(
    "/starlette",
    Starlette(
        routes=[Route("/close/{number:int}", close_in_a_thread, methods=["POST"])],
        middleware=[Middleware(AuthenticationMiddleware, backend=Header())],
    ),
)


def main() -> None:
    """Serve until a signal; the port goes into a file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    listener = socket.create_server(("127.0.0.1", 0))
    partial = options.port_file.with_suffix(".partial")
    partial.write_text(str(listener.getsockname()[1]))
    partial.rename(options.port_file)  # whoever waits for the file finds it whole
    try:
        uvicorn.Server(uvicorn.Config(application, log_level="warning")).run([listener])
    finally:
        options.report.write_text(json.dumps({"threads": [each.name for each in threading.enumerate()]}))


if __name__ == "__main__":
    main()
