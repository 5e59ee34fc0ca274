"""Ways to break each rule of the registry: which text to replace, and what the rules must then say.

Data beside `test_registry`, so that a new rule is a new line here; a test there fails for a rule without one.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Breach(NamedTuple):
    """Replace `old` by `new` in a file; a finding must then name `item` and say `words`."""

    file: str
    old: str
    new: str
    item: str
    words: str


A: Final = "registry/attributes.yaml"
S: Final = "registry/signals.yaml"
M: Final = "registry/manifest.yaml"
STUB: Final = "registry-upstream/attributes.yaml"
FILE: Final = "the file itself"
COMMON: Final = "attributes.incident.common"
SERVER: Final = "incident.installation"

# Pieces of the files above.
PUBLIC: Final = "key: incident.public\n"
PUBLIC_TYPE: Final = f"{PUBLIC}    type: boolean\n"
STABLE: Final = "    stability: development\n"
LEVEL: Final = "    requirement_level: recommended\n"
END: Final = "brief: An incident was ended.\n"
CREATED: Final = "brief: The incident is created.\n"
FLAG: Final = "identifies: nobody\n        rule: flag\n"
PUBLIC_REF: Final = """      - ref: incident.public
        requirement_level:
          conditionally_required: If the host says whether the incident is public.
