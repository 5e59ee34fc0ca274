"""Whether a module that a hook waits for can ever come, found out without an import of the host's."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import sys
from pathlib import Path
from typing import Final

# The interpreter's options that need no word of their own, up to `-m`.
_FLAGS_AND_MODULE: Final = re.compile(r"-[bBdEiIOPqsSuvx]*m(.*)")
_PACKAGE: Final = "__init__.py"
_WITH_A_WORD: Final = ("-W", "-X", "--check-hash-based-pycs")


def why_absent(module: str) -> str:
    """Why a module is not there now that the process ends; "" where it is, or where the host never was.

    Another program may run under the environment of the host's: that it imports nothing of the host
    says nothing about the hook.
    """
    if is_the_program(module):
        return "is in the program itself, which is never imported"
    if _is_imported(module):
        return ""
    if not can_be_found(module):
        return "is in a module that cannot be found"
    if _is_imported(module.partition(".")[0]):
        return "is in a module that was not imported in this process"
    return ""


def is_the_program(module: str) -> bool:
    """Whether a module is what the interpreter runs: it has another name then, `__main__`."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    if spec is not None:
        return bool(module == spec.name)
    named, script = _run()  # the interpreter has not come to it yet, or it is a file, which has no spec
    if named:
        return module in {named, f"{named}.__main__"}
    with contextlib.suppress(OSError):  # a folder that may not be looked into
        return bool(script) and _runs_again(script, module)
    return False


def _runs_again(script: str, module: str) -> bool:
    """Whether importing a module would run a script a second time."""
    *packages, name = module.split(".")
    path = Path(os.path.realpath(script))  # as Python, which looks for modules where the file really is
    if path.name != f"{name}.py" or (path.with_suffix("") / _PACKAGE).is_file():
        return False
    for package in reversed(packages):
        path = path.parent
        if path.name != package or not (path / _PACKAGE).is_file():
            return False
    return True


def can_be_found(module: str) -> bool:
    """Whether a module is there to be imported, as far as that is known without importing its packages."""
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        name = ".".join(parts[:end])
        if _is_imported(name):
            continue
        try:
            return importlib.util.find_spec(name) is not None
        except ModuleNotFoundError:
            return False
        except Exception:  # noqa: BLE001  a finder of the host's may raise anything; then it is not known
            return True
    return True


def _is_imported(module: str) -> bool:
    return sys.modules.get(module) is not None  # None is how somebody keeps it from being imported


def _run() -> tuple[str, str]:
    """What the interpreter was told to run: the module that `-m` names, and the file; "" for neither."""
    words = iter(sys.orig_argv[1:])
    for word in words:
        match = _FLAGS_AND_MODULE.fullmatch(word)
        if match is not None:
            return match[1] or next(words, ""), ""
        if word in _WITH_A_WORD:
            next(words, "")
        elif not word.startswith("-"):
            return "", word
        elif word.startswith("-c"):
            break
    return "", ""
