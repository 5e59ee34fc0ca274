"""Which rows of a Django model a hook is about, where another row says so: a role's kind, by its name.

A host that saves a role seldom has its kind at hand, only that row's key. It has read the kind before,
though, to know what to save: so what the rows that a condition asks about were when the host last read
them is remembered here, by key. Nothing here asks the database.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, final

from otel_incident.guard import fail_open
from otel_incident.hooks.django_changes import Changes
from otel_incident.hooks.rows import RELATED, Kinds, all_hold

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_incident.hooks.complaints import Complaints
    from otel_incident.hooks.paths import Path
    from otel_incident.hooks.rows import Condition


@final
class Conditions:
    """The conditions of a hook on one model.

    Args:
        model: The model.
        conditions: Of the hook.
        complaints: What is said of the hook.
    """

    def __init__(self, model: Any, conditions: tuple[Condition, ...], complaints: Complaints) -> None:
        self._plain = tuple(condition for condition in conditions if not condition.changed)
        self._complaints = complaints
        self._remembered: dict[Path, tuple[str, Kinds]] = {}
        self._changes: dict[Path, Changes] = {}
        self._undo: list[Callable[[], None]] = []
        for condition in conditions:
            if condition.changed:
                self._see_changes(model, condition.path)
            else:
                self._remember(model, condition.path)

    def uninstall(self) -> None:
        """Disconnect."""
        while self._undo:
            self._undo.pop()()

    def hold(self, roots: Mapping[str, Any]) -> bool:
        """Whether a row is one of those that the hook is about; one of which that is not known is none."""
        for changes in self._changes.values():
            if not changes.may_be(roots["self"]):
                return False
        return all_hold(self._plain, roots, partial(self._find, roots), self._complaints)

    def _find(self, roots: Mapping[str, Any], path: Path) -> object:
        found = path.resolve(roots)
        if found is not None or path not in self._remembered:
            return found
        column, values = self._remembered[path]
        return values.get(roots["self"].__dict__.get(column))

    def _remember(self, model: Any, path: Path) -> None:
        """Remember what rows hold that a path leads to by way of a relation: `self.role_type.slug`."""
        if path.root != "self" or len(path.segments) != RELATED:
            return
        relation, name = path.segments
        for field in model._meta.concrete_fields:  # noqa: SLF001  Django's documented Meta API
            if field.name == relation and field.is_relation:
                values = Kinds()
                self._remembered[path] = field.attname, values
                _once_loaded(model, field, fail_open("hook")(partial(self._connect, str(name), values)))

    def _see_changes(self, model: Any, path: Path) -> None:
        relation, name = path.segments
        for field in model._meta.concrete_fields:  # noqa: SLF001  Django's documented Meta API
            if field.name == relation and field.is_relation:
                changes = Changes(str(relation), str(name))
                self._changes[path] = changes
                self._undo.append(changes.uninstall)
                _once_loaded(model, field, fail_open("hook")(changes.connect))

    def _connect(self, name: str, values: Kinds, related: Any) -> None:
        from django.db.models import signals  # noqa: PLC0415  the host's library, which is at work

        def learn(instance: Any, **_: Any) -> None:
            values.learn(instance.pk, instance.__dict__.get(name))

        receiver = fail_open("hook")(learn)
        for signal in (signals.post_init, signals.post_save):
            signal.connect(receiver, sender=related, weak=False)
            self._undo.append(partial(signal.disconnect, receiver, sender=related))


def _once_loaded(model: Any, field: Any, tell: Callable[[Any], None]) -> None:
    """Tell which model a relation leads to, once Django knows it itself."""
    related = field.remote_field.model
    if not isinstance(related, str):
        tell(related)
        return
    from django.apps import apps  # noqa: PLC0415  the host's library, which is at work

    label, _, name = related.rpartition(".")
    apps.lazy_model_operation(tell, (label or model._meta.app_label, name.lower()))  # noqa: SLF001  as above
