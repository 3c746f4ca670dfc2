"""Python values that are no JSON, or raise when they are looked at: told, with place and code."""

from __future__ import annotations

import enum
import json
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

import pytest

from pgflow_django import drafts, executor
from pgflow_django.definitions.answers import answer
from pgflow_django.definitions.edits.patches import apply_patch
from pgflow_django.exceptions import EditRefused, PgflowError
from pgflow_django.flow_builder import create_flow_from_spec, repair_flow, validate_flow
from pgflow_django.models import Workflow, WorkflowDraft
from pgflow_django.runs.simulating import simulate_flow

from .test_patches import holding_itself

#: What Python calls of a value without being asked to.
METHODS = (
    *("__bool__", "__len__", "__iter__", "__eq__", "__ne__", "__lt__", "__le__", "__gt__"),
    *("__hash__", "__str__", "__repr__", "__format__", "__contains__", "__getitem__", "__index__"),
    *("__int__", "__float__", "keys", "items", "values", "get", "__missing__", "is_integer"),
    *("strip", "casefold", "partition", "encode", "__reversed__", "__getattr__", "__add__"),
)


class HostileError(Exception):
    """What a hostile value raises."""


def refuse(*_: Any, **__: Any) -> NoReturn:
    raise HostileError


def make_hostile(base: type) -> Any:
    """A class of values that raise whatever is done with them."""
    methods = {name: refuse for name in METHODS if name != "__hash__"}
    return type(f"Hostile_{base.__name__}", (base,), {**methods, "__class__": property(refuse)})


class Unhashable(str):
    """A text whose hash raises once it is a key."""

    __slots__ = ("is_armed",)

    def __hash__(self) -> int:
        if getattr(self, "is_armed", False):
            raise HostileError
        return str.__hash__(self)

    def __eq__(self, other: object) -> bool:
        if getattr(self, "is_armed", False):
            raise HostileError
        return str.__eq__(self, other)


class Key:
    """A key that is no text, whose hash raises once it is in a dict."""

    is_armed = False

    def __hash__(self) -> int:
        if self.is_armed:
            raise HostileError
        return 1

    __eq__ = __str__ = __repr__ = refuse


def keyed(key: Any) -> dict[Any, Any]:
    value = {key: 1}
    key.is_armed = True
    return value


class Liar:
    """Something that says to be a dict."""

    @property
    def __class__(self) -> Any:
        return dict

    @__class__.setter
    def __class__(self, value: Any) -> None:
        pass


HOSTILE: dict[str, Callable[[], Any]] = {
    **{
        base.__name__: make_hostile(base)
        for base in (object, dict, list, tuple, str, int, float, set, bytes)
    },
    "key": lambda: keyed(Key()),
    "text key": lambda: keyed(Unhashable("x")),
    "liar": Liar,
    "class": lambda: make_hostile(object),
    "huge": lambda: 10**5_000,
    "huge key": lambda: {10**5_000: 1},
    "circle": holding_itself,
    "infinity": lambda: float("inf"),
    "nan": lambda: float("nan"),
    "surrogate": lambda: "\ud800",
    "surrogate key": lambda: {"\ud800": "\ud800"},
    "zero": lambda: "\0",
    "two keys of one text": lambda: {1: 1, "1": 2, None: 3},
}
hostile = pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE.keys())

A: dict[str, Any] = {"slug": "a"}


def flow(*steps: Any, **options: Any) -> dict[str, Any]:
    return {"workflow_slug": "flow", "steps": list(steps), **options}


def places(make: Callable[[], Any]) -> dict[str, Any]:
    """Documents that hold a value wherever one can stand."""
    keys = ("workflow_slug", "description", "timeout", "queue", "input_schema", "steps", "nodes")
    of_steps = ("slug", "type", "uses", "depends_on", "inputs", "params", "timeout", "needs", "x")
    found = {
        "document": make(),
        **{key: {**flow(A), key: make()} for key in keys},
        **{f"step {key}": flow(A, {"slug": "b", key: make()}) for key in of_steps},
        "step": flow(A, make()),
        "dependency": flow(A, {"slug": "b", "depends_on": ["a", make()]}),
        "source": flow({**A, "inputs": {"x": make()}}),
        "within params": flow({**A, "params": {"x": [make()]}}),
        "within a schema": flow(A, input_schema={"enum": [make()]}),
        "a default": flow(A, input_schema={"default": make()}),
        "an unknown key": flow(A, x={"y": make()}),
        "map": flow(A, {"slug": "b", "type": "map", "depends_on": ["a"], "params": make()}),
    }
    key = make()
    if type(key) in (int, float, str):
        found["a key"] = {**flow(A), key: 1}
        found["a key of a step"] = flow({**A, key: 1})
        found["a key of params"] = flow({**A, "params": {key: 1}})
        found["a name of inputs"] = flow({**A, "inputs": {key: "run"}})
    return found


