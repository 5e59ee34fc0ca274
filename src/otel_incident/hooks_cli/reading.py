"""`hooks check --no-import`: what can be told of a target from its source, with nothing of the host's run.

What a decorator or an import makes of a name is not known here, and is said to be so.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_incident.hooks_cli.findings import Finding
from otel_incident.hooks_cli.parameters import Parameters, astray

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from otel_incident.hooks_cli.findings import Subject

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_Function = ast.FunctionDef | ast.AsyncFunctionDef
# Decorators that hand a function to a framework, which then calls it past any name: routes, tasks, receivers.
_REGISTERING: Final = frozenset(
    {
        "route",
        "get",
        "post",
        "put",
        "patch",
        "delete",
        "head",
        "options",
        "websocket",
        "api_route",
        "endpoint",
    }
    | {"task", "shared_task", "periodic_task", "actor", "job", "scheduled_job", "cron", "command", "group"}
    | {"receiver", "listens_for", "on_event", "subscribe", "consumer", "handler", "middleware", "register"}
    | {"before_request", "after_request", "errorhandler", "exception_handler"}
)
_IMPORT: Final = "run the check without --no-import to know"


def read(subject: Subject) -> Finding:
    """What its source says of a subject."""
    if not subject.module:
        return Finding(
            subject, "not checked", (f"Django knows its models only once it is set up: {_IMPORT}",)
        )
    from_here = str(Path.cwd())
    if from_here not in sys.path:
        sys.path.insert(0, from_here)
    try:
        path = _source(subject.module)
        if path is None:
            return Finding(subject, "missing", (f"there is no module {subject.module} in this environment",))
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError) as error:
        note = f"the source of {subject.module} cannot be read ({type(error).__name__}): {_IMPORT}"
        return Finding(subject, "not checked", (note,))
    return _in(tree, subject)


def _in(tree: ast.Module, subject: Subject) -> Finding:
    body: Iterable[ast.stmt] = tree.body
    found: _Definition | None = None
    *outer, last = subject.name.split(".")
    parent: ast.ClassDef | None = None
    for name in [*outer, last]:
        found = _defined(body, name)
        if found is None:
            return _undefined(subject, body, name, parent)
        if name != last:
            if not isinstance(found, ast.ClassDef):
                return Finding(subject, "missing", (f"{name} in {subject.target} is no class",))
            parent, body = found, found.body
    if isinstance(found, ast.ClassDef):
        if subject.kind == "model":
            return Finding(subject, "found", (f"whether SQLAlchemy maps it is not known: {_IMPORT}",))
        return Finding(
            subject, "missing", (f"{subject.target} is a class, not a function (its __init__ is one)",)
        )
    if subject.kind == "model":
        return Finding(subject, "missing", (f"{subject.target} is not a class",))
    assert found is not None  # noqa: S101  the loop has returned otherwise
    return _of_function(found, subject, in_class=parent is not None)


def _of_function(function: _Function, subject: Subject, *, in_class: bool) -> Finding:
    if _yields(function):
        note = f"{subject.target} is a generator function, which has done nothing when it returns"
        return Finding(subject, "missing", (note,))
    names = [name for each in function.decorator_list if (name := _called(each))]
    bound = in_class and "staticmethod" not in names
    arguments = function.args
    parameters = [each.arg for each in (*arguments.posonlyargs, *arguments.args)]
    parameters = parameters[1:] if bound else parameters
    for some in (arguments.vararg, *arguments.kwonlyargs, arguments.kwarg):
        parameters += [some.arg] if some is not None else []
    lost = astray(subject, Parameters(tuple(parameters), bound))
    taken = [name for name in names if name.rpartition(".")[2] in _REGISTERING]
    if taken:
        note = (
            f"{subject.target} is handed to a framework by @{taken[0]} before the hook can come: what is "
            "called "
            f"through that is not reported; name a function that it calls, or watch the model"
        )
        return Finding(subject, "captured too early", (note, *lost))
    return Finding(subject, "wrong path" if lost else "found", tuple(lost))


def _undefined(subject: Subject, body: Iterable[ast.stmt], name: str, parent: ast.ClassDef | None) -> Finding:
    """What is to be said of a name that is not defined where it should be, but may come from elsewhere."""
    if parent is not None and parent.bases:
        note = f"{name} is not in the class {parent.name} itself, and may be inherited: {_IMPORT}"
        return Finding(subject, "not checked", (note,))
    if name in _bound(body) or "*" in _bound(body):
        note = f"{name} in {subject.module} is an import or a value: {_IMPORT}"
        return Finding(subject, "not checked", (note,))
    return Finding(subject, "missing", (f"{subject.target} does not exist",))


def _source(module: str) -> Path | None:
    """The file of a module, found without an import of its packages; None where there is none.

    Raises:
        OSError: It has no source that can be read.
    """
    top, *rest = module.split(".")
    spec = importlib.util.find_spec(top)
    name = top
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        name, places = f"{name}.{part}", list(spec.submodule_search_locations)
        finders = (getattr(finder, "find_spec", None) for finder in sys.meta_path)
        spec = next((found for find in finders if find is not None and (found := find(name, places))), None)
    if spec is None:
        return None
    if spec.origin is None or not spec.origin.endswith(".py"):
        raise OSError
    return Path(spec.origin)


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a body, and of what is in an `if`, a `try` or a `with`."""
    for each in body:
        yield each
        if isinstance(each, ast.If | ast.Try | ast.With):
            for name in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(each, name, []))
            for handler in getattr(each, "handlers", []):
                yield from _statements(handler.body)


def _defined(body: Iterable[ast.stmt], name: str) -> _Definition | None:
    found = [each for each in _statements(body) if isinstance(each, _Definition) and each.name == name]
    return found[-1] if found else None


def _bound(body: Iterable[ast.stmt]) -> set[str]:
    """The names that imports and assignments of a body give."""
    names: set[str] = set()
    for each in _statements(body):
        if isinstance(each, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.partition(".")[0] for alias in each.names}
        elif isinstance(each, ast.Assign | ast.AnnAssign):
            targets = each.targets if isinstance(each, ast.Assign) else [each.target]
            names |= {
                name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)
            }
    return names


def _yields(function: _Function) -> bool:
    """Whether it is a generator function: what is defined in it does not count."""
    left: list[ast.AST] = [*function.body]
    while left:
        each = left.pop()
        if isinstance(each, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(each, _Definition | ast.Lambda):
            left += ast.iter_child_nodes(each)
    return False


def _called(decorator: ast.expr) -> str:
    """A decorator's dotted name, with a call or without; "" for another expression."""
    expression = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(expression) if isinstance(expression, ast.Name | ast.Attribute) else ""
