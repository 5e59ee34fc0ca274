"""`IncidentInstrumentor`: the composition root, and what `opentelemetry-instrument` loads.

Reads the configuration, puts the hooks in place and hands their events to the pipeline. Nothing
here may raise: an error that escaped would keep every later instrumentor of the host from loading.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

# upstream hides this module from type checkers, so its class is Any to them
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

from otel_incident.config import Config
from otel_incident.guard import fail_open, say

if TYPE_CHECKING:
    from collections.abc import Collection

    from otel_incident.hooks.activation import Activation


@final
class IncidentInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # Any, for the same reason
    """Reports the incident lifecycle of the host it is loaded into.

    `instrument()` takes `logger_provider` and `meter_provider`, as every instrumentor, and the
    options of the configuration file by name (`gate="strict"`, `hooks="hooks.toml"`), which come
    before the environment.
    """

    _activation: Activation | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """None: each hook waits for its own host."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        fail_open("instrument")(self._start)(**kwargs)

    def _uninstrument(self, **_: Any) -> None:
        fail_open("instrument")(self._stop)()

    def _start(self, logger_provider: Any = None, meter_provider: Any = None, **options: Any) -> None:
        options.pop("tracer_provider", None)  # what a generic caller hands to every instrumentor
        config = Config.from_env(options=options)
        if config.off:
            from otel_incident.announcements import announce  # noqa: PLC0415  off loads as little as it can

            announce(config)
            return
        from otel_incident.emitter import IncidentEmitter  # noqa: PLC0415  off loads as little as it can
        from otel_incident.hooks.activation import Activation, read_files  # noqa: PLC0415  the same
        from otel_incident.pipeline import Pipeline, set_default_pipeline  # noqa: PLC0415  the same

        if config.gate_is_set and config.gate != "off":
            say(
                "OTEL_INCIDENT_GATE=%s: in this version the host's own spans, logs and metrics are not "
                "gated by it; wrap their processors in ContentGateSpanProcessor and "
                "ContentGateLogRecordProcessor. Incident events are always checked.",
                config.gate,
            )
        emitter = IncidentEmitter()
        activation = Activation(read_files(config.hook_files), emitter.emit)
        pipeline = Pipeline(
            config,
            logger_provider=logger_provider,
            meter_provider=meter_provider,
            host_distribution=activation.host_distribution,
        )
        set_default_pipeline(pipeline)
        self._activation = activation
        activation.install()

    def _stop(self) -> None:
        if self._activation is not None:
            self._activation.uninstall()
            self._activation = None
        from otel_incident.pipeline import set_default_pipeline  # noqa: PLC0415  off loads as little as it can

        pipeline = set_default_pipeline(None)
        if pipeline is not None:
            pipeline.shutdown()
