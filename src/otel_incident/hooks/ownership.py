"""Whose a module is: a preset is for one distribution, and names of modules are free for everybody to use."""

from __future__ import annotations

import json
import os
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable


def is_of(distribution: str, module: str, places: Iterable[str]) -> bool:
    """Whether a module is a distribution's own, by where both are; False where that cannot be known.

    Args:
        distribution: Its name.
        module: The module's.
        places: Where the module is: its file, or a package's folders.
    """
    try:
        found = metadata.distribution(distribution)
        own = _real(str(found.locate_file(module.replace(".", "/"))))
        source = _source(found)
        real = [_real(place.removesuffix(".py")) for place in places]
    except Exception:  # noqa: BLE001  not installed, or damaged: then it is whoever's
        return False
    return any(place == own or (source is not None and place.is_relative_to(source)) for place in real)


def places_of(module: Any) -> list[str]:
    """Where an imported module is."""
    folders = getattr(module, "__path__", None)
    file = getattr(module, "__file__", None)
    return list(folders) if folders is not None else [file] if file else []


def _source(distribution: metadata.Distribution) -> Path | None:
    """The folder in which it is developed, where it is installed as a link to that."""
    said = json.loads(distribution.read_text("direct_url.json") or "{}")
    if not said.get("dir_info", {}).get("editable"):
        return None
    return _real(unquote(urlsplit(said["url"]).path))


def _real(path: str) -> Path:
    return Path(os.path.realpath(path))
