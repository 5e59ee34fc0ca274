"""The events' own pipeline: identity, policy, processor and exporters, built from a `Config`.

Events do not travel on the host's `LoggerProvider`. On a way of our own the resource always carries
the diagnostic id and the versions, no processor of the host can drop or decorate an event, and how
long the host's exit waits is bounded. It is no `LoggerProvider` either: that one would limit attributes
as the environment says, and after a fork run the resource detectors, whose findings are not to leave.
It is built when the first event comes: only then is it known which host the hooks matched, and until
then there is no thread, no file and no connection.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import time
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

from opentelemetry._logs import NoOpLogger
from opentelemetry.metrics import get_meter_provider

from otel_incident import records
from otel_incident.announcements import announce
from otel_incident.config import config_of_process
from otel_incident.drops import Drops
from otel_incident.ending import ending, exit_has_begun
from otel_incident.events import Hashed, wire_id, wire_roles
from otel_incident.guard import HostLock, boundary, fail_open
from otel_incident.identity import HASH_TO_COME, Identity
from otel_incident.policy import KEEPS_RULE, Policy
from otel_incident.route import Route
from otel_incident.state import OWN_FOLDER, places_of
from otel_incident.ulids import new_ulid
from otel_incident.version import __version__
from otel_incident.vocabulary import SCHEMA_URL, SCOPE_NAME, USER_HASH, USER_ID, USER_ROLES

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Mapping

    from opentelemetry._logs import LoggerProvider as ApiLoggerProvider
    from opentelemetry.metrics import Meter, MeterProvider

    from otel_incident.config import Config
    from otel_incident.events import Actor
    from otel_incident.processors import Processor
    from otel_incident.route import Write

_logger: Final = logging.getLogger("otel_incident")


KEY_OF_TESTS: Final = bytes(32)
"""As long as an installation's own key, and no secret: what it hashes never leaves."""


