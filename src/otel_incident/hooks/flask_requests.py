"""The request's user in Flask, without ever making the host load it.

Flask keeps what belongs to a request in `g`, and flask-login puts the user there once somebody has
looked at `current_user`. We look into `g` when an event comes: nothing is patched, and a request costs
nothing.
"""

from __future__ import annotations

import sys
from typing import Any, Final

_LOGIN_USER: Final = "_login_user"  # flask-login's own name for it; `current_user` would load it


def held_in_g() -> dict[str, object] | None:
    """What Flask's `g` holds in the request at hand; None outside of a request, and after it."""
    flask: Any = sys.modules.get("flask")
    if flask is None:
        return None
    try:
        if not flask.has_request_context():
            return None
        context = flask.globals.app_ctx._get_current_object()  # noqa: SLF001  werkzeug's documented way through a proxy
        # What a request leaves behind inherits its context, and may live for ever: only a context that
        # was not popped has a token. Flask has no public name for it.
        pushed = getattr(context, "_cv_tokens", None) or getattr(context, "_cv_token", None)
        held = vars(context.g)
    except Exception:  # noqa: BLE001  a Flask that is half imported, or that we do not know
        return None
    return held if pushed and type(held) is dict else None


def holds_login_user(held: dict[str, object] | None) -> bool:
    """Whether flask-login has loaded the user, be it that there is none."""
    return held is not None and _LOGIN_USER in held


def login_user() -> object:
    """The user that flask-login has loaded in the request at hand, else None."""
    held = held_in_g()
    return None if held is None else held.get(_LOGIN_USER)


def is_current_user(proxy: object) -> bool:
    """Whether something is flask-login's `current_user`, which loads the user when it is looked into."""
    flask_login: Any = sys.modules.get("flask_login")
    return flask_login is not None and vars(flask_login).get("current_user") is proxy