@hostile
def test_any_value_anywhere_is_told_and_nothing_raises(make: Callable[[], Any]) -> None:
    for place, document in places(make).items():
        problems = validate_flow(document)
        told = answer(document, validate_flow)
        assert json.loads(json.dumps(told), parse_constant=refuse) == told, place
        repaired = repair_flow(document)
        assert len(repaired.problems) <= len(problems), place


@hostile
def test_a_patch_of_any_value_is_applied_or_refused(make: Callable[[], Any]) -> None:
    codes = {
        apply(document, patch) for document in places(make).values() for patch in patches(make)
    }
    assert codes <= {"", "fix_does_not_fit", "patch_too_large"}


def patches(make: Callable[[], Any]) -> list[Any]:
    """Patches that hold a value wherever one can stand."""
    slug = "/steps/0/slug"
    found: list[Any] = [make(), [make()], [{"op": "test", "path": slug, "value": "a"}]]
    if type(make()) in (int, float, str):
        found.append([{make(): 1}])
    for op in ("add", "replace", "test"):
        found.append([{"op": op, "path": slug, "value": make()}])
        found.append([{"op": op, "path": make(), "value": 1}])
    return found


def apply(document: Any, patch: Any) -> str:
    """The code of the refusal; none where the patch is applied."""
    try:
        apply_patch(document, patch)
    except EditRefused as refused:
        return refused.code
    return ""


@hostile
@pytest.mark.django_db
def test_what_is_no_json_is_refused_by_code_and_stored_nowhere(make: Callable[[], Any]) -> None:
    draft = drafts.create("draft", user="ann")
    for place, document in places(make).items():
        errors = [problem for problem in validate_flow(document) if problem.severity == "error"]
        if not errors:
            continue  # it can be read as JSON
        replacing = {"document": document}
        doors: list[Callable[[], Any]] = [
            partial(create_flow_from_spec, document),
            partial(drafts.create, "other", document, user="ann"),
            partial(drafts.edit, "draft", draft.version, "replace", replacing, user="ann"),
            partial(executor.start_trial, document),
        ]
        if {problem.pointer for problem in errors} == {"/workflow_slug"}:
            del doors[1:3]  # a draft has its name already
        for door in doors:
            with pytest.raises(PgflowError) as caught:
                door()
            assert caught.value.code, place
        if type(document) is dict:
            assert not simulate_flow(document).ok, place
    assert (Workflow.objects.count(), WorkflowDraft.objects.count()) == (0, 1)


class Kind(enum.StrEnum):
    """As Django's choices are."""

    MAP = "map"


class Text(str):
    """Text that is marked as safe, say."""

    __slots__ = ()


class Seconds(enum.IntEnum):
    """Numbers with names."""

    MANY = 60


@pytest.mark.django_db
def test_values_of_classes_that_are_json_s_are_taken_as_what_they_hold() -> None:
    document = OrderedDict(
        workflow_slug=Text("flow"),
        timeout=Seconds.MANY,
        steps=({"slug": Text("a")}, OrderedDict(slug="b", type=Kind.MAP, depends_on=("a",))),
    )
    assert [one for one in validate_flow(document) if one.severity == "error"] == []
    create_flow_from_spec(document)
    assert simulate_flow(document).ok
    assert drafts.create("draft", document, user="ann").document["timeout"] == 60


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("object", "Hostile_object, which is not JSON"),
        ("set", "Hostile_set, which is not JSON"),
        ("huge", "an integer of too many digits"),
        ("infinity", "inf, which JSON can't express"),
    ],
)
def test_the_message_names_the_place_and_the_kind(name: str, words: str) -> None:
    [problem] = validate_flow(flow({**A, "params": {"rows": [1, HOSTILE[name]()]}}))
    assert (problem.code, problem.pointer) == ("invalid_params", "/steps/0/params")
    assert "$.rows[1]" in problem.message
    assert words in problem.message
