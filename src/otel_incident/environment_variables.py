"""Every `OTEL_INCIDENT_*` variable, documented once, with its default.

By the entry point `opentelemetry_environment_variables` (launching.py) `opentelemetry-instrument` offers each
as an option (`--incident_gate strict`). The README's table is checked against it.
"""

OTEL_INCIDENT_ENABLED = "OTEL_INCIDENT_ENABLED"
"""
.. envvar:: OTEL_INCIDENT_ENABLED

`true` or `false`: whether incidents are reported at all. A value that is neither means `false`.
Default: `true`.
"""

OTEL_INCIDENT_GATE = "OTEL_INCIDENT_GATE"
"""
.. envvar:: OTEL_INCIDENT_GATE

What is removed from the host's own signals: `standard`, `strict`, `audit` or `off`. Our own events
are checked in every mode. A value that is none of these means `strict`. Default: `standard`.
"""

OTEL_INCIDENT_ALLOWED_ATTRIBUTES = "OTEL_INCIDENT_ALLOWED_ATTRIBUTES"
"""
.. envvar:: OTEL_INCIDENT_ALLOWED_ATTRIBUTES

Attribute keys of the host's own signals that the gate in `strict` lets through beyond its profiles, separated
by commas; `*` stands for any text, `?` for a character: `desk.queue,acme.*`. A key that is named without such
signs passes with any text, in every scope but ours and whatever a profile asks of it. Default: none.
"""

OTEL_INCIDENT_FORBIDDEN_ATTRIBUTES = "OTEL_INCIDENT_FORBIDDEN_ATTRIBUTES"
"""
.. envvar:: OTEL_INCIDENT_FORBIDDEN_ATTRIBUTES

Attribute keys that the gate removes from the host's own signals beyond our own namespaces and what hook files
name as content, written in the same way; in `strict` they go although they are allowed or a profile knows
them. Default: none.
"""

OTEL_INCIDENT_HOOKS = "OTEL_INCIDENT_HOOKS"
"""
.. envvar:: OTEL_INCIDENT_HOOKS

Path of a hook file (TOML) that says which callables, models or requests of the host mean what; several
are separated like `PATH` entries. Default: none; the presets that ship with the package are always there.
"""

OTEL_INCIDENT_DISABLED_HOOKS = "OTEL_INCIDENT_DISABLED_HOOKS"
"""
.. envvar:: OTEL_INCIDENT_DISABLED_HOOKS

Names of presets that stay off when their host is imported, separated by commas:
`django-helpdesk,pagerduty`. Default: none.
"""

OTEL_INCIDENT_ID_MODE = "OTEL_INCIDENT_ID_MODE"
"""
.. envvar:: OTEL_INCIDENT_ID_MODE

`plain` (what a machine made passes, anything else is hashed), `hmac` (all ids are hashed) or `drop`
(ids are left out; `incident.id` is hashed instead). Also by attribute: `user.id=drop,incident.post.id=hmac`;
the two forms can be mixed: `hmac,user.id=drop`. Default: `plain`.
"""

OTEL_INCIDENT_STATE_DIR = "OTEL_INCIDENT_STATE_DIR"
"""
.. envvar:: OTEL_INCIDENT_STATE_DIR

Directory that holds the diagnostic id, the key of the id hashes and, by default, the spool.
Default: `$STATE_DIRECTORY` (as systemd sets it), else `$XDG_STATE_HOME/otel-incident`,
else `~/.local/state/otel-incident`.
"""

OTEL_INCIDENT_DIAGNOSTIC_ID = "OTEL_INCIDENT_DIAGNOSTIC_ID"
"""
.. envvar:: OTEL_INCIDENT_DIAGNOSTIC_ID

The id of this installation, an id that a machine made (a UUID, say).
Default: made once and kept in the state directory.
"""

OTEL_INCIDENT_LICENSE_ID = "OTEL_INCIDENT_LICENSE_ID"
"""
.. envvar:: OTEL_INCIDENT_LICENSE_ID

The id of the host's license, an id that a machine made; with it the vendor can identify the
contact person of the license. Default: none, and then nothing is said of a license.
"""

OTEL_INCIDENT_SERVER_VERSION = "OTEL_INCIDENT_SERVER_VERSION"
"""
.. envvar:: OTEL_INCIDENT_SERVER_VERSION

The version of the host. Default: `service.version` of the resource, else the version of the
distribution of the host that a hook matched, else `unknown`.
"""

OTEL_INCIDENT_SPAN_EVENTS = "OTEL_INCIDENT_SPAN_EVENTS"
"""
.. envvar:: OTEL_INCIDENT_SPAN_EVENTS

`true` also puts each event on the span in which the change was made, so that backends which know
traces alone show it. Default: `false`.
"""

OTEL_INCIDENT_SPOOL = "OTEL_INCIDENT_SPOOL"
"""
.. envvar:: OTEL_INCIDENT_SPOOL

`true` keeps each event on disk until it is delivered, over outages, restarts and kills of the process;
`false` keeps it in memory only. A value that is neither means `true`. Default: `true`.
"""

OTEL_INCIDENT_SPOOL_DIR = "OTEL_INCIDENT_SPOOL_DIR"
"""
.. envvar:: OTEL_INCIDENT_SPOOL_DIR

Directory in which events wait, in a folder for each service and endpoint.
Default: `spool` in the state directory.
"""

OTEL_INCIDENT_SPOOL_SYNC = "OTEL_INCIDENT_SPOOL_SYNC"
"""
.. envvar:: OTEL_INCIDENT_SPOOL_SYNC

`normal`: an event outlives a kill of the process; `full`: each is flushed to the disk (`fdatasync`) and
outlives a loss of power, too. A value that is neither means `full`. Default: `normal`.
"""

OTEL_INCIDENT_SPOOL_MAX_BYTES = "OTEL_INCIDENT_SPOOL_MAX_BYTES"
"""
.. envvar:: OTEL_INCIDENT_SPOOL_MAX_BYTES

How many bytes may wait for one service and endpoint; the oldest go first, and are counted.
Default: `1073741824` (1 GiB).
"""

OTEL_INCIDENT_SPOOL_MAX_AGE = "OTEL_INCIDENT_SPOOL_MAX_AGE"
"""
.. envvar:: OTEL_INCIDENT_SPOOL_MAX_AGE

For how many milliseconds events may wait; the oldest go first, and are counted.
Default: `2592000000` (30 days).
"""
