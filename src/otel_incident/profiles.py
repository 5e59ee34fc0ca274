"""What known instrumentations may say where the gate is strict. Generated: do not edit.

The data, with the reason for each key, is in `profiles/`; `scripts/generate` writes it down here. A scope
that stands in no profile keeps the structure of its signals and nothing that could hold text.
"""

from typing import Final, Literal, NamedTuple

ProfileRule = Literal[
    "count",
    "dotted_name",
    "error_type",
    "one_of",
    "port",
    "route",
    "route_template",
    "rpc_name",
    "sql_state",
    "status_code",
    "task_name",
]
"""What a value must look like to leave; the grammars are in `otel_incident.gate.grammars`."""


class ProfileAttribute(NamedTuple):
    """The rule of one key; `values` closes the list where the rule is `one_of`."""

    rule: ProfileRule
    values: tuple[str, ...] = ()


class Profile(NamedTuple):
    """What the instrumentations of one kind may say.

    Attributes:
        name: What the profile is called.
        scopes: The instrumentation scopes; a module below one of them belongs to it.
        span_name: The attributes that a span's name is made of, the first list that is there.
        attributes: The keys of spans, log records, links and data points.
        events: The names of span events, and their keys.
        metrics: The names of metrics, and their units: the one of the conventions, and others that may leave.
    """

    name: str
    scopes: tuple[str, ...]
    span_name: tuple[tuple[str, ...], ...]
    attributes: dict[str, ProfileAttribute]
    events: dict[str, dict[str, ProfileAttribute]]
    metrics: dict[str, tuple[str, ...]]


_ASGI_HTTP_REQUEST_METHOD: Final = (
    "CONNECT",
    "DELETE",
    "GET",
    "HEAD",
    "OPTIONS",
    "PATCH",
    "POST",
    "PUT",
    "QUERY",
    "TRACE",
    "_OTHER",
)
_ASGI_NETWORK_PROTOCOL_NAME: Final = ("http", "websocket")
_ASGI_NETWORK_PROTOCOL_VERSION: Final = ("0.9", "1.0", "1.1", "2", "2.0", "3", "3.0")
_ASGI_URL_SCHEME: Final = ("http", "https", "ws", "wss")
_ASGI_NETWORK_TRANSPORT: Final = ("tcp", "udp", "quic", "unix", "pipe", "ip_tcp", "ip_udp", "inproc", "other")
_ASGI_NETWORK_TYPE: Final = ("ipv4", "ipv6")
_ASGI_ASGI_EVENT_TYPE: Final = (
    "http.request",
    "http.disconnect",
    "http.response.start",
    "http.response.body",
    "http.response.trailers",
    "websocket.connect",
    "websocket.accept",
    "websocket.receive",
    "websocket.send",
    "websocket.disconnect",
    "websocket.close",
)
_DATABASE_DB_OPERATION_NAME: Final = (
    "ALTER",
    "ANALYZE",
    "BEGIN",
    "CALL",
    "COMMIT",
    "CREATE",
    "DELETE",
    "DROP",
    "EXPLAIN",
    "INSERT",
    "MERGE",
    "PRAGMA",
    "RELEASE",
    "ROLLBACK",
    "SAVEPOINT",
    "SELECT",
    "SET",
    "SHOW",
    "TRUNCATE",
    "UPDATE",
    "VACUUM",
    "WITH",
    "alter",
    "analyze",
    "begin",
    "call",
    "commit",
    "connect",
    "create",
    "delete",
    "drop",
    "explain",
    "insert",
    "merge",
    "pragma",
    "query",
    "release",
    "rollback",
    "savepoint",
    "select",
    "set",
    "show",
    "truncate",
    "update",
    "vacuum",
    "with",
)
_DATABASE_DB_SYSTEM_NAME: Final = (
    "db2",
    "mariadb",
    "microsoft.sql_server",
    "mssql",
    "mysql",
    "oracle",
    "oracle.db",
    "postgresql",
    "sqlite",
    "other_sql",
)
_DATABASE_NETWORK_TRANSPORT: Final = ("tcp", "udp", "unix", "pipe", "ip_tcp", "inproc", "other")
_HTTP_HTTP_REQUEST_METHOD: Final = (
    "CONNECT",
    "DELETE",
    "GET",
    "HEAD",
    "OPTIONS",
    "PATCH",
    "POST",
    "PUT",
    "QUERY",
    "TRACE",
    "_OTHER",
)
_HTTP_NETWORK_PROTOCOL_NAME: Final = ("http", "websocket")
_HTTP_NETWORK_PROTOCOL_VERSION: Final = ("0.9", "1.0", "1.1", "2", "2.0", "3", "3.0")
_HTTP_URL_SCHEME: Final = ("http", "https", "ws", "wss")
_HTTP_NETWORK_TRANSPORT: Final = ("tcp", "udp", "quic", "unix", "pipe", "ip_tcp", "ip_udp", "inproc", "other")
_HTTP_NETWORK_TYPE: Final = ("ipv4", "ipv6")
_HTTP_ASGI_EVENT_TYPE: Final = (
    "http.request",
    "http.disconnect",
    "http.response.start",
    "http.response.body",
    "http.response.trailers",
    "websocket.connect",
    "websocket.accept",
    "websocket.receive",
    "websocket.send",
    "websocket.disconnect",
    "websocket.close",
)
_MESSAGING_CELERY_ACTION: Final = ("apply_async", "run")
_MESSAGING_CELERY_STATE: Final = (
    "FAILURE",
    "IGNORED",
    "PENDING",
    "RECEIVED",
    "REJECTED",
    "RETRY",
    "REVOKED",
    "STARTED",
    "SUCCESS",
)
_RPC_RPC_SYSTEM: Final = ("grpc",)

