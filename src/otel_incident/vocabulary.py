"""Names, closed enums and the tables of everything that can leave. Generated: do not edit.

The registry is the one place that says what exists; `scripts/generate` writes it down here, so that code
cannot name an attribute that the documentation does not explain. Imports nothing but typing: every room of
the package depends on this one, and it is loaded into other people's processes.
"""

from typing import Final, Literal, NamedTuple

SCHEMA_URL: Final[str] = "https://otel-incident.invalid/schemas/0.1.0"
"""Identifies this vocabulary and its version; nothing is fetched from it."""

SCOPE_NAME: Final = "otel_incident"
"""Instrumentation scope of everything we emit."""

Action = Literal["create", "end", "restart", "change_commander", "change_stage"]
"""Closed values of `incident.action`."""

ACTIONS: Final[tuple[Action, ...]] = ("create", "end", "restart", "change_commander", "change_stage")
"""The members of `Action`, in order."""

Signal = Literal["logs", "spans", "metrics"]
"""Closed values of `otel_incident.signal`."""

SIGNALS: Final[tuple[Signal, ...]] = ("logs", "spans", "metrics")
"""The members of `Signal`, in order."""

Reason = Literal[
    "unknown_key",
    "wrong_type",
    "bad_value",
    "hashed",
    "missing_required",
    "internal_error",
    "forbidden",
    "text_field",
    "unknown_metric",
    "not_mergeable",
    "max_bytes",
    "max_age",
    "memory_full",
    "not_encodable",
    "ended",
]
"""Closed values of `otel_incident.reason`."""

REASONS: Final[tuple[Reason, ...]] = (
    "unknown_key",
    "wrong_type",
    "bad_value",
    "hashed",
    "missing_required",
    "internal_error",
    "forbidden",
    "text_field",
    "unknown_metric",
    "not_mergeable",
    "max_bytes",
    "max_age",
    "memory_full",
    "not_encodable",
    "ended",
)
"""The members of `Reason`, in order."""

Exporter = Literal["otlp_proto_grpc", "otlp_proto_http", "otlp_json_http", "other"]
"""Closed values of `otel_incident.exporter`."""

EXPORTERS: Final[tuple[Exporter, ...]] = ("otlp_proto_grpc", "otlp_proto_http", "otlp_json_http", "other")
"""The members of `Exporter`, in order."""

Role = Literal["end_user", "system_admin"]
"""Closed values of `user.roles`."""

ROLES: Final[tuple[Role, ...]] = ("end_user", "system_admin")
"""The members of `Role`, in order."""

Rule = Literal["id", "uid", "timestamp", "count", "seconds", "flag", "enum", "enum_list", "version", "hash"]
"""What a value must look like to leave."""

Identifies = Literal["installation", "nobody", "person"]
"""Whom a value can identify; `person` means a pseudonym that the receiver cannot resolve by itself."""

Requirement = Literal["required", "conditionally_required", "recommended", "opt_in"]
"""Requirement level of an attribute on a signal, as in the semantic conventions."""


class Attribute(NamedTuple):
    """An attribute that can leave: its type on the wire, its rule, and why it is collected."""

    name: str
    type: str
    rule: Rule
    members: tuple[str, ...]
    seed_name: str
    brief: str
    why: str
    identifies: Identifies


class Event(NamedTuple):
    """An event, and the attributes that it may carry with their requirement levels."""

    name: str
    action: Action
    seed_name: str
    brief: str
    attributes: dict[str, Requirement]


class Metric(NamedTuple):
    """A metric, and the attributes that its data points may carry with their requirement levels."""

    name: str
    instrument: str
    unit: str
    brief: str
    value_type: Literal["int", "double"]
    attributes: dict[str, Requirement]
    why: str


EVENT_INCIDENT_CREATE: Final = "incident.create"
"""An incident was created.

Seed: `create`.
"""

