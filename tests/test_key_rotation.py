"""The key of the id hashes can be replaced: the README says how."""

import stat
from pathlib import Path

from otel_incident.config import Config
from otel_incident.identity import Identity


def test_a_removed_key_is_made_anew(tmp_path: Path) -> None:
    """Without its file the next process has another key, so other hashes, and the same identity."""
    config = Config(state_dir=tmp_path / "state")
    before = Identity(config)
    hashes = [before.pseudonym("jane.doe"), Identity(config).pseudonym("jane.doe")]
    assert hashes[0] == hashes[1]
    key = config.state_dir / "key" if config.state_dir is not None else Path()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.unlink()
    after = Identity(config)
    assert after.pseudonym("jane.doe") != hashes[0]
    assert after.pseudonym("jane.doe") == Identity(config).pseudonym("jane.doe")
    assert after.diagnostic_id() == before.diagnostic_id()
