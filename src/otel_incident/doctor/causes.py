"""Why an endpoint could not be reached, told apart so finely that it says what to change.

The libraries wrap what went wrong several times over, and gRPC says it in a sentence. What is looked for is a
closed set; nothing of their words, in which an address with a password may stand, is repeated.
"""

from __future__ import annotations

import errno
import re
import ssl
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

Cause: TypeAlias = Literal[
    "name",
    "refused",
    "unreachable",
    "timeout",
    "closed",
    "expired",
    "not yet valid",
    "misnamed",
    "untrusted",
    "client certificate",
    "no TLS",
    "TLS",
    "other protocol",
    "unreadable certificate",
    "malformed",
    "malformed proxy",
    "no SOCKS",
    "proxy refuses",
    "unknown",
]


class Why(NamedTuple):
    """What went wrong.

    Attributes:
        cause: One of the closed set.
        at_proxy: Whether it did on the way to the proxy.
    """

    cause: Cause
    at_proxy: bool = False


# OpenSSL's numbers for what is wrong with a certificate (X509_V_ERR_*).
_VERIFICATION: Final[dict[int, Cause]] = {9: "not yet valid", 10: "expired", 62: "misnamed", 64: "misnamed"}
_UNREACHABLE: Final = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL})
# By the names of classes: `requests` and what it uses are not imported for them.
_CLASSES: Final[dict[str, Cause]] = {
    "gaierror": "name",
    "ConnectionRefusedError": "refused",
    "TimeoutError": "timeout",
    "ConnectTimeoutError": "timeout",
    "ReadTimeoutError": "timeout",
    "BadStatusLine": "other protocol",
    "LocationParseError": "malformed",
    "InvalidURL": "malformed",
    "MissingSchema": "malformed",
    "InvalidSchema": "malformed",
    "InvalidProxyURL": "malformed proxy",
    "ProxySchemeUnknown": "malformed proxy",
    "RemoteDisconnected": "closed",
    "ProtocolError": "closed",
    "ConnectionResetError": "closed",
    "ConnectionAbortedError": "closed",
    "BrokenPipeError": "closed",
}
_NO_TLS: Final = frozenset(
    {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNEXPECTED_MESSAGE"}
)
_CLIENT: Final = (
    "CERTIFICATE_REQUIRED",
    "HANDSHAKE_FAILURE",
    "BAD_CERTIFICATE",
    "UNKNOWN_CA",
    "PEER_DID_NOT",
)
# What gRPC says, in the words of several of its releases; the first that is found counts.
_OF_GRPC: Final[tuple[tuple[str, Cause], ...]] = (
    (r"misformatted domain name", "malformed"),
    (r"address lookup failed|dns resolution failed|name resolution", "name"),
    (r"proxy.*response code|response code.*proxy", "proxy refuses"),
    (r"certificate has expired", "expired"),
    (r"not yet valid", "not yet valid"),
    (r"hostname verification|peer name .* not in|hostname mismatch|ip address mismatch", "misnamed"),
    (r"wrong_version_number|http_request", "no TLS"),
    (r"certificate_verify_failed", "untrusted"),
    (r"certificate_required|alert_bad_certificate|alert_unknown_ca", "client certificate"),
    (r"handshake failed", "TLS"),
    (r"failed to connect.*refused", "refused"),
    (r"failed to connect.*(unreachable|no route)", "unreachable"),
    (r"parsing http/2|settings frame", "other protocol"),
    (r"failed to connect.*timed? ?out|deadline exceeded", "timeout"),
    (r"^(failed to connect.*|)(socket closed|connection reset|endpoint closing)", "closed"),
)


def why(error: BaseException) -> Why:
    """What is behind an error of `requests`.

    Args:
        error: With all that it wraps.
    """
    chain = list(_chain(error))
    at_proxy = any(type(each).__name__ == "ProxyError" for each in chain)
    causes = [cause for each in chain if (cause := _cause(each)) is not None]
    if causes:
        return Why(causes[-1], at_proxy)  # the innermost is the most precise
    if at_proxy:
        return Why("proxy refuses", at_proxy=True)
    if isinstance(error, OSError) and type(error) is OSError:  # how `requests` says it of a file
        return Why("unreadable certificate")
    return Why("unknown")


def why_grpc(code: str, details: str) -> Why:
    """What is behind a status of gRPC's own making.

    Args:
        code: The status.
        details: What gRPC says of it; read, never repeated.
    """
    for words, cause in _OF_GRPC:
        if re.search(words, details, re.IGNORECASE):
            return Why(cause)
    return Why("timeout" if code == "DEADLINE_EXCEEDED" else "unknown")


def _cause(error: BaseException) -> Cause | None:
    if isinstance(error, ssl.SSLError):
        return _of_tls(error)
    if isinstance(error, OSError) and error.errno in _UNREACHABLE:
        return "unreachable"
    name = type(error).__name__
    if name == "InvalidSchema" and "SOCKS" in str(error):  # no class of its own
        return "no SOCKS"
    return _CLASSES.get(name)


def _of_tls(error: ssl.SSLError) -> Cause:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _VERIFICATION.get(error.verify_code, "untrusted")
    reason = error.reason or ""
    if reason in _NO_TLS:
        return "no TLS"
    return "client certificate" if any(each in reason for each in _CLIENT) else "TLS"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and all that it wraps, the outermost first."""
    seen: set[int] = set()
    left = [error]
    while left:
        each = left.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        inner = (each.__cause__, getattr(each, "reason", None), *each.args)
        left += [other for other in inner if isinstance(other, BaseException)]
