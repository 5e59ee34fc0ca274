"""Path expressions: what they find, that what is not there is absent, and that they call nothing."""

from collections import UserDict, UserList, namedtuple
from collections.abc import Iterator
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final, NoReturn

import pytest
from django.utils.functional import SimpleLazyObject
from hypothesis import given
from hypothesis import strategies as st

from otel_incident.hooks.paths import PathError, compile_path
from tests.strategies import CONTENT, Hostile, HostileError

ROOTS: Final = ("arg", "self", "result", "user")
Point = namedtuple("Point", "x y")  # noqa: PYI024  a host may well use the untyped one


def find(path: str, **roots: object) -> object:
    """What a path finds."""
    return compile_path(path, ROOTS).resolve(roots)


class Raising:
    """Its properties raise what a host's may raise."""

    @property
    def lookup(self) -> NoReturn:
        """A lookup that fails."""
        raise LookupError(CONTENT)

    @property
    def missing(self) -> NoReturn:
        """A property that lacks something itself."""
        raise AttributeError(CONTENT)

    @property
    def endless(self) -> object:
        """A property that never ends."""
        return self.endless


class Interrupting:
    """A property that ends the process."""

    @property
    def value(self) -> NoReturn:
        """Not an error but an exit."""
        raise SystemExit(3)


QUERIES: Final[list[str]] = []
"""What a path made a host load; an error alone would be taken for an absent value."""


@pytest.fixture(autouse=True)
def _no_queries() -> Iterator[None]:
    """No path of any test makes a host load anything."""
    QUERIES.clear()
    yield
    assert QUERIES == []


def query(what: str) -> NoReturn:
    """What an ORM does for what it has not loaded."""
    QUERIES.append(what)
    raise LookupError(what)


class Meta:
    """Like the `_meta` of a Django model."""

    pk: Final = SimpleNamespace(attname="number")


class DjangoRow:
    """Like an instance of a Django model, with what Django keeps in it; its descriptors would query."""

    _meta: Final = Meta()

    def __init__(self, **loaded: object) -> None:
        cache = loaded.pop("fields_cache", {})
        vars(self).update(loaded, _state=SimpleNamespace(fields_cache=cache))

    def __getattr__(self, name: str) -> NoReturn:
        """What Django's descriptors do with what is not loaded."""
        query(name)

    @property
    def computed(self) -> NoReturn:
        """A property of the model, which may query."""
        query("computed")


class DjangoRows:
    """Like a Django query set: counting or iterating it would query until its rows are cached."""

    def __init__(self, rows: list[object] | None) -> None:
        self._result_cache = rows

    def _query(self) -> NoReturn:
        query("rows")

    __len__ = __iter__ = __bool__ = _query


class SqlAlchemyRow:
    """Like an instance of a SQLAlchemy model; its attributes would query when they are not loaded."""

    def __init__(self, **loaded: object) -> None:
        vars(self).update(loaded, _sa_instance_state=object())

    def __getattr__(self, name: str) -> NoReturn:
        """What an expired attribute does."""
        query(name)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("arg.incident.id", 7),
        ("arg['incident']['id']", 7),
        ('arg["incident"].id', 7),
        ("arg.incident['a b']", 8),
        ("arg.posts[0]", 1),
        ("arg.posts[-1]", 3),
        ("arg.posts[3]", None),
        ("arg.posts[-4]", None),
        ("arg.posts.id", None),
        ("arg.incident[0]", None),
        ("arg.nobody", None),
        ("arg.nobody.id", None),
        ("user.id", None),
        (" arg.incident.id ", 7),
        ("len(arg.posts)", 3),
        ("len( arg.posts )", 3),
        ("len(arg.incident)", 2),
        ("len(arg.nobody)", None),
    ],
)
def test_finds(path: str, value: object) -> None:
    """Attributes, keys and indexes are looked up one after the other; what is not there is None."""
    assert find(path, arg={"incident": {"id": 7, "a b": 8}, "posts": [1, 2, 3]}) == value


@pytest.mark.parametrize(
    ("held", "path", "value"),
    [
        (SimpleNamespace(id=1), "self.id", 1),
        (UserDict(id=1), "self.id", 1),
        (MappingProxyType({"id": 1}), "self.id", 1),
        (Point(1, 2), "self.y", 2),
        (Point(1, 2), "self[0]", 1),
        (UserList([1, 2]), "self[1]", 2),
        ((1, 2), "self[1]", 2),
        ({"__typename": 1}, "self['__typename']", 1),
    ],
)
def test_looks_into(held: object, path: str, value: object) -> None:
    """Objects by attribute, mappings by key, sequences by index, whatever their class."""
    assert find(path, self=held) == value


@pytest.mark.parametrize("text", ["Payments down", b"Payments down", bytearray(b"x"), memoryview(b"x")])
def test_text_is_not_taken_apart(text: object) -> None:
    """Neither a letter nor the length of text is given: both would be content."""
    assert find("self[0]", self=text) is None
    assert find("len(self)", self=text) is None
    assert find("sum(len(self[*]))", self=[text]) is None


