"""Texts that must not leave, and the search for them in bytes that did.

A text that is looked for as it was written proves little: telemetry is truncated, folded, escaped and
encoded on its way. So every stretch of eight characters is looked for, in every encoding that a payload could
hold.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

GRAM: Final = 8
"""Characters that must stand in a row to be a find: few enough to see what a truncation leaves of a text."""

LENGTH: Final = 24

# Consonants alone, and most of them rare: a stretch of eight is then unlike any word or number in a payload.
_LETTERS: Final = "BDFGHJKLMNPQRSTVWXZbdfghjklmnpqrstvwxz"

_MANY: Final = 64
"""Texts from which on it is faster to cut the data into windows than to search it for each."""


def canary(place: str, salt: str = "") -> str:
    """A text of 24 letters of both cases that stands for this place alone, the same in every process.

    Unlike a word, no part of it is found where it was not planted.

    Args:
        place: What it stands for, `title` and the like.
        salt: Makes others for the same place.
    """
    digest = hashlib.sha512(f"{place}\n{salt}".encode()).digest()
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[:LENGTH])


def _base64(text: bytes, lead: int) -> bytes:
    """What base64 makes of a text `lead` bytes behind a multiple of three, whatever is around it."""
    start = -(-8 * lead // 6)  # the first character that only bits of the text decide
    end = 8 * (lead + len(text)) // 6
    return base64.b64encode(bytes(lead) + text + bytes(3))[start:end]


def _url_escaped(text: str) -> bytes:
    """Every byte as `%41`."""
    return "".join(f"%{byte:02X}" for byte in text.encode()).encode()


ENCODINGS: Final[Mapping[str, Callable[[str], bytes]]] = {
    "as it is": lambda text: text.encode(),
    "reversed": lambda text: text[::-1].encode(),
    "UTF-16LE": lambda text: text.encode("utf-16-le"),
    "UTF-16BE": lambda text: text.encode("utf-16-be"),
    "base64, 0 bytes in": lambda text: _base64(text.encode(), 0),
    "base64, 1 byte in": lambda text: _base64(text.encode(), 1),
    "base64, 2 bytes in": lambda text: _base64(text.encode(), 2),
    "hex": lambda text: text.encode().hex().encode(),
    "HEX": lambda text: text.encode().hex().upper().encode(),
    "URL-escaped": lambda text: quote(text, safe="").encode(),
    "URL-escaped in full": _url_escaped,
    "form-escaped": lambda text: quote_plus(text).encode(),
    "JSON-escaped": lambda text: json.dumps(text)[1:-1].encode(),
}
"""How a text may be written in bytes. All but base64 are looked for whatever their case, too."""

_FOLDED: Final = tuple(name for name in ENCODINGS if not name.startswith("base64"))


def grams(text: str) -> frozenset[str]:
    """Every stretch of `GRAM` characters of a text."""
    return frozenset(text[start : start + GRAM] for start in range(len(text) - GRAM + 1))


def found(data: bytes, texts: Collection[str]) -> dict[str, str]:
    """Which of these texts stand in `data`, in whole or in part, and in which encoding each was seen first.

    Args:
        data: What left.
        texts: At least `GRAM` characters each.
    """
    many = len(texts) > _MANY
    windows = _Windows(data) if many else data
    folded = _Windows(data.lower()) if many else data.lower()
    seen: dict[str, str] = {}
    for text in texts:
        for name, encoded in _needles(text):
            if encoded in windows:
                seen[text] = name
                break
        else:
            for name, encoded in _needles(text.casefold()):
                if name in _FOLDED and encoded.lower() in folded:
                    seen[text] = f"{name}, case-folded"
                    break
    return seen


@cache
def _needles(text: str) -> tuple[tuple[str, bytes], ...]:
    return tuple((name, encode(gram)) for name, encode in ENCODINGS.items() for gram in sorted(grams(text)))


class _Windows:
    """Every stretch of some bytes, by length: thousands of texts are looked up in no more time than one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._of_length: dict[int, frozenset[bytes]] = {}

    def __contains__(self, text: bytes) -> bool:
        size = len(text)
        if size not in self._of_length:
            last = len(self._data) - size
            self._of_length[size] = frozenset(self._data[at : at + size] for at in range(last + 1))
        return text in self._of_length[size]
