"""The `bulk_*` methods of SQLAlchemy's sessions, which write rows without a flush and tell nobody of it.

`bulk_save_objects` has the instances at hand, and what they say is reported, but for a new row of which
nobody is told its key. The others have mappings, of rows that no instance stands for: these are counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from otel_incident.guard import fail_open
from otel_incident.hooks.patching import wrap

if TYPE_CHECKING:
    from collections.abc import Callable

_FIRST, _SECOND = 0, 1


@final
class BulkMethods:
    """Watches the `bulk_*` methods of all sessions, for one class and its descendants.

    Args:
        mapper: Of the class; it need not be configured: the arguments of a process's first call may do that.
        names: The watched columns, by what instances call them, as far as that is known.
        say: Told in words what was done to rows that are not reported.
        saved: Told of a session, SQLAlchemy's record of an instance that it has saved, and whether the row is
            new; gives whether its key is known.
    """

    def __init__(
        self,
        mapper: Any,
        names: Callable[[], frozenset[str]],
        say: Callable[[str], None],
        saved: Callable[..., bool],
    ) -> None:
        from sqlalchemy.orm import Session  # noqa: PLC0415  the host's library, which is at work

        self._mapper, self._names, self._say, self._saved = mapper, names, say, saved
        self._undo = [
            wrap(Session, "bulk_save_objects", self._save_objects),
            wrap(Session, "bulk_insert_mappings", self._insert_mappings),
            wrap(Session, "bulk_update_mappings", self._update_mappings),
        ]

    def uninstall(self) -> None:
        """Put the methods back."""
        while self._undo:
            self._undo.pop()()

    def _save_objects(self, wrapped: Callable[..., Any], session: Any, args: Any, kwargs: Any) -> Any:
        args, kwargs, objects = _kept(_FIRST, "objects", args, kwargs)
        ours = fail_open("hook")(self._ours)(objects)
        result = wrapped(*args, **kwargs)
        if ours:
            fail_open("hook")(self._report)(session, ours)
        return result

    def _insert_mappings(self, wrapped: Callable[..., Any], session: Any, args: Any, kwargs: Any) -> Any:  # noqa: ARG002  the same signature for all
        args, kwargs, mappings = _kept(_SECOND, "mappings", args, kwargs)
        result = wrapped(*args, **kwargs)
        if mappings and fail_open("hook")(self._is_ours)(args, kwargs):
            self._say("inserted by bulk_insert_mappings, which has no instances, so they are not reported")
        return result

    def _update_mappings(self, wrapped: Callable[..., Any], session: Any, args: Any, kwargs: Any) -> Any:  # noqa: ARG002  the same
        args, kwargs, mappings = _kept(_SECOND, "mappings", args, kwargs)
        result = wrapped(*args, **kwargs)
        if fail_open("hook")(self._is_ours)(args, kwargs) and fail_open("hook")(self._concerns)(mappings):
            self._say("changed by bulk_update_mappings, which has no instances, so they are not reported")
        return result

    def _ours(self, objects: Any) -> list[tuple[Any, bool]]:
        """SQLAlchemy's records of what is to be saved, and which of the rows are new."""
        from sqlalchemy import inspect  # noqa: PLC0415  the host's library, which is at work

        states = [inspect(each, raiseerr=False) for each in objects]
        return [
            (state, state.key is None)
            for state in states
            if state is not None and state.mapper.isa(self._mapper)
        ]

    def _report(self, session: Any, ours: list[tuple[Any, bool]]) -> None:
        known = [self._saved(session, state, fresh=fresh) for state, fresh in ours]
        if not all(known):
            self._say(
                "inserted by bulk_save_objects without return_defaults, so that nobody knows their keys, and "
                "they are not reported"
            )

    def _is_ours(self, args: Any, kwargs: Any) -> bool:
        from sqlalchemy import inspect  # noqa: PLC0415  the host's library, which is at work

        mapper = inspect(args[0] if args else kwargs["mapper"], raiseerr=False)
        return mapper is not None and bool(mapper.isa(self._mapper))

    def _concerns(self, mappings: Any) -> bool:
        names = self._names()
        return any(not names.isdisjoint(each) for each in mappings)


def _kept(place: int, name: str, args: Any, kwargs: Any) -> tuple[Any, Any, Any]:
    """The arguments, with what is to be read twice kept; SQLAlchemy takes generators, too."""
    given = args[place] if len(args) > place else kwargs.get(name)
    if given is None or isinstance(given, (list, tuple)):
        return args, kwargs, given or ()
    try:
        items = iter(given)
    except TypeError:  # the host's own error, as without us
        return args, kwargs, ()
    kept = tuple(items)
    if len(args) > place:
        return (*args[:place], kept, *args[place + 1 :]), kwargs, kept
    return args, {**kwargs, name: kept}, kept