EVENT_INCIDENT_END: Final = "incident.end"
"""An incident was ended.

Seed: `end`.
"""

EVENT_INCIDENT_RESTART: Final = "incident.restart"
"""An incident that had been ended was made active again.

Seed: `restart`.
"""

EVENT_INCIDENT_CHANGE_COMMANDER: Final = "incident.change_commander"
"""Another person became the commander of an incident.

Seed: `change_commander`.
"""

EVENT_INCIDENT_CHANGE_STAGE: Final = "incident.change_stage"
"""An incident moved to another stage.

Seed: `change_stage`.
"""

METRIC_INCIDENT_EVENTS: Final = "incident.events"
"""Number of incident events.

Type: counter, int. Unit: `{event}`.
"""

METRIC_INCIDENT_DURATION: Final = "incident.duration"
"""Duration of incidents, from creation to end.

Type: histogram, double. Unit: `s`.
"""

METRIC_OTEL_INCIDENT_POLICY_AUDITED: Final = "otel_incident.policy.audited"
"""Number of attributes, fields and records that the gate would have taken out if it were strict.

Type: counter, int. Unit: `{drop}`.
"""

METRIC_OTEL_INCIDENT_POLICY_DROPPED: Final = "otel_incident.policy.dropped"
"""Number of attributes, fields and records that the policy took out or replaced by a hash.

Type: counter, int. Unit: `{drop}`.
"""

METRIC_OTEL_INCIDENT_SPOOL_WAITING: Final = "otel_incident.spool.waiting"
"""How much waits to be delivered, on disk and in memory.

Type: updowncounter, int. Unit: `By`.
"""

METRIC_OTEL_INCIDENT_SPOOL_OLDEST_AGE: Final = "otel_incident.spool.oldest_age"
"""How long the oldest record that waits has been waiting; zero if none does.

Type: gauge, double. Unit: `s`.
"""

METRIC_OTEL_INCIDENT_SPOOL_DELIVERED: Final = "otel_incident.spool.delivered"
"""Number of log records that the endpoint has taken.

Type: counter, int. Unit: `{record}`.
"""

METRIC_OTEL_INCIDENT_SPOOL_REJECTED: Final = "otel_incident.spool.rejected"
"""Number of delivered log records that the endpoint has refused in a partial success.

Type: counter, int. Unit: `{record}`.
"""

METRIC_OTEL_INCIDENT_SPOOL_RETRIED: Final = "otel_incident.spool.retried"
"""Number of attempts to deliver that were not the first.

Type: counter, int. Unit: `{attempt}`.
"""

METRIC_OTEL_INCIDENT_SPOOL_QUARANTINED: Final = "otel_incident.spool.quarantined"
"""Number of log records set aside because they can never be delivered.

Type: counter, int. Unit: `{record}`.
"""

METRIC_OTEL_INCIDENT_SPOOL_DROPPED: Final = "otel_incident.spool.dropped"
"""Number of log records that no exporter or not every one had delivered when they went.

Type: counter, int. Unit: `{record}`.
"""

INCIDENT_ID: Final = "incident.id"
"""Unique identifier of the incident.

Type: string, rule `id`. Seed: `incidentID`.
"""

INCIDENT_ACTIVE: Final = "incident.active"
"""Whether the incident is active once the event has happened.

Type: boolean, rule `flag`. Seed: `IsActive`.
"""

INCIDENT_COMMANDER_ID: Final = "incident.commander.id"
"""Unique identifier of the commander of the incident.

Type: string, rule `id`. Seed: `CommanderUserID`.
"""

INCIDENT_TEAM_ID: Final = "incident.team.id"
"""Unique identifier of the team that the incident belongs to.

Type: string, rule `id`. Seed: `TeamID`.
"""

INCIDENT_CREATED_AT: Final = "incident.created_at"
"""When the incident was created, in ISO 8601, UTC, with milliseconds.

Type: string, rule `timestamp`. Seed: `CreatedAt`.
"""

