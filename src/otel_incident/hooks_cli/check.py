"""`otel-incident hooks check`: whether what hooks would watch is there, and whether they would see it called.

What is said of a hook is what the host would find in its log, since the same code says it. Beside that it is
looked at what the log cannot know: who has taken the function before the hook came, and which paths lead
nowhere. The order is the host's under `opentelemetry-instrument`: the hooks first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_incident.hooks.file_complaints import about_distribution, about_hooks, about_version
from otel_incident.hooks_cli.findings import subjects_of
from otel_incident.hooks_cli.words import wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_incident.errors import HookFileError
    from otel_incident.hooks.definitions import HookFile
    from otel_incident.hooks_cli.findings import Finding

_WIDTH = 18  # of the longest verdict


def check(files: Sequence[HookFile], *, importing: bool) -> list[Finding]:
    """What each hook would watch here.

    Args:
        files: The hook files.
        importing: Whether the host's modules may be imported.
    """
    subjects = [subject for file in files for subject in subjects_of(file)]
    if importing:
        from otel_incident.hooks_cli.importing import look  # noqa: PLC0415  loads what hooks need

        return look(subjects)
    from otel_incident.hooks_cli.reading import read  # noqa: PLC0415  one of two ways

    return [read(subject) for subject in subjects]


def of_file(file: HookFile) -> list[str]:
    """What is wrong with a file as a whole: sentences without the full stop.

    Args:
        file: The file.
    """
    return [said for said in (about_hooks(file), about_distribution(file), about_version(file)) if said]


def as_data(
    files: Sequence[HookFile], findings: Sequence[Finding], refused: Sequence[HookFileError]
) -> dict[str, Any]:
    """The findings as plain data."""
    return {
        "refused": [{"file": each.file, "reason": str(each)} for each in refused],
        "files": [{"file": each.source, "preset": each.preset, "notes": of_file(each)} for each in files],
        "found": [
            {
                "file": each.subject.file.source,
                "preset": each.subject.file.preset,
                "hooks": [*each.subject.hooks],
                "kind": each.subject.kind,
                "target": each.subject.target,
                "verdict": each.verdict,
                "notes": [*each.notes],
            }
            for each in findings
        ],
    }


def as_text(files: Sequence[HookFile], findings: Sequence[Finding]) -> str:
    """The findings for a person to read."""
    lines: list[str] = []
    for file in files:
        lines.append(file.source)
        lines += [line for note in of_file(file) for line in wrapped(f"{note}.", indent="  ")]
        for each in findings:
            if each.subject.file.source != file.source:
                continue
            lines.append(
                f"  {each.verdict:<{_WIDTH}}  {', '.join(each.subject.hooks)}: {each.subject.target}"
            )
            lines += [line for note in each.notes for line in wrapped(f"{note}.", indent=" " * 6)]
    return "\n".join(lines)
