"""The oldest SQLAlchemy for which hooks are: the tests of its sessions pass there, too.

What SQLModel, asyncio drivers and SQLAlchemy's own typing need is newer, so those tests are not among them.
"""

import os
import sys
from typing import Final

from tests.collector import ROOT
from tests.host_environment import cached_environment, run_in
from tests.processes import environment

VERSION: Final = "2.0.0" if sys.version_info < (3, 13) else "2.0.31"  # which is the first for that Python
TESTS: Final = ("bulk", "rows", "shards", "transactions")
RUN: Final = """
import sys
import pytest
import sqlalchemy
from sqlalchemy.orm import Session

assert sqlalchemy.__version__ == sys.argv[1], sqlalchemy.__version__
Session.get_one = Session.get  # what tests read a row with is newer than that
sys.exit(pytest.main(["-q", "--no-header", "-p", "no:cacheprovider", *sys.argv[2:]]))
"""


def test_sessions() -> None:
    """Rows, transactions, shards and the `bulk_*` methods are reported as with the newest."""
    installed = cached_environment("sqlalchemy_oldest", (f"sqlalchemy == {VERSION}",))
    (packages,) = (installed.directory / "lib").glob("python*/site-packages")
    words = [sys.executable, "-c", RUN, VERSION, *(f"tests/test_sqlalchemy_{name}.py" for name in TESTS)]
    path = os.pathsep.join([str(packages), *filter(None, sys.path)])
    ended = run_in(ROOT, words, {**environment(), "PYTHONPATH": path}, timeout=120.0)
    assert ended.status == 0, ended.stdout[-4000:] + ended.stderr[-1000:]
    assert " passed" in ended.stdout
    assert " skipped" not in ended.stdout