INCIDENT_POST_ID: Final = "incident.post.id"
"""Unique identifier of the post from which the incident was created.

Type: string, rule `id`. Seed: `PostID`.
"""

INCIDENT_CHECKLIST_COUNT: Final = "incident.checklist.count"
"""Number of checklists, or stages, of the incident.

Type: int, rule `count`. Seed: `NumChecklists`.
"""

INCIDENT_CHECKLIST_ITEM_COUNT: Final = "incident.checklist.item.count"
"""Number of checklist items that the incident starts with.

Type: int, rule `count`. Seed: `TotalChecklistItems`.
"""

INCIDENT_STAGE_INDEX: Final = "incident.stage.index"
"""Position of the stage that the incident has moved to, counted from zero.

Type: int, rule `count`. Seed: `ActiveStage`.
"""

INCIDENT_PUBLIC: Final = "incident.public"
"""Whether the incident was created open to everyone in its team.

Type: boolean, rule `flag`. Seed: `public`.
"""

INCIDENT_ACTION: Final = "incident.action"
"""What happened to the incident.

Type: string, rule `enum`. Seed: `actionCreate, actionEnd, actionRestart, actionChangeCommander,
actionChangeStage`.
"""

INCIDENT_DURATION: Final = "incident.duration"
"""Seconds from the creation of the incident to its end.

Type: double, rule `seconds`.
"""

INCIDENT_DIAGNOSTIC_ID: Final = "incident.diagnostic.id"
"""Unique identifier of the installation, kept across restarts.

Type: string, rule `id`. Seed: `diagnosticID`.
"""

INCIDENT_SERVER_VERSION: Final = "incident.server.version"
"""Version of the incident-management software.

Type: string, rule `version`. Seed: `serverVersion`.
"""

INCIDENT_PLUGIN_VERSION: Final = "incident.plugin.version"
"""Version of the plugin that emits the events.

Type: string, rule `version`. Seed: `pluginVersion`.
"""

INCIDENT_LICENSE_ID: Final = "incident.license.id"
"""Identifier of the license of the incident-management software.

Type: string, rule `id`. Seed: `license`.
"""

OTEL_INCIDENT_SIGNAL: Final = "otel_incident.signal"
"""The signal from which the policy took something out or hashed it.

Type: string, rule `enum`.
"""

OTEL_INCIDENT_REASON: Final = "otel_incident.reason"
"""Why the policy took something out or hashed it, or the spool dropped it.

Type: string, rule `enum`.
"""

OTEL_INCIDENT_EXPORTER: Final = "otel_incident.exporter"
"""The kind of exporter that the records are for.

Type: string, rule `enum`.
"""

OTEL_INCIDENT_RULE: Final = "otel_incident.rule"
"""The rule by which the policy took something out or hashed it.

Type: string, rule `enum`.
"""

LOG_RECORD_UID: Final = "log.record.uid"
"""Unique identifier of the event. Records with the same one are the same event.

Type: string, rule `uid`.
"""

USER_ID: Final = "user.id"
"""Unique identifier of the user who caused the event.

Type: string, rule `id`. Seed: `UserActualId`.
"""

USER_HASH: Final = "user.hash"
"""Keyed hash of the identifier of the user who caused the event.

Type: string, rule `hash`. Seed: `UserActualId`.
"""

USER_ROLES: Final = "user.roles"
"""Whether the user who caused the event is an end user, a system administrator, or both.

Type: string[], rule `enum_list`. Seed: `end users and System Admins`.
"""

SERVICE_VERSION: Final = "service.version"
"""Version of the incident-management software, unless the operator has set another one.

Type: string, rule `version`. Seed: `serverVersion`.
"""

