"""The server's side of ASGI, so that a test decides what happens when; one request or websocket at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

Application: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]


async def get(application: Application, path: str, user: str = "") -> int:
    """One request to its end, background tasks included; the status.

    Args:
        application: The host.
        path: What is asked for.
        user: The header `x-user`.
    """
    sent: list[Any] = []

    bodies = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Any:
        if not bodies:
            await asyncio.Event().wait()  # the client stays until it has its answer
        return bodies.pop()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "query_string": b""}
    await application({**scope, **_addressed(path, user)}, receive, send)
    status: int = sent[0]["status"]
    return status


async def converse(application: Application, path: str, user: str = "", *texts: str) -> list[str]:
    """One websocket to its end: these texts go in, those come out; arguments as for `get`."""
    incoming = [
        {"type": "websocket.connect"},
        *({"type": "websocket.receive", "text": text} for text in texts),
        {"type": "websocket.disconnect", "code": 1000},
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return incoming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "scheme": "ws", "query_string": b"", "subprotocols": []}
    await application({**scope, **_addressed(path, user)}, receive, send)
    return [message["text"] for message in sent if message["type"] == "websocket.send"]


def _addressed(path: str, user: str) -> dict[str, Any]:
    return {
        "asgi": {"version": "3.0"},
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "headers": [(b"host", b"desk.test"), (b"x-user", user.encode())],
        "server": ("desk.test", 80),
        "client": ("127.0.0.1", 1),
    }
