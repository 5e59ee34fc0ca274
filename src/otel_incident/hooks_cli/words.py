"""Lines of a width that a terminal has."""

from __future__ import annotations

import textwrap
from typing import Final

_WIDTH: Final = 110


def wrapped(text: str, *, indent: str, hanging: str = "") -> list[str]:
    """A paragraph in lines; names are never broken.

    Args:
        text: The paragraph.
        indent: What each line begins with.
        hanging: What each line but the first begins with besides.
    """
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