@pytest.mark.parametrize("name", ["lookup", "missing", "endless"])
def test_a_property_that_raises_is_absent(name: str) -> None:
    """Whatever a host's property raises, there is no value, and nothing reaches the host."""
    assert find(f"self.{name}", self=Raising()) is None
    assert find(f"len(self.{name})", self=Raising()) is None


def test_an_exit_passes() -> None:
    """What is no error passes: exits, interrupts and cancellations are the host's."""
    with pytest.raises(SystemExit) as passed:
        find("self.value", self=Interrupting())
    assert passed.value.code == 3


@pytest.mark.parametrize("key", ["__class__", "__dict__", "__init__"])
def test_what_is_pythons_own_is_not_looked_up(key: str) -> None:
    """A name with two leading underscores is refused, and as a key it leads into mappings alone."""
    with pytest.raises(PathError) as refused:
        compile_path(f"self.{key}", ROOTS)
    assert str(refused.value) == (
        f"'self.{key}' names '{key}'; names with two leading underscores are not looked up"
    )
    assert find(f"self['{key}']", self=SimpleNamespace()) is None


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("", "must begin with one of arg, self, result, user"),
        ("title", "must begin with one of arg, self, result, user"),
        ("args.id", "must begin with one of arg, self, result, user"),
        ("len(len(self))", "must begin with one of arg, self, result, user"),
        ("sum(self.x)", "must begin with one of arg, self, result, user"),
        ("self.", "cannot be read from '.' on"),
        ("self .id", "cannot be read from ' .id' on"),
        ("self.id()", "cannot be read from '()' on"),
        ("self[id]", "cannot be read from '[id]' on"),
        ("self[1:2]", "cannot be read from '[1:2]' on"),
        ("self['it's']", "cannot be read from \"['it's']\" on"),
        ("self['']", "cannot be read from \"['']\" on"),
        ("self + 1", "cannot be read from ' + 1' on"),
        ("len(self", "must begin with one of arg, self, result, user"),
        ("self[*]", "[*] and sum(len(…)) go together, since an attribute has one value"),
        ("len(self[*])", "[*] and sum(len(…)) go together, since an attribute has one value"),
        ("arg", "is all arguments; name one, as in arg.owner"),
        ("len(arg)", "is all arguments; name one, as in arg.owner"),
        ("sum(len(self.x))", "[*] and sum(len(…)) go together, since an attribute has one value"),
    ],
)
def test_refuses(path: str, why: str) -> None:
    """What is no path is refused, quoting it and saying from where on it is none."""
    with pytest.raises(PathError) as refused:
        compile_path(path, ROOTS)
    tail = "; paths are names, [0], ['key'], [*], len(…) and sum(len(…))" if why.startswith("cannot") else ""
    separator = ": " if why.startswith("[") else " "
    assert str(refused.value) == f"{path!r}{separator}{why}{tail}"


@pytest.mark.parametrize(
    "collection", [[1, 2], (1, 2), {1, 2}, frozenset({1, 2}), {"a": 1, "b": 2}, DjangoRows([1, 2])]
)
def test_length_of_collections(collection: object) -> None:
    """`len` counts Python's own collections and rows that are fetched already."""
    assert find("len(self)", self=collection) == 2


@pytest.mark.parametrize("other", [None, 7, "two", UserList([1]), DjangoRows(None), iter([1]), range(2)])
def test_length_of_others(other: object) -> None:
    """Of anything else there is no length: counting it might be code, or a query."""
    assert find("len(self)", self=other) is None


@pytest.mark.parametrize(
    ("stages", "count"),
    [
        ([], 0),
        ([{"tasks": []}], 0),
        ([{"tasks": [1, 2]}, {"tasks": (3,)}], 3),
        (({"tasks": [1, 2]},), 2),
        ({"a": {"tasks": [1, 2]}, "b": {"tasks": [3]}}, 3),
        (frozenset({Point(x=0, y=0)}), None),
        (DjangoRows([{"tasks": DjangoRows([1, 2])}]), 2),
        (DjangoRows([{"tasks": DjangoRows(None)}]), None),
        (DjangoRows(None), None),
        ([{"tasks": [1, 2]}, {"tasks": None}], None),
        ([{"tasks": [1, 2]}, {}], None),
        (None, None),
        ("two", None),
    ],
)
def test_sum_of_lengths(stages: object, count: int | None) -> None:
    """The sum is over all, and absent where one of them is not there: no count is better than a wrong one."""
    assert find("sum(len(self.stages[*].tasks))", self={"stages": stages}) == count


def test_sum_over_several_levels() -> None:
    """Each `[*]` goes one level down."""
    nested = {"stages": [{"lists": [{"tasks": [1, 2]}, {"tasks": [3]}]}, {"lists": [{"tasks": [4]}]}]}
    assert find("sum(len(self.stages[*].lists[*].tasks))", self=nested) == 4


