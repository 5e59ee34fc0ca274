"""Finds the folders in which events wait, as the processes have left them that write and deliver.

Nothing here makes or changes anything, so that looking is safe while hosts run. A folder of another user is
a finding like any other: whoever asks is told whose it is, and what to do.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pwd
import re
import shlex
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from otel_incident.config import variables_of_process
from otel_incident.destinations import DESCRIPTION, FORMAT, destinations, folder_of
from otel_incident.errors import SpoolCommandError
from otel_incident.identity import Identity
from otel_incident.spool.cursors import Cursor
from otel_incident.spool.quarantine import Quarantine
from otel_incident.spool.segments import SEGMENTS
from otel_incident.spool_cli.words import printable
from otel_incident.state import places_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from otel_incident.config import Config
    from otel_incident.config_spool import Spooling
    from otel_incident.destinations import Destination

# What an exporter has in a folder: so it is known where the description could not be written.
_OF_EXPORTER: Final = (".cursor.0", ".cursor.1", ".lease", ".quarantine")
_OPEN: Final = os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW  # as those who deliver do
_FOR_OTHERS: Final = stat.S_IROTH | stat.S_IWOTH
_NAME: Final = re.compile(r".+-[0-9a-f]{12}", re.ASCII | re.DOTALL)

_VARIABLE: Final = re.compile(r"OTEL_[0-9A-Z_]+", re.ASCII)


class Target(NamedTuple):
    """Where an exporter sends, as a folder's description says it: no secret is in it."""

    exporter: str
    endpoint: str


@final
@dataclass(frozen=True, slots=True)
class Folder:
    """A folder in which the events of one service wait for its exporters.

    Attributes:
        path: Where it is.
        name: What tells it from others; the part behind the last hyphen is made of service and endpoints.
        owner: The user id that it belongs to.
        mode: Its permissions.
        service: The service's name; None where the description cannot be read.
        targets: Where each exporter sends, by the exporter's name on disk; None where that is not said.
        unreadable: Why it cannot be looked into, "" if it can.
    """

    path: Path
    name: str
    owner: int
    mode: int = 0o700
    service: str | None = None
    targets: Mapping[str, Target | None] = field(default_factory=dict)
    unreadable: str = ""

    @property
    def segments(self) -> Path:
        """Where its segments are."""
        return self.path / SEGMENTS

    @property
    def is_own(self) -> bool:
        """Whether it belongs to the user who asks."""
        return self.owner == os.geteuid()

    @property
    def shown(self) -> str:
        """Its name for a terminal."""
        return printable(self.name)

    def cursor(self, exporter: str) -> Cursor:
        """How far an exporter has got."""
        return Cursor(self.path / f"{exporter}.cursor")

    def quarantine(self, exporter: str) -> Quarantine:
        """What an exporter can never deliver."""
        return Quarantine(self.path / f"{exporter}.quarantine")

    def lease(self, exporter: str) -> Path:
        """The lock of whoever delivers for an exporter."""
        return self.path / f"{exporter}.lease"

    def lease_problem(self, exporter: str) -> str:
        """Why its owner's processes can deliver nothing for an exporter, and what to do; "" if they can."""
        path = self.lease(exporter)
        mend = f"give it to the user {user(self.owner)}, or move it away"
        try:
            if not os.access(self.path, os.W_OK):  # root may always, but on a disk that nobody may write to
                path, mend = self.path, f"make it writable for the user {user(self.owner)}"
                read_only = os.statvfs(path).f_flag & os.ST_RDONLY
                why = os.strerror(errno.EROFS if read_only else errno.EACCES)
            else:
                status = path.lstat()
                os.close(os.open(path, _OPEN))
                # root may open what the host may not
                may = self.owner in {0, status.st_uid} or not ~status.st_mode & _FOR_OTHERS
                why = "" if may else os.strerror(errno.EACCES)
        except FileNotFoundError:  # nobody has delivered yet, or the folder is gone
            return ""
        except OSError as error:
            why = _why(error)
        return f"{printable(path.name)} cannot be used ({why}): {mend}" if why else ""

    def of_other(self, command: str) -> str:
        """The line for a command that only its owner may run.

        Args:
            command: The subcommand with its options.
        """
        return (
            f"{self.shown} belongs to the user {user(self.owner)}: run `sudo -u {_sudo_user(self.owner)}"
            f"{_preserved()} otel-incident spool {command} {shlex.quote(str(self.path))}`."
        )


@final
@dataclass(frozen=True, slots=True)
class Environment:
    """What a process with this environment would write, and where.

    Attributes:
        spooling: Where events wait, or would if telemetry and the spool were on.
        off: Why they do not, as one phrase; "" if they do.
        service: The service's name.
        destinations: Where events would go that wait on disk.
    """

    spooling: Spooling
    off: str
    service: str
    destinations: Sequence[Destination]

    @classmethod
    def of(cls, config: Config, spooling: Spooling) -> Environment:
        """That of a configuration; makes nothing.

        Args:
            config: The settings.
            spooling: Those of the spool as if it were on.
        """
        off = ""
        if config.off:
            off = f"telemetry is off here ({config.off}): nothing is kept or delivered"
        elif not config.spooling.on:
            off = "the spool is off here (OTEL_INCIDENT_SPOOL): events wait in memory only"
        elif not config.exporters:
            off = "no exporter is configured here: nothing is kept or delivered"
        service = "" if config.off else Identity(config, makes=False).service_name()
        found = [] if config.off else [each for each in destinations(config) if not each.is_console]
        return cls(spooling, off, service, found)

    @property
    def folder(self) -> str:
        """The name of the folder of this environment; "" where nothing would wait on disk."""
        return folder_of(self.service, self.destinations) if self.destinations and not self.off else ""

    @property
    def places(self) -> list[Path]:
        """The directories in which folders are looked for."""
        directory = self.spooling.directory
        return [] if directory is None else [place / self.spooling.folder for place in places_of(directory)]