"""
ID: Final = "      - ref: incident.id\n"
REQUIRED: Final = "        requirement_level: required\n"
ACTION: Final = "      - ref: incident.action\n"
VERSION_REF: Final = "      - ref: incident.server.version\n        requirement_level: recommended\n"
NAME_REF: Final = VERSION_REF.replace("incident.server.version", "service.name")
NOTES: Final = "        annotations: {otel_incident: {why: Twice., identifies: nobody, rule: version}}\n"
ROLES: Final = "members: [end_user, system_admin]"
STUB_PATH: Final = "registry_path: registry-upstream"

BREACHES: Final[dict[str, list[Breach]]] = {
    "unknown_property": [
        Breach(
            A, PUBLIC, f"{PUBLIC}    requirement_level: required\n", "incident.public", "`requirement_level`"
        ),
        Breach(S, ID + REQUIRED, f"{ID}{REQUIRED}        tag: x\n", COMMON, "`tag`"),
        Breach(A, "seed_name: IsActive", "seedname: IsActive", "incident.active", "`seedname`"),
        Breach(M, "stability:", "name: x\nstability:", FILE, "`name`"),
    ],
    "missing_property": [
        Breach(A, PUBLIC_TYPE + STABLE, PUBLIC_TYPE, "incident.public", "`stability`"),
        Breach(A, f"{CREATED}      {STABLE}", CREATED, "incident.action", "`stability`"),
        Breach(A, "        why: Groups events by installation.\n", "", "incident.diagnostic.id", "`why`"),
        Breach(S, ID + REQUIRED, ID, COMMON, "`requirement_level`"),
        Breach(S, END + STABLE + LEVEL, END + STABLE, "incident.end", "`requirement_level`"),
        Breach(S, END + STABLE + LEVEL, END + LEVEL, "incident.end", "`stability`"),
        Breach(STUB, "    brief: Logical name of the service.\n", "", "service.name", "`brief`"),
    ],
    "wrong_value": [
        Breach(S, ID + REQUIRED, f"{ID}        requirement_level: mandatory\n", COMMON, "`mandatory`"),
        Breach(S, "If it is known when the incident was created.", "''", "incident.end", "not empty"),
        Breach(A, PUBLIC_TYPE, f"{PUBLIC}    type: bool\n", "incident.public", "`bool`"),
        Breach(
            A, "identifies: installation", "identifies: everybody", "incident.diagnostic.id", "`everybody`"
        ),
        Breach(S, "instrument: histogram", "instrument: chart", "incident.duration", "`chart`"),
        Breach(A, "file_format: definition/2", "file_format: definition/1", FILE, "`definition/1`"),
        Breach(S, "[incident.installation]", "incident.installation", "incident.create", "a list"),
        Breach(A, "examples: [3]", "examples: 3", "incident.checklist.count", "list"),
        Breach(
            S, "[incident.installation]\n\n# No", "[incident.installation]\n  - 3\n\n# No", FILE, "mapping"
        ),
    ],
    "schema_url_has_a_version": [Breach(M, "schemas/0.1.0", "schemas/latest", FILE, "schemas/latest")],
    "stub_is_outside": [
        Breach(M, STUB_PATH, "registry_path: registry/upstream", FILE, "inside"),
        Breach(M, STUB_PATH, "registry_path: nowhere", FILE, "manifest.yaml"),
    ],
    "name_grammar": [
        Breach(A, PUBLIC, "key: incident.isPublic\n", "incident.isPublic", "a-z"),
        Breach(A, PUBLIC, "key: incident..public\n", "incident..public", "single"),
        Breach(A, PUBLIC, "key: public\n", "public", "namespace"),
        Breach(S, "name: incident.end\n", "name: incident.end-all\n", "incident.end-all", "a-z"),
    ],
    "name_is_unique": [
        Breach(A, PUBLIC, "key: incident.active\n", "incident.active", "more than once"),
        Breach(S, "name: incident.end\n", "name: incident.create\n", "incident.create", "more than once"),
        Breach(A, PUBLIC, "key: user.id\n", "user.id", "upstream"),
    ],
    "name_is_no_namespace": [
        Breach(A, PUBLIC, "key: incident.checklist\n", "incident.checklist", "`incident.checklist.count`"),
        Breach(A, PUBLIC, "key: user\n", "user", "`user.hash`"),
        Breach(
            S, "name: incident.events\n", "name: otel_incident.policy\n", "otel_incident.policy", "audited`"
        ),
    ],
    "constant_is_unique": [
        Breach(A, PUBLIC, "key: incident.team_id\n", "incident.team_id", "INCIDENT_TEAM_ID"),
    ],
    "brief_ends_with_full_stop": [
        Breach(A, "What happened to the incident.", "What happened", "incident.action", "the brief does"),
        Breach(A, "brief: The incident is ended.", "brief: Ended", "incident.action", "`end`"),
        Breach(S, "brief: An incident was ended.", "brief: Ended", "incident.end", "the brief does"),
        Breach(S, "If the operator has set it.", "If set", SERVER, "condition of the ref"),
        Breach(S, "A pseudonym, not anonymity.", "A pseudonym", COMMON, "note of the ref"),
        Breach(A, "why: Groups events by installation.", "why: Groups", "incident.diagnostic.id", "the why"),
    ],
    "import_resolves": [Breach(S, "- registry.user\n", "- registry.users\n", "registry.users", "stub")],
    "ref_resolves": [
        Breach(S, "- ref: incident.public\n", "- ref: incident.open\n", "incident.create", "`incident.open`"),
        Breach(S, "    - registry.user\n", "", COMMON, "`user.id`"),
        Breach(S, "- ref_group: attributes.incident.common", "- ref_group: all", "incident.create", "`all`"),
    ],
    "ref_is_unique": [Breach(S, ID + REQUIRED, (ID + REQUIRED) * 2, "incident.end", "`incident.id`")],
    "entity_association_resolves": [
        Breach(S, "[incident.installation]", "[incident.server]", "incident.create", "`incident.server`"),
    ],
    "attribute_is_used": [Breach(S, PUBLIC_REF, "", "incident.public", "no event")],
    "example_fits_type": [
        Breach(A, "examples: [3]", 'examples: ["3"]', "incident.checklist.count", "`3`"),
        Breach(A, "    examples: [5400.0]\n", "", "incident.duration", "no examples"),
        Breach(A, '["2020-09-13T12:26:40.000Z"]', "[2020-09-13T12:26:40Z]", "incident.created_at", "quote"),
        Breach(S, "          - [end_user]\n", "          - end_user\n", COMMON, "`end_user`"),
    ],
    "upstream_ref_is_explained_once": [
        Breach(S, VERSION_REF, VERSION_REF + NOTES, SERVER, "`incident.server.version`"),
        Breach(S, VERSION_REF, VERSION_REF + NAME_REF, SERVER, "`service.name` is annotated on 0 refs"),
    ],
    "rule_fits_type": [
        Breach(A, FLAG, FLAG.replace("flag", "count"), "incident.active", "boolean"),
        Breach(A, FLAG, FLAG.replace("flag", "text"), "incident.active", "`text`"),
        Breach(A, FLAG, f"{FLAG}        members: [yes_it_is]\n", "incident.active", "`members`"),
    ],
    "rule_attribute_lists_the_rules": [
        Breach(A, "{id: hash, value: hash,", "{id: sum, value: sum,", "otel_incident.rule", "hash, sum"),
    ],
    "member_is_well_formed": [
        Breach(A, "value: restart\n", "value: reopen\n", "incident.action", "`restart`"),
        Breach(S, ROLES, "members: [end_user, end_user]", "user.roles", "once"),
        Breach(S, ROLES, "members: [End User]", "user.roles", "lower case"),
    ],
    "alias_is_a_type_name": [
        Breach(S, "alias: Role", "alias: Event", "user.roles", "`Event`"),
        Breach(A, FLAG, f"{FLAG}        alias: Active\n", "incident.active", "closed list"),
    ],
    "event_says_its_action": [
        Breach(S, "action: restart}", "action: reopen}", "incident.restart", "`reopen`"),
        Breach(S, ACTION + REQUIRED, "", "incident.end", "alias: Action"),
        Breach(
            S, ACTION + REQUIRED, ACTION + REQUIRED.replace("required", "opt_in"), "incident.end", "require"
        ),
    ],
}
