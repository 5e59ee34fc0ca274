"""Why what a profile lets through is safe, by profile. Generated: do not edit.

The data is in `profiles/`; `scripts/generate` writes it down here, apart from the rules, because only the
command that explains them to a person needs the words.
"""

from typing import Final, NamedTuple


class Reasons(NamedTuple):
    """The reasons of one profile: by attribute, by span event and its attribute, and by metric."""

    attributes: dict[str, str]
    events: dict[str, dict[str, str]]
    metrics: dict[str, str]


REASONS: Final[dict[str, Reasons]] = {
    "asgi": Reasons(
        attributes={
            "http.request.method": (
                "The conventions close the list; instrumentations write _OTHER for anything else."
            ),
            "http.method": "The conventions close the list; instrumentations write _OTHER for anything else.",
            "http.response.status_code": "A number of HTTP's.",
            "http.status_code": "A number of HTTP's.",
            "network.protocol.name": "The conventions close the list.",
            "network.protocol.version": "The versions that there are.",
            "http.flavor": "The versions that there are.",
            "url.scheme": "The schemes that there are.",
            "http.scheme": "The schemes that there are.",
            "server.port": "A number of the host's or the operator's configuration.",
            "client.port": "A number of the host's or the operator's configuration.",
            "network.peer.port": "A number of the host's or the operator's configuration.",
            "net.host.port": "A number of the host's or the operator's configuration.",
            "net.peer.port": "A number of the host's or the operator's configuration.",
            "network.transport": "The conventions close the list.",
            "net.transport": "The conventions close the list.",
            "network.type": "The conventions close the list.",
            "http.request.resend_count": "How often a client tried again.",
            "asgi.event.type": "The messages that ASGI defines.",
            "error.type": "A status code or the name of a class in code; never the message.",
            "http.route": (
                "A template shows itself by a parameter in braces, which are no client's where url.path or "
                "http.target says that it asked for a path without any; metrics do not say it."
            ),
        },
        events={
            "exception": {
                "exception.type": "The name of a class in code; message and stack trace hold values.",
            },
        },
        metrics={
            "http.server.request.duration": "How long requests take.",
            "http.client.request.duration": "How long calls take.",
            "http.server.duration": "The same, by the older conventions.",
            "http.client.duration": "The same, by the older conventions.",
            "http.server.active_requests": "How many requests are being answered.",
        },
    ),
    "database": Reasons(
        attributes={
            "db.operation.name": (
                "The first word of a statement, if it is one of SQL's, as people write them."
            ),
            "db.operation": "The first word of a statement, if it is one of SQL's, as people write them.",
            "db.system.name": "The conventions close the list.",
            "db.system": "The conventions close the list.",
            "db.response.status_code": "A code of the database's.",
            "server.port": "A number of the operator's configuration.",
            "network.peer.port": "A number of the operator's configuration.",
            "net.peer.port": "A number of the operator's configuration.",
            "network.transport": "The conventions close the list.",
            "net.transport": "The conventions close the list.",
            "error.type": "The name of a class in code; never the message.",
        },
        events={
            "exception": {
                "exception.type": "The name of a class in code; message and stack trace hold values.",
            },
        },
        metrics={
            "db.client.operation.duration": "How long statements take.",
        },
    ),
    "http": Reasons(
        attributes={
            "http.request.method": (
                "The conventions close the list; instrumentations write _OTHER for anything else."
            ),
            "http.method": "The conventions close the list; instrumentations write _OTHER for anything else.",
            "http.route": "The template that stands in the host's code, not the path that was asked for.",
            "http.response.status_code": "A number of HTTP's.",
            "http.status_code": "A number of HTTP's.",
            "network.protocol.name": "The conventions close the list.",
            "network.protocol.version": "The versions that there are.",
            "http.flavor": "The versions that there are.",
            "url.scheme": "The schemes that there are.",
            "http.scheme": "The schemes that there are.",
            "server.port": "A number of the host's or the operator's configuration.",
            "client.port": "A number of the host's or the operator's configuration.",
            "network.peer.port": "A number of the host's or the operator's configuration.",
            "net.host.port": "A number of the host's or the operator's configuration.",
            "net.peer.port": "A number of the host's or the operator's configuration.",
            "network.transport": "The conventions close the list.",
            "net.transport": "The conventions close the list.",
            "network.type": "The conventions close the list.",
            "http.request.resend_count": "How often a client tried again.",
            "asgi.event.type": "The messages that ASGI defines.",
            "error.type": "A status code or the name of a class in code; never the message.",
        },
        events={
            "exception": {
                "exception.type": "The name of a class in code; message and stack trace hold values.",
            },
        },
        metrics={
            "http.server.request.duration": "How long requests take.",
            "http.client.request.duration": "How long calls take.",
            "http.server.duration": "The same, by the older conventions.",
            "http.client.duration": "The same, by the older conventions.",
            "http.server.active_requests": "How many requests are being answered.",
        },
    ),
    "messaging": Reasons(
        attributes={
            "celery.action": "The two that there are.",
            "celery.state": "Celery closes the list.",
            "celery.task_name": (
                "The name of a function in code, of a task that a worker runs, since it runs none but those "
                "that are registered; one that is sent has the name that `send_task` was given, which may be "
                "a caller's."
            ),
            "error.type": "The name of a class in code; never the message.",
        },
        events={
            "exception": {
                "exception.type": "The name of a class in code; message and stack trace hold values.",
            },
        },
        metrics={},
    ),
    "rpc": Reasons(
        attributes={
            "rpc.system": "The conventions close the list.",
            "rpc.system.name": "The conventions close the list.",
            "rpc.service": (
                "Names in an interface's definition, which is code, where protobuf has that definition: a "
                "server with a generic handler, and a gateway's client, report whatever was asked for. The "
                "collector has no definitions."
            ),
            "rpc.method": (
                "Names in an interface's definition, which is code, where protobuf has that definition: a "
                "server with a generic handler, and a gateway's client, report whatever was asked for. The "
                "collector has no definitions."
            ),
            "rpc.grpc.status_code": "A number of gRPC's.",
            "error.type": "The name of a class in code; never the message.",
        },
        events={
            "exception": {
                "exception.type": "The name of a class in code; message and stack trace hold values.",
            },
        },
        metrics={},
    ),
}
"""Every reason."""
