"""What a value of a known instrumentation must look like to leave: the rules that profiles name.

Exact types, ASCII, matched in full, bounded. They say what code, the operator or a standard writes, and bound
what a host could make of its content there: no blank, nothing but ASCII.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from otel_incident.policy import Shape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_incident.profiles import ProfileAttribute, ProfileRule

MAX_COUNT: Final = 2**31 - 1
_MAX_PORT: Final = 65_535
_FIRST_STATUS, _LAST_STATUS = 100, 599

# Templates of Django (`^api/(?P<pk>[^/.]+)/$`), Flask (`/incident/<int:id>`), Starlette (`/incident/{id}`).
_ROUTE: Final = re.compile(r"[A-Za-z0-9_\-./<>{}:()\[\]?*+^$|\\,=]{0,200}", re.ASCII)
_ROUTE_TEMPLATE: Final = re.compile(
    r"[A-Za-z0-9_\-./{}:]{0,100}\{[A-Za-z_][A-Za-z0-9_]{0,63}(?::[a-z]{1,16})?\}[A-Za-z0-9_\-./{}:]{0,100}",
    re.ASCII,
)
# What a client asked for, if there is no brace in it, nor what could be one in another encoding.
ASKED_PATH: Final = re.compile(r"/[^{}%]*", re.ASCII)
ASKED_PATH_KEYS: Final = ("url.path", "http.target")
"""Where ASGI's instrumentations write the path that was asked for, by the newer and the older conventions.

They fall back on that path where they know no route, as it stands in the same scope at the same moment. So a
route whose braces cannot be the client's is a template of the host's: `route_template` asks for that, too.
"""

_DOTTED_NAME: Final = re.compile(
    r"[A-Za-z_][A-Za-z0-9_]{0,63}(?:\.[A-Za-z_][A-Za-z0-9_]{0,63}){0,7}", re.ASCII
)
_ERROR_TYPE: Final = re.compile(rf"[1-5][0-9]{{2}}|{_DOTTED_NAME.pattern}", re.ASCII)
_SQL_STATE: Final = re.compile(r"[0-9A-Z]{1,5}", re.ASCII)


GRAMMARS: Final[Mapping[ProfileRule, re.Pattern[str]]] = {
    "dotted_name": _DOTTED_NAME,
    "error_type": _ERROR_TYPE,
    "route": _ROUTE,
    "route_template": _ROUTE_TEMPLATE,
    "rpc_name": _DOTTED_NAME,
    "sql_state": _SQL_STATE,
    "task_name": _DOTTED_NAME,
}
"""What a text must match in full, by the rule that asks for one."""

RANGES: Final[Mapping[ProfileRule, tuple[int, int]]] = {
    "count": (0, MAX_COUNT),
    "port": (0, _MAX_PORT),
    "status_code": (_FIRST_STATUS, _LAST_STATUS),
}
"""The first and the last integer, by the rule that asks for one."""


def shape_of(attribute: ProfileAttribute) -> Shape:
    """What the rule of a profile's attribute asks of a value."""
    if attribute.rule == "one_of":
        return Shape(str, frozenset(attribute.values).__contains__)
    if attribute.rule in GRAMMARS:
        return Shape(str, GRAMMARS[attribute.rule].fullmatch)
    first, last = RANGES[attribute.rule]
    return Shape(int, range(first, last + 1).__contains__)
