"""Finds the class that a `model` hook for SQLAlchemy names, as soon as it can be watched.

SQLAlchemy and the class are the host's to import; and the class is to be mapped, and its mapper configured,
which the host does when it first uses one of its classes. That may be in the arguments of a call that writes
rows past a flush (`bulk_save_objects`, a statement): these are watched as soon as the class is mapped.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final, final

import wrapt

from otel_incident.guard import fail_open
from otel_incident.hooks.complaints import Complaints
from otel_incident.hooks.modules import is_the_program, why_absent
from otel_incident.hooks.sqlalchemy_bulk import BulkMethods
from otel_incident.hooks.sqlalchemy_events import listen
from otel_incident.hooks.sqlalchemy_meta import UnknownFieldError, astray
from otel_incident.hooks.sqlalchemy_models import MappedRows
from otel_incident.hooks.sqlalchemy_sessions import MODULE
from otel_incident.hooks.sqlalchemy_statements import Statements
from otel_incident.hooks.sqlalchemy_values import unheld
from otel_incident.hooks.sqlalchemy_versions import too_old
from otel_incident.imports import when_imported

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_incident.events import IncidentEvent
    from otel_incident.hooks.definitions import Hook, HookFile
    from otel_incident.hooks.sqlalchemy_sessions import SqlAlchemySessions

_ABSENT: Final = "so it reports nothing; correct `model` or remove the hook."


@final
class MappedClassWatch:
    """Watches one class that SQLAlchemy maps, with its descendants.

    Args:
        file: Where the hook stands.
        hook: A hook of kind `model`, on a class.
        sink: Takes the events.
        matched: Told when the class has been found.
        sessions: Follows the transactions.
    """

    def __init__(
        self,
        file: HookFile,
        hook: Hook,
        sink: Callable[[IncidentEvent], None],
        matched: Callable[[HookFile], None],
        sessions: SqlAlchemySessions,
    ) -> None:
        self._file, self._hook, self._sink, self._matched = file, hook, sink, matched
        self._sessions = sessions
        self._complaints = Complaints(file.source, hook.name)
        self._module, _, self._name = hook.target.partition(":")
        self._active = True
        self._settled = False
        self._class: Any = None
        self._rows: MappedRows | None = None
        self._statements: Statements | None = None
        self._orm = False
        self._undo: list[Callable[[], None]] = []

    def install(self) -> None:
        """Look for the class as soon as both it and SQLAlchemy are imported."""
        if is_the_program(self._module):
            self._settled = True
            self._warn(f"%s {why_absent(self._module)}, {_ABSENT}")
        # not one after the other: it may be the module that imports SQLAlchemy, and is not whole by then
        self._undo.append(when_imported(self._module, fail_open("hook")(self._found_module)))
        self._undo.append(when_imported(MODULE, fail_open("hook")(self._found_orm)))

    def uninstall(self) -> None:
        """Watch no longer."""
        self._active = False
        while self._undo:
            self._undo.pop()()

    def ended(self) -> None:
        """The process ends: say it if there was nothing to watch."""
        if self._statements is not None:
            self._statements.ended()
        if self._settled or self._file.preset:
            return
        if why_absent("sqlalchemy"):
            self._warn(
                "the model %s is to be SQLAlchemy's, which is not installed; correct or remove the hook."
            )
        elif self._class is not None:
            if self._mapper() is None:  # one that is not configured was never used in this process
                self._warn(
                    "%s is no class that SQLAlchemy maps (a model of Django's is named as in desk.Incident), "
                    f"{_ABSENT}"
                )
        elif why_absent(self._module):
            self._warn(f"%s {why_absent(self._module)}, {_ABSENT}")

    def _found_module(self, module: Any) -> None:
        if not self._active or self._settled:
            return
        try:
            *_, found = wrapt.resolve_path(module, self._name)
        except AttributeError:
            self._settle(f"%s does not exist, {_ABSENT}")
            return
        if not inspect.isclass(found):
            self._settle(f"%s is not a class, {_ABSENT}")
            return
        self._class = found
        self._look()

    def _found_orm(self, orm: Any) -> None:
        if not self._active or self._settled:
            return
        version = too_old()
        if version:
            self._settled = True
            self._warn(
                "the model %s is to be SQLAlchemy's, of which %s is installed, and hooks on models need 2.0 "
                "or newer, so it reports nothing; upgrade SQLAlchemy, or watch a function (kind `call`) "
                "instead.",
                version,
            )
            return
        self._orm = True
        self._undo.append(listen(orm.Mapper, "after_configured", self._look))
        self._look()

    def _mapper(self) -> Any:
        if not self._orm:
            return None
        from sqlalchemy import inspect as mapping  # noqa: PLC0415  the host's library, which is at work

        return mapping(self._class, raiseerr=False)

    def _look(self) -> None:
        """Watch the class if it is there, and its mapper is configured by now."""
        if self._settled or not self._active or self._class is None:
            return
        mapper = self._mapper()
        if mapper is not None and self._statements is None:
            self._watch_writing(mapper)
        if not getattr(mapper, "configured", False):
            return
        self._settled = True
        try:
            self._rows = MappedRows(self._hook, mapper, self._sessions, self._complaints, self._sink)
        except UnknownFieldError as error:
            if self._statements is not None:
                self._statements.silence()
            self._warn(
                "the model %s has no column %r, nor a relation of this name whose key is in the row, so the "
                "hook reports nothing; correct it.",
                str(error),
            )
            return
        self._undo.append(self._rows.uninstall)
        for complaint in (*astray(mapper, self._hook), *unheld(mapper, self._hook)):
            self._complaints.say(*complaint)
        self._matched(self._file)

    def _watch_writing(self, mapper: Any) -> None:
        """Watch what writes rows past a flush."""
        self._statements = Statements(mapper, self._names, self._hook.target, self._complaints)
        self._undo.append(self._statements.uninstall)
        self._undo.append(BulkMethods(mapper, self._names, self._statements.say, self._saved).uninstall)

    def _names(self) -> frozenset[str]:
        if self._rows is not None:
            return self._rows.names
        stage = str(self._hook.stage.source) if self._hook.stage else ""
        row_field = self._hook.row.field if self._hook.row else ""
        return frozenset((self._hook.lifecycle_field, self._hook.commander_field, stage, row_field))

    def _saved(self, session: Any, state: Any, *, fresh: bool) -> bool:
        return self._rows is None or self._rows.saved(session, state, fresh=fresh)

    def _settle(self, sentence: str) -> None:
        self._settled = True
        if not self._file.preset:
            self._warn(sentence)

    def _warn(self, sentence: str, *more: str) -> None:
        self._complaints.say(sentence, self._hook.target, *more)
