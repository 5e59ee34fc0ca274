"""What is said of a hook that reports nothing: file, hook and what the operator wrote, never a value."""

from __future__ import annotations

from typing import final

from otel_incident.guard import say


@final
class Complaints:
    """What is said of one hook, each thing once.

    Args:
        source: Its file.
        hook: Its name.
    """

    __slots__ = ("_hook", "_said", "_source")

    def __init__(self, source: str, hook: str) -> None:
        self._source, self._hook = source, hook
        self._said: set[tuple[str, ...]] = set()

    def say(self, sentence: str, *arguments: str) -> None:
        """Say a sentence of ours, with what the operator wrote in it, unless it was said."""
        said = (sentence, *arguments)
        if said not in self._said:
            self._said.add(said)
            say(f"%s, hook %r: {sentence}", self._source, self._hook, *arguments)

    def no_parameter(self, target: str, path: str) -> None:
        """Say that a path begins with no parameter of the callable."""
        self.say(
            "%s has no parameter at the beginning of %s, which finds nothing; correct the path.",
            target,
            path,
        )

    def no_id(self, path: str) -> None:
        """Say that the id's path finds nothing."""
        self.say(
            "nothing is found at %s (incident.id), so its event is dropped, and each without an id; "
            "correct the path. This is said once.",
            path,
        )

    def no_index(self, path: str, stage: object, order: tuple[object, ...]) -> None:
        """Say why a stage has no index; one that is not there, or merely not in the list, has none rightly.

        Args:
            path: Where it was found.
            stage: It, of which only the type counts.
            order: What the hook lists.
        """
        if stage is None:
            return
        if not order:
            self.say(
                "what is found at %s (stage.path) is no integer, so the stage has no index; list its values "
                "in `stage.order`. This is said once.",
                path,
            )
        elif type(stage) not in {type(known) for known in order}:
            self.say(
                "what is found at %s (stage.path) is of another type than what `stage.order` lists, so the "
                "stage has no index; write its values as they are. This is said once.",
                path,
            )
