"""Whether a user of a host's is somebody, asked in a way that never loads him.

Frameworks agree on `is_authenticated`. It is often a property, and on a row of an ORM a property may
read a column that is not in memory, which would be a query of ours: of a row nothing is evaluated.
"""

from __future__ import annotations

from typing import Final

from otel_incident.hooks.paths import resolved

_MISSING: Final = object()


def authenticated(user: object, *, unless_said: bool = False) -> object:
    """The user if he is somebody, else None.

    Args:
        user: What a framework or a host holds as its user; a lazy one that is not resolved is nobody.
        unless_said: What is true of a user without an `is_authenticated`.
    """
    user = resolved(user)
    try:
        known = user is not None and _says(user, unless_said=unless_said)
    except Exception:  # noqa: BLE001  a host's property may raise anything; then nobody is known
        return None
    return user if known else None


def _says(user: object, *, unless_said: bool) -> bool:
    held = getattr(user, "__dict__", {})
    if "_sa_instance_state" not in held:
        return getattr(user, "is_authenticated", unless_said) is True
    said = held.get("is_authenticated", _MISSING)
    for kind in type(user).__mro__:
        if said is not _MISSING:
            break
        said = vars(kind).get("is_authenticated", _MISSING)
    # a property may read an expired column; that there is a row says that there is somebody
    return said if type(said) is bool else said is not _MISSING or unless_said
