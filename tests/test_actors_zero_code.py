"""Who did it, without a line of the host changed: real servers and a real worker under the command.

OpenTelemetry's own instrumentations of the same frameworks are at work beside us. The hosts are those of
`hosts/known_desk`; a header says who calls.
"""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.desk_hosts import DeskHost
from tests.host_environment import HostEnvironment, host_environment
from tests.otlp_receiver import OtlpReceiver
from tests.policy_oracle import is_hash

HOOKS: Final = """
[host]
name = "known desk"

[[hook]]
name = "close"
kind = "call"
target = "known_desk.incidents:close"
action = "end"
incident.id = "arg.number"
"""
IN_STATE: Final = """
[hook.actor]
id = "state.user.id"
system_admin = "state.user.is_superuser"
"""
CALLED: Final = """
[hook.actor]
callable = "known_desk.flask_site:flask_login.utils._get_user"
"""
SAM: Final = "sam@acme.test"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> HostEnvironment:
    """Where the hosts and the instrumentations are installed, with this package's wheel."""
    return host_environment("actors", tmp_path_factory.mktemp("actors"))


class Site:
    """The variables of a host's processes, and what came of them."""

    def __init__(self, directory: Path, receiver: OtlpReceiver, hooks: str) -> None:
        self.directory = directory
        self.receiver = receiver
        file = directory / "hooks.toml"
        file.write_text(hooks)
        self.variables = {
            "DESK_BROKER": str(directory / "broker"),
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_INCIDENT_HOOKS": str(file),
            "OTEL_INCIDENT_STATE_DIR": str(directory / "state"),
        }

    def users(self, events: int) -> dict[object, dict[str, object]]:
        """Who did it, by incident, as soon as there are so many events."""
        found = [event.attributes for event in self.receiver.wait_for_events(events, 30.0)]
        assert len(found) == events
        return {
            each["incident.id"]: {name: each[name] for name in sorted(each) if name.startswith("user.")}
            for each in found
        }


def serve(environment: HostEnvironment, site: Site, *words: str) -> DeskHost:
    """A host under the command."""
    command = ["opentelemetry-instrument", environment.tool("python"), "-m", *words]
    return DeskHost(environment, site.directory, command, site.variables)


@contextmanager
def worker(environment: HostEnvironment, site: Site) -> Iterator[Any]:
    """A worker under the command, with a process for the tasks, ended as a service manager ends it."""
    said = site.directory / "worker"
    words = ["celery", "--app", "known_desk.tasks:application", "worker", "--pool", "prefork"]
    with said.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  the words are the tests' own
            [
                environment.tool("opentelemetry-instrument"),
                *words,
                "--concurrency",
                "1",
                "--loglevel",
                "INFO",
            ],
            env={
                **environment.variables(),
                **site.variables,
                "OTEL_SERVICE_NAME": "desk",
                "PATH": f"{Path(environment.tool('celery')).parent}{os.pathsep}/usr/bin:/bin",
            },
            cwd=site.directory,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, said.read_text()
    finally:
        process.kill()
        process.wait()


def test_flask_and_what_a_worker_does_for_it(
    environment: HostEnvironment, receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """The user of the request, there and in the worker, also after a retry; a name is one hash in both."""
    site = Site(tmp_path, receiver, HOOKS)
    with (
        serve(environment, site, "serve", "known_desk.flask_site:application") as host,
        worker(environment, site),
    ):
        for path, user, status in (
            ("/close/1", "7", 200),
            ("/close/2", "sam", 200),
            ("/close/3", "", 401),
            ("/unseen/4", "7", 200),
            ("/later/5", "7", 200),
            ("/later/6", "sam", 200),
            ("/nobody/7", "8", 200),
        ):
            assert host.request("POST", path, headers={"x-user": user})[0] == status
        users = site.users(6)
        host.stop()
    hashed = users["2"].pop("user.hash")
    assert type(hashed) is str
    assert is_hash(hashed)
    admin = {"user.id": "7", "user.roles": ("system_admin",)}
    assert users == {
        "1": admin,
        "2": {"user.roles": ("end_user",)},
        "4": {},
        "5": admin,
        "6": {"user.hash": hashed, "user.roles": ("end_user",)},
        "7": {},
    }
    for content in (SAM, "Morgan", "Alex"):
        assert content.encode() not in receiver.raw_bytes()
    messages = b"".join(each.read_bytes() for each in (tmp_path / "broker" / "done").iterdir())
    assert b"otel_incident.actor" in messages
    assert b"acme" not in messages


def test_fastapi_and_starlette(environment: HostEnvironment, receiver: OtlpReceiver, tmp_path: Path) -> None:
    """Whom a dependency has put into the state, in two requests at once; a mounted Starlette's own user."""
    (tmp_path / "state").mkdir()
    (tmp_path / "default").mkdir()
    named = Site(tmp_path / "state", receiver, HOOKS + IN_STATE)
    with serve(environment, named, "known_desk.asgi_site") as host:
        calls = [
            threading.Thread(target=host.request, args=("POST", f"/close/{number}", None, {"x-user": user}))
            for number, user in ((1, "7"), (2, "8"))
        ]
        for call in calls:
            call.start()
        for call in calls:
            call.join()
        assert named.users(2) == {
            "1": {"user.id": "7", "user.roles": ("system_admin",)},
            "2": {"user.id": "8", "user.roles": ("end_user",)},
        }
        host.stop()
    default = Site(tmp_path / "default", receiver, HOOKS)
    with serve(environment, default, "known_desk.asgi_site") as host:
        for number, user in ((3, "8"), (4, "nobody")):
            answer = host.request("POST", f"/starlette/close/{number}", headers={"x-user": user})
            assert answer[0] == 200
        users = default.users(4)
        assert (users["3"], users["4"]) == ({"user.id": "8", "user.roles": ("end_user",)}, {})
        host.stop()
    assert b"Alex" not in receiver.raw_bytes()


def test_whom_the_hook_file_says_to_ask(
    environment: HostEnvironment, receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """A function of the host's: here one that loads the user, which we never do by ourselves."""
    site = Site(tmp_path, receiver, HOOKS + CALLED)
    with serve(environment, site, "serve", "known_desk.flask_site:application") as host:
        assert host.request("POST", "/unseen/1", headers={"x-user": "8"})[0] == 200
        assert site.users(1) == {"1": {"user.id": "8", "user.roles": ("end_user",)}}
        host.stop()
