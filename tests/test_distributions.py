"""The version of a distribution: a text, whatever is installed."""

from importlib import metadata
from pathlib import Path

import pytest

from otel_incident.distributions import version_of


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a distribution that is installed, and whose metadata has no version."""
    (tmp_path / "odd-1.dist-info").mkdir()
    (tmp_path / "odd-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: odd\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "odd"


def test_an_installed_one() -> None:
    """It has the version that its metadata says."""
    assert version_of("pytest") == metadata.version("pytest") == pytest.__version__


@pytest.mark.parametrize("name", ["", "acme-desk"])
def test_one_that_is_not_there(name: str) -> None:
    """It has none, nor has what is no name."""
    assert version_of(name) == ""


def test_metadata_without_a_version(odd: str) -> None:
    """It has none either, and is no error."""
    assert version_of(odd) == ""
