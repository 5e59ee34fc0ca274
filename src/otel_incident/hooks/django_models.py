"""`model` hooks for Django: transitions of a row's fields, reported once they are committed.

Watching the row instead of functions catches every way a host changes it through instances: views,
the admin, commands, background jobs. What a row was before is remembered when it is loaded
(`post_init`) and compared when it is saved (`post_save`, before the host's own receivers, which may
save again); the events wait for the transaction and vanish with it (`django_commits`).

Blind by nature: `QuerySet.update` (`django_bulk`), raw SQL, transactions by hand without autocommit, and
fields that were deferred when the row was loaded, since then nobody knows what they were.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast, final

from opentelemetry.context import get_current

from otel_incident.guard import fail_open
from otel_incident.hooks.actors import request_user
from otel_incident.hooks.complaints import Complaints
from otel_incident.hooks.django_belonging import NewRows
from otel_incident.hooks.django_bulk import BulkWrites
from otel_incident.hooks.django_commits import (
    pending,
    pending_all,
    pending_here,
    this_thread,
    wait,
    watches,
)
from otel_incident.hooks.django_deletions import Deletions
from otel_incident.hooks.django_meta import astray, columns
from otel_incident.hooks.django_related import Conditions
from otel_incident.hooks.django_rows import Known, Memory, Outcome, held, key_of, normal, plain, stored
from otel_incident.hooks.django_signals import Signals
from otel_incident.hooks.django_values import unheld
from otel_incident.hooks.django_waiting import Change
from otel_incident.hooks.ended_spans import on_recording_span
from otel_incident.hooks.extraction import event_of, incident_of
from otel_incident.hooks.modules import why_absent
from otel_incident.hooks.patching import wrap
from otel_incident.hooks.transitions import Fields, as_done, differing, transitions
from otel_incident.imports import when_imported

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from otel_incident.events import IncidentEvent
    from otel_incident.hooks.definitions import Hook, HookFile

_MODELS: Final = "django.db.models"
_REGISTRY: Final = "django.apps.registry"
_ABSENT: Final = object()


@final
class ModelWatch:
    """Watches one model, with its proxies and children.

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
        self._complaints = Complaints(file.source, hook.name)
        self._memory = Memory(f"{file.source} {hook.name}")
        self._active = True
        self._settled = False
        self._model: Any = None
        self._watched: dict[str, Any] = {}
        self._fields = Fields("", (), "", "")
        self._new: NewRows | None = None
        self._conditions: Conditions | None = None
        self._bulk: BulkWrites | None = None
        self._signals = Signals(self._loaded, self._saved, self._refreshed)
        self._undo: list[Callable[[], None]] = []

    def install(self) -> None:
        """Connect as soon as Django's models are imported; the model itself may come later."""
        self._undo.append(when_imported(_MODELS, fail_open("hook")(self._await_model)))
        self._undo.append(when_imported(_REGISTRY, fail_open("hook")(self._await_registry)))

    def uninstall(self) -> None:
        """Disconnect, and put back what was wrapped."""
        self._active = False
        watches.discard(self)
        while self._undo:
            self._undo.pop()()

    def watches(self, model: Any) -> bool:
        """Whether it watches the rows of a model."""
        return self._model is not None and issubclass(model, self._model)

    def ended(self) -> None:
        """The process ends: say what was written past us, or that there was no Django at all."""
        if self._bulk is not None:
            self._bulk.ended()
        if not self._file.preset and not self._settled and why_absent("django"):
            self._warn(
                "the model %s is to be Django's, which is not installed; correct or remove the hook. A class "
                "of SQLAlchemy's is named as in desk.models:Incident."
            )

    # -- finding the model

    def _await_model(self, _models: Any) -> None:
        if not self._active:
            return
        from django.apps import apps  # noqa: PLC0415  the host's library, which has just been imported

        app_label, model = self._hook.target.split(".")
        apps.lazy_model_operation(fail_open("hook")(self._found), (app_label, model.lower()))

    def _await_registry(self, registry: Any) -> None:
        """Once every app is loaded, say it if the model of an operator's hook is not among them."""
        if self._file.preset or not self._active:
            return
        if registry.apps.ready:
            self._check_found()
            return

        def populated(wrapped: Callable[..., Any], _instance: Any, args: Any, kwargs: Any) -> Any:
            result = wrapped(*args, **kwargs)
            fail_open("hook")(self._check_found)()
            return result

        self._undo.append(wrap(registry.Apps, "populate", populated))

    def _check_found(self) -> None:
        if self._model is not None:
            for complaint in (*astray(self._model, self._hook), *unheld(self._model, self._hook)):
                self._complaints.say(*complaint)
        elif self._active and not self._settled:
            self._settled = True
            self._warn("there is no model %s, so it reports nothing; correct `model` or remove the hook.")

    def _found(self, model: Any) -> None:
        """The model exists: learn its fields, and refuse a hook that names others."""
        if not self._active:
            return
        module, hook = self._file.module, self._hook
        if module and not f"{model.__module__}.".startswith(f"{module}."):
            if not self._file.preset:  # of a preset it is another host, whose app has the same label
                self._settled = True
                self._warn(
                    "the model %s is in %s, not in %r as `module` says, so the hook reports nothing; "
                    "correct it.",
                    model.__module__,
                    module,
                )
            return
        self._settled = True
        stage = cast("str", hook.stage.source) if hook.stage else ""
        row = hook.row.field if hook.row else ""
        wanted = [name for name in (hook.lifecycle_field, hook.commander_field, stage, row) if name]
        known = columns(model)
        for name in (*wanted, *([hook.row.of] if hook.row else [])):
            if name not in known:
                self._warn("the model %s has no field %r, so the hook reports nothing; correct it.", name)
                return
        self._watched = {known[name].attname: known[name] for name in wanted}
        self._fields = Fields.of(hook, {name: known[name].attname for name in wanted})
        self._new = NewRows(hook, known, self._fields)
        self._model = model
        watches.add(self)
        self._conditions = Conditions(model, hook.conditions, self._complaints)
        self._undo.append(self._conditions.uninstall)
        self._undo.append(self._signals.disconnect)
        self._signals.connect(model)
        names = frozenset(name for name in known if known[name].attname in self._watched)
        self._bulk = BulkWrites(model, names, hook.target, self._complaints, self._written)
        self._undo.append(self._bulk.uninstall)
        self._undo.append(Deletions(model, self._gone).uninstall)
        self._matched(self._file)

    def _warn(self, message: str, *more: str) -> None:
        self._complaints.say(message, self._hook.target, *more)

    # -- watching

    def _loaded(self, instance: Any, **_: Any) -> None:
        values = plain(held(instance, self._watched), self._watched)
        self._memory.made(instance, values)
        if this_thread.at_work:  # of which database it is, Django says only when it is made
            for waiting in pending_here(self, key_of(instance, self._model)):
                self._memory.suppose(instance, _before(waiting, values), waiting.row[1])

    def _refreshed(self, instance: Any, fields: object) -> None:
        values = plain(held(instance, self._watched), self._watched)
        if fields is not None:  # some fields only, or a deferred one that the host has just looked at
            values = self._among(values, fields if isinstance(fields, Collection) else ())
        using = instance._state.db  # noqa: SLF001  Django's documented state
        known = {} if fields is None else self._memory.of(instance, using)
        kept: Mapping[str, Any] = {**known, **values}
        for waiting in pending_here(self, key_of(instance, self._model)):
            if waiting.row[1] == using:
                before = _before(waiting, values)
                kept = Known({**known, **before}, waiting.outcome)
        self._memory.keep(instance, kept, using)

    def _saved(
        self, instance: Any, *, created: bool, raw: bool, using: str, update_fields: Any, **_: Any
    ) -> None:
        if not self._active or self._new is None:
            return
        if not (created or raw or self._waits(instance)) and self._is_known(instance, using):
            return  # the most frequent save: of a row whose watched fields are what they were
        values = held(instance, self._watched)
        if raw:  # a fixture is loaded: data, not an action
            self._memory.keep(instance, plain(values, self._watched), using)
            return
        from django.db import transaction  # noqa: PLC0415  the host's library, which is at work

        connection = transaction.get_connection(using)
        if not connection.in_atomic_block and not connection.get_autocommit():
            self._say_unseen()
            return
        if update_fields is not None:
            values = self._among(values, update_fields)
        change = self._change(self._new, connection, using, instance, values, created=created)
        if change is not None:
            wait(connection, change)

    def _change(
        self,
        new: NewRows,
        connection: Any,
        using: str,
        instance: Any,
        written: Mapping[str, Any],
        *,
        created: bool,
    ) -> Change | None:
        """What a save has made of a row, with all that its transaction did before; None for nothing."""
        row = (self, using, key_of(instance, self._model))
        waiting = None if created else pending(connection, row)
        remembered = self._memory.of(instance, using)
        known = {} if created else stored(remembered, self._watched)
        base, now = (known, known) if waiting is None else (waiting.before(known), waiting.after)
        fresh = created or (waiting is not None and waiting.fresh)
        after = {name: now[name] for name in now if name not in written} | stored(written, self._watched)
        changed = differing(now, after) | (now.keys() - after.keys())
        outcome = Outcome() if waiting is None else waiting.outcome
        if waiting is None and not (changed or created):
            self._memory.keep(instance, after, using)
            return None
        self._memory.keep(instance, Known({**remembered, **base}, outcome), using)
        if not (changed or created):
            return None
        first = None
        if fresh:
            actions = new.actions(connection, using, instance, after)
            first = new.first_commander(connection, using, instance, after)
            if first is not None and not self._is_meant(instance):
                first = None
        else:
            actions = transitions(self._fields, base, after, fresh=False)
        if actions and self._hook.conditions and not self._is_meant(instance):
            actions = ()
        earlier = waiting.events if waiting is not None else ()
        events = as_done(self._fields, self._events(instance, actions, after), earlier, changed)
        return Change(row, base, after, fresh, events, self._report, outcome, first)

    def _gone(self, using: str, keys: Collection[Any] | None) -> None:
        """Rows were deleted, None for all: those of them that their transaction has made have never been.

        To everybody else, that is; one that was there before has still been changed before.
        """
        from django.db import transaction  # noqa: PLC0415  the host's library, which is at work

        connection, key = transaction.get_connection(using), self._model._meta.pk  # noqa: SLF001  Django's documented Meta API
        known = None if keys is None else [normal(key, each) for each in keys]
        for waiting in list(pending_all(connection, self, known)):
            if waiting.fresh and (waiting.events or waiting.first is not None):
                wait(connection, replace(waiting, base=waiting.after, events=(), first=None))

    def _written(self, instance: Any, created: bool, using: str, update_fields: Any) -> None:  # noqa: FBT001  as above
        """A row was written with many others: as if it had been saved."""
        self._saved(instance, created=created, raw=False, using=using, update_fields=update_fields)

    def _is_meant(self, instance: Any) -> bool:
        return self._conditions is None or self._conditions.hold({"self": instance, "user": request_user()})

    def _waits(self, instance: Any) -> bool:
        """Whether a change of its row, in any database, waits for a transaction of this thread's."""
        return bool(this_thread.at_work) and any(pending_here(self, key_of(instance, self._model)))

    def _is_known(self, instance: Any, using: str) -> bool:
        """Whether an instance holds the very objects that are remembered; their values need no look then."""
        kept, loaded = self._memory.of(instance, using), instance.__dict__
        for name in self._watched:  # noqa: SIM110  `all` with a generator costs more of each save
            if loaded.get(name, _ABSENT) is not kept.get(name, _ABSENT):
                return False
        return True

    def _among(self, values: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
        """The values whose fields are named, by either of the names that Django takes."""
        return {
            name: value
            for name, value in values.items()
            if name in names or self._watched[name].name in names
        }

    def _events(
        self, instance: Any, actions: tuple[Any, ...], after: Mapping[str, Any]
    ) -> tuple[IncidentEvent, ...]:
        if not actions:
            return ()
        hook, now, context = self._hook, time.time_ns(), get_current()
        roots = {"self": instance, "user": request_user()}
        closed = self._fields.is_closed(after)
        active = None if closed is None else not closed
        incident = incident_of(hook, roots, active=active, localise=_in_time_zone)
        if incident.id is None:
            self._complaints.no_id(hook.incident["id"].text)
        stage = after.get(self._fields.stage)
        return tuple(
            event_of(hook, action, incident, roots, stage=stage, timestamp=now, context=context)
            for action in actions
        )

    def _report(self, event: IncidentEvent) -> None:
        if self._active:
            self._sink(on_recording_span(event))

    def _say_unseen(self) -> None:
        self._warn(
            "%s was saved without autocommit and outside `atomic()`; Django tells nobody of such a "
            "commit, so changes like this are not reported. This is said once."
        )


def _before(waiting: Change, values: Mapping[str, Any]) -> Known:
    """What a row was before the transaction at hand, whose own writes may yet be rolled back."""
    before = waiting.before(values)
    return Known({name: before[name] for name in values if name in before}, waiting.outcome)


def _in_time_zone(value: datetime) -> datetime:
    """A naive datetime of a Django model is in the project's TIME_ZONE."""
    from django.utils import timezone  # noqa: PLC0415  the host's library

    return cast("datetime", timezone.make_aware(value, timezone.get_default_timezone()))