ATTRIBUTES: Final[dict[str, Attribute]] = {
    INCIDENT_ID: Attribute(
        name=INCIDENT_ID,
        type="string",
        rule="id",
        members=(),
        seed_name="incidentID",
        brief="Unique identifier of the incident.",
        why="Groups the events of one incident, so that its course can be followed.",
        identifies="nobody",
    ),
    INCIDENT_ACTIVE: Attribute(
        name=INCIDENT_ACTIVE,
        type="boolean",
        rule="flag",
        members=(),
        seed_name="IsActive",
        brief="Whether the incident is active once the event has happened.",
        why="Tells open incidents from closed ones without replaying their history.",
        identifies="nobody",
    ),
    INCIDENT_COMMANDER_ID: Attribute(
        name=INCIDENT_COMMANDER_ID,
        type="string",
        rule="id",
        members=(),
        seed_name="CommanderUserID",
        brief="Unique identifier of the commander of the incident.",
        why="Counts how many people lead incidents and how often the lead is handed over.",
        identifies="person",
    ),
    INCIDENT_TEAM_ID: Attribute(
        name=INCIDENT_TEAM_ID,
        type="string",
        rule="id",
        members=(),
        seed_name="TeamID",
        brief="Unique identifier of the team that the incident belongs to.",
        why="Shows whether one team or many work with incidents.",
        identifies="nobody",
    ),
    INCIDENT_CREATED_AT: Attribute(
        name=INCIDENT_CREATED_AT,
        type="string",
        rule="timestamp",
        members=(),
        seed_name="CreatedAt",
        brief="When the incident was created, in ISO 8601, UTC, with milliseconds.",
        why="Gives the age of an incident on every one of its events.",
        identifies="nobody",
    ),
    INCIDENT_POST_ID: Attribute(
        name=INCIDENT_POST_ID,
        type="string",
        rule="id",
        members=(),
        seed_name="PostID",
        brief="Unique identifier of the post from which the incident was created.",
        why="Shows how often an incident begins with a message instead of a form.",
        identifies="nobody",
    ),
    INCIDENT_CHECKLIST_COUNT: Attribute(
        name=INCIDENT_CHECKLIST_COUNT,
        type="int",
        rule="count",
        members=(),
        seed_name="NumChecklists",
        brief="Number of checklists, or stages, of the incident.",
        why="Shows how far incidents are structured into stages.",
        identifies="nobody",
    ),
    INCIDENT_CHECKLIST_ITEM_COUNT: Attribute(
        name=INCIDENT_CHECKLIST_ITEM_COUNT,
        type="int",
        rule="count",
        members=(),
        seed_name="TotalChecklistItems",
        brief="Number of checklist items that the incident starts with.",
        why="Shows how much work is prepared before an incident begins.",
        identifies="nobody",
    ),
    INCIDENT_STAGE_INDEX: Attribute(
        name=INCIDENT_STAGE_INDEX,
        type="int",
        rule="count",
        members=(),
        seed_name="ActiveStage",
        brief="Position of the stage that the incident has moved to, counted from zero.",
        why="Shows how far incidents get, without the name of the stage.",
        identifies="nobody",
    ),
    INCIDENT_PUBLIC: Attribute(
        name=INCIDENT_PUBLIC,
        type="boolean",
        rule="flag",
        members=(),
        seed_name="public",
        brief="Whether the incident was created open to everyone in its team.",
        why="Shows how often incidents are handled in the open.",
        identifies="nobody",
    ),
    INCIDENT_ACTION: Attribute(
        name=INCIDENT_ACTION,
        type="string",
        rule="enum",
        members=("create", "end", "restart", "change_commander", "change_stage"),
        seed_name="actionCreate, actionEnd, actionRestart, actionChangeCommander, actionChangeStage",
        brief="What happened to the incident.",
        why="Counts what is done with incidents, on backends that group by attribute and in the metric.",
        identifies="nobody",
    ),
    INCIDENT_DURATION: Attribute(
        name=INCIDENT_DURATION,
        type="double",
        rule="seconds",
        members=(),
        seed_name="",
        brief="Seconds from the creation of the incident to its end.",
        why="Answers how long incidents last without joining two events.",
        identifies="nobody",
    ),
    INCIDENT_DIAGNOSTIC_ID: Attribute(
        name=INCIDENT_DIAGNOSTIC_ID,
        type="string",
        rule="id",
        members=(),
        seed_name="diagnosticID",
        brief="Unique identifier of the installation, kept across restarts.",
        why="Groups events by installation.",
        identifies="installation",
    ),
    INCIDENT_SERVER_VERSION: Attribute(
        name=INCIDENT_SERVER_VERSION,
        type="string",
        rule="version",
        members=(),
        seed_name="serverVersion",
        brief="Version of the incident-management software.",
        why="Shows which versions of the host are in use and whether an effect came with one of them.",
        identifies="nobody",
    ),
    INCIDENT_PLUGIN_VERSION: Attribute(
        name=INCIDENT_PLUGIN_VERSION,
        type="string",
        rule="version",
        members=(),
        seed_name="pluginVersion",
        brief="Version of the plugin that emits the events.",
        why="Shows which vocabulary and which behaviour to expect of an installation.",
        identifies="nobody",
    ),
    INCIDENT_LICENSE_ID: Attribute(
        name=INCIDENT_LICENSE_ID,
        type="string",
        rule="id",
        members=(),
        seed_name="license",
        brief="Identifier of the license of the incident-management software.",
        why="Lets the issuer of a license group its installations.",
        identifies="installation",
    ),
    OTEL_INCIDENT_SIGNAL: Attribute(
        name=OTEL_INCIDENT_SIGNAL,
        type="string",
        rule="enum",
        members=("logs", "spans", "metrics"),
        seed_name="",
        brief="The signal from which the policy took something out or hashed it.",
        why="Shows on which signal something was taken out.",
        identifies="nobody",
    ),
    OTEL_INCIDENT_REASON: Attribute(
        name=OTEL_INCIDENT_REASON,
        type="string",
        rule="enum",
        members=(
            "unknown_key",
            "wrong_type",
            "bad_value",
            "hashed",
            "missing_required",
            "internal_error",
            "forbidden",
            "text_field",
            "unknown_metric",
            "not_mergeable",
            "max_bytes",
            "max_age",
            "memory_full",
            "not_encodable",
            "ended",
        ),
        seed_name="",
        brief="Why the policy took something out or hashed it, or the spool dropped it.",
        why="Tells a host that sends content from one that sends a wrong type, and both from a full spool.",
        identifies="nobody",
    ),
    OTEL_INCIDENT_EXPORTER: Attribute(
        name=OTEL_INCIDENT_EXPORTER,
        type="string",
        rule="enum",
        members=("otlp_proto_grpc", "otlp_proto_http", "otlp_json_http", "other"),
        seed_name="",
        brief="The kind of exporter that the records are for.",
        why="Tells the exporter that is down from the one that delivers.",
        identifies="nobody",
    ),
    OTEL_INCIDENT_RULE: Attribute(
        name=OTEL_INCIDENT_RULE,
        type="string",
        rule="enum",
        members=(
            "id",
            "uid",
            "timestamp",
            "count",
            "seconds",
            "flag",
            "enum",
            "enum_list",
            "version",
            "hash",
            "profile",
            "none",
        ),
        seed_name="",
        brief="The rule by which the policy took something out or hashed it.",
        why="Names the rule that refused, never the key or the value that was refused.",
        identifies="nobody",
    ),
    LOG_RECORD_UID: Attribute(
        name=LOG_RECORD_UID,
        type="string",
        rule="uid",
        members=(),
        seed_name="",
        brief="Unique identifier of the event. Records with the same one are the same event.",
        why="Makes duplicates recognisable where an event was delivered twice.",
        identifies="nobody",
    ),
    USER_ID: Attribute(
        name=USER_ID,
        type="string",
        rule="id",
        members=(),
        seed_name="UserActualId",
        brief="Unique identifier of the user who caused the event.",
        why="Counts how many people work with incidents; used only in sums and groups.",
        identifies="person",
    ),
    USER_HASH: Attribute(
        name=USER_HASH,
        type="string",
        rule="hash",
        members=(),
        seed_name="UserActualId",
        brief="Keyed hash of the identifier of the user who caused the event.",
        why="Counts people where an id would tell a name.",
        identifies="person",
    ),
    USER_ROLES: Attribute(
        name=USER_ROLES,
        type="string[]",
        rule="enum_list",
        members=("end_user", "system_admin"),
        seed_name="end users and System Admins",
        brief="Whether the user who caused the event is an end user, a system administrator, or both.",
        why="Tells the work of administrators from that of everybody else.",
        identifies="nobody",
    ),
    SERVICE_VERSION: Attribute(
        name=SERVICE_VERSION,
        type="string",
        rule="version",
        members=(),
        seed_name="serverVersion",
        brief="Version of the incident-management software, unless the operator has set another one.",
        why="Lets backends that know the conventions group by version.",
        identifies="nobody",
    ),
}
"""Every attribute that can leave on an event, the resource or a metric of ours, by name."""

