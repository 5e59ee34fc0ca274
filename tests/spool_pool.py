"""What a worker of a process pool does: emits a number into the spool that its environment names."""

import textwrap
from typing import Any, Final

from tests.spool_hosts import EMITTER

_host: Final[dict[str, Any]] = {}
exec(compile(textwrap.dedent(EMITTER), __file__, "exec"), _host)  # noqa: S102  the tests' own program


def emit(number: int) -> int:
    """One number, which is safe when this returns."""
    _host["emit"](number)
    return number
