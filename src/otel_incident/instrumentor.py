"""`IncidentInstrumentor`: the composition root, and what `opentelemetry-instrument` loads.

Reads the configuration, puts the gate and the hooks in place and hands their events to the pipeline.
Nothing here may raise: an error that escaped would keep every later instrumentor of the host from loading.
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any, Final, final

# upstream hides this module from type checkers, so its class is Any to them
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]  # as said above

from otel_incident.config import Config, set_config_of_process, strict_is_asked_for
from otel_incident.forks import no_fork_while_importing
from otel_incident.guard import fail_open, say, swallow

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Collection, Mapping

    from otel_incident.events import Actor
    from otel_incident.gate.rules import Mode
    from otel_incident.gate.self_check import SelfCheck
    from otel_incident.gate.wrapping import Wrapping
    from otel_incident.hooks.activation import Activation
    from otel_incident.hooks.content import ContentNames
    from otel_incident.refusal import Refusal

_UNREAD: Final = object()  # settings that could not be read, in the place of what they ask for
# Imported where the command started us: then the self-check waits until all instrumentors have run.
_COMMAND: Final = "opentelemetry.instrumentation.auto_instrumentation"

# Imported where the SDK is set up by a file; calls the instrumentors that the file names.
_FILE: Final = "opentelemetry.configuration.instrumentation"
_OF_THE_COMMAND: Final = frozenset({"skip_dep_check", "raise_exception_on_conflict"})


@final
class IncidentInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # Any, for the same reason
    """Reports the incident lifecycle of the host it is loaded into.

    `instrument()` takes `logger_provider` and `meter_provider`, as every instrumentor, and the
    options of the configuration file by name (`gate="strict"`, `hooks="hooks.toml"`), which come
    before the environment.
    """

    _activation: Activation | None = None
    _wrapping: Wrapping | None = None
    _content: ContentNames | None = None
    _check: SelfCheck | None = None
    _refusal: Refusal | None = None
    _asked: object = None
    """What the gate that stands was made for; None where there is none."""
    _called_again = False
    """Whether the command has called us after a configuration file did."""

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: each hook waits for its own host."""
        return ()

    def instrument(self, **kwargs: Any) -> None:
        """Begin, by the settings and by options that come before them.

        Where a configuration file has named us, the command calls again, as it calls every instrumentor: that
        is no mistake of the host's, of which upstream would warn.
        """
        again = self.is_instrumented_by_opentelemetry and _COMMAND in sys.modules and _FILE in sys.modules
        if again and not self._called_again and _OF_THE_COMMAND.issuperset(kwargs):
            self._called_again = True
            return
        super().instrument(**kwargs)

    def _instrument(self, **kwargs: Any) -> None:
        fail_open("instrument")(self._begin)(self._start, **kwargs)

    def _uninstrument(self, **_: Any) -> None:
        fail_open("instrument")(self._stop)()

    def begin_gate(self) -> None:
        """Put the gate in place before `instrument()` is called, by the settings of the process."""
        fail_open("instrument")(self._begin)(self._start_gate)

    @property
    def has_begun_gate(self) -> bool:
        """Whether there is a gate, or what refuses in its place, be we told to instrument or not."""
        return self._wrapping is not None or self._refusal is not None

    def _begin(self, start: Callable[..., None], **kwargs: Any) -> None:
        try:
            with no_fork_while_importing():
                if threading.main_thread().is_alive():
                    start(**kwargs)
                    return
                from otel_incident.ending import pools_open  # noqa: PLC0415  off loads as little as it can

                with pools_open():  # a thread that outlives the main thread may be what instruments
                    start(**kwargs)
        except Exception:
            # it came before the gate, which then holds no more than where it cannot be put in place
            if not self.has_begun_gate and strict_is_asked_for(kwargs):
                self._asked = _UNREAD
                self._fail_closed("strict")
            raise

    def _start_gate(self) -> None:
        self._gate(_read({}))

    def _start(self, logger_provider: Any = None, meter_provider: Any = None, **options: Any) -> None:
        options.pop("tracer_provider", None)  # what a generic caller hands to every instrumentor
        config = _read(options)
        set_config_of_process(config)
        if config.off:
            from otel_incident.announcements import announce  # noqa: PLC0415  off loads as little as it can

            announce(config)
            if "otel_incident.pipeline" in sys.modules:  # an emitter of the host's was before us
                former = sys.modules["otel_incident.pipeline"].set_default_pipeline(None)
                if former is not None:
                    former.shutdown()
            self._gate(config)
            return
        self._gate(config)
        from otel_incident.emitter import IncidentEmitter  # noqa: PLC0415  off loads as little as it can
        from otel_incident.hooks.activation import Activation, read_files  # noqa: PLC0415  the same
        from otel_incident.hooks.shipped import enabled, unknown  # noqa: PLC0415  the same
        from otel_incident.pipeline import Pipeline, set_default_pipeline  # noqa: PLC0415  the same

        emitter = IncidentEmitter()
        for line in unknown(config.disabled_hooks):
            say("%s. Correct or remove it.", line)

        def as_sent(actor: Actor, id_shapes: Mapping[str, re.Pattern[str]] | None) -> Mapping[str, object]:
            return pipeline.actor_as_sent(actor, id_shapes)  # which has to know of the hooks, and comes later

        files = read_files(config.hook_files, gated=config.gated)
        presets = enabled(config.disabled_hooks)
        activation = Activation(files, emitter.emit, presets, as_sent)
        pipeline = Pipeline(
            config,
            logger_provider=logger_provider,
            meter_provider=meter_provider,
            host_distribution=activation.host_distribution,
        )
        former = set_default_pipeline(pipeline)
        if former is not None:  # of an emitter of the host's, which was before us
            pipeline.succeed(former)
        self._activation = activation
        activation.install()
        pipeline.deliver_leftovers()

    def _gate(self, config: Config) -> None:
        """Put the gate in place that is asked for; one that stands for the same settings stays."""
        if config.gate == "off" or not config.gated:
            if self._asked is not None:
                self.remove_gate()
            return
        asked = (
            config.gate,
            config.allowed_attributes,
            config.forbidden_attributes,
            config.hook_files,
            config.disabled_hooks,
        )
        if asked != self._asked:
            self._asked = asked
            self._put_in_place(config.gate, config)

    def _put_in_place(self, mode: Mode, config: Config) -> None:
        """Put a gate over what stands, and only then take that away: meanwhile nothing leaves unseen."""
        content = None
        try:
            from otel_incident.exporters import DeferredExporter  # noqa: PLC0415  off loads as little as it can
            from otel_incident.gate.rules import GateRules  # noqa: PLC0415  the same
            from otel_incident.gate.wrapping import Wrapping  # noqa: PLC0415  the same
            from otel_incident.hooks.content import ContentNames  # noqa: PLC0415  the same
            from otel_incident.hooks.shipped import enabled  # noqa: PLC0415  the same

            rules = GateRules(mode, allowed=config.allowed_attributes, forbidden=config.forbidden_attributes)
            presets = enabled(config.disabled_hooks)
            content = ContentNames(config.hook_files, presets, rules.standard.forbid)
            content.install()
            wrapping = Wrapping(rules, (DeferredExporter,))
            wrapping.install()
        except Exception as error:  # noqa: BLE001  whatever it is, in strict nothing may leave ungated
            if content is not None:
                content.uninstall()
            self._fail_closed(mode)
            swallow("gate", error)
            return
        if mode == "strict" and wrapping.ungated:
            wrapping.undo()
            content.uninstall()
            self._fail_closed("strict", f" ({'; '.join(wrapping.ungated)})")
            return
        self._take_away()
        self._wrapping, self._content = wrapping, content
        fail_open("gate")(self._begin_check)(wrapping)

    def _begin_check(self, wrapping: Wrapping) -> None:
        from otel_incident.gate.self_check import SelfCheck  # noqa: PLC0415  off loads as little as it can

        self._check = SelfCheck(wrapping, first=_COMMAND in sys.modules)
        if _COMMAND not in sys.modules:
            self._check.report()

    def self_check(self) -> None:
        """Say what the gate covers and what not; called when all instrumentors have run."""
        if self._check is not None:
            fail_open("gate")(self._check.report)()

    def _fail_closed(self, mode: str, why: str = "") -> None:
        """Say that there is no new gate; in strict, let nothing leave. One that stands stays."""
        if mode != "strict" and self.has_begun_gate:
            say(
                "The gate (%s) could not be put in place: what stood before it stays: %s.",
                mode,
                "nothing leaves" if self._wrapping is None else f"the gate ({self._wrapping.rules.mode})",
            )
            return
        if mode != "strict":
            say(
                "The gate (%s) could not be put in place: the host's own spans, logs and metrics leave as "
                "they are. Incident events are checked all the same.",
                mode,
            )
            return
        from otel_incident.refusal import refuse  # noqa: PLC0415  off loads as little as it can

        if self._refusal is None:  # else all is refused, and was said
            self._refusal = refuse(why)

    def remove_gate(self) -> None:
        """Take the gate away, or what refuses in its place."""
        self._asked = None
        self._take_away()

    def _take_away(self) -> None:
        if self._refusal is not None:
            fail_open("gate")(self._refusal.undo)()
            self._refusal = None
        if self._wrapping is not None:
            fail_open("gate")(self._wrapping.undo)()
            self._wrapping = None
        if self._check is not None:  # which sums up what the gate has taken out by now
            self._check.stop()
            self._check = None
        if self._content is not None:
            self._content.uninstall()
            self._content = None

    def _stop(self) -> None:
        self.remove_gate()
        if self._activation is not None:
            self._activation.uninstall()
            self._activation = None
        set_config_of_process(None)
        with no_fork_while_importing():
            from otel_incident.pipeline import set_default_pipeline  # noqa: PLC0415  off loads as little as it can
            from otel_incident.quiet import detach  # noqa: PLC0415  the same

        pipeline = set_default_pipeline(None)
        if pipeline is not None:
            pipeline.shutdown()
        detach()


def _read(options: Mapping[str, Any]) -> Config:
    """The settings; read before the other instrumentors and in our turn, and what fails is said once."""
    return Config.from_env(options=options)
