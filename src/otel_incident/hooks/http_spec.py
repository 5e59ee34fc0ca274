"""Reads what a hook file says of requests: `[[client]]`, and what is a hook of kind `http` alone.

Loaded where a file says something of them.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

from otel_incident.hooks.paths import Path, PathError, compile_path
from otel_incident.hooks.requests import Among, Client, Request, Route
from otel_incident.hooks.tables import refuse_main

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from otel_incident.hooks.definitions import Hook
    from otel_incident.hooks.tables import Table

METHODS: Final = ("POST", "PUT", "PATCH", "DELETE")
"""The methods that change something."""
ASKS: Final = "GET"
"""The method that only asks, be it what has become of something."""
BEFORE: Final = ("arg", "self")
AFTER: Final = ("arg", "self", "result")

_SEGMENT: Final = r"(?:[A-Za-z0-9_.~:-]+|\{[A-Za-z_][A-Za-z0-9_]*\})"
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_ROUTE: Final = re.compile(rf"({'|'.join((*METHODS, ASKS))}) ((?:/{_SEGMENT})+)", re.ASCII)
_ROUTE_IS: Final = (
    f"a method ({', '.join((*METHODS, ASKS))}) and a path, as in PUT /incidents/{{incident_id}}, "
    "or a list of them"
)


def clients_of(tables: Iterable[Table], grammar: re.Pattern[str], expected: str) -> tuple[Client, ...]:
    """Read the `[[client]]`s of a file.

    Args:
        tables: Them.
        grammar: Of a target.
        expected: What a target is, for messages.
    """
    clients: list[Client] = []
    for table in tables:
        client = _client(table, grammar, expected)
        taken = {target for other in clients for target in other.targets}
        for number, target in enumerate(client.targets):
            refuse_main(table, "target", target)
            if target in taken or target in client.targets[:number]:
                raise table.error("target", f"{target} stands twice; once is enough")
        clients.append(client)
    return tuple(clients)


def hooks_of(table: Table, hook: Hook, clients: tuple[Client, ...], roots: tuple[str, ...]) -> list[Hook]:
    """A hook for each of the requests that one of kind `http` is about.

    Args:
        table: The hook's.
        hook: What it says besides.
        clients: Of the file.
        roots: What its paths may begin with.
    """
    if not clients:
        raise table.error("kind", "is http, which needs a [[client]] that says where a call has what")
    requests = _requests(table, roots)
    paths: list[tuple[str, object]] = [(f"incident.{key}", path) for key, path in hook.incident.items()]
    paths += [("actor.id", hook.actor_id), ("actor.system_admin", hook.system_admin)]
    paths += [("create.public", hook.public), ("stage.path", hook.stage and hook.stage.source)]
    _check_captures(table, paths, requests)
    library = clients[0].library
    return [replace(hook, target=f"{library} {request.route.shape}", request=request) for request in requests]


def _client(table: Table, grammar: re.Pattern[str], expected: str) -> Client:
    table.allow("target", "method", "url", "base", "body", "status", "reply")
    return Client(
        targets=table.matching_each("target", grammar, expected),
        method=cast("Path", table.path("method", BEFORE, required="says where a call has the HTTP method")),
        url=cast("Path", table.path("url", BEFORE, required="says where a call has the path or the URL")),
        base=table.path("base", BEFORE),
        body=table.path("body", BEFORE),
        status=table.path("status", AFTER),
        reply=table.path("reply", AFTER),
    )


def _requests(table: Table, roots: tuple[str, ...]) -> tuple[Request, ...]:
    each = table.path("each", ("body", "reply"))
    if each is not None and each.fold != "value":
        raise table.error("each", f"{each.text!r} is a number; it must be the path of a list")
    when = table.table("when")
    lists = [key for key in when.keys() if _names_a_list(when, key)]  # noqa: SIM118  a Table is no mapping
    conditions = tuple(
        (_compiled(when, key, key, roots), when.plain_or_list(key))
        for key in when.keys()  # noqa: SIM118  the same
        if key not in lists
    )
    among = tuple((_compiled(when, key, key, roots), _among(when.table(key), roots)) for key in lists)
    once = table.path("once", roots)
    given = tuple(_compiled(table, "given", text, roots) for text in table.texts("given"))
    requests = tuple(
        Request(
            Route(text.partition(" ")[0], tuple(text.partition(" ")[2][1:].split("/"))),
            each,
            conditions,
            given,
            among,
            once,
        )
        for text in table.matching_each("route", _ROUTE, _ROUTE_IS)
    )
    if once is None and any(request.route.method == ASKS for request in requests):
        raise table.error(
            "route", f"asks ({ASKS}), and may ask again; add `once`, a path that tells what from what"
        )
    _check_captures(table, (("once", once),), requests)
    _check_captures(when, ((path.text, path) for path, _ in (*conditions, *among)), requests)
    _check_captures(table, (("given", path) for path in given), requests)
    return requests


def _check_captures(table: Table, paths: Iterable[tuple[str, object]], requests: Sequence[Request]) -> None:
    """Refuse a path from a capture on that a route does not have.

    Args:
        table: Where they stand.
        paths: By key; what is no path is passed over.
        requests: Of the hook.
    """
    for key, path in paths:
        if not isinstance(path, Path) or path.root != "path":
            continue
        for request in requests:
            if path.segments[0] not in request.route.captures:
                raise table.error(key, f"{path.text!r} is captured by no part of {request.route.text}")


def _names_a_list(when: Table, key: str) -> bool:
    return when.is_table(key) and ("among" in when.table(key) or "as" in when.table(key))


def _among(table: Table, roots: tuple[str, ...]) -> Among:
    table.allow("among", "as")
    items = cast("Path", table.path("among", roots, required="is the path of a list"))
    if items.fold != "value":
        raise table.error("among", f"{items.text!r} is a number; it must be the path of a list")
    return Among(items, table.matching("as", _NAME, "the name of the same thing in the items of the list"))


def _compiled(table: Table, key: str, text: str, roots: tuple[str, ...]) -> Path:
    try:
        return compile_path(text, roots)
    except PathError as error:
        raise table.error(key, str(error)) from error
