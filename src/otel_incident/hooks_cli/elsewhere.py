"""Which modules of a host import a function by name, which must come after the hook; read in their source."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_FILES: Final = 2000
_MOST_BYTES: Final = 2**20


def imported_by_name(module: str, name: str) -> list[str]:
    """The modules of the same package that import a function by its name.

    Args:
        module: Where it stands.
        name: Its name there; a method is never imported.
    """
    top = module.partition(".")[0]
    folder = getattr(sys.modules.get(top), "__path__", None)
    if "." in name or not folder:
        return []
    return sorted({found for root in folder for found in _in(Path(root), top, module, name)})


def _in(root: Path, top: str, module: str, name: str) -> Iterator[str]:
    for number, path in enumerate(sorted(root.rglob("*.py"))):
        if number == _MOST_FILES:
            return
        parts = [top, *path.relative_to(root).with_suffix("").parts]
        package = parts[:-1]
        if parts[-1] == "__init__":
            parts = package
        if ".".join(parts) != module and _imports(path, package, module, name):
            yield ".".join(parts)


def _imports(path: Path, package: list[str], module: str, name: str) -> bool:
    try:
        source = path.read_bytes()[:_MOST_BYTES]
        if name.encode() not in source:
            return False
        tree = ast.parse(source)
    except (OSError, SyntaxError, ValueError):
        return False
    return any(
        isinstance(node, ast.ImportFrom)
        and _from(node, package) == module
        and any(alias.name == name for alias in node.names)
        for node in ast.walk(tree)
    )


def _from(node: ast.ImportFrom, package: list[str]) -> str:
    """The absolute name of what is imported from."""
    base = package[: len(package) - node.level + 1] if node.level else []
    return ".".join([*base, *([node.module] if node.module else [])])
