"""What hosts need, pinned, installed into a cache once; also beforehand, since it can take minutes.

    python3 -m tests.host_packages argus firefighter

Standard library only, so that it runs before anything is installed.
"""

import sys
import tomllib
from pathlib import Path
from typing import Any, Final

from scripts.environments import ROOT, Environment, cache_directory, key_of

HOSTS: Final = ROOT / "tests" / "hosts"


def environment_of(name: str, requirements: tuple[str, ...]) -> Environment:
    """The environment of a host, to be prepared.

    Args:
        name: Of the host.
        requirements: What pip is to install.
    """
    python = "{}.{}".format(*sys.version_info)
    directory = cache_directory() / "hosts" / f"{name}-{key_of([python, *requirements])}"
    return Environment(directory, requirements)


def requirements_of(name: str) -> tuple[str, ...]:
    """What `tests/hosts/<name>.txt` lists, and what the package needs."""
    return (*_lines(HOSTS / f"{name}.txt"), *runtime_requirements(), *auto_requirements())


def runtime_requirements() -> tuple[str, ...]:
    """What the package needs."""
    return tuple(pyproject()["project"]["dependencies"])


def auto_requirements() -> tuple[str, ...]:
    """What `opentelemetry-instrument` needs besides."""
    return tuple(pyproject()["project"]["optional-dependencies"]["auto"])


def pyproject() -> dict[str, Any]:
    """What pyproject.toml says."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def _lines(path: Path) -> tuple[str, ...]:
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return tuple(line for line in lines if line)


def main() -> None:
    """Prepare the environments that are named; what is done is said on stderr."""
    for name in sys.argv[1:]:
        environment_of(name, requirements_of(name)).prepare()


if __name__ == "__main__":
    main()
