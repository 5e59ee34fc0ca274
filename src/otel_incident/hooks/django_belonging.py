"""What a new row of a Django model means: a new incident, or what is done with one (`[hook.row]`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from otel_incident.hooks.actors import request_user
from otel_incident.hooks.django_commits import was_made_within
from otel_incident.hooks.django_rows import normal
from otel_incident.hooks.django_waiting import FirstCommander
from otel_incident.hooks.extraction import incident_of
from otel_incident.hooks.rows import meant
from otel_incident.hooks.transitions import created_actions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_incident.hooks.definitions import Hook
    from otel_incident.hooks.transitions import Fields
    from otel_incident.vocabulary import Action


@final
class NewRows:
    """New rows of one model.

    Args:
        hook: On the model.
        columns: The model's fields by name.
        fields: Which are watched.
    """

    def __init__(self, hook: Hook, columns: Mapping[str, Any], fields: Fields) -> None:
        self._hook, self._fields = hook, fields
        self._of: Any = columns[hook.row.of] if hook.row else None
        self._row_field: str = columns[hook.row.field].attname if hook.row and hook.row.field else ""

    def actions(
        self, connection: Any, using: str, instance: Any, after: Mapping[str, Any]
    ) -> tuple[Action, ...]:
        """What a new row means.

        Args:
            connection: On which it was made.
            using: Its alias.
            instance: The row.
            after: What its watched fields are.
        """
        if self._hook.row is None:
            return created_actions(self._fields, after)
        fresh = self._is_of_new(connection, using, instance)
        return meant(self._hook.row, self._fields.commander, after, self._row_field, fresh=fresh)

    def first_commander(
        self, connection: Any, using: str, instance: Any, after: Mapping[str, Any]
    ) -> FirstCommander | None:
        """Whom a new row makes the first commander of a new incident; None for nobody.

        Args:
            connection: On which it was made.
            using: Its alias.
            instance: The row.
            after: What its watched fields are.
        """
        of_another = self._hook.row is not None and self._of.is_relation
        if not of_another or after.get(self._fields.commander) is None:
            return None
        if not self._is_of_new(connection, using, instance):
            return None
        commander = incident_of(self._hook, {"self": instance, "user": request_user()}).commander_id
        return FirstCommander(self._of.related_model, using, self._key_of_incident(instance), commander)

    def _is_of_new(self, connection: Any, using: str, instance: Any) -> bool:
        """Whether the incident that a row belongs to was made in the same transaction."""
        of = self._of
        if not of.is_relation:
            return bool(of.primary_key)  # it is the incident itself
        return was_made_within(connection, using, of.related_model, self._key_of_incident(instance))

    def _key_of_incident(self, instance: Any) -> Any:
        return normal(self._of, instance.__dict__.get(self._of.attname))
