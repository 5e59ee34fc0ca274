"""Sessions within a transaction of a connection's, which the host ends itself: a commit of theirs is none.

What such a session has committed waits for the connection: it is reported once this has committed, and
forgotten where it rolls back, be it to a savepoint that was there before. SQLAlchemy tells of a commit before
it asks the database for it, which may refuse (a deferred constraint, a serialization failure): so the method
of its transactions by which all commits go is wrapped as soon as a session waits for one.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, final

from otel_incident.guard import fail_open
from otel_incident.hooks.patching import wrap
from otel_incident.hooks.sqlalchemy_events import listen

if TYPE_CHECKING:
    from collections.abc import Callable


class _Committed(NamedTuple):
    """What a session has committed, and what is to be done with it at the end."""

    report: Callable[[], None]
    forget: Callable[[], None]


@final
@dataclass(eq=False, slots=True)
class _Waiting:
    """What waits for a connection, and how much did when each of its open savepoints was made.

    SQLAlchemy tells of a savepoint before it has a name; but the last one made is the first one that ends.
    """

    committed: list[_Committed] = field(default_factory=list)
    savepoints: list[int] = field(default_factory=list)


@final
class JoinedTransactions:
    """Follows the transactions of connections in which sessions have committed."""

    def __init__(self) -> None:
        self._waiting: weakref.WeakKeyDictionary[Any, _Waiting] = weakref.WeakKeyDictionary()
        self._unwrap: Callable[[], None] | None = None

    def uninstall(self) -> None:
        """Report nothing more; our listeners go with their connections, which nobody may keep for us."""
        self._waiting.clear()
        if self._unwrap is not None:
            self._unwrap()
            self._unwrap = None

    def wait(self, connection: Any, report: Callable[[], None], forget: Callable[[], None]) -> None:
        """Have one of two things called once it is known how the connection's transaction ends."""
        if self._unwrap is None:
            from sqlalchemy.engine import Transaction  # noqa: PLC0415  the host's library, which is at work

            self._unwrap = wrap(Transaction, "commit", self._committing)
        waiting = self._waiting.get(connection)
        if waiting is None:
            waiting = self._waiting[connection] = _Waiting()
            for name, listener in (
                ("rollback", self._rollback),
                ("savepoint", self._savepoint),
                ("release_savepoint", self._release_savepoint),
                ("rollback_savepoint", self._rollback_savepoint),
            ):
                listen(connection, name, listener)
        waiting.committed.append(_Committed(report, forget))

    def _committing(self, wrapped: Callable[..., Any], transaction: Any, args: Any, kwargs: Any) -> Any:
        try:
            result = wrapped(*args, **kwargs)
        except BaseException:
            fail_open("hook")(self._ended)(transaction, self._rollback)  # no rollback is told of this one
            raise
        if self._waiting:
            fail_open("hook")(self._ended)(transaction, self._commit)
        return result

    def _ended(self, transaction: Any, tell: Callable[[Any], None]) -> None:
        """A commit has returned; if it was that of a savepoint, the connection's transaction goes on."""
        if not transaction.connection.in_transaction():
            tell(transaction.connection)

    def _commit(self, connection: Any) -> None:
        for each in self._take(connection):
            each.report()

    def _rollback(self, connection: Any) -> None:
        for each in reversed(self._take(connection)):
            each.forget()

    def _take(self, connection: Any) -> list[_Committed]:
        waiting = self._waiting.get(connection, _Waiting())
        taken, waiting.committed = waiting.committed, []
        waiting.savepoints.clear()
        return taken

    def _savepoint(self, connection: Any, _name: Any) -> None:
        waiting = self._waiting.get(connection)
        if waiting is not None:
            waiting.savepoints.append(len(waiting.committed))

    def _release_savepoint(self, connection: Any, _name: Any, _context: Any) -> None:
        waiting = self._waiting.get(connection)
        if waiting is not None and waiting.savepoints:
            waiting.savepoints.pop()

    def _rollback_savepoint(self, connection: Any, _name: Any, _context: Any) -> None:
        waiting = self._waiting.get(connection)
        if waiting is None:
            return
        # one of which we have not heard was there before all that waits
        since = waiting.savepoints.pop() if waiting.savepoints else 0
        waiting.committed, taken = waiting.committed[:since], waiting.committed[since:]
        for each in reversed(taken):
            each.forget()
