"""Asks an endpoint whether it takes events: by the exporter that would send them, without a record.

So its headers, certificates, compression, time limit and proxy are those of the events. A listener below the
one that delivery itself uses keeps what went wrong, for its class alone to be told.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, Final, final

from otel_incident.config_exporters import GRPC
from otel_incident.doctor.advice import advice_on_answer, advice_on_cause
from otel_incident.doctor.causes import Why, why, why_grpc
from otel_incident.doctor.findings import failure, ok
from otel_incident.errors import ConfigurationError
from otel_incident.quiet import attach, quiet
from otel_incident.spool.attempts import Attempts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_incident.config import Config
    from otel_incident.destinations import Destination
    from otel_incident.doctor.findings import Finding
    from otel_incident.doctor.proxies import Proxy
    from otel_incident.spool.answers import Answer

_VERBOSITY: Final = "GRPC_VERBOSITY"


@final
class _Overheard:
    """What went wrong below an exporter's transport."""

    def __init__(self, grpc: bool) -> None:  # noqa: FBT001  one of two transports
        self.why: Why | None = None
        self._grpc = grpc

    def keep(self, error: Exception) -> None:
        """Remember why."""
        if not self._grpc:
            self.why = why(error)
            return
        code = getattr(getattr(error, "code", lambda: None)(), "name", "UNKNOWN")
        details: Any = getattr(error, "details", str)()
        if code in _OWN_OF_GRPC:
            found = why_grpc(code, details if isinstance(details, str) else "")
            self.why = None if found.cause == "unknown" else found  # then a server has said it


# A status that gRPC gives itself where there was no answer; a server may give it, too, in words of its own.
_OWN_OF_GRPC: Final = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "UNKNOWN", "INTERNAL"})


@final
class _Ear:
    """Stands in the place of a session of `requests` or of a stub of gRPC's, and keeps an error that passes.

    Args:
        transport: What stood there.
        overheard: Keeps it.
    """

    def __init__(self, transport: Any, overheard: _Overheard) -> None:
        self._transport = transport
        self._overheard = overheard

    def __getattr__(self, name: str) -> Any:
        """All else is the transport's."""
        return getattr(self._transport, name)

    def request(self, method: str, url: str, **named: Any) -> Any:
        """A request over HTTP."""
        return self._passing(self._transport.request, method, url, **named)

    def Export(self, **named: Any) -> Any:  # noqa: N802  the service's name for it
        """A call of gRPC's."""
        return self._passing(self._transport.Export, **named)

    def _passing(self, call: Any, *args: Any, **named: Any) -> Any:
        try:
            return call(*args, **named)
        except Exception as error:  # the exporter's to deal with; here it is looked at alone
            self._overheard.keep(error)
            raise


def probe(
    destination: Destination, config: Config, variables: Mapping[str, str], proxy: Proxy | None
) -> Finding:
    """What the endpoint says to a request without a record.

    Args:
        destination: An exporter of OTLP.
        config: The settings.
        variables: The environment.
        proxy: The proxy in its way, if there is one.
    """
    if _VERBOSITY not in variables:  # what it would write to stderr is said here in one line
        os.putenv(_VERBOSITY, "ERROR")
    overheard = _Overheard(destination.kind == GRPC)
    attach()
    try:
        with quiet(_Silence()):
            exporter = destination.build()
            _listen(exporter, overheard)
            attempts = Attempts(exporter, timeout=destination.batch.export_timeout_millis / 1000)
            answer = attempts([])
    except ConfigurationError as error:
        return failure("endpoint", f"the exporter cannot be made: {error}", "correct that")
    except Exception as error:  # noqa: BLE001  it comes of settings that are not ours
        return failure(
            "endpoint",
            f"the exporter cannot be made of its settings ({type(error).__name__})",
            "correct OTEL_EXPORTER_OTLP_*" if config.config_file is None else "correct OTEL_CONFIG_FILE",
        )
    with contextlib.suppress(Exception), quiet(_Silence()):  # it was asked: how it ends is no finding
        exporter.shutdown()  # type: ignore[no-untyped-call]  # untyped upstream
    return _finding(destination, answer, overheard.why, proxy)


@final
class _Silence:
    """Takes what exporters would say to the log: what is to be said is said as a finding."""

    reason = ""


def _finding(destination: Destination, answer: Answer, cause: Why | None, proxy: Proxy | None) -> Finding:
    if answer.verdict == "delivered":
        return ok("endpoint", f"{destination.shown} takes events (asked with a request without a record)")
    if cause is not None:
        return advice_on_cause(destination, cause, proxy)
    return advice_on_answer(destination, answer)


def _listen(exporter: Any, overheard: _Overheard) -> None:
    """Put an ear below the listener of delivery; a release that has another place is not overheard."""
    place = exporter
    if hasattr(place, "_initialize_channel_and_stub"):
        if getattr(place, "_client", None) is not None:
            place._client = _Ear(place._client, overheard)  # noqa: SLF001  it has no public place
        return
    transport = getattr(getattr(place, "_client", None), "_transport", place)
    for name in ("_session", "_pool"):  # of `requests`, and of `urllib3`
        if hasattr(transport, name):
            setattr(transport, name, _Ear(getattr(transport, name), overheard))
