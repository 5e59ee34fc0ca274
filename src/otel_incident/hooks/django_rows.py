"""What is known of a row in Django: what an instance held when it was read.

Nothing here asks the database. What an instance was is kept on the instance, so that its copies know
it too; a host pickles it with the instance, so its pickle is of plain values and names nothing of ours.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import hashlib
import uuid
from typing import TYPE_CHECKING, Any, Final, final

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLAIN: Final = frozenset(
    {type(None), bool, int, float, str, decimal.Decimal, uuid.UUID, dt.date, dt.time, dt.datetime}
)


@final
class Outcome:
    """What a transaction makes of a row; those who know the row share it, and so hear of its end.

    Attributes:
        expected: What the row is if the transaction, which is at work, commits now; None if it would have
            done nothing, or has ended.
        committed: What the row is since it has committed; None as long as it has not.
    """

    __slots__ = ("committed", "expected")

    def __init__(self) -> None:
        self.expected: Mapping[str, Any] | None = None
        self.committed: Mapping[str, Any] | None = None


@final
class Known(dict[str, Any]):
    """What an instance knows of a row that a transaction at work has written; never changed.

    Its items are what the row was before. A copy of the instance hears of the commit as the instance does. A
    pickle cannot, and may be read for long: it is a plain dictionary, of what the row is if all is committed.

    Args:
        before: The items.
        outcome: Of the transaction.
    """

    __slots__ = ("_outcome",)

    def __init__(self, before: Mapping[str, Any], outcome: Outcome) -> None:
        super().__init__(before)
        self._outcome = outcome

    def now(self) -> Mapping[str, Any]:
        """What the row is known to be: as it was, until the transaction has committed."""
        committed = self._outcome.committed
        return self if committed is None else committed

    def __deepcopy__(self, _memo: object) -> Known:
        """Shared like by any other copy."""
        return self

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        """A dictionary of Python's own, which needs nothing of ours where it is read."""
        expected = self._outcome.expected
        return dict, (dict(self.now() if expected is None else expected),)


@final
class Memory:
    """What the instances of a model are known to be in the database, as far as that is known.

    Args:
        key: Tells this memory from others on the same instances, in other processes too.
    """

    __slots__ = ("_attribute", "_by_database")

    def __init__(self, key: str) -> None:
        # A digest: the key names the hook file, whose path is nobody's business where an instance goes.
        self._attribute = f"_otel_incident_{hashlib.sha256(key.encode()).hexdigest()[:12]}"
        self._by_database = f"{self._attribute}_by_database"

    def made(self, instance: Any, values: Mapping[str, Any]) -> None:
        """Remember what an instance that is just being made holds."""
        setattr(instance._state, self._attribute, values)  # noqa: SLF001  Django's documented state

    def suppose(self, instance: Any, values: Mapping[str, Any], using: str) -> None:
        """Remember what a row is if it is one database's: an instance that is just being made does not know.

        Args:
            instance: Of the row.
            values: Its fields, there.
            using: The database's alias.
        """
        supposed = {**self._supposed(instance), using: values}  # its copies may have the other
        setattr(instance._state, self._by_database, supposed)  # noqa: SLF001  as above

    def keep(self, instance: Any, values: Mapping[str, Any], using: str) -> None:
        """Remember what a row of a database is."""
        if using in self._supposed(instance):
            self.suppose(instance, values, using)
        else:
            self.made(instance, values)

    def of(self, instance: Any, using: str) -> Mapping[str, Any]:
        """What is remembered; nothing of an instance that was read before it was watched."""
        kept: Mapping[str, Any] = getattr(instance._state, self._attribute, {})  # noqa: SLF001  as above
        kept = self._supposed(instance).get(using, kept)
        return kept.now() if type(kept) is Known else kept

    def _supposed(self, instance: Any) -> dict[str, Mapping[str, Any]]:
        supposed: dict[str, Mapping[str, Any]] = getattr(instance._state, self._by_database, {})  # noqa: SLF001  as above
        return supposed


def held(instance: Any, names: Mapping[str, Any]) -> dict[str, Any]:
    """The named fields as far as they are loaded, without loading any, as they are.

    Args:
        instance: An instance of the model.
        names: The fields by the names under which instances hold them.
    """
    loaded = instance.__dict__
    return {name: loaded[name] for name in names if name in loaded}


def stored(values: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """What the database makes of what an instance holds.

    A host may save "4" in a field of integers, or a member of an enumeration: both are 4 when they
    are read again, so neither is a change. What the database computes itself is not known.
    """
    known = {}
    for name, value in values.items():
        try:
            if hasattr(value, "resolve_expression"):
                continue
            made = fields[name].to_python(value)
            known[name] = made.value if isinstance(made, enum.Enum) else made
        except Exception:  # noqa: BLE001, S112  the host's field or value may raise anything; then nothing is known
            continue
    return known


def key_of(instance: Any, model: Any) -> Any:
    """A row's primary key in a model's table: a child's instance may have another of its own."""
    key = model._meta.pk  # noqa: SLF001  as above
    return normal(key, instance.__dict__.get(key.attname, instance.pk))


def normal(field: Any, value: Any) -> Any:
    """What a field makes of a key: a host may hold the text of a UUID, which is the same row."""
    try:
        return field.to_python(value)
    except Exception:  # noqa: BLE001  the host's field may raise anything; then it is what it is
        return value


def plain(values: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """The same where a value is an object of somebody's; what is plain stays as it is, at no cost."""
    objects = {name: value for name, value in values.items() if not _is_plain(value)}
    made = stored(objects, fields) if objects else {}
    return {
        name: made.get(name, value) for name, value in values.items() if name in made or name not in objects
    }


def _is_plain(value: object) -> bool:
    try:
        return type(value) in _PLAIN
    except Exception:  # noqa: BLE001  a host's class may have a metaclass that refuses to be hashed
        return False