EVENTS: Final[dict[str, Event]] = {
    EVENT_INCIDENT_CREATE: Event(
        name=EVENT_INCIDENT_CREATE,
        action="create",
        seed_name="create",
        brief="An incident was created.",
        attributes={
            INCIDENT_ID: "required",
            INCIDENT_ACTION: "required",
            LOG_RECORD_UID: "required",
            INCIDENT_ACTIVE: "recommended",
            INCIDENT_COMMANDER_ID: "recommended",
            INCIDENT_TEAM_ID: "recommended",
            INCIDENT_CREATED_AT: "recommended",
            INCIDENT_POST_ID: "conditionally_required",
            INCIDENT_CHECKLIST_COUNT: "recommended",
            INCIDENT_CHECKLIST_ITEM_COUNT: "recommended",
            USER_ID: "recommended",
            USER_HASH: "conditionally_required",
            USER_ROLES: "recommended",
            INCIDENT_PUBLIC: "conditionally_required",
        },
    ),
    EVENT_INCIDENT_END: Event(
        name=EVENT_INCIDENT_END,
        action="end",
        seed_name="end",
        brief="An incident was ended.",
        attributes={
            INCIDENT_ID: "required",
            INCIDENT_ACTION: "required",
            LOG_RECORD_UID: "required",
            INCIDENT_ACTIVE: "recommended",
            INCIDENT_COMMANDER_ID: "recommended",
            INCIDENT_TEAM_ID: "recommended",
            INCIDENT_CREATED_AT: "recommended",
            INCIDENT_POST_ID: "conditionally_required",
            INCIDENT_CHECKLIST_COUNT: "recommended",
            INCIDENT_CHECKLIST_ITEM_COUNT: "recommended",
            USER_ID: "recommended",
            USER_HASH: "conditionally_required",
            USER_ROLES: "recommended",
            INCIDENT_DURATION: "conditionally_required",
        },
    ),
    EVENT_INCIDENT_RESTART: Event(
        name=EVENT_INCIDENT_RESTART,
        action="restart",
        seed_name="restart",
        brief="An incident that had been ended was made active again.",
        attributes={
            INCIDENT_ID: "required",
            INCIDENT_ACTION: "required",
            LOG_RECORD_UID: "required",
            INCIDENT_ACTIVE: "recommended",
            INCIDENT_COMMANDER_ID: "recommended",
            INCIDENT_TEAM_ID: "recommended",
            INCIDENT_CREATED_AT: "recommended",
            INCIDENT_POST_ID: "conditionally_required",
            INCIDENT_CHECKLIST_COUNT: "recommended",
            INCIDENT_CHECKLIST_ITEM_COUNT: "recommended",
            USER_ID: "recommended",
            USER_HASH: "conditionally_required",
            USER_ROLES: "recommended",
        },
    ),
    EVENT_INCIDENT_CHANGE_COMMANDER: Event(
        name=EVENT_INCIDENT_CHANGE_COMMANDER,
        action="change_commander",
        seed_name="change_commander",
        brief="Another person became the commander of an incident.",
        attributes={
            INCIDENT_ID: "required",
            INCIDENT_ACTION: "required",
            LOG_RECORD_UID: "required",
            INCIDENT_ACTIVE: "recommended",
            INCIDENT_COMMANDER_ID: "recommended",
            INCIDENT_TEAM_ID: "recommended",
            INCIDENT_CREATED_AT: "recommended",
            INCIDENT_POST_ID: "conditionally_required",
            INCIDENT_CHECKLIST_COUNT: "recommended",
            INCIDENT_CHECKLIST_ITEM_COUNT: "recommended",
            USER_ID: "recommended",
            USER_HASH: "conditionally_required",
            USER_ROLES: "recommended",
        },
    ),
    EVENT_INCIDENT_CHANGE_STAGE: Event(
        name=EVENT_INCIDENT_CHANGE_STAGE,
        action="change_stage",
        seed_name="change_stage",
        brief="An incident moved to another stage.",
        attributes={
            INCIDENT_ID: "required",
            INCIDENT_ACTION: "required",
            LOG_RECORD_UID: "required",
            INCIDENT_ACTIVE: "recommended",
            INCIDENT_COMMANDER_ID: "recommended",
            INCIDENT_TEAM_ID: "recommended",
            INCIDENT_CREATED_AT: "recommended",
            INCIDENT_POST_ID: "conditionally_required",
            INCIDENT_CHECKLIST_COUNT: "recommended",
            INCIDENT_CHECKLIST_ITEM_COUNT: "recommended",
            USER_ID: "recommended",
            USER_HASH: "conditionally_required",
            USER_ROLES: "recommended",
            INCIDENT_STAGE_INDEX: "conditionally_required",
        },
    ),
}
"""Every event, by name."""

