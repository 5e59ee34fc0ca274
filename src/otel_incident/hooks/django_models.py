"""`model` hooks for Django: transitions of a row's fields, reported once they are committed.

Watching the row instead of functions catches every way a host changes it through instances: views,
the admin, commands, background jobs. What a row was before is remembered when it is loaded
(`post_init`) and compared when it is saved (`post_save`); the events wait for the transaction and
vanish with it, with a savepoint too, since Django drops their callbacks.

Blind by nature: `QuerySet.update`, `bulk_*`, raw SQL, transactions by hand without autocommit, and
fields that were deferred when the row was loaded, since then nobody knows what they were.
"""

from __future__ import annotations

import enum
import logging
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast, final

import wrapt
from opentelemetry.context import get_current

from otel_incident.guard import fail_open
from otel_incident.hooks.actors import request_user
from otel_incident.hooks.extraction import event_of, incident_of
from otel_incident.hooks.transitions import Fields, created_actions, transitions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from otel_incident.events import IncidentEvent
    from otel_incident.hooks.spec import Hook, HookFile

_logger: Final = logging.getLogger("otel_incident")
_MODELS: Final = "django.db.models"
_REGISTRY: Final = "django.apps.registry"


@final
class ModelWatch:
    """Watches one model.

    Args:
        file: Where the hook stands.
        hook: A hook of kind `model`.
        sink: Takes the events.
        matched: Told when the model has been found.
    """

    def __init__(
        self,
        file: HookFile,
        hook: Hook,
        sink: Callable[[IncidentEvent], None],
        matched: Callable[[HookFile], None],
    ) -> None:
        self._file = file
        self._hook = hook
        self._sink = sink
        self._matched = matched
        self._memory = f"_otel_incident_{hook.name}"
        self._active = True
        self._connected = False
        self._said_missing = False
        self._model: Any = None
        self._written_as: dict[str, str] = {}
        self._fields = Fields("", (), "", "")
        self._undo: list[Callable[[], None]] = []
        self._said_unseen = False

    def install(self) -> None:
        """Connect as soon as Django's models are imported; the model itself may come later."""
        wrapt.register_post_import_hook(fail_open("hook")(self._connect), _MODELS)
        wrapt.register_post_import_hook(fail_open("hook")(self._await_registry), _REGISTRY)

    def uninstall(self) -> None:
        """Disconnect, and put back what was wrapped."""
        self._active = False
        while self._undo:
            self._undo.pop()()

    # -- connecting

    def _connect(self, models: Any) -> None:
        if not self._active or self._connected:
            return
        self._connected = True
        target = self._hook.target
        loaded, saved = fail_open("hook")(self._loaded), fail_open("hook")(self._saved)
        for signal, receiver in ((models.signals.post_init, loaded), (models.signals.post_save, saved)):
            signal.connect(receiver, sender=target, weak=False)
            self._undo.append(partial(self._disconnect, signal, receiver))
        from django.apps import apps  # noqa: PLC0415  the host's library, which has just been imported

        app_label, model = target.split(".")
        apps.lazy_model_operation(fail_open("hook")(self._found), (app_label, model.lower()))

    def _disconnect(self, signal: Any, receiver: Any) -> None:
        signal.disconnect(receiver, sender=self._model or self._hook.target)

    def _found(self, model: Any) -> None:
        """The model exists: learn its fields, and refuse a hook that names others."""
        if not self._active:
            return
        module = self._file.module
        if module and not f"{model.__module__}.".startswith(f"{module}."):
            return  # another app with the same label: not the preset's host
        hook = self._hook
        wanted = [
            hook.lifecycle_field,
            hook.commander_field,
            cast("str", hook.stage.source) if hook.stage else "",
        ]
        known = {name: field for field in model._meta.concrete_fields for name in (field.name, field.attname)}  # noqa: SLF001  Django's documented Meta API
        for name in filter(None, wanted):
            if name not in known:
                _logger.warning(
                    "%s, hook %r: the model %s has no field %r, so the hook reports nothing; correct it.",
                    self._file.source,
                    hook.name,
                    hook.target,
                    name,
                )
                return
        self._written_as = {known[name].attname: known[name].name for name in filter(None, wanted)}
        self._fields = Fields.of(hook, {name: known[name].attname for name in filter(None, wanted)})
        self._model = model
        self._watch_refresh(model)
        self._matched(self._file)

    def _watch_refresh(self, model: Any) -> None:
        """`refresh_from_db` replaces what an instance holds: what it was before is then what it holds now."""
        own = vars(model).get("refresh_from_db")

        def refreshed(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
            result = wrapped(*args, **kwargs)
            fail_open("hook")(self._remember)(instance, self._held(instance))
            return result

        wrapper = wrapt.FunctionWrapper(own or _inherited(model, "refresh_from_db"), refreshed)
        model.refresh_from_db = wrapper

        def undo() -> None:
            if vars(model).get("refresh_from_db") is not wrapper:
                return
            if own is None:
                del model.refresh_from_db
            else:
                model.refresh_from_db = own

        self._undo.append(undo)

    def _await_registry(self, registry: Any) -> None:
        """Once every app is loaded, say it if the model of an operator's hook is not among them."""
        if self._file.preset or not self._active:
            return
        apps = registry.apps
        if apps.ready:
            self._check_found()
            return
        own = vars(registry.Apps)["populate"]

        def populated(wrapped: Callable[..., Any], _instance: Any, args: Any, kwargs: Any) -> Any:
            result = wrapped(*args, **kwargs)
            fail_open("hook")(self._check_found)()
            return result

        wrapper = wrapt.FunctionWrapper(own, populated)
        registry.Apps.populate = wrapper

        def undo() -> None:
            if vars(registry.Apps).get("populate") is wrapper:
                registry.Apps.populate = own

        self._undo.append(undo)

    def _check_found(self) -> None:
        if self._active and self._model is None and not self._said_missing:
            self._said_missing = True
            _logger.warning(
                "%s, hook %r: there is no model %s, so it reports nothing; "
                "correct `model` or remove the hook.",
                self._file.source,
                self._hook.name,
                self._hook.target,
            )

    # -- watching

    def _loaded(self, instance: Any, **_: Any) -> None:
        if self._model is not None:
            self._remember(instance, self._held(instance))

    def _saved(
        self, instance: Any, *, created: bool, raw: bool, using: str, update_fields: Any, **_: Any
    ) -> None:
        if self._model is None or not self._active:
            return
        held = self._held(instance)
        if raw:  # a fixture is loaded: data, not an action
            self._remember(instance, held)
            return
        from django.db import transaction  # noqa: PLC0415  the host's library, which is at work

        connection = transaction.get_connection(using)
        if not connection.in_atomic_block and not connection.get_autocommit():
            self._say_unseen()
            return
        row = (self._hook.name, using, instance.pk)
        pending = _pending(connection, row)
        memory: dict[str, Any] = getattr(instance._state, self._memory, {})  # noqa: SLF001  Django's documented state
        if created:
            after, fresh = held, True
            actions = created_actions(self._fields, held)
        else:
            before = pending.after if pending is not None else memory.get("values", {})
            written = {
                name: value
                for name, value in held.items()
                if update_fields is None or name in update_fields or self._written_as[name] in update_fields
            }
            after = {**before, **written}
            fresh = pending.fresh if pending is not None else memory.get("fresh", False)
            actions = transitions(self._fields, before, after, fresh=fresh)
        if not actions and pending is None:
            self._remember(instance, after, fresh=fresh)
            return
        change = _Change(
            row=row,
            after=after,
            fresh=fresh,
            events=self._events(instance, actions, after) if actions else (),
            commit=lambda change: self._committed(instance, change),
        )
        transaction.on_commit(change, using=using)

    def _events(
        self, instance: Any, actions: tuple[Any, ...], after: Mapping[str, Any]
    ) -> tuple[IncidentEvent, ...]:
        hook, now, context = self._hook, time.time_ns(), get_current()
        roots = {"self": instance, "user": request_user()}
        active = None
        if self._fields.lifecycle and self._fields.lifecycle in after:
            active = after[self._fields.lifecycle] not in hook.closed
        incident = incident_of(hook, roots, active=active, localise=_in_time_zone)
        stage = after.get(self._fields.stage)
        return tuple(
            event_of(hook, action, incident, roots, stage=stage, timestamp=now, context=context)
            for action in actions
        )

    def _say_unseen(self) -> None:
        if not self._said_unseen:
            self._said_unseen = True
            _logger.warning(
                "%s, hook %r: %s was saved without autocommit and outside `atomic()`; Django tells nobody of "
                "such a commit, so changes like this are not reported. This is said once.",
                self._file.source,
                self._hook.name,
                self._hook.target,
            )

    def _committed(self, instance: Any, change: _Change) -> None:
        self._remember(instance, change.after, fresh=change.fresh)
        if self._active:
            for event in change.events:
                self._sink(event)

    # -- remembering

    def _held(self, instance: Any) -> dict[str, Any]:
        """The watched fields as far as they are loaded, without loading any."""
        loaded = instance.__dict__
        return {name: _plain(loaded[name]) for name in self._written_as if name in loaded}

    def _remember(self, instance: Any, values: Mapping[str, Any], *, fresh: bool = False) -> None:
        # plain values on the instance's own state: an instance that is pickled needs nothing of ours
        setattr(instance._state, self._memory, {"values": dict(values), "fresh": fresh})  # noqa: SLF001  as above


@final
@dataclass(eq=False, slots=True)
class _Change:
    """One save that waits for its transaction.

    Django keeps it among the callbacks of the connection and drops it on a rollback, of a savepoint
    too: so what is there is what the row will be if the transaction commits.
    """

    row: tuple[str, str, Any]
    after: dict[str, Any]
    fresh: bool
    events: tuple[IncidentEvent, ...]
    commit: Callable[[_Change], None]

    def __call__(self) -> None:
        fail_open("hook")(self.commit)(self)


def _pending(connection: Any, row: tuple[str, str, Any]) -> _Change | None:
    """The last save of the same row in this transaction."""
    for entry in reversed(getattr(connection, "run_on_commit", ())):
        change = entry[1]
        if isinstance(change, _Change) and change.row == row:
            return change
    return None


def _inherited(model: Any, name: str) -> Any:
    for parent in model.__mro__[1:]:
        if name in vars(parent):
            return vars(parent)[name]
    raise AttributeError(name)


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value


def _in_time_zone(value: datetime) -> datetime:
    """A naive datetime of a Django model is in the project's TIME_ZONE."""
    from django.utils.timezone import get_default_timezone  # noqa: PLC0415  the host's library

    return value.replace(tzinfo=get_default_timezone())
