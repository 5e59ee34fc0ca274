"""One attempt to deliver a batch, through the SDK's exporters, with the endpoint's own answer.

The exporters try again by themselves, and say at the end that it failed. Where their request passes, at the
session of `requests` or the stub of gRPC's service, stands a listener that hears the answer and ends the
attempt after it. Neither place is public; in a release that has another, success and failure are all we know.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import time
from typing import TYPE_CHECKING, Any, Final, Protocol, final

from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult

from otel_incident.errors import ConfigurationError
from otel_incident.grpc_calls import guard_calls
from otel_incident.quiet import attach, quiet
from otel_incident.spool.answers import Answer, of_grpc, of_http
from otel_incident.spool.inherited_connections import set_aside

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk._logs import ReadableLogRecord

    Attempt = Callable[[Sequence[ReadableLogRecord]], Answer]

LONGEST_SECONDS: Final = 50.0
"""So long an attempt waits at most for a connection, and again for an answer, whatever its exporter asks.

During an attempt nobody says that the lease's holder lives: both together are less than what another process
takes for its end, which would then deliver the same records a second time.
"""

BODY_BYTES: Final = 2**16
"""So much of an answer's body is read: what it has to say takes a hundred."""

_NOT_ANSWERED: Final = "no answer"


class NotDeliveredError(Exception):
    """An exporter's one attempt has failed; what the endpoint said is kept beside it."""


class Listener(Protocol):
    """Hears what an endpoint answers."""

    answer: Answer | None

    def renew(self) -> None:
        """Begin with connections of one's own, after a fork or an interruption."""
        ...


