"""Who is speaking: the diagnostic id and the versions, as attributes of the resource.

The resource of our events is the one that the operator described (`OTEL_SERVICE_NAME`,
`OTEL_RESOURCE_ATTRIBUTES`, or the configuration file's) plus this identity. Resource detectors are
not run for it: what they find (command lines, host names, owners) nobody here has said may leave.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

from opentelemetry.sdk.resources import OTELResourceDetector, Resource, ResourceDetector
from opentelemetry.sdk.version import __version__ as SDK_VERSION  # noqa: N812  a constant

from otel_incident.config import Config
from otel_incident.distributions import version_of
from otel_incident.errors import StateDirectoryError
from otel_incident.guard import HostLock, say, swallow
from otel_incident.policy import KEEPS_RULE, is_ours
from otel_incident.state import StateDirectory, ephemeral_mount
from otel_incident.version import __version__
from otel_incident.vocabulary import (
    INCIDENT_DIAGNOSTIC_ID,
    INCIDENT_LICENSE_ID,
    INCIDENT_PLUGIN_VERSION,
    INCIDENT_SERVER_VERSION,
    SERVICE_VERSION,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

UNKNOWN_VERSION: Final = "unknown"
ID_TO_COME: Final = "00000000-0000-0000-0000-000000000000"
"""Stands for a diagnostic id that does not exist yet, where none may be made; it has the form of one."""
HASH_TO_COME: Final = f"hmac-{0:032}"
"""Stands for a keyed hash where no key may be made; it has the form that the policy asks for."""
_KEY_BYTES: Final = 32
_MOUNTINFO: Final = Path("/proc/self/mountinfo")


class _Process:
    """What holds for the process, however many identities are made in it.

    Attributes:
        said: The lines that were said.
        in_memory: What could not be kept in a directory, by directory and name.
    """

    __slots__ = ("in_memory", "said")

    def __init__(self) -> None:
        self.said: set[str] = set()
        self.in_memory: dict[tuple[str, str], bytes] = {}

    def say_once(self, message: str, *arguments: object) -> None:
        """Log one warning, unless this process has."""
        line = message % arguments
        if line not in self.said:
            self.said.add(line)
            say("%s", line)

    def forget(self) -> None:
        """Begin again; for tests."""
        self.said.clear()
        self.in_memory.clear()


_process: Final = _Process()


def _is_diagnostic_id(content: bytes) -> bool:
    return KEEPS_RULE[INCIDENT_DIAGNOSTIC_ID](content.decode("ascii", "replace").strip())


def _is_key(content: bytes) -> bool:
    return len(content) == _KEY_BYTES


@final
class Identity:
    """The installation's identity; read when first asked for, then the same for the process.

    Args:
        config: The settings.
        mountinfo: Where the kernel lists the mounts.
        makes: Whether what does not exist yet is made and kept; a preview only looks.
        key: The key of the hashes in place of the installation's, which is then not looked for; for tests.
    """

    def __init__(
        self, config: Config, mountinfo: Path = _MOUNTINFO, *, makes: bool = True, key: bytes = b""
    ) -> None:
        self._config = config
        self._makes = makes
        self._mountinfo = mountinfo
        self._state = StateDirectory(config.state_dir) if config.state_dir is not None else None
        self._lock = HostLock()
        self._diagnostic_id = ""
        self._key = key
        self._base: Resource | None = None

    def diagnostic_id(self) -> str:
        """`incident.diagnostic.id` (seed: diagnosticID): as configured, else kept, else of this process."""
        with self._lock:
            if not self._diagnostic_id:
                self._diagnostic_id = self._configured_id() or self._kept_id()
            return self._diagnostic_id

    def pseudonym(self, value: str) -> str:
        """The keyed hash of an id: `hmac-` and 32 hex digits of HMAC-SHA-256. A pseudonym, not anonymity."""
        if not self._key:
            with self._lock:
                if not self._key:
                    self._key = self._kept_key()
                if not self._key:
                    return HASH_TO_COME
        digest = hmac.new(self._key, value.encode("utf-8", "surrogatepass"), hashlib.sha256)
        return f"hmac-{digest.hexdigest()[:32]}"

    def resource(self, host_distribution: str = "") -> Resource:
        """The resource of our events.

        Args:
            host_distribution: The distribution of the host that a hook matched, for its version.
        """
        base = self._base_resource()
        own = self.attributes(base.attributes, host_distribution)
        kept = {key: value for key, value in base.attributes.items() if not is_ours(key)}
        # no schema url: merging two different ones would discard the attributes
        return Resource({**kept, **own})

    def service_name(self) -> str:
        """`service.name` of that resource."""
        return str(self._base_resource().attributes["service.name"])

    def attributes(
        self, base: Mapping[str, Any], host_distribution: str = "", *, may_be_unknown: bool = False
    ) -> dict[str, str]:
        """The identity attributes alone, given what the rest of the resource says.

        Args:
            base: The attributes of the rest of the resource.
            host_distribution: The distribution of the host that a hook matched, for its version.
            may_be_unknown: Whether it is too early to say that the host's version is not known.
        """
        version = self._server_version(base, host_distribution)
        if version == UNKNOWN_VERSION and not may_be_unknown:
            _process.say_once(
                "The host's version is unknown: set OTEL_INCIDENT_SERVER_VERSION, or service.version in "
                "OTEL_RESOURCE_ATTRIBUTES."
            )
        attributes = {
            INCIDENT_DIAGNOSTIC_ID: self.diagnostic_id(),
            INCIDENT_SERVER_VERSION: version,
            INCIDENT_PLUGIN_VERSION: __version__,
        }
        if version == UNKNOWN_VERSION and may_be_unknown:
            del attributes[INCIDENT_SERVER_VERSION]  # our events may come to know it, and must not differ
        if not base.get(SERVICE_VERSION) and version != UNKNOWN_VERSION:
            attributes[SERVICE_VERSION] = version
        license_id = self._config.license_id
        if license_id:
            if KEEPS_RULE[INCIDENT_LICENSE_ID](license_id):
                attributes[INCIDENT_LICENSE_ID] = license_id
            else:
                _process.say_once(
                    "OTEL_INCIDENT_LICENSE_ID cannot be used: expected an id that a machine made; left out."
                )
        return attributes

    def _base_resource(self) -> Resource:
        """What the operator says; read once, since the SDK speaks of each value that it cannot use."""
        if self._base is None:
            self._base = self._read_base_resource()
        return self._base

    def _read_base_resource(self) -> Resource:
        file = self._config.config_file
        if file is not None:
            from opentelemetry.configuration.file import create_resource  # noqa: PLC0415  optional dependency

            described = file.resource
            if described is not None and described.detection_development is not None:
                import dataclasses  # noqa: PLC0415  only where a file asks for detectors, which we leave out

                described = dataclasses.replace(described, detection_development=None)
            return create_resource(described)
        resource = Resource(_SDK_ATTRIBUTES).merge(OTELResourceDetector().detect())
        if resource.attributes.get("service.name"):
            return resource
        name = f"unknown_service:{Path(sys.executable).name}" if sys.executable else "unknown_service"
        return resource.merge(Resource({"service.name": name}))  # the default that the specification names

    def _configured_id(self) -> str:
        value = self._config.diagnostic_id
        if not value:
            return ""
        if KEEPS_RULE[INCIDENT_DIAGNOSTIC_ID](value):
            return value
        _process.say_once(
            "OTEL_INCIDENT_DIAGNOSTIC_ID cannot be used: expected an id that a machine made (a UUID, say); "
            "the one kept in the state directory holds."
        )
        return ""

    def _kept_id(self) -> str:
        content = self._kept("diagnostic-id", lambda: f"{uuid.uuid4()}\n".encode("ascii"), _is_diagnostic_id)
        return content.decode("ascii").strip() or ID_TO_COME

    def _kept_key(self) -> bytes:
        return self._kept("key", lambda: secrets.token_bytes(_KEY_BYTES), _is_key)

    def _kept(self, name: str, make: Callable[[], bytes], is_valid: Callable[[bytes], bool]) -> bytes:
        """What the state directory keeps under a name; where there is none, what this process keeps.

        Nothing if it would have to be made, and must not.
        """
        if not self._makes:
            return (self._state.peek(name, is_valid) if self._state is not None else None) or b""
        place = (str(self._config.state_dir), name)
        if place in _process.in_memory:
            return _process.in_memory[place]
        what = name.replace("-", " ")
        if self._state is None:
            _process.say_once(
                "There is no home directory to keep the %s in, so it is another one at each start: "
                "set OTEL_INCIDENT_STATE_DIR to a writable directory.",
                what,
            )
            return _process.in_memory.setdefault(place, make())
        try:
            content = self._state.read_or_make(name, make, is_valid)
        except StateDirectoryError as error:
            _process.say_once("%s Until then its %s is another one at each start.", error, what)
            return _process.in_memory.setdefault(place, make())
        self._mention_ephemeral(self._state)
        return content

    def _mention_ephemeral(self, state: StateDirectory) -> None:
        try:
            # mount points are bytes to the kernel
            mountinfo = self._mountinfo.read_text("utf-8", "surrogateescape")
        except OSError:  # not a Linux kernel: nothing is known, so nothing is said
            return
        kind = ephemeral_mount(state.configured.resolve(), mountinfo)
        if kind:
            _process.say_once(
                "The state directory %s is on %s and ends with its container or machine: the installation's "
                "identity will change, and events that wait there are lost. Mount a volume there, or set "
                "OTEL_INCIDENT_STATE_DIR.",
                state.configured,
                kind,
            )

    def _server_version(self, base: Mapping[str, Any], host_distribution: str) -> str:
        """`incident.server.version` (seed: serverVersion), from the first that names one."""
        candidates = (
            (self._config.server_version, "OTEL_INCIDENT_SERVER_VERSION"),
            (base.get(SERVICE_VERSION), "service.version"),
            (version_of(host_distribution), "the host's distribution"),
        )
        for value, source in candidates:
            if not value:
                continue
            if KEEPS_RULE[INCIDENT_SERVER_VERSION](value):
                return str(value)
            _process.say_once(
                "%s is no version (expected at most 64 of 0-9 A-Z a-z . + _ ~ : -); passed over.", source
            )
        return UNKNOWN_VERSION


_SDK_ATTRIBUTES: Final = {
    "telemetry.sdk.language": "python",
    "telemetry.sdk.name": "opentelemetry",
    "telemetry.sdk.version": SDK_VERSION,
}


class IncidentResourceDetector(ResourceDetector):
    """Puts the identity on the host's resource too: `OTEL_EXPERIMENTAL_RESOURCE_DETECTORS=otel,incident`."""

    def detect(self) -> Resource:
        """The identity attributes; empty where telemetry is off, and never an error."""
        try:
            config = Config.from_env()
            if config.off:
                return Resource.get_empty()
            base = OTELResourceDetector().detect().attributes
            return Resource(Identity(config).attributes(base, may_be_unknown=True))
        except Exception as error:  # the SDK would log its words
            if self.raise_on_error:
                raise
            swallow("identity", error)
            return Resource.get_empty()
