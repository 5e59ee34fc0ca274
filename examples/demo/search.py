"""Looks for strings in raw bytes, in every guise in which they might have left.

A search that finds nothing proves something only if it would have found it. So what arrived is unfolded (as
UTF-8 and UTF-16, with JSON, URL and HTML escapes undone, base64 and hex decoded) and compared without regard
to case and composition, and a long string counts as found as soon as 12 characters of it in a row are.
`control` plants the same strings among bytes that arrived, in each of these guises, and says how many it
finds.
"""

import base64
import binascii
import html
import json
import re
import unicodedata
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, final

RUN: Final = 12
"""Characters in a row that give a longer string away."""

_BASE64: Final = re.compile(rb"[A-Za-z0-9+/_-]{6,}")
_HEX: Final = re.compile(rb"[0-9A-Fa-f]{8,}")
_JSON_ESCAPES: Final = re.compile(r'(?:\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))+')
_BETWEEN: Final = b"\n\x00\x00\n"

GUISES: Final[Mapping[str, Callable[[str], bytes]]] = {
    "UTF-8": lambda text: text.encode(),
    "upper case": lambda text: text.upper().encode(),
    "decomposed": lambda text: unicodedata.normalize("NFD", text).encode(),
    "UTF-16LE": lambda text: text.encode("utf-16-le"),
    "UTF-16BE": lambda text: text.encode("utf-16-be"),
    "JSON escapes": lambda text: json.dumps(text)[1:-1].encode(),
    "URL escapes": lambda text: urllib.parse.quote_plus(text).encode(),
    "HTML escapes": lambda text: html.escape(text).encode("ascii", "xmlcharrefreplace"),
    "base64": lambda text: base64.b64encode(text.encode()),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(b"x" + text.encode()),
    "hex": lambda text: text.encode().hex().encode(),
    "cut to half": lambda text: (text[: len(text) // 2] if len(text) >= 2 * RUN else text).encode(),
}
"""The guises that `control` tries, by name."""


@final
class Haystack:
    """Bytes to search.

    Args:
        parts: What arrived, in pieces; nothing is found across two of them.
    """

    def __init__(self, parts: Iterable[bytes]) -> None:
        distinct = list(dict.fromkeys(parts))
        self.size = sum(map(len, distinct))
        data = _BETWEEN.join(distinct)
        self._texts = [folded(text) for layer in _layers(data) for text in _readings(layer)]

    def find(self, strings: Iterable[str]) -> set[str]:
        """Those of the strings that stand anywhere: short ones whole, long ones from `RUN` characters on."""
        runs: dict[str, set[str]] = {}
        found: set[str] = set()
        for string in strings:
            needle = folded(string)
            if len(needle) < RUN:
                if any(needle in text for text in self._texts):
                    found.add(string)
                continue
            for start in range(len(needle) - RUN + 1):
                runs.setdefault(needle[start : start + RUN], set()).add(string)
        if runs:
            for text in self._texts:
                for start in range(len(text) - RUN + 1):
                    found |= runs.get(text[start : start + RUN], set())
        return found


def control(carrier: bytes, strings: Iterable[str]) -> dict[str, int]:
    """How many of the strings are found when they are there: by guise, all of them planted in a carrier.

    Args:
        carrier: Bytes that arrived.
        strings: What is planted and looked for.
    """
    planted = list(strings)
    counts = {}
    for guise, disguised in GUISES.items():
        hidden = b"\x00\x00".join(disguised(string) for string in planted)
        counts[guise] = len(Haystack([carrier + b"\x00\x00" + hidden]).find(planted))
    return counts


def folded(text: str) -> str:
    """Text without the differences that do not make it another one: case, composition, width."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).upper().casefold())


def _layers(data: bytes) -> Iterator[bytes]:
    """The bytes, and what is encoded in them."""
    yield data
    yield _BETWEEN.join(_decoded(_HEX, data, (0, 1), binascii.unhexlify, 2))
    yield _BETWEEN.join(_decoded(_BASE64, data, (0, 1, 2, 3), _from_base64, 4))


def _decoded(
    grammar: re.Pattern[bytes],
    data: bytes,
    offsets: Iterable[int],
    decode: Callable[[bytes], bytes],
    group: int,
) -> Iterator[bytes]:
    """What stands encoded in runs of an alphabet, wherever in the run it begins."""
    for match in grammar.finditer(data):
        run = match[0]
        for offset in offsets:
            cut = run[offset:]
            # Whole groups, but for base64's last one, whose padding is not part of the run.
            length = len(cut) - len(cut) % group if group == 2 else len(cut) - (len(cut) % group == 1)  # noqa: PLR2004  hex
            yield decode(cut[:length])


def _from_base64(run: bytes) -> bytes:
    standard = run.translate(bytes.maketrans(b"-_", b"+/"))
    return base64.b64decode(standard + b"=" * (-len(standard) % 4))


def _readings(data: bytes) -> Iterator[str]:
    """The texts as which the bytes can be read."""
    text = data.decode("utf-8", "surrogateescape")
    yield text
    unescaped = _JSON_ESCAPES.sub(_from_json, text)
    if unescaped != text:
        yield unescaped
    for read in (urllib.parse.unquote_plus(text, errors="replace"), html.unescape(text)):
        if read != text:
            yield read
    for encoding in ("utf-16-le", "utf-16-be"):
        for offset in (0, 1):
            yield data[offset:].decode(encoding, "replace")


def _from_json(match: re.Match[str]) -> str:
    return str(json.loads(f'"{match[0]}"'))
