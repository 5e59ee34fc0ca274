"""What a `LocalProxy` of werkzeug's stands for, without ever making the host load it.

Such a proxy has every special method, so it looks like whatever one asks for: an awaitable, too. One that is
bound to a context only looks up what lies there. One that is bound to a function would run that, which may be
a query: it is not asked.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar
from typing import Any

from otel_incident.hooks.flask_requests import is_current_user, login_user


def stands_for(value: object) -> object:
    """What a proxy stands for: None where that is not known; what is no proxy of werkzeug's is what it is.

    Args:
        value: Anything of the host's.
    """
    local: Any = sys.modules.get("werkzeug.local")
    # never `__class__`, and no class below the proxy's own, which may do anything
    if local is None or type(value) is not vars(local).get("LocalProxy"):
        return value
    if is_current_user(value):
        return login_user()
    try:
        bound = type(object.__getattribute__(value, "_LocalProxy__wrapped"))
        if bound not in (ContextVar, local.Local, local.LocalStack):
            return None
        found: object = object.__getattribute__(value, "_get_current_object")()
    except Exception:  # noqa: BLE001  nothing is bound at this moment, or it is a werkzeug that we do not know
        return None
    return found
