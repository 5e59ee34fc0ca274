"""Connects to what Django tells of a model's instances: of the model, its proxies and its children.

Django's signals are those of one class; a proxy's or a child's rows are incidents, too. Our receiver of a
save is called before the host's own, which may save the row again, or raise.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, final

from otel_incident.guard import fail_open
from otel_incident.hooks.django_meta import descendants
from otel_incident.hooks.patching import wrap

if TYPE_CHECKING:
    from collections.abc import Callable


@final
class Signals:
    """The signals of one model, its proxies and its children.

    Args:
        loaded: Receives `post_init`.
        saved: Receives `post_save`.
        refreshed: Called with an instance that was read again, and which of its fields were (None for all).
    """

    def __init__(
        self,
        loaded: Callable[..., None],
        saved: Callable[..., None],
        refreshed: Callable[[Any, object], None],
    ) -> None:
        self._receivers = fail_open("hook")(loaded), fail_open("hook")(saved)
        self._refreshed = fail_open("hook")(refreshed)
        self._undo: list[Callable[[], None]] = []

    def connect(self, model: Any) -> None:
        """Receive what is told of a model, of what descends from it, and of what will."""
        self._connect(model)
        for descendant in descendants(model):
            self._connect(descendant)
        self._await_descendants(model)
        self._watch_refresh(model)

    def disconnect(self) -> None:
        """Receive nothing any longer, and put back what was wrapped."""
        while self._undo:
            self._undo.pop()()

    def _connect(self, sender: Any) -> None:
        from django.db.models import signals  # noqa: PLC0415  the host's library, which is at work

        for signal, receiver in zip((signals.post_init, signals.post_save), self._receivers, strict=True):
            signal.connect(receiver, sender=sender, weak=False)
            self._undo.append(partial(signal.disconnect, receiver, sender=sender))
        _put_first(signals.post_save, self._receivers[1])

    def _await_descendants(self, model: Any) -> None:
        from django.db.models.signals import class_prepared  # noqa: PLC0415  the host's library, which is at work

        def prepared(sender: Any, **_: Any) -> None:
            if issubclass(sender, model):
                self._connect(sender)

        receiver = fail_open("hook")(prepared)
        class_prepared.connect(receiver, weak=False)
        self._undo.append(partial(class_prepared.disconnect, receiver))

    def _watch_refresh(self, model: Any) -> None:
        """`refresh_from_db` replaces what an instance holds: what it was before is then what it holds now."""

        def refreshed(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
            result = wrapped(*args, **kwargs)
            self._refreshed(instance, kwargs.get("fields", args[1] if len(args) > 1 else None))
            return result

        self._undo.append(wrap(model, "refresh_from_db", refreshed))


def _put_first(signal: Any, receiver: object) -> None:
    """Have Django call a receiver of ours before the host's.

    It calls them in the order in which they were connected: one of the host's that came earlier may
    save the row again, which would then be said before its creation, or raise, and ours is skipped.
    """
    with signal.lock:
        ours = [each for each in signal.receivers if each[1] is receiver]
        signal.receivers = ours + [each for each in signal.receivers if each[1] is not receiver]
        signal.sender_receivers_cache.clear()
