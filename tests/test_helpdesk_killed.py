"""django-helpdesk with two workers, and killed: what is committed arrives, the rest never was."""

import base64
import secrets
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from tests.helpdesk_host import STAFF, seeded, variables_of
from tests.host_environment import HostEnvironment, host_environment
from tests.otlp_receiver import OtlpReceiver
from tests.served_host import Answer, Served
from tests.test_argus import seen
from tests.test_helpdesk import TICKET, exporting

BASIC: Final = base64.b64encode(f"{STAFF}:password-of-{STAFF}".encode()).decode()

KILLED: Final = """
import os, signal
import django

django.setup()
from django.db import transaction
from helpdesk.models import Queue, Ticket

queue = Queue.objects.get()
if {before}:
    with transaction.atomic():
        Ticket.objects.create(title="Checkout is down", queue=queue)
        os.kill(os.getpid(), signal.SIGKILL)
with transaction.atomic():
    ticket = Ticket.objects.create(title="Checkout is down", queue=queue)
    ticket.status = 4
    ticket.save()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> HostEnvironment:
    """Where the helpdesk is installed, with this package's wheel."""
    return host_environment("helpdesk", tmp_path_factory.mktemp("helpdesk-environment"))


@pytest.fixture
def directory(environment: HostEnvironment, tmp_path: Path) -> Path:
    """An installation that is the test's own."""
    seeded(environment, tmp_path / "seed")
    return Path(shutil.copytree(tmp_path / "seed", tmp_path / "helpdesk"))


def test_two_workers(receiver: OtlpReceiver, environment: HostEnvironment, directory: Path) -> None:
    """Each ticket is told of once, whichever worker is asked, and so is what becomes of it."""
    variables = {**variables_of(directory), **exporting(receiver, "grpc")}
    application = "helpdesk_site.wsgi:application"
    with Served(environment, application, directory, variables, workers=2) as served:

        def ask(method: str, path: str, body: object) -> Answer:
            traceparent = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
            headers = {"authorization": f"Basic {BASIC}", "traceparent": traceparent}
            return served.request(method, path, body, headers)

        assert [ask("POST", "/api/tickets/", TICKET).status for _ in range(4)] == [201] * 4
        with ThreadPoolExecutor(4) as several:
            answers = list(
                several.map(lambda n: ask("PATCH", f"/api/tickets/{n}/", {"status": 4}), (1, 2, 3, 4))
            )
        assert [answer.status for answer in answers] == [200] * 4
        arrived = sorted(seen(receiver, 8))
        assert len(served.workers()) == 2
        assert served.stop() == 0
    assert arrived == [(action, str(number)) for action in ("create", "end") for number in (1, 2, 3, 4)]
    assert len(receiver.telemetry().events) == 8


@pytest.mark.parametrize(
    ("before", "expected"), [(True, []), (False, [("create", "1"), ("end", "1")])], ids=["before", "after"]
)
def test_a_kill_before_and_after_the_commit(
    before: bool,  # noqa: FBT001  a parameter of a test
    expected: list[tuple[str, str]],
    receiver: OtlpReceiver,
    environment: HostEnvironment,
    directory: Path,
) -> None:
    """What was not committed nobody hears of; what was leaves with whoever comes next."""
    variables = {**variables_of(directory), **exporting(receiver, "grpc"), "OTEL_TRACES_EXPORTER": "none"}
    words = [environment.tool("opentelemetry-instrument"), environment.tool("python"), "-c"]
    ended = environment.run([*words, KILLED.format(before=before)], variables, directory)
    assert ended.status == -9, ended.stderr
    next_one = (
        "import django; django.setup(); from helpdesk.models import Queue, Ticket; "
        "Ticket.objects.create(pk=99, title='Checkout is down', queue=Queue.objects.get())"
    )
    ended = environment.run([*words, next_one], variables, directory)
    assert ended.status == 0, ended.stderr
    assert seen(receiver, len(expected) + 1, killed=True) == [*expected, ("create", "99")]
