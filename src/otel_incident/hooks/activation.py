"""Puts the hooks of all files in place and takes them away again.

An operator's file is on at once; a preset is on as soon as its host is imported, and not with a module of
the same name that is somebody else's. A file that is
refused is said in one line and costs nothing else: the host runs, and so do the other files.
"""

from __future__ import annotations

import atexit
from functools import partial
from typing import TYPE_CHECKING, Any, final

from otel_incident.errors import HookFileError
from otel_incident.forks import no_fork_while_importing
from otel_incident.guard import fail_open, say
from otel_incident.hooks.celery_tasks import CeleryTasks
from otel_incident.hooks.content import say_refused
from otel_incident.hooks.django_requests import DjangoRequests
from otel_incident.hooks.file_complaints import about_distribution, about_hooks, about_version
from otel_incident.hooks.ownership import is_of, places_of
from otel_incident.hooks.precedence import each_once, refuse_double, without_doubles
from otel_incident.hooks.starlette_requests import StarletteRequests
from otel_incident.imports import when_imported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from otel_incident.events import IncidentEvent
    from otel_incident.hooks.calls import CallWatch
    from otel_incident.hooks.celery_tasks import AsSent
    from otel_incident.hooks.definitions import Hook, HookFile
    from otel_incident.hooks.django_commits import DjangoCommits
    from otel_incident.hooks.django_models import ModelWatch
    from otel_incident.hooks.http import HttpWatch
    from otel_incident.hooks.shipped import Preset
    from otel_incident.hooks.sqlalchemy_classes import MappedClassWatch
    from otel_incident.hooks.sqlalchemy_sessions import SqlAlchemySessions

    _Watch = CallWatch | ModelWatch | MappedClassWatch | HttpWatch


def read_files(paths: Iterable[Path], *, gated: bool = True) -> list[HookFile]:
    """The operator's hook files; a refused one is said and left out.

    Args:
        paths: Of the files.
        gated: Whether there is a gate, for which the content that a refused one names holds all the same.
    """
    files: list[HookFile] = []
    for path in each_once(paths):
        from otel_incident.hooks.spec import load  # noqa: PLC0415  a host with a preset needs no reader now

        try:
            file = load(path)
            refuse_double(file, files)
            files.append(file)
        except HookFileError as error:
            say_refused(error, gated=gated)
    return files


@final
class Activation:
    """The hooks of a process.

    Args:
        files: The hook files.
        sink: Takes the events.
        presets: Presets that are read when their host is imported.
        as_sent: What of an actor would leave in an event; without it no task carries who started it.
    """

    def __init__(
        self,
        files: Iterable[HookFile],
        sink: Callable[[IncidentEvent], None],
        presets: Iterable[Preset] = (),
        as_sent: AsSent | None = None,
    ) -> None:
        self._files = tuple(files)
        self._sink = sink
        self._presets = tuple(presets)
        self._matched: list[HookFile] = []
        self._hooks: list[Hook] = []
        self._requests: list[DjangoRequests | StarletteRequests | CeleryTasks] = [
            DjangoRequests(),
            StarletteRequests(),
        ]
        if as_sent is not None:
            self._requests.append(CeleryTasks(lambda: self._hooks, as_sent))
        self._commits: DjangoCommits | None = None
        self._sessions: SqlAlchemySessions | None = None
        self._watches: list[_Watch] = []
        self._waits_no_longer: list[Callable[[], None]] = []
        self._active = False

    def install(self) -> None:
        """Watch what the files name, now or when it is imported."""
        self._active = True
        for requests in self._requests:
            requests.install()
        atexit.register(self._ended)
        for file in self._files:
            if file.preset:
                self._wait(file.module, file.distribution, partial(_itself, file))
            else:
                self._start(file)
        for preset in self._presets:
            self._wait(preset.module, preset.distribution, partial(self._read, preset))

    def uninstall(self) -> None:
        """Put everything back as it was, each thing whatever becomes of the others."""
        self._active = False
        atexit.unregister(self._ended)
        while self._waits_no_longer:
            self._waits_no_longer.pop()()
        for requests in self._requests:
            fail_open("hook")(requests.uninstall)()
        while self._watches:
            fail_open("hook")(self._watches.pop().uninstall)()
        for transactions in (self._commits, self._sessions):
            if transactions is not None:
                fail_open("hook")(transactions.uninstall)()

    @property
    def matched(self) -> bool:
        """Whether a hook has found what it watches."""
        return bool(self._matched)

    def host_distribution(self) -> str:
        """The distribution of the first host that a hook matched, "" if none says one."""
        named = (file.host_distribution for file in self._matched)
        return next((each for each in named if each), "")

    def _wait(self, name: str, distribution: str, read: Callable[[], HookFile]) -> None:
        def start(module: Any) -> None:
            mine = not distribution or is_of(distribution, name, places_of(module))
            if self._active and mine:
                self._start(read())

        self._waits_no_longer.append(when_imported(name, fail_open("hook")(start)))

    def _read(self, preset: Preset) -> HookFile:
        return without_doubles(preset.read(), self._files)

    def _start(self, file: HookFile) -> None:
        _tell(file, about_hooks(file))
        _tell(file, about_version(file))
        self._hooks.extend(file.hooks)
        with no_fork_while_importing():
            watches: list[_Watch] = [self._watch(file, hook) for hook in file.hooks if hook.kind != "http"]
            if file.clients:
                from otel_incident.hooks.http import http_watches  # noqa: PLC0415  few hosts need it

                watches += http_watches(file, self._sink, self._note)
        for watch in watches:
            self._watches.append(watch)
            watch.install()

    def _watch(self, file: HookFile, hook: Hook) -> CallWatch | ModelWatch | MappedClassWatch:
        """What watches for a hook; a host has few of the kinds, and loads those alone."""
        if hook.kind == "call":
            from otel_incident.hooks.calls import CallWatch  # noqa: PLC0415  see above

            return CallWatch(file, hook, self._sink, self._note)
        if hook.is_mapped_class:
            from otel_incident.hooks.sqlalchemy_classes import MappedClassWatch  # noqa: PLC0415  the same
            from otel_incident.hooks.sqlalchemy_sessions import SqlAlchemySessions  # noqa: PLC0415  the same

            self._sessions = self._sessions or SqlAlchemySessions()
            self._sessions.install()
            return MappedClassWatch(file, hook, self._sink, self._note, self._sessions)
        from otel_incident.hooks.django_commits import DjangoCommits  # noqa: PLC0415  the same
        from otel_incident.hooks.django_models import ModelWatch  # noqa: PLC0415  the same

        self._commits = self._commits or DjangoCommits()
        self._commits.install()
        return ModelWatch(file, hook, self._sink, self._note)

    def _note(self, file: HookFile) -> None:
        if file in self._matched:
            return
        self._matched.append(file)
        _tell(file, about_distribution(file))

    def _ended(self) -> None:
        """The process ends: say which hooks of the operator's have waited for nothing."""
        for watch in self._watches:
            fail_open("hook")(watch.ended)()


def _tell(file: HookFile, reason: str) -> None:
    if reason:
        say("%s, %s.", file.source, reason)


def _itself(file: HookFile) -> HookFile:
    return file
