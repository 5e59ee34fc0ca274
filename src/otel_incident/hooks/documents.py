"""What was sent and what was answered, as paths can look into it, without a side effect on the host.

Client libraries hold JSON as text, as what they have parsed, or as an object of theirs that has loaded it
or not. What is not loaded stays so: a reply that the host means to stream is never read by us.
"""

from __future__ import annotations

import json
from typing import Final

MOST_CHARACTERS: Final = 4 * 1024 * 1024
"""Of JSON text; more would keep the host waiting."""

# Where the responses of httpx and requests, those of urllib3, and what wraps one of these keep what they
# have read, and requests what they send.
_READ: Final = ("_content", "_body")
_WRAPPED: Final = "data"
_TEXT: Final = (str, bytes, bytearray)


def document(value: object) -> object:
    """What JSON text or a response says; what is no such thing is its own document. None is nothing known.

    Args:
        value: A text, a response, or what a client has made of one.
    """
    if isinstance(value, _TEXT):
        return _parsed(value)
    held = getattr(value, "__dict__", None)
    if type(held) is not dict:
        return value
    for name in _READ:
        if name in held:
            return _parsed(held[name])
    return _parsed(held[_WRAPPED]) if isinstance(held.get(_WRAPPED), _TEXT) else value


def _parsed(text: object) -> object:
    if not isinstance(text, _TEXT) or len(text) > MOST_CHARACTERS:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # no JSON, or none that can be read
        return None