@final
class SessionListener:
    """Stands in the place of a session of `requests`: one request, whose answer is kept.

    A timeout of `requests` is one for each read. For the body there is a deadline besides; an endpoint that
    sends the headers of its answer byte by byte holds its exporter up for as long as it goes on.

    Args:
        session: The exporter's own, with whatever its owner has put into it.
        timeout: Seconds for one request at most; an exporter may ask for less.
        now: The clock, seconds; only differences count.
    """

    def __init__(
        self, session: Any, timeout: float | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.answer: Answer | None = None
        self._session = session
        self._timeout = timeout
        self._now = now
        self._before: list[object] = []

    def __getattr__(self, name: str) -> Any:
        """All else is the session's."""
        return getattr(self._session, name)

    def request(self, method: str, url: str, **named: Any) -> Any:
        """One request.

        Raises:
            NotDeliveredError: It was not taken; an exporter does not answer this one by trying again.
        """
        named["allow_redirects"] = False  # a redirected POST becomes a GET, whose success means nothing
        named["timeout"] = timeout = _least(named.get("timeout"), self._timeout)
        named["stream"] = True  # else all of the body is read, however long and however slowly it comes
        deadline = self._now() + _total(timeout)
        try:
            response = self._session.request(method, url, **named)
            headers = {name.lower(): value for name, value in response.headers.items()}
            self.answer = of_http(response.status_code, headers, self._body(response, deadline))
        except Exception as error:  # noqa: BLE001  whatever went wrong: it may work later
            self.answer = Answer("hold", type(error).__name__)
            raise NotDeliveredError from None
        if self.answer.verdict != "delivered":
            raise NotDeliveredError
        return response

    def _body(self, response: Any, deadline: float) -> bytes:
        """The body of an answer; of one that is too long nothing: then its status alone decides.

        Raises:
            ReadTimeout: A success was not whole by the deadline; each byte of it may have come in time.
        """
        from requests.exceptions import ReadTimeout  # noqa: PLC0415  dear

        body = bytearray()
        # one by one, since whoever asks for more waits until all of it is there
        for byte in response.iter_content(1):
            body += byte
            late = self._now() > deadline
            if late or len(body) > BODY_BYTES:
                response.close()
                body.clear()
                if late and response.ok:
                    raise ReadTimeout
                break
        response._content = bytes(body)  # noqa: SLF001  where `content` looks, which is the exporter's to read
        return bytes(body)

    def post(self, url: str, **named: Any) -> Any:
        """As older releases of the exporter call it."""
        return self.request("POST", url, **named)

    def renew(self) -> None:
        """Leave the parent's connections alone; new ones are made as needed."""
        self._before += set_aside(self._session)


@final
class StubListener:
    """Stands in the place of a gRPC stub.

    Args:
        exporter: The one whose stub it is.
        timeout: Seconds for one call at most; the exporter may ask for less.
    """

    def __init__(self, exporter: Any, timeout: float | None = None) -> None:
        self.answer: Answer | None = None
        self._exporter = exporter
        self._timeout = timeout
        self._stub = exporter._client  # noqa: SLF001  it has no public place
        self._before: list[Any] = []
        exporter._client = self  # noqa: SLF001  the same

    def Export(self, **named: Any) -> Any:  # noqa: N802  the service's name for it
        """One call.

        Raises:
            NotDeliveredError: It was not taken.
        """
        from grpc import RpcError  # type: ignore[import-untyped]  # noqa: PLC0415  ships no types; dear

        named["timeout"] = _least(named.get("timeout"), self._timeout)
        try:
            response = self._stub.Export(**named)
        except RpcError as error:
            code = getattr(error, "code", lambda: None)()
            metadata: Callable[[], Any] = getattr(error, "trailing_metadata", dict)
            self.answer = of_grpc(getattr(code, "name", "UNKNOWN"), dict(metadata() or ()))
            if self.answer.reason == "gRPC UNAVAILABLE":
                self._reconnect(close=True)
            raise NotDeliveredError from None
        self.answer = Answer("delivered", rejected=max(0, int(response.partial_success.rejected_log_records)))
        return response

    def renew(self) -> None:
        """Use a channel of one's own; the parent's must not be closed in a child, nor be collected."""
        self._before.append((self._stub, self._exporter._channel))  # noqa: SLF001  the same
        self._reconnect(close=False)

    def _reconnect(self, *, close: bool) -> None:
        """As the exporter does: a channel waits for up to two minutes before it tries to connect again."""
        exporter = self._exporter
        if exporter._shutdown:  # noqa: SLF001  the same
            return
        with contextlib.suppress(Exception):  # the channel there is goes on trying
            if close:
                exporter._channel.close()  # noqa: SLF001  the same
            exporter._initialize_channel_and_stub()  # noqa: SLF001  the same
            self._stub, exporter._client = exporter._client, self  # noqa: SLF001  the same


def _least(asked: Any, bound: float | None) -> Any:
    """The shorter of two times, at most `LONGEST_SECONDS`; of a pair (to connect, to read) each by itself."""
    most = LONGEST_SECONDS if bound is None else min(bound, LONGEST_SECONDS)
    if isinstance(asked, tuple):
        return tuple(LONGEST_SECONDS if part is None else min(part, LONGEST_SECONDS) for part in asked)
    return min(asked, most) if isinstance(asked, int | float) else most


def _total(timeout: Any) -> float:
    """Seconds for a whole attempt; a pair (to connect, to read) of `requests` is one after the other."""
    parts = timeout if isinstance(timeout, tuple) else (timeout,)
    return sum(part if isinstance(part, int | float) else math.inf for part in parts)


def listener_of(exporter: LogRecordExporter, timeout: float | None = None) -> Listener | None:
    """Put a listener into an exporter; None where nothing is known of the way its requests go."""
    place: Any = exporter
    if hasattr(place, "_initialize_channel_and_stub") and hasattr(place, "_client"):
        client = place._client  # noqa: SLF001  it has no public place
        return client if isinstance(client, StubListener) else StubListener(exporter, timeout)
    if hasattr(place, "_client") and hasattr(place._client, "_transport"):  # noqa: SLF001  the same
        place = place._client._transport  # noqa: SLF001  the same
    session = getattr(place, "_session", None)
    if session is None or not hasattr(session, "request"):
        return None
    listener = session if isinstance(session, SessionListener) else SessionListener(session, timeout)
    place._session = listener  # noqa: SLF001  the same
    return listener


@final
class Attempts:
    """The attempts of one exporter.

    Args:
        exporter: The SDK's, or anybody's: of those nothing is known but success and failure.
        timeout: Seconds for one attempt at most, where the way of its requests is known.

    Raises:
        ConfigurationError: It would freeze the host.
    """

    def __init__(self, exporter: LogRecordExporter, timeout: float | None = None) -> None:
        self.reason = ""  # what the exporter has told its log
        self._exporter = exporter
        guard_calls(exporter)
        self._listener = listener_of(exporter, timeout)
        if isinstance(self._listener, StubListener) and _greenlets():
            raise ConfigurationError(
                "gRPC freezes a process that gevent has patched for as long as a request takes: set "
                "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
            )
        self._pid = os.getpid()

    def __call__(self, batch: Sequence[ReadableLogRecord]) -> Answer:
        """Try once; never raises."""
        listener, self.reason = self._listener, ""
        if listener is not None:
            listener.answer = None  # of the last batch; it must not be taken for this one's
        attach(type(self._exporter).__module__.partition(".")[0])
        with quiet(self):
            try:
                result = self._exporter.export(batch)
            except Exception as error:  # noqa: BLE001  an exporter that raises is one that has not delivered
                result, self.reason = LogRecordExportResult.FAILURE, self.reason or type(error).__name__
        if listener is not None and listener.answer is not None:
            return listener.answer
        if result is LogRecordExportResult.SUCCESS:
            return Answer("delivered")
        return Answer("hold", self.reason or _NOT_ANSWERED, suspect=True)

    def renew(self) -> None:
        """In a forked child: use connections of its own."""
        if self._listener is not None and self._pid != os.getpid():
            with quiet(self):
                self._listener.renew()
        self._pid = os.getpid()

    def shutdown(self) -> None:
        """Interrupt an attempt that hangs, and end the exporter."""
        with quiet(self):
            self._exporter.shutdown()  # type: ignore[no-untyped-call]  # untyped upstream


def _greenlets() -> bool:
    """Whether gevent has patched sockets."""
    monkey = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched("socket"))