def find(environment: Environment) -> tuple[list[Folder], list[str]]:
    """The folders of this installation, by name, and a line for each place that cannot be looked into.

    Args:
        environment: Says where they are.
    """
    found: list[Folder] = []
    problems: list[str] = []
    for place in environment.places:
        try:
            names = sorted(os.listdir(place))  # noqa: PTH208  a name need not be one that a Path is made of yet
        except FileNotFoundError:
            continue
        except OSError as error:
            problems.append(_cannot_list(place, error))
            break  # nothing in it can be looked into either
        for name in names:
            found += [
                folder
                for folder in folders_at(place / name)
                # a spool may be in a directory with others' in it, which are none of ours
                if not folder.unreadable or _NAME.fullmatch(name)
            ]
    return sorted(found, key=lambda folder: (folder.name, str(folder.path))), problems


def folders_at(path: Path) -> Iterator[Folder]:
    """The folder at a path, and that of our own in it where the path is shared; none if it is no folder."""
    for place in places_of(path):
        folder = _read(place, path.name)
        if folder is not None:
            yield folder


def choose(given: Sequence[str], environment: Environment, found: Sequence[Folder]) -> list[Folder]:
    """The folders that a person has named, by name or by path.

    Raises:
        SpoolCommandError: One of them is none.
    """
    chosen: list[Folder] = []
    for each in given:
        named = [folder for folder in found if each in {folder.name, str(folder.path)}]
        if not named:
            with contextlib.suppress(ValueError):  # a path that no file can have
                named = list(folders_at(Path(each).absolute()))
        if not named:
            raise SpoolCommandError(
                f"{printable(each)} is no folder of a spool: name one that `otel-incident spool status` "
                f"lists{_where(environment)}, or its path."
            )
        chosen += [folder for folder in named if folder not in chosen]
    return chosen


def user(number: int) -> str:
    """A user's name, or the number where it has none."""
    try:
        return printable(pwd.getpwuid(number).pw_name)
    except KeyError:
        return str(number)


def _sudo_user(number: int) -> str:
    name = user(number)
    return f"'#{number}'" if name == str(number) else shlex.quote(name)


def _preserved() -> str:
    """What has sudo pass the variables of OpenTelemetry, of which it keeps none by itself."""
    names = sorted(filter(_VARIABLE.fullmatch, variables_of_process()))
    return f" --preserve-env={','.join(names)}" if names else ""


def _where(environment: Environment) -> str:
    return f" in {printable(str(environment.places[0]))}" if environment.places else ""


def _cannot_list(place: Path, error: OSError) -> str:
    if isinstance(error, NotADirectoryError):
        return (
            f"{printable(str(place))} cannot be read ({_why(error)}): move away what is there, or set "
            "OTEL_INCIDENT_SPOOL_DIR to a directory."
        )
    try:
        owner = place.lstat().st_uid
    except OSError:  # it is in a directory of somebody else's
        owner = -1
    whose = f"run this as the user {user(owner)}, whose it is" if owner >= 0 else "run this as its owner"
    return f"{printable(str(place))} cannot be read ({_why(error)}): {whose}."


def _why(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else type(error).__name__


def _read(path: Path, name: str) -> Folder | None:
    """The folder at a path; None where there is none, or none of a spool."""
    try:
        status = path.lstat()
    except OSError:
        return None
    try:
        names = os.listdir(path)  # noqa: PTH208  as above
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return Folder(path, name, status.st_uid, unreadable=_why(error))
    if stat.S_ISLNK(status.st_mode) or not {SEGMENTS, DESCRIPTION} & {*names}:
        return None
    try:
        service, targets = _described(path)
    except _OtherFormatError as other:
        return Folder(path, name, status.st_uid, unreadable=str(other))
    for each in sorted(names):
        for ending in _OF_EXPORTER:
            if each.endswith(ending) and not each.startswith("."):
                targets.setdefault(each.removesuffix(ending), None)
    return Folder(path, name, status.st_uid, stat.S_IMODE(status.st_mode), service, targets)


class _OtherFormatError(Exception):
    """Another release has made a folder, and this one does not know what is in it."""


def _described(path: Path) -> tuple[str | None, dict[str, Target | None]]:
    """What a folder's description says; nothing of it where it is not one that we have written.

    Raises:
        _OtherFormatError: It is of a folder that is not to be touched.
    """
    try:
        data: Any = json.loads((path / DESCRIPTION).read_bytes())
        if type(other := data.get("format")) is int and other != FORMAT:
            raise _OtherFormatError(f"it has format {other}; use the release of otel-incident that made it")
        service = data["service"]
        targets: dict[str, Target | None] = {
            name: Target(each["exporter"], each["endpoint"]) for name, each in data["exporters"].items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None, {}
    texts = [service, *(text for target in targets.values() if target is not None for text in target)]
    if not all(type(text) is str for text in texts) or any("/" in name for name in targets):
        return None, {}
    return service, targets
