"""The state directory among processes that start together or die halfway; and where it is mounted."""

import re
from pathlib import Path
from typing import Final

import pytest

from otel_incident.state import ephemeral_mount
from tests.processes import run, start, succeed

MAKE: Final = """
    import sys, uuid
    from pathlib import Path
    from otel_incident.state import StateDirectory
    directory = StateDirectory(Path(sys.stdin.readline().strip()))
    make = lambda: str(uuid.uuid4()).encode()
    print(directory.read_or_make("diagnostic-id", make, lambda content: len(content) == 36).decode())
"""


@pytest.mark.parametrize("content", [None, b"broken"], ids=["none", "broken"])
def test_eight_processes_agree(tmp_path: Path, content: bytes | None) -> None:
    """Workers that start at once read one file, whether there was none or one that is broken."""
    directory = tmp_path / "state"
    directory.mkdir(0o700)
    if content is not None:
        (directory / "diagnostic-id").write_bytes(content)
    processes = [start(MAKE) for _ in range(8)]
    for process in processes:  # each waits for its line, so that all are ready when the first one gets it
        assert process.stdin is not None
        process.stdin.write(f"{directory}\n")
    for process in processes:
        assert process.stdin is not None
        process.stdin.flush()
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [stderr for _, stderr in outputs] == [""] * 8
    assert len({stdout for stdout, _ in outputs}) == 1
    assert (directory / "diagnostic-id").read_text() == outputs[0][0].strip()
    kept = [path for path in directory.iterdir() if path.name.startswith("diagnostic-id.unreadable-")]
    assert [path.read_bytes() for path in kept] == ([content] if content is not None else [])


DIE: Final = """
    import os, signal, sys
    from pathlib import Path
    from otel_incident.state import StateDirectory
    path, call = Path(os.environ["STATE"]), os.environ["CALL"]
    real = getattr(os, call)

    def die(*arguments, **settings):
        if os.environ["WHEN"] == "after":
            real(*arguments, **settings)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(os, call, die)
    StateDirectory(path).read_or_make("key", lambda: b"good of the dead", lambda content: b"good" in content)
"""
LIVE: Final = """
    import os
    from pathlib import Path
    from otel_incident.state import StateDirectory
    directory = StateDirectory(Path(os.environ["STATE"]))
    print(directory.read_or_make("key", lambda: b"good of the next", lambda content: b"good" in content))
"""


@pytest.mark.parametrize(
    ("call", "when", "kept"),
    [
        ("write", "before", "next"),
        ("write", "after", "next"),
        ("fsync", "before", "next"),
        ("link", "before", "next"),
        ("link", "after", "dead"),
    ],
)
def test_a_process_that_dies_halfway(tmp_path: Path, call: str, when: str, kept: str) -> None:
    """Killed at any step, a process leaves either nothing in place or a whole file, and no lock."""
    variables = {"STATE": str(tmp_path / "state"), "CALL": call, "WHEN": when}
    assert run(DIE, variables).status == -9
    for _ in range(2):
        assert succeed(LIVE, variables).stdout == f"b'good of the {kept}'\n"
    assert not [path for path in (tmp_path / "state").iterdir() if "unreadable" in path.name]


MOUNTS: Final = r"""
22 1 0:21 / / rw,relatime shared:1 - overlay overlay rw,lowerdir=/a
23 22 8:1 / /var rw - ext4 /dev/sda1 rw
24 23 0:30 / /var/run rw - tmpfs tmpfs rw
25 23 8:2 / /var/lib/with\040space\011tab\134slash rw master:2 - tmpfs tmpfs rw
26 22 0:31 / /data rw - tmpfs tmpfs rw
27 26 8:3 / /data rw - xfs /dev/sdb1 rw
28 22 0:32 / /mem rw - ext4 /dev/sdc1 rw
29 28 0:33 / /mem rw - ramfs ramfs rw
30 22 8:4 / /many rw opt:1 opt:2 opt:3 - aufs none rw
a line that is none
32 22
""".lstrip()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/state", "overlay"),
        ("/", "overlay"),
        ("/var/lib/state", ""),
        ("/var", ""),
        ("/variety/state", "overlay"),
        ("/var/run/state", "tmpfs"),
        ("/var/runtime/state", ""),
        ("/var/lib/with space\ttab\\slash/state", "tmpfs"),
        ("/data/state", ""),
        ("/mem/state", "ramfs"),
        ("/many/state", "aufs"),
    ],
)
def test_ephemeral_mounts(path: str, kind: str) -> None:
    """The innermost mount decides, of two on one point the later; odd lines are passed over."""
    assert ephemeral_mount(Path(path), MOUNTS) == kind


@pytest.mark.parametrize("text", ["", "\n", "garbage", " - ", "1 2 3 4 - tmpfs tmpfs rw"])
def test_a_list_of_mounts_that_says_nothing(text: str) -> None:
    """Where nothing is known, nothing is said."""
    assert ephemeral_mount(Path("/state"), text) == ""


def test_this_machine_s_own_mounts_can_be_read() -> None:
    """The kernel's own list has the form that is read."""
    mountinfo = Path("/proc/self/mountinfo").read_text()
    assert re.fullmatch(r"[a-z]*", ephemeral_mount(Path("/dev/shm/x"), mountinfo))  # noqa: S108  nothing is made there