@final
class Pipeline:
    """One pipeline for the process; nothing is built before the first event.

    Args:
        config: The settings.
        logger_provider: Hands events to this provider instead of building exporters.
        write: Hands events to this instead of either, and makes nothing on disk; for a preview.
        meter_provider: For the metrics; default the global one.
        host_distribution: Says, once an event comes, which distribution the hooks matched.
        strict: For tests: raise on the first drop, take the events of emitters with other providers too, and
            hash with `KEY_OF_TESTS`.
        now: The clock, ns since the epoch.
        new_uid: Makes `log.record.uid` from the time.
    """

    def __init__(
        self,
        config: Config,
        *,
        logger_provider: ApiLoggerProvider | None = None,
        write: Write | None = None,
        meter_provider: MeterProvider | None = None,
        host_distribution: Callable[[], str] = str,
        strict: bool = False,
        now: Callable[[], int] = time.time_ns,
        new_uid: Callable[[int], str] = new_ulid,
    ) -> None:
        self._config = config
        self._logger_provider = logger_provider
        self._meter_provider = meter_provider
        self._host_distribution = host_distribution
        self._strict = strict
        self._key = KEY_OF_TESTS if strict else b""
        self._now = now
        self._new_uid = new_uid
        self._processors: list[Processor] = []
        self._end_metrics: Callable[[], None] = lambda: None
        self._given_write = write
        self._own_write: Write | None = None
        self._route: Route | None = None
        self._carrying: Policy | None = None
        self._beside: weakref.WeakSet[Route] = weakref.WeakSet()
        self._closed = False
        self._lock = HostLock()
        announce(config)

    def route(self) -> Route | None:
        """Where events go; None where telemetry is off or was shut down."""
        if self._config.off:
            return None
        with self._lock:
            if self._closed:
                return None
            if self._route is None:
                self._route = self._build()
            return self._route

    def route_beside(
        self, logger_provider: ApiLoggerProvider | None, meter_provider: MeterProvider | None
    ) -> Route | None:
        """The route of an emitter with providers of its own, for which the same settings hold."""
        if self._strict:
            return self.route()
        beside = Pipeline(self._config, logger_provider=logger_provider, meter_provider=meter_provider)
        route = beside.route()
        if route is not None:
            with self._lock:
                self._beside.add(route)
        return route

    def reroute(self) -> None:
        """Let emitters look for their route again, because another pipeline is the process's own now."""
        with self._lock:
            route, self._route = self._route, None
            routes = [*self._beside] if route is None else [route, *self._beside]
            self._beside.clear()
        for each in routes:
            each.closed = True

    @fail_open("pipeline")
    def deliver_leftovers(self) -> None:
        """Deliver what a former process has left, before an event of this one comes."""
        if self._config.off or self._given_write is not None or self._logger_provider is not None:
            return
        spooling = self._config.spooling
        if not self._config.exporters or spooling.directory is None:
            return
        folders = [place / spooling.folder for place in places_of(spooling.directory)]
        in_one = ("*/segments/*", f"*/{OWN_FOLDER}/segments/*")
        if not any(any(folder.glob(pattern)) for folder in folders for pattern in in_one):
            return
        from otel_incident.processors import has_leftovers, spool_of  # noqa: PLC0415  only where something is left

        identity = Identity(self._config)
        if not has_leftovers(self._config, identity.service_name()):
            return
        with self._lock:
            if not self._closed:
                self._open(identity)
        spool = spool_of(self._processors)
        if spool is not None:
            spool.deliver_leftovers()

    @fail_open("pipeline")
    def succeed(self, former: Pipeline) -> None:
        """Go on with what delivers for another pipeline, if it leads to the same places; else end that."""
        builds = self._given_write is None and self._logger_provider is None
        with former._lock, self._lock:
            same = builds and former._config.delivery == self._config.delivery
            if same and former._processors and not self._processors:
                atexit.unregister(former._at_exit)
                self._processors, former._processors = former._processors, []
                ending.at_exit(self._at_exit)
        former.shutdown()

    def force_flush(self) -> bool:
        """Deliver what is queued, in the caller's thread."""
        return all(processor.force_flush() for processor in self._processors)

    @fail_open("pipeline")
    def shutdown(self) -> None:
        """Deliver what is queued within the bound, then stop for good."""
        with self._lock:
            self._closed = True
            processors, self._processors, self._own_write = self._processors, [], None
            route, self._route = self._route, None
        if route is not None:
            route.closed = True
        if processors:
            atexit.unregister(self._at_exit)
        for processor in processors:
            processor.shutdown()
        self._end_metrics()

    @fail_open("pipeline")
    def _at_exit(self) -> None:
        """Deliver within the bound; what other handlers report after this one is taken all the same."""
        boundary.ending = True
        for processor in self._processors:
            processor.shutdown()
        ending.in_vain = any(processor.gave_up for processor in self._processors)

    def actor_as_sent(
        self, actor: Actor, id_shapes: Mapping[str, re.Pattern[str]] | None
    ) -> dict[str, object]:
        """What of who did it would leave in an event, by attribute: for a task that carries it.

        Builds nothing that delivers: that waits for an event.
        """
        policy = self._carrying
        if policy is None:
            policy = self._carrying = self._policy(Identity(self._config, key=self._key))
        name = USER_HASH if type(actor.id) is Hashed else USER_ID
        said: dict[str, object] = {**policy.check_user(name, wire_id(actor.id), id_shapes)}
        if said.get(USER_HASH) == HASH_TO_COME:  # no id leaves this process, so there is no key
            del said[USER_HASH]
        roles = wire_roles(actor.roles)
        if KEEPS_RULE[USER_ROLES](roles):
            said[USER_ROLES] = roles
        return said

    def _policy(self, identity: Identity) -> Policy:
        config = self._config
        # where no id can leave, no key is made for it: off means no file
        given = self._given_write is not None or self._logger_provider is not None
        ids_leave = given or config.exporters or config.span_events
        pseudonym = identity.pseudonym if ids_leave else lambda _: HASH_TO_COME
        return Policy(pseudonym=pseudonym, id_modes=config.id_modes)

    def _build(self) -> Route:
        identity = Identity(self._config, makes=self._given_write is None, key=self._key)
        meter = _meter_of(self._meter_provider or get_meter_provider())
        drops = Drops(self._meter_provider, strict=self._strict)
        policy = self._policy(identity)

        def check(
            event_name: str, attributes: Mapping[str, object], id_shapes: Mapping[str, re.Pattern[str]] | None
        ) -> Mapping[str, Any] | None:
            checked = policy.check_event(event_name, attributes, id_shapes)
            if checked.drops:
                drops.record("logs", checked.drops)
            return checked.attributes

        return Route(
            write=self._make_write(identity),
            meter=meter,
            check=check,
            span_events=self._config.span_events,
            now=self._now,
            new_uid=self._new_uid,
        )

    def _make_write(self, identity: Identity) -> Write:
        if self._given_write is not None:
            return self._given_write
        if self._logger_provider is not None:
            return records.through_api(self._logger_provider.get_logger(SCOPE_NAME, __version__, SCHEMA_URL))
        if not self._config.exporters:
            said = any(line.startswith("OTEL_LOGS_EXPORTER=") for line in self._config.problems)
            if not said:
                with contextlib.suppress(Exception):  # a log handler of the host's may raise anything
                    _logger.info(
                        "Incident events are not exported: OTEL_LOGS_EXPORTER or OTEL_CONFIG_FILE names no "
                        "exporter."
                    )
            return records.through_api(NoOpLogger(SCOPE_NAME))
        if self._own_write is None:  # else its own, since this is not its first route
            resource = identity.resource(self._host_distribution())
            self._open(identity)
            from otel_incident.processors import write_into  # noqa: PLC0415  loaded by the line above

            self._own_write = write_into(self._processors, resource)
        return self._own_write

    def _open(self, identity: Identity) -> None:
        """Make what delivers, unless it was made for what a former process had left."""
        if not self._processors:
            # not before the first event
            from otel_incident.processors import processors_of, spool_of  # noqa: PLC0415  loads the SDK's exporters: only where there is a pipeline
            from otel_incident.spool_metrics import report  # noqa: PLC0415  the same

            boundary.ending = boundary.ending or exit_has_begun()  # then nobody is left to say so
            self._processors = processors_of(self._config, identity.service_name())
            ending.at_exit(self._at_exit)
            spool = spool_of(self._processors)
            if spool is not None:
                self._end_metrics = partial(report(spool, self._meter_provider).end, spool)


@fail_open("emit")
def _meter_of(provider: MeterProvider) -> Meter:
    return provider.get_meter(SCOPE_NAME, __version__, SCHEMA_URL)


_default_lock: Final = HostLock()
_default: Pipeline | None = None


def default_pipeline() -> Pipeline:
    """The pipeline of this process, with its settings unless the instrumentor set another."""
    global _default  # noqa: PLW0603  one for the process, as the SDK's own providers
    with _default_lock:
        if _default is None:
            _default = Pipeline(config_of_process())
        return _default


def set_default_pipeline(pipeline: Pipeline | None) -> Pipeline | None:
    """Make a pipeline the process's own, or (None) let the next event build one; returns the former."""
    global _default
    with _default_lock:
        former, _default = _default, pipeline
    if former is not None:
        former.reroute()
    return former


def default_route(
    logger_provider: ApiLoggerProvider | None, meter_provider: MeterProvider | None
) -> Route | None:
    """The route of an `IncidentEmitter` that was given nothing, or providers of the caller's."""
    if logger_provider is None and meter_provider is None:
        return default_pipeline().route()
    return default_pipeline().route_beside(logger_provider, meter_provider)