PROFILES: Final[tuple[Profile, ...]] = (
    Profile(
        name="asgi",
        scopes=(
            "opentelemetry.instrumentation.asgi",
            "opentelemetry.instrumentation.fastapi",
            "opentelemetry.instrumentation.starlette",
        ),
        span_name=(
            ("http.request.method", "http.route"),
            ("http.method", "http.route"),
            ("http.request.method",),
            ("http.method",),
        ),
        attributes={
            "http.request.method": ProfileAttribute("one_of", _ASGI_HTTP_REQUEST_METHOD),
            "http.method": ProfileAttribute("one_of", _ASGI_HTTP_REQUEST_METHOD),
            "http.response.status_code": ProfileAttribute("status_code"),
            "http.status_code": ProfileAttribute("status_code"),
            "network.protocol.name": ProfileAttribute("one_of", _ASGI_NETWORK_PROTOCOL_NAME),
            "network.protocol.version": ProfileAttribute("one_of", _ASGI_NETWORK_PROTOCOL_VERSION),
            "http.flavor": ProfileAttribute("one_of", _ASGI_NETWORK_PROTOCOL_VERSION),
            "url.scheme": ProfileAttribute("one_of", _ASGI_URL_SCHEME),
            "http.scheme": ProfileAttribute("one_of", _ASGI_URL_SCHEME),
            "server.port": ProfileAttribute("port"),
            "client.port": ProfileAttribute("port"),
            "network.peer.port": ProfileAttribute("port"),
            "net.host.port": ProfileAttribute("port"),
            "net.peer.port": ProfileAttribute("port"),
            "network.transport": ProfileAttribute("one_of", _ASGI_NETWORK_TRANSPORT),
            "net.transport": ProfileAttribute("one_of", _ASGI_NETWORK_TRANSPORT),
            "network.type": ProfileAttribute("one_of", _ASGI_NETWORK_TYPE),
            "http.request.resend_count": ProfileAttribute("count"),
            "asgi.event.type": ProfileAttribute("one_of", _ASGI_ASGI_EVENT_TYPE),
            "error.type": ProfileAttribute("error_type"),
            "http.route": ProfileAttribute("route_template"),
        },
        events={
            "exception": {
                "exception.type": ProfileAttribute("dotted_name"),
            },
        },
        metrics={
            "http.server.request.duration": ("s",),
            "http.client.request.duration": ("s",),
            "http.server.duration": ("ms",),
            "http.client.duration": ("ms",),
            "http.server.active_requests": ("{request}", "requests"),
        },
    ),
    Profile(
        name="database",
        scopes=(
            "opentelemetry.instrumentation.aiopg",
            "opentelemetry.instrumentation.asyncpg",
            "opentelemetry.instrumentation.dbapi",
            "opentelemetry.instrumentation.mysql",
            "opentelemetry.instrumentation.mysqlclient",
            "opentelemetry.instrumentation.psycopg",
            "opentelemetry.instrumentation.psycopg2",
            "opentelemetry.instrumentation.pymysql",
            "opentelemetry.instrumentation.sqlalchemy",
            "opentelemetry.instrumentation.sqlite3",
        ),
        span_name=(
            ("db.operation.name",),
            ("db.operation",),
        ),
        attributes={
            "db.operation.name": ProfileAttribute("one_of", _DATABASE_DB_OPERATION_NAME),
            "db.operation": ProfileAttribute("one_of", _DATABASE_DB_OPERATION_NAME),
            "db.system.name": ProfileAttribute("one_of", _DATABASE_DB_SYSTEM_NAME),
            "db.system": ProfileAttribute("one_of", _DATABASE_DB_SYSTEM_NAME),
            "db.response.status_code": ProfileAttribute("sql_state"),
            "server.port": ProfileAttribute("port"),
            "network.peer.port": ProfileAttribute("port"),
            "net.peer.port": ProfileAttribute("port"),
            "network.transport": ProfileAttribute("one_of", _DATABASE_NETWORK_TRANSPORT),
            "net.transport": ProfileAttribute("one_of", _DATABASE_NETWORK_TRANSPORT),
            "error.type": ProfileAttribute("error_type"),
        },
        events={
            "exception": {
                "exception.type": ProfileAttribute("dotted_name"),
            },
        },
        metrics={
            "db.client.operation.duration": ("s",),
        },
    ),
    Profile(
        name="http",
        scopes=(
            "opentelemetry.instrumentation.aiohttp_client",
            "opentelemetry.instrumentation.aiohttp_server",
            "opentelemetry.instrumentation.django",
            "opentelemetry.instrumentation.falcon",
            "opentelemetry.instrumentation.flask",
            "opentelemetry.instrumentation.httpx",
            "opentelemetry.instrumentation.pyramid",
            "opentelemetry.instrumentation.requests",
            "opentelemetry.instrumentation.tornado",
            "opentelemetry.instrumentation.urllib",
            "opentelemetry.instrumentation.urllib3",
            "opentelemetry.instrumentation.wsgi",
        ),
        span_name=(
            ("http.request.method", "http.route"),
            ("http.method", "http.route"),
            ("http.request.method",),
            ("http.method",),
        ),
        attributes={
            "http.request.method": ProfileAttribute("one_of", _HTTP_HTTP_REQUEST_METHOD),
            "http.method": ProfileAttribute("one_of", _HTTP_HTTP_REQUEST_METHOD),
            "http.route": ProfileAttribute("route"),
            "http.response.status_code": ProfileAttribute("status_code"),
            "http.status_code": ProfileAttribute("status_code"),
            "network.protocol.name": ProfileAttribute("one_of", _HTTP_NETWORK_PROTOCOL_NAME),
            "network.protocol.version": ProfileAttribute("one_of", _HTTP_NETWORK_PROTOCOL_VERSION),
            "http.flavor": ProfileAttribute("one_of", _HTTP_NETWORK_PROTOCOL_VERSION),
            "url.scheme": ProfileAttribute("one_of", _HTTP_URL_SCHEME),
            "http.scheme": ProfileAttribute("one_of", _HTTP_URL_SCHEME),
            "server.port": ProfileAttribute("port"),
            "client.port": ProfileAttribute("port"),
            "network.peer.port": ProfileAttribute("port"),
            "net.host.port": ProfileAttribute("port"),
            "net.peer.port": ProfileAttribute("port"),
            "network.transport": ProfileAttribute("one_of", _HTTP_NETWORK_TRANSPORT),
            "net.transport": ProfileAttribute("one_of", _HTTP_NETWORK_TRANSPORT),
            "network.type": ProfileAttribute("one_of", _HTTP_NETWORK_TYPE),
            "http.request.resend_count": ProfileAttribute("count"),
            "asgi.event.type": ProfileAttribute("one_of", _HTTP_ASGI_EVENT_TYPE),
            "error.type": ProfileAttribute("error_type"),
        },
        events={
            "exception": {
                "exception.type": ProfileAttribute("dotted_name"),
            },
        },
        metrics={
            "http.server.request.duration": ("s",),
            "http.client.request.duration": ("s",),
            "http.server.duration": ("ms",),
            "http.client.duration": ("ms",),
            "http.server.active_requests": ("{request}", "requests"),
        },
    ),
    Profile(
        name="messaging",
        scopes=("opentelemetry.instrumentation.celery",),
        span_name=(
            ("celery.action", "celery.task_name"),
            ("celery.action",),
        ),
        attributes={
            "celery.action": ProfileAttribute("one_of", _MESSAGING_CELERY_ACTION),
            "celery.state": ProfileAttribute("one_of", _MESSAGING_CELERY_STATE),
            "celery.task_name": ProfileAttribute("task_name"),
            "error.type": ProfileAttribute("error_type"),
        },
        events={
            "exception": {
                "exception.type": ProfileAttribute("dotted_name"),
            },
        },
        metrics={},
    ),
    Profile(
        name="rpc",
        scopes=("opentelemetry.instrumentation.grpc",),
        span_name=(("rpc.service", "rpc.method"),),
        attributes={
            "rpc.system": ProfileAttribute("one_of", _RPC_RPC_SYSTEM),
            "rpc.system.name": ProfileAttribute("one_of", _RPC_RPC_SYSTEM),
            "rpc.service": ProfileAttribute("rpc_name"),
            "rpc.method": ProfileAttribute("rpc_name"),
            "rpc.grpc.status_code": ProfileAttribute("count"),
            "error.type": ProfileAttribute("error_type"),
        },
        events={
            "exception": {
                "exception.type": ProfileAttribute("dotted_name"),
            },
        },
        metrics={},
    ),
)
"""Every profile."""
