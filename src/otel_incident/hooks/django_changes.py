"""Whether the host has changed a row that another row is about, since it read it: `changed` in `[hook.when]`.

Some hosts write an entry in an incident's history even where it changes nothing: a restart of what runs. Then
the incident is what it was when the host read it, and that is remembered here. Nothing here asks the
database: what is not known may have been changed, as after a write of many rows at once.
"""

from __future__ import annotations

from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

from otel_incident.guard import fail_open
from otel_incident.hooks.patching import wrap

if TYPE_CHECKING:
    from collections.abc import Callable

_ABSENT: Final = object()


@final
class Changes:
    """Knows what a field of related rows was when the host read them.

    Args:
        relation: The field that leads to them.
        name: Their field.
    """

    def __init__(self, relation: str, name: str) -> None:
        self._relation, self._name = relation, name
        self._attribute = f"_otel_incident_read_{name}"
        self._written: ContextVar[bool] = ContextVar(self._attribute, default=False)
        self._model: Any = None
        self._undo: list[Callable[[], None]] = []

    def uninstall(self) -> None:
        """Disconnect, and put back what was wrapped."""
        while self._undo:
            self._undo.pop()()

    def may_be(self, instance: Any) -> bool:
        """Whether the row that another is about may have been changed: that it was not has to be known.

        Args:
            instance: The row that is about it.
        """
        related = instance._state.fields_cache.get(self._relation)  # noqa: SLF001  Django's documented state
        if related is None or self._written.get():
            return True
        read = related._state.__dict__.get(self._attribute, _ABSENT)  # noqa: SLF001  the same
        return read is _ABSENT or bool(read != related.__dict__.get(self._name, _ABSENT))

    def connect(self, model: Any) -> None:
        """Watch a model, once Django knows it."""
        from django.core.signals import request_started  # noqa: PLC0415  the host's library, which is at work
        from django.db.models import signals  # noqa: PLC0415  the same
        from django.db.models.query import QuerySet  # noqa: PLC0415  the same

        self._model = model
        for signal, sender, receive in (
            (signals.post_init, model, self._read),
            (signals.post_save, model, self._saved),
            (request_started, None, self._begun),
        ):
            receiver = fail_open("hook")(receive)
            signal.connect(receiver, sender=sender, weak=False)
            self._undo.append(partial(signal.disconnect, receiver, sender=sender))
        self._undo.append(wrap(QuerySet, "update", self._update))

    def _read(self, instance: Any, **_: Any) -> None:
        loaded = instance.__dict__
        if self._name in loaded:
            setattr(instance._state, self._attribute, loaded[self._name])  # noqa: SLF001  as above

    def _saved(self, instance: Any, *, created: bool, **_: Any) -> None:
        if created:  # it was nothing before
            instance._state.__dict__.pop(self._attribute, None)  # noqa: SLF001  as above

    def _begun(self, **_: Any) -> None:
        self._written.set(False)

    def _update(self, wrapped: Callable[..., Any], rows: Any, args: Any, kwargs: Any) -> Any:
        changed = wrapped(*args, **kwargs)
        if changed and self._name in kwargs:
            fail_open("hook")(self._noted)(rows)
        return changed

    def _noted(self, rows: Any) -> None:
        if isinstance(rows.model, type) and issubclass(rows.model, self._model):
            self._written.set(True)