METRICS: Final[dict[str, Metric]] = {
    METRIC_INCIDENT_EVENTS: Metric(
        name=METRIC_INCIDENT_EVENTS,
        instrument="counter",
        unit="{event}",
        brief="Number of incident events.",
        value_type="int",
        attributes={
            INCIDENT_ACTION: "required",
        },
        why="Shows how often incidents are created and ended without reading any event.",
    ),
    METRIC_INCIDENT_DURATION: Metric(
        name=METRIC_INCIDENT_DURATION,
        instrument="histogram",
        unit="s",
        brief="Duration of incidents, from creation to end.",
        value_type="double",
        attributes={},
        why="Shows how long incidents last without reading any event.",
    ),
    METRIC_OTEL_INCIDENT_POLICY_AUDITED: Metric(
        name=METRIC_OTEL_INCIDENT_POLICY_AUDITED,
        instrument="counter",
        unit="{drop}",
        brief=(
            "Number of attributes, fields and records that the gate would have taken out if it were strict."
        ),
        value_type="int",
        attributes={
            OTEL_INCIDENT_SIGNAL: "required",
            OTEL_INCIDENT_REASON: "required",
            OTEL_INCIDENT_RULE: "required",
        },
        why="Lets an operator look at what strict would cost before switching to it.",
    ),
    METRIC_OTEL_INCIDENT_POLICY_DROPPED: Metric(
        name=METRIC_OTEL_INCIDENT_POLICY_DROPPED,
        instrument="counter",
        unit="{drop}",
        brief="Number of attributes, fields and records that the policy took out or replaced by a hash.",
        value_type="int",
        attributes={
            OTEL_INCIDENT_SIGNAL: "required",
            OTEL_INCIDENT_REASON: "required",
            OTEL_INCIDENT_RULE: "required",
        },
        why="Shows an operator that something was held back and by which rule.",
    ),
    METRIC_OTEL_INCIDENT_SPOOL_WAITING: Metric(
        name=METRIC_OTEL_INCIDENT_SPOOL_WAITING,
        instrument="updowncounter",
        unit="By",
        brief="How much waits to be delivered, on disk and in memory.",
        value_type="int",
        attributes={
            OTEL_INCIDENT_EXPORTER: "required",
        },
        why="Shows that an endpoint does not take what is sent.",
    ),
    METRIC_OTEL_INCIDENT_SPOOL_OLDEST_AGE: Metric(
        name=METRIC_OTEL_INCIDENT_SPOOL_OLDEST_AGE,
        instrument="gauge",
        unit="s",
        brief="How long the oldest record that waits has been waiting; zero if none does.",
        value_type="double",
        attributes={
            OTEL_INCIDENT_EXPORTER: "required",
        },
        why="Tells an endpoint that is slow from one that is down.",
    ),
    METRIC_OTEL_INCIDENT_SPOOL_DELIVERED: Metric(
        name=METRIC_OTEL_INCIDENT_SPOOL_DELIVERED,
        instrument="counter",
        unit="{record}",
        brief="Number of log records that the endpoint has taken.",
        value_type="int",
        attributes={
            OTEL_INCIDENT_EXPORTER: "required",
        },
        why="Shows that events arrive.",
    ),
    METRIC_OTEL_INCIDENT_SPOOL_REJECTED: Metric(
        name=METRIC_OTEL_INCIDENT_SPOOL_REJECTED,
        instrument="counter",
        unit="{record}",
        brief="Number of delivered log records that the endpoint has refused in a partial success.",
        value_type="int",
        attributes={
            OTEL_INCIDENT_EXPORTER: "required",
        },
        why="Shows that an endpoint takes events and throws them away.",
    ),
    METRIC_OTEL_INCIDENT_SPOOL_RETRIED: Metric(
        name=METRIC_OTEL_INCIDENT_SPOOL_RETRIED,
        instrument="counter",
        unit="{attempt}",
        brief="Number of attempts to deliver that were not the first.",
        value_type="int",
        attributes={
            OTEL_INCIDENT_EXPORTER: "required",
        },
        why="Shows that an endpoint is unreliable before anything waits for long.",
    ),
    METRIC_OTEL_INCIDENT_SPOOL_QUARANTINED: Metric(
        name=METRIC_OTEL_INCIDENT_SPOOL_QUARANTINED,
        instrument="counter",
        unit="{record}",
        brief="Number of log records set aside because they can never be delivered.",
        value_type="int",
        attributes={
            OTEL_INCIDENT_EXPORTER: "required",
        },
        why="Shows that a person has to decide what becomes of events.",
    ),
    METRIC_OTEL_INCIDENT_SPOOL_DROPPED: Metric(
        name=METRIC_OTEL_INCIDENT_SPOOL_DROPPED,
        instrument="counter",
        unit="{record}",
        brief="Number of log records that no exporter or not every one had delivered when they went.",
        value_type="int",
        attributes={
            OTEL_INCIDENT_REASON: "required",
        },
        why="Shows that events were lost and by which bound.",
    ),
}
"""Every metric, by name."""

RESOURCE: Final[dict[str, Requirement]] = {
    INCIDENT_DIAGNOSTIC_ID: "required",
    INCIDENT_SERVER_VERSION: "recommended",
    INCIDENT_PLUGIN_VERSION: "recommended",
    INCIDENT_LICENSE_ID: "conditionally_required",
    SERVICE_VERSION: "recommended",
}
"""The attributes that we add to the resource of our own pipeline, with their requirement levels."""
