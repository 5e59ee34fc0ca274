"""Takes every guard out of the gate, one at a time, and shows which test notices.

    python -m scripts.mutate_gate [--share 1/8] [--only TEXT]

The guards are data (`tests/mutation/gate.toml`). Each is taken out in a copy of the package, never in the
checkout, and its tests run against it until the first one fails. The status is 0 if none survived.
`--share` runs a part of the list, another each day of the year, for continuous integration.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parent.parent
LIST: Final = ROOT / "tests" / "mutation" / "gate.toml"
PACKAGE: Final = ROOT / "src" / "otel_incident"

TESTS: Final = (
    ("spans", "logs", "guards", "arguments"),
    ("profiles", "again", "callers", "metrics", "metrics_merging", "metrics_export"),
    ("surface", "noninterference"),
    ("laws", "metrics_laws"),
    ("wrapping", "wrapping_logs", "wrapping_metrics", "instrumentor", "exchange", "refusal"),
    ("raw_bytes",),
)
"""The names of the tests, the quick ones first: a run ends with the first that fails."""

# Failures are all that counts here: no time is spent on smaller examples, and every run sees the same ones.
_PLUGIN: Final = """
from hypothesis import Phase, settings
phases = (Phase.explicit, Phase.generate)
settings.register_profile("mutation", phases=phases, derandomize=True, deadline=None)
settings.load_profile("mutation")
"""
_SECONDS: Final = 600


class Mutation(NamedTuple):
    """One guard, and how it is taken out.

    Attributes:
        guard: What it says, in words.
        file: Where it stands in the gate.
        old: Its source.
        new: The source without it.
    """

    guard: str
    file: str
    old: str
    new: str


def mutations() -> list[Mutation]:
    """The list."""
    return [Mutation(**each) for each in tomllib.loads(LIST.read_text(encoding="utf-8"))["mutation"]]


def source_of(mutation: Mutation, package: Path = PACKAGE) -> Path:
    """The file that it changes."""
    return package / "gate" / mutation.file


def share_of(listed: list[Mutation], share: str, day: int) -> list[Mutation]:
    """Every nth of the list, for `1/n`, beginning at another one each day.

    Raises:
        ValueError: It is no such share.
    """
    found = re.fullmatch(r"1/([1-9][0-9]*)", share)
    if found is None:
        raise ValueError("a share is 1/n, such as 1/8")
    every = int(found[1])
    return listed[day % every :: every]


def main() -> int:
    """Run them; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--share", default="1/1", metavar="1/N", help="every Nth alone (default: all)")
    parser.add_argument("--only", default="", metavar="TEXT", help="those whose guard or file has this in it")
    options = parser.parse_args()
    listed = mutations()
    try:
        chosen = share_of(listed, options.share, dt.datetime.now(dt.UTC).timetuple().tm_yday)
    except ValueError as error:
        parser.error(f"argument --share: {error}")
    chosen = [each for each in chosen if options.only in f"{each.file} {each.guard}"]
    say(f"{len(chosen)} of {len(listed)} guards (share {options.share})")
    began = time.monotonic()
    survived = []
    with tempfile.TemporaryDirectory(prefix="otel-incident-mutation-") as scratch:
        home = Path(scratch)
        (home / "mutation_profile.py").write_text(_PLUGIN, encoding="utf-8")
        shutil.copytree(PACKAGE, home / "src" / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
        failed = run_tests(home)
        if failed is not None:
            say(f"the tests fail with every guard in place: {failed}")
            return 1
        for mutation in chosen:
            path = source_of(mutation, home / "src" / PACKAGE.name)
            whole = path.read_text(encoding="utf-8")
            path.write_text(whole.replace(mutation.old, mutation.new), encoding="utf-8")
            noticed = run_tests(home)
            path.write_text(whole, encoding="utf-8")
            say(f"{mutation.file}: {mutation.guard}: {noticed or 'SURVIVED'}")
            if noticed is None:
                survived.append(mutation)
    seconds = time.monotonic() - began
    say(f"{len(chosen) - len(survived)} of {len(chosen)} guards are held by a test; {seconds:.0f} s")
    return 1 if survived else 0


def run_tests(home: Path) -> str | None:
    """Run the tests against the package in `home/src`; the first one that fails, None if none does."""
    environment = {**os.environ, "PYTHONPATH": f"{home / 'src'}{os.pathsep}{home}"}  # noqa: TID251  pytest gets the environment of whoever runs this
    environment["PYTHONDONTWRITEBYTECODE"] = "1"  # two changes within a second would look alike
    options = ["-x", "-q", "-rfE", "--no-header", "-p", "mutation_profile", "-p", "no:cacheprovider"]
    for names in TESTS:
        tests = [f"tests/test_gate_{name}.py" for name in names]
        try:
            done = subprocess.run(  # noqa: S603  the words are ours
                [sys.executable, "-m", "pytest", *options, *tests],
                cwd=ROOT,
                env=environment,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"no end of {', '.join(tests)} within {_SECONDS} s"
        if done.returncode:
            # an error of a named test is its fixture's, which looks whether all is as it was
            found = re.search(r"^(?:FAILED|ERROR) tests/(\S+::\S+)", done.stdout, re.MULTILINE)
            if found is None:  # it does not even import: that is no test of a guard
                lines = (done.stdout + done.stderr).strip().splitlines()
                raise SystemExit(f"the tests did not run: {lines[-1] if lines else done.returncode}")
            return found[1]
    return None


def say(line: str) -> None:
    """Print it at once: a run takes minutes."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