def test_django_row() -> None:
    """Of a Django instance: loaded columns, `pk` by its column, loaded relations and prefetched rows."""
    team = DjangoRow(number=5)
    row = DjangoRow(
        number=7,
        team_id=5,
        fields_cache={"team": team},
        _prefetched_objects_cache={"stages": DjangoRows([DjangoRow(number=1), DjangoRow(number=2)])},
    )
    assert find("self.number", self=row) == 7
    assert find("self.pk", self=row) == 7
    assert find("self.team_id", self=row) == 5
    assert find("self.team.pk", self=row) == 5
    assert find("len(self.stages)", self=row) == 2


@pytest.mark.parametrize("path", ["self.title", "self.owner.pk", "len(self.stages)", "self.computed"])
def test_django_row_without_a_query(path: str) -> None:
    """A deferred column, a relation that is not loaded and a property of the model are absent."""
    assert find(path, self=DjangoRow(number=7, owner_id=3)) is None


def test_sqlalchemy_row() -> None:
    """Of a SQLAlchemy instance what it holds; an expired attribute or lazy relation is absent."""
    row = SqlAlchemyRow(id=7, stages=[SqlAlchemyRow(tasks=[1, 2])])
    assert find("self.id", self=row) == 7
    assert find("len(self.stages)", self=row) == 1
    assert find("sum(len(self.stages[*].tasks))", self=row) == 2
    assert find("self.team_id", self=row) is None
    assert find("len(self.posts)", self=row) is None


def test_lazy_object() -> None:
    """Django's lazy `request.user` is looked into once the host has resolved it, and never resolved by us."""
    resolved: list[object] = []

    def load() -> object:
        resolved.append(SimpleNamespace(pk=3))
        return resolved[0]

    user: Any = SimpleLazyObject(load)
    assert find("arg.request.user.pk", arg={"request": SimpleNamespace(user=user)}) is None
    assert resolved == []
    assert user.pk == 3
    assert find("arg.request.user.pk", arg={"request": SimpleNamespace(user=user)}) == 3


def test_lazy_collection() -> None:
    """A lazy collection has a length once the host has resolved it."""
    lazy: Any = SimpleLazyObject(lambda: [1, 2])
    assert find("len(self)", self=lazy) is None
    assert len(lazy) == 2
    assert find("len(self)", self=lazy) == 2


class Recorder:
    """Gives itself for every attribute, and records whatever else is done to it."""

    calls: Final[list[str]] = []
    names: Final[list[str]] = []

    def __getattr__(self, name: str) -> object:
        """A look-up, which is all that a path may do."""
        Recorder.names.append(name)
        return self


def _recording(name: str) -> Any:
    def method(*_: object) -> NoReturn:
        Recorder.calls.append(name)
        raise AssertionError(name)

    return method


for _name in (
    *("__call__", "__getitem__", "__len__", "__iter__", "__next__", "__contains__", "__bool__", "__eq__"),
    *("__hash__", "__str__", "__repr__", "__index__", "__int__", "__await__", "__enter__", "__format__"),
):
    setattr(Recorder, _name, _recording(_name))

NAMES: Final = ("id", "stages", "_cache", "get", "keys", "all", "count", "pk")
SEGMENTS: Final = st.one_of(
    st.sampled_from(NAMES).map(".{}".format),
    st.sampled_from(NAMES).map("['{}']".format),
    st.integers(-3, 3).map("[{}]".format),
)
PATHS: Final = st.builds(
    lambda fold, root, segments: fold.format(root + "".join(segments)),
    st.sampled_from(("{}", "len({})", "sum(len({}[*]))", "sum(len({}[*].stages))")),
    st.sampled_from(ROOTS),
    st.lists(SEGMENTS, min_size=1, max_size=5),
)
VALUES: Final = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.binary(max_size=5),
        st.builds(Raising), st.builds(Hostile), st.builds(DjangoRows, st.none()),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
        st.dictionaries(st.sampled_from(NAMES), inner, max_size=4).map(lambda held: SimpleNamespace(**held)),
        st.dictionaries(st.sampled_from(NAMES), inner, max_size=4).map(lambda held: DjangoRow(**held)),
        st.dictionaries(st.sampled_from(NAMES), inner, max_size=4).map(lambda held: SqlAlchemyRow(**held)),
    ),
    max_leaves=12,
)  # fmt: skip


@given(path=PATHS, value=VALUES)
def test_never_raises(path: str, value: object) -> None:
    """Whatever a host holds, a path gives a value or None, a count of a collection if it counts."""
    found = find(path, arg=value, self=value, result=value)
    if "len(" in path:
        assert found is None or type(found) is int


@given(path=PATHS)
def test_calls_nothing(path: str) -> None:
    """A path asks an object for the attributes that it names, and does nothing else with it."""
    Recorder.calls.clear()
    Recorder.names.clear()
    recorder = Recorder()
    find(path, arg=recorder, self=recorder, result=recorder, user=recorder)
    assert Recorder.calls == []
    assert all(f".{name}" in path or f"['{name}']" in path for name in Recorder.names)


def test_hostile_object_is_as_hostile_as_it_says() -> None:
    """The laws above would prove nothing if their worst object were tame."""
    with pytest.raises(HostileError):
        Hostile().id  # noqa: B018  looking is what raises
