"""Makes an exporter in the thread that delivers: that is dear, may fail, and is tried again then."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from otel_incident.errors import ConfigurationError
from otel_incident.first_request import import_for_first_request
from otel_incident.forks import no_fork_while_importing

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_incident.spool.attempts import Attempts
    from otel_incident.spool.reports import Reports


class NotMadeError(Exception):
    """There is no exporter yet, which was said."""


@final
class Making:
    """The making of one exporter's attempts.

    Args:
        build: Makes them.
        reports: Tells the host's log why that cannot be done.
    """

    def __init__(self, build: Callable[[], Attempts], reports: Reports) -> None:
        self._build = build
        self._reports = reports
        self.problem = ""
        """Why there is no exporter; "" if there is one, or none was needed yet."""

    def __call__(self) -> Attempts:
        """Make them; no other thread forks meanwhile.

        Raises:
            NotMadeError: They cannot be made now.
        """
        try:
            with no_fork_while_importing():
                made = self._build()
                import_for_first_request()
        except ConfigurationError as error:
            self.problem = str(error)
        except Exception as error:  # noqa: BLE001  of anybody's; it is tried again
            kind = type(error).__name__
            self.problem = f"it cannot be made of its settings: {kind}; `otel-incident doctor` says which"
        else:
            self.problem = ""
            return made
        self._reports.say("outage", self.problem)
        raise NotMadeError
