"""Writes of many rows at once in Django: what their instances say is reported, the rest is counted.

`bulk_create` and `bulk_update` have the instances at hand, so each row is looked at as if it had been
saved. `QuerySet.update` has none, and which rows it will change only the database knows: asking would be
a query of ours. So it is said once, and when the process ends how often it was.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, final

from otel_incident.guard import fail_open
from otel_incident.hooks.patching import wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from otel_incident.hooks.complaints import Complaints

_ITERABLES: Final = ("objs", "fields")
"""The first parameters of `bulk_update`."""
_CREATED: Final = ("objs", "batch_size", "ignore_conflicts", "update_conflicts")
"""Those of `bulk_create`."""
_WITHIN_BULK_UPDATE: Final[ContextVar[bool]] = ContextVar("otel_incident_bulk_update", default=False)
"""Django's own `bulk_update` calls `update`, whose rows are known then."""


@final
class BulkWrites:
    """Watches the bulk writes of one model, with its proxies and children.

    Args:
        model: The model.
        names: The watched fields, by either of the names that Django takes.
        target: How the hook calls the model.
        complaints: What is said of the hook.
        saved: Told of each row: the instance, whether it is new, the database's alias, and which fields were
            written, None for all.
    """

    def __init__(
        self,
        model: Any,
        names: frozenset[str],
        target: str,
        complaints: Complaints,
        saved: Callable[[Any, bool, str, Collection[str] | None], None],
    ) -> None:
        from django.db.models.query import QuerySet  # noqa: PLC0415  the host's library, which is at work

        self._model, self._names, self._target = model, names, target
        self._complaints, self._saved = complaints, fail_open("hook")(saved)
        self._count = 0
        wrappers = (
            ("bulk_create", self._bulk_create),
            ("bulk_update", self._bulk_update),
            ("update", self._update),
        )
        self._undo = [wrap(QuerySet, name, wrapper) for name, wrapper in wrappers]

    def uninstall(self) -> None:
        """Put the methods back."""
        while self._undo:
            self._undo.pop()()

    def ended(self) -> None:
        """The process ends: say how many statements there were, if more than the one that was said."""
        if self._count > 1:
            self._complaints.say(
                "rows of %s were written by %s statements in this process.", self._target, str(self._count)
            )

    def _bulk_create(self, wrapped: Callable[..., Any], rows: Any, args: Any, kwargs: Any) -> Any:
        made = wrapped(*args, **kwargs)
        if self._is_ours(rows):
            fail_open("hook")(self._created)(
                made, rows.db, {**dict(zip(_CREATED, args, strict=False)), **kwargs}
            )
        return made

    def _bulk_update(self, wrapped: Callable[..., Any], rows: Any, args: Any, kwargs: Any) -> Any:
        if not self._is_ours(rows):
            return wrapped(*args, **kwargs)
        # Django takes generators, too, of which nothing would be left for us
        args = tuple(_kept(each) if place < len(_ITERABLES) else each for place, each in enumerate(args))
        kwargs = {name: _kept(each) if name in _ITERABLES else each for name, each in kwargs.items()}
        within = _WITHIN_BULK_UPDATE.set(True)
        try:
            changed = wrapped(*args, **kwargs)
        finally:
            _WITHIN_BULK_UPDATE.reset(within)
        if changed != 0:
            fail_open("hook")(self._changed)(rows, **{**dict(zip(_ITERABLES, args, strict=False)), **kwargs})
        return changed

    def _update(self, wrapped: Callable[..., Any], rows: Any, args: Any, kwargs: Any) -> Any:
        changed = wrapped(*args, **kwargs)
        if changed and not self._names.isdisjoint(kwargs):
            fail_open("hook")(self._changed_unseen)(rows)
        return changed

    def _is_ours(self, rows: Any) -> bool:
        return isinstance(rows.model, type) and issubclass(rows.model, self._model)

    def _created(self, made: Iterable[Any], using: str, given: Mapping[str, Any]) -> None:
        if given.get("ignore_conflicts") or given.get("update_conflicts"):
            self._say("made by bulk_create with conflicts, which tells nobody which of them are new")
            return
        for instance in made:
            if instance.pk is None:  # a database that does not say which keys it has given
                self._say("made by bulk_create in a database that does not tell their keys")
                return
            self._saved(instance, True, using, None)  # noqa: FBT003  as the receiver of a signal

    def _changed(self, rows: Any, objs: Iterable[Any], fields: Collection[str], **_: Any) -> None:
        for instance in objs:
            self._saved(instance, False, rows.db, fields)  # noqa: FBT003  the same

    def _changed_unseen(self, rows: Any) -> None:
        if self._is_ours(rows) and not _WITHIN_BULK_UPDATE.get():
            self._say("changed by QuerySet.update, which tells nobody which, so they are not reported")

    def _say(self, what: str) -> None:
        self._count += 1
        self._complaints.say(f"rows of %s were {what}. This is said once.", self._target)


def _kept(value: Any) -> Any:
    """The same, to be read more than once; TypeError where it cannot be read, as without us."""
    return value if isinstance(value, (list, tuple, str)) else tuple(value)
