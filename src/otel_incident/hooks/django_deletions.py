"""Rows of Django's that are deleted by the transaction that made them: nobody else has ever seen them.

Django's own signal of a deletion is not used: a model to which somebody listens costs the host more
statements, since each row is read first. So the keys are taken from what Django has collected; of what it
deletes without a look at the rows the statement says which, if it names keys or no condition at all. Any
other may have deleted a row of the transaction's or not: its creation is reported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from otel_incident.guard import fail_open
from otel_incident.hooks.django_commits import this_thread
from otel_incident.hooks.patching import wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


@final
class Deletions:
    """Watches the deletions of one model's rows, with its proxies and children.

    Args:
        model: The model.
        gone: Told of the database's alias and the keys of rows that were deleted; None for all.
    """

    def __init__(self, model: Any, gone: Callable[[str, Collection[Any] | None], None]) -> None:
        from django.db.models.deletion import Collector  # noqa: PLC0415  the host's library, which is at work
        from django.db.models.query import QuerySet  # noqa: PLC0415  the same

        self._model, self._gone = model, gone
        self._undo = [
            wrap(Collector, "delete", self._delete),
            wrap(QuerySet, "_raw_delete", self._raw_delete),
        ]

    def uninstall(self) -> None:
        """Put the methods back."""
        while self._undo:
            self._undo.pop()()

    def _delete(self, wrapped: Callable[..., Any], collector: Any, args: Any, kwargs: Any) -> Any:
        keys = fail_open("hook")(self._collected)(collector) if this_thread.at_work else None
        result = wrapped(*args, **kwargs)
        if keys:
            fail_open("hook")(self._gone)(collector.using, keys)
        return result

    def _raw_delete(self, wrapped: Callable[..., Any], rows: Any, args: Any, kwargs: Any) -> Any:
        result = wrapped(*args, **kwargs)
        if this_thread.at_work:
            fail_open("hook")(self._deleted)(rows, args[0] if args else kwargs["using"])
        return result

    def _collected(self, collector: Any) -> set[Any]:
        """The keys, while Django's instances still have them."""
        return {
            instance.pk
            for model, instances in collector.data.items()
            if self._is_ours(model)
            for instance in instances
        }

    def _is_ours(self, model: Any) -> bool:
        """Whether these are the very rows; of a child's Django deletes the parent's, too, or keeps them."""
        return _table_of(model) is _table_of(self._model)

    def _deleted(self, rows: Any, using: str) -> None:
        """Rows were deleted without a look at them."""
        if not self._is_ours(rows.model):
            return
        where = rows.query.where
        if not where.children:
            self._gone(using, None)
        elif len(where.children) == 1:
            (condition,) = where.children
            column = getattr(getattr(condition, "lhs", None), "target", None)
            if column is rows.model._meta.pk:  # noqa: SLF001  Django's documented Meta API
                self._gone(using, _named(condition))


def _table_of(model: Any) -> Any:
    return model._meta.concrete_model  # noqa: SLF001  Django's documented Meta API


def _named(condition: Any) -> Collection[Any]:
    """The keys that a condition names."""
    named = condition.rhs
    if condition.lookup_name == "exact":
        return [named]
    return named if condition.lookup_name == "in" and isinstance(named, (list, tuple, set)) else ()
