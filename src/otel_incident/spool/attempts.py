"""One attempt to deliver a batch, through the SDK's exporters, with the endpoint's own answer.

The exporters try again by themselves, and say at the end that it failed. A session of `requests` and the stub
of gRPC's service stand where the answer passes by; they end the attempt after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

import requests
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult

from otel_incident.spool.answers import Answer, of_grpc, of_http

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk._logs import ReadableLogRecord

    Attempt = Callable[[Sequence[ReadableLogRecord]], Answer]


class NotDeliveredError(Exception):
    """An exporter's one attempt has failed; what the endpoint said is kept beside it."""


@final
class AttentiveSession(requests.Session):
    """A session that remembers the last answer and lets the exporter try once: we try again ourselves."""

    def __init__(self) -> None:
        super().__init__()
        self.answer: Answer | None = None

    def request(self, *arguments: Any, **named: Any) -> requests.Response:
        """One request.

        Raises:
            NotDeliveredError: It was not taken; an exporter does not answer this one by trying again.
        """
        self.answer = None
        try:
            response = super().request(*arguments, **named)
        except requests.exceptions.RequestException as error:
            self.answer = Answer("hold", type(error).__name__)
            raise NotDeliveredError from None
        self.answer = of_http(
            response.status_code, {k.lower(): v for k, v in response.headers.items()}, response.content
        )
        if self.answer.verdict != "delivered":
            raise NotDeliveredError
        return response


@final
class AttentiveStub:
    """A gRPC stub that does the same.

    Args:
        stub: The exporter's own.
        errors: The class of gRPC's errors.
    """

    def __init__(self, stub: Any, errors: type[Exception]) -> None:
        self._stub = stub
        self._errors = errors
        self.answer: Answer | None = None

    def Export(self, **named: Any) -> Any:  # noqa: N802  the service's name for it
        """One call."""
        self.answer = None
        try:
            response = self._stub.Export(**named)
        except self._errors as error:
            code = getattr(error, "code", lambda: None)()
            metadata: Callable[[], Any] = getattr(error, "trailing_metadata", dict)
            self.answer = of_grpc(getattr(code, "name", "UNKNOWN"), dict(metadata() or ()))
            raise NotDeliveredError from None
        self.answer = Answer("delivered", rejected=int(response.partial_success.rejected_log_records))
        return response


@final
class Attempts:
    """The attempts of one exporter.

    Args:
        exporter: The SDK's, or anybody's: of those nothing is known but success and failure.
    """

    def __init__(
        self, exporter: LogRecordExporter, listener: AttentiveSession | AttentiveStub | None
    ) -> None:
        self._exporter = exporter
        self._listener = listener

    def __call__(self, batch: Sequence[ReadableLogRecord]) -> Answer:
        """Try once; never raises."""
        try:
            result = self._exporter.export(batch)
        except Exception as error:  # noqa: BLE001  an exporter that raises is one that has not delivered
            result, reason = LogRecordExportResult.FAILURE, type(error).__name__
        else:
            reason = ""
        answer = self._listener.answer if self._listener is not None else None
        if answer is not None:
            return answer
        if result is LogRecordExportResult.SUCCESS:
            return Answer("delivered")
        return Answer("hold", reason or "no reason given")

    def shutdown(self) -> None:
        """Interrupt an attempt that hangs, and end the exporter."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # untyped upstream


def over_http() -> Attempts:
    """Attempts of the OTLP exporter over HTTP, as the environment configures it."""
    from opentelemetry.exporter.otlp.proto.http._log_exporter import (  # noqa: PLC0415  in the sender's thread
        OTLPLogExporter,
    )

    session = AttentiveSession()
    return Attempts(OTLPLogExporter(session=session), session)


def over_grpc() -> Attempts:
    """Attempts of the OTLP exporter over gRPC, as the environment configures it."""
    from grpc import RpcError  # type: ignore[import-untyped]  # noqa: PLC0415  dear to import
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter  # noqa: PLC0415  the same

    exporter = OTLPLogExporter()
    stub: Any = getattr(exporter, _STUB, None)
    if stub is None:  # another release of the exporter: success and failure are all that is known
        return Attempts(exporter, None)
    listener = AttentiveStub(stub, RpcError)
    setattr(exporter, _STUB, listener)
    return Attempts(exporter, listener)


_STUB: Final = "_client"  # where the exporter keeps its stub; it has no public place for one
