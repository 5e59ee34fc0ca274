"""`otel-incident hooks check` sees what real frameworks have taken before a hook comes, and what not."""

import json
import textwrap
from pathlib import Path
from typing import Any, Final

import pytest

from tests.host_environment import HostEnvironment, host_environment

SERVICES: Final = """
    def declare(title):
        return {"id": 1}
"""
FLASK: Final = """
    from flask import Flask
    from desk.services import declare

    app = Flask(__name__)

    @app.post("/routed")
    def routed():
        return {}

    app.post("/declared")(declare)
"""
FASTAPI: Final = """
    from fastapi import APIRouter, FastAPI
    from desk.services import declare

    app, router = FastAPI(), APIRouter()

    @router.post("/routed")
    async def routed(title: str):
        return {}

    router.post("/declared")(declare)
    app.include_router(router)
"""
CELERY: Final = """
    from celery import Celery, shared_task
    from desk.services import declare

    app = Celery("desk")

    @app.task
    def routed(title):
        return {}

    @shared_task
    def shared(title):
        return {}

    @app.task
    def calls(title):
        return declare(title)
"""


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> HostEnvironment:
    """Where Flask and FastAPI are installed, with this package's wheel."""
    return host_environment("instrumented", tmp_path_factory.mktemp("instrumented"))


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> HostEnvironment:
    """Where Celery is."""
    return host_environment("prefork", tmp_path_factory.mktemp("prefork"))


def checked(environment: HostEnvironment, host: Path, code: str, *targets: str) -> dict[str, tuple[str, str]]:
    """The verdict and the first note of each target, in a host whose `desk.web` has this code."""
    package = host / "desk"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "services.py").write_text(textwrap.dedent(SERVICES))
    (package / "web.py").write_text(textwrap.dedent(code))
    text = '[host]\nname = "desk"\n'
    for target in targets:
        text += f'[[hook]]\nname = "{target}"\nkind = "call"\ntarget = "{target}"\naction = "create"\n'
        text += 'incident.id = "result.id"\n'
    (host / "hooks.toml").write_text(text)
    words = [environment.tool("python"), "-m", "otel_incident.cli", "hooks", "check", "--json", "hooks.toml"]
    ended = environment.run(words, {"OTEL_INCIDENT_STATE_DIR": str(host / "state")}, host)
    assert "Traceback" not in ended.stderr
    found: list[Any] = json.loads(ended.stdout)["found"]
    return {each["target"]: (each["verdict"], "".join(each["notes"][:1])) for each in found}


def taken(target: str, by: str) -> tuple[str, str]:
    """What is said of a function that a framework has."""
    note = (
        f"{target} was taken by {by} before the hook could come: what is called through that is not "
        "reported; "
        "name a function that it calls, or watch the model"
    )
    return "captured too early", note


def test_a_route_of_flask(web: HostEnvironment, tmp_path: Path) -> None:
    """A view function is Flask's own by then; a function of another module that is routed is not."""
    found = checked(web, tmp_path, FLASK, "desk.web:routed", "desk.services:declare")
    assert found["desk.web:routed"] == taken("desk.web:routed", "flask.app.Flask")
    assert found["desk.services:declare"][0] == "found"


def test_a_route_of_fastapi(web: HostEnvironment, tmp_path: Path) -> None:
    """An endpoint is the route's own by then; a function of another module that is routed is not."""
    found = checked(web, tmp_path, FASTAPI, "desk.web:routed", "desk.services:declare")
    assert found["desk.web:routed"] == taken(
        "desk.web:routed", "fastapi.dependencies.models.Dependant, fastapi.routing.APIRoute"
    )
    assert found["desk.services:declare"][0] == "found"


def test_a_task_of_celery(queue: HostEnvironment, tmp_path: Path) -> None:
    """A task runs from Celery's registry, whatever stands in its module; what it calls is seen."""
    targets = ("desk.web:routed", "desk.web:shared", "desk.services:declare")
    found = checked(queue, tmp_path, CELERY, *targets)
    for target in targets[:2]:
        assert found[target] == taken(target, "celery.app.registry.TaskRegistry")
    assert found["desk.services:declare"][0] == "found"
