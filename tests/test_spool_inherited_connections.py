"""A forked child that delivers over HTTP: its parent's connections are neither used nor closed in it."""

import contextlib
import gc
import os
import signal
from pathlib import Path
from typing import Any, Final

import pytest
import requests
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from requests.adapters import BaseAdapter, HTTPAdapter

from otel_incident.exporters import DeferredExporter
from otel_incident.spool.answers import Answer
from otel_incident.spool.attempts import Attempts
from otel_incident.spool.inherited_connections import set_aside
from tests.certificates import Certificates
from tests.otlp_receiver import OtlpReceiver, Tls
from tests.scripted_exporter import SUCCESS, Scripted, records
from tests.spool_records import numbered

HOSTS: Final = b"the host's own data"
DELIVERED: Final = Answer("delivered")


def connection_of(session: requests.Session, url: str) -> Any:
    """The socket over which a session has had its last answer."""
    adapter: Any = session.get_adapter(url)
    pools = adapter.poolmanager.pools
    (key,) = pools.keys()
    return pools[key].pool.queue[-1].sock


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_daemons_file_is_left_alone(receiver: OtlpReceiver, tmp_path: Path) -> None:
    """What a forked child has opened under the number of the parent's connection outlives its delivery."""
    session = requests.Session()
    attempts = Attempts(OTLPLogExporter(f"{receiver.http_endpoint}/v1/logs", session=session))
    assert attempts([numbered(1)]) == DELIVERED
    parents = connection_of(session, receiver.http_endpoint)
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):  # whatever it is: the status says so, and pytest runs once
            signal.alarm(60)
            opened = os.open(tmp_path / "host", os.O_RDWR | os.O_CREAT)
            os.write(opened, HOSTS)
            os.dup2(opened, parents.fileno())
            number = parents.fileno()
            del parents
            attempts.renew()
            gc.collect()
            delivered = attempts([numbered(2)]) == DELIVERED
            os._exit(0 if delivered and os.pread(number, 99, 0) == HOSTS else 3)
        os._exit(4)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert attempts([numbered(3)]) == DELIVERED
    assert connection_of(session, receiver.http_endpoint) is parents  # it is open still
    assert [event.timestamp for event in receiver.telemetry().events] == [1, 2, 3]
    attempts.shutdown()


def test_all_else_of_a_session_stays(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over new connections it goes on with its certificates, headers, hooks and adapters."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # of this machine
        monkeypatch.delenv(name, raising=False)
    session = requests.Session()
    session.headers["authorization"] = "Bearer x"
    answers: list[int] = []
    session.hooks["response"].append(lambda response, **_: answers.append(response.status_code))
    adapter = HTTPAdapter(pool_maxsize=3)
    session.mount("https://", adapter)
    with OtlpReceiver(tls=Tls(certificates.server_cert, certificates.server_key, certificates.ca)) as secured:
        attempts = Attempts(
            OTLPLogExporter(
                f"{secured.http_endpoint}/v1/logs",
                certificate_file=str(certificates.ca),
                client_key_file=str(certificates.client_key),
                client_certificate_file=str(certificates.client_cert),
                session=session,
            )
        )
        assert attempts([numbered(1)]) == DELIVERED
        kept = set_aside(session)
        assert attempts([numbered(2)]) == DELIVERED
        assert len(kept) == 2  # of http:// and of https://
        attempts.shutdown()
        assert [each.headers["authorization"] for each in secured.requests] == ["Bearer x"] * 2
    assert answers == [200, 200]
    assert session.get_adapter("https://x") is adapter


def test_connections_through_a_proxy(receiver: OtlpReceiver) -> None:
    """They are set aside as well, and the proxy stays."""
    session = requests.Session()
    session.proxies["http"] = receiver.http_endpoint
    adapter: Any = session.get_adapter("http://x")

    def sent() -> Any:
        """The pools of the connections to the proxy, after a request through it."""
        assert (
            session.get("http://collector.invalid/v1/logs").status_code >= 400
        )  # the receiver's: it is no GET
        (manager,) = adapter.proxy_manager.values()
        return manager.pools

    parents = sent()
    assert id(parents) in map(id, set_aside(session))
    assert sent() is not parents
    assert [len(pools) for pools in (parents, sent())] == [1, 1]
    session.close()


class Ended(BaseAdapter):
    """An adapter, or a session, of which nothing is known but that it can be closed."""

    closed = False

    def close(self) -> None:
        """Remember it."""
        self.closed = True


class WithPools(HTTPAdapter):
    """An adapter that has pools of its own, too: to sockets in the file system, for one."""

    def __init__(self) -> None:
        super().__init__()
        self.pools: Any = type(self.poolmanager.pools)(7)


class Renewing(requests.Session):
    """A session that renews its credentials by means of another one."""

    def __init__(self) -> None:
        super().__init__()
        self.other = requests.Session()


def test_a_session_of_another_kind() -> None:
    """Of what is known only to have an end, that is called: to share connections would be worse."""
    session, unknown, adapter, own = Renewing(), Ended(), Ended(), WithPools()
    session.mount("x://", adapter)
    session.mount("y://", own)
    pools = own.pools
    of_other: Any = session.other.get_adapter("http://x")
    before = of_other.poolmanager.pools
    kept = list(map(id, set_aside(session)))
    assert (adapter.closed, own.pools is pools, id(pools) in kept) == (True, False, True)
    assert (of_other.poolmanager.pools is before, id(before) in kept) == (False, True)
    assert (set_aside(unknown), unknown.closed) == ([], True)


def test_sessions_that_name_each_other() -> None:
    """Each is looked at once, also where two renew their credentials by each other, or one has two names."""
    session, other = Renewing(), Renewing()
    session.other = other.other = other  # itself, too
    session.__dict__["again"] = other
    other.__dict__["parent"] = session
    adapters: list[Any] = [*session.adapters.values(), *other.adapters.values()]
    before = [adapter.poolmanager.pools for adapter in adapters]
    assert list(map(id, set_aside(session))) == list(map(id, before))
    assert not any(adapter.poolmanager.pools is had for adapter, had in zip(adapters, before, strict=True))


def test_a_grandchild_keeps_the_exporters_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """In memory, too: a grandparent's exporter that is collected would close its connections."""
    made: list[Scripted] = []

    def build() -> Scripted:
        made.append(Scripted(SUCCESS))
        return made[-1]

    deferred = DeferredExporter("x", build)
    for pid in (1, 2, 3):
        monkeypatch.setattr(os, "getpid", lambda pid=pid: pid)
        assert deferred.export(records(1)) is SUCCESS
    assert deferred._parents == [None, *made[:2]]  # noqa: SLF001  they are used nowhere, and that is the point
