"""JSON Patches: all operations of RFC 6902, bounds, and what is said where one does not fit."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from pgflow_django.definitions.edits.patches import apply_patch
from pgflow_django.exceptions import EditRefused


def op(op: str, path: str, **more: Any) -> dict[str, Any]:
    return {"op": op, "path": path, **{key.strip("_"): value for key, value in more.items()}}


@pytest.mark.parametrize(
    ("document", "patch", "patched"),
    [
        ({"a": 1}, [], {"a": 1}),
        ({"a": 1}, [op("add", "/b", value=[2])], {"a": 1, "b": [2]}),
        ({"a": [1, 3]}, [op("add", "/a/1", value=2)], {"a": [1, 2, 3]}),
        ({"a": [1]}, [op("add", "/a/-", value=2)], {"a": [1, 2]}),
        ({"a": [1]}, [op("add", "/a/1", value=2)], {"a": [1, 2]}),
        ({"a": 1}, [op("add", "/a", value=2)], {"a": 2}),
        ({"a": 1, "b": 2}, [op("remove", "/a")], {"b": 2}),
        ({"a": [1, 2, 3]}, [op("remove", "/a/1")], {"a": [1, 3]}),
        ({"a": {"b": 1}}, [op("replace", "/a/b", value=None)], {"a": {"b": None}}),
        ({"a": 1}, [op("replace", "", value=[1])], [1]),
        ({"a": {"b": 1}, "c": {}}, [op("move", "/c/d", from_="/a/b")], {"a": {}, "c": {"d": 1}}),
        ({"a": [1, 2, 3]}, [op("move", "/a/0", from_="/a/2")], {"a": [3, 1, 2]}),
        ({"a": 1}, [op("move", "/a", from_="/a")], {"a": 1}),
        ({"a": [1]}, [op("copy", "/b", from_="/a"), op("add", "/b/-", value=2)],
         {"a": [1], "b": [1, 2]}),
        ({"a": [1, {"b": True}]}, [op("test", "/a", value=[1.0, {"b": True}])],
         {"a": [1, {"b": True}]}),
        ({"a/b": {"c~d": 1}}, [op("replace", "/a~1b/c~0d", value=2)], {"a/b": {"c~d": 2}}),
        ({"": 1, "~1": 2}, [op("remove", "/"), op("remove", "/~01")], {}),
    ],
)  # fmt: skip
def test_every_operation_does_what_the_standard_says(
    document: Any, patch: Any, patched: Any
) -> None:
    before = copy.deepcopy((document, patch))
    assert apply_patch(document, patch) == patched
    assert (document, patch) == before


def test_replacing_keeps_the_order_of_keys() -> None:
    patched = apply_patch({"a": 1, "b": 2}, [op("replace", "/a", value=3)])
    assert list(patched) == ["a", "b"]


DOCUMENT = {"workflow_slug": "flow", "steps": [{"slug": "a"}, {"slug": "b"}]}


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        (op("remove", "/steps/7"), 'a list of 2 has no place "7"'),
        (op("remove", "/steps/-1"), 'no place "-1"'),
        (op("remove", "/steps/01"), 'no place "01"'),
        (op("remove", "/steps/-"), 'no place "-"'),
        (op("add", "/steps/3", value={}), 'no place "3"'),
        (op("remove", "/stepps"), 'there is no "stepps"'),
        (op("replace", "/steps/0/uses", value="x"), 'there is no "uses"'),
        (op("add", "/steps/0/params/x", value=1), 'there is no "params"'),
        (op("add", "/workflow_slug/0", value=1), '"flow" holds no "0"'),
        (op("remove", ""), "the whole flow can't be removed"),
        (op("remove", "steps"), "path is no JSON Pointer"),
        (op("remove", "/steps~2"), "behind ~ stands 0"),
        (op("add", "/x"), "it has no value"),
        (op("move", "/x"), "from is no JSON Pointer"),
        (op("move", "/steps/0/x", from_="/steps/0"), "nothing can be moved into itself"),
        (op("test", "/steps/0/slug", value="b"), "there is another value"),
        (op("test", "/steps", value=True), "there is another value"),
        (op("explode", "/steps"), "the operations are add, remove, replace, move, copy, test"),
        ({"op": ["add"], "path": "/a"}, "the operations are"),
        ({"path": "/a"}, "the operations are"),
        ("remove", "an operation is an object"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_with_its_number_and_why(operation: Any, reason: str) -> None:
    before = copy.deepcopy(DOCUMENT)
    with pytest.raises(EditRefused) as caught:
        apply_patch(DOCUMENT, [op("add", "/description", value="x"), operation])
    assert caught.value.code == "fix_does_not_fit"
    assert "operation 2 of 2" in str(caught.value)
    assert reason in str(caught.value)
    assert before == DOCUMENT


def nest(levels: int) -> Any:
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


def holding_itself() -> Any:
    value: list[Any] = []
    value += [value, value]
    return value


def doubled(times: int) -> Any:
    """A value of few parts that is huge when it is written down."""
    value: Any = ["x"]
    for _ in range(times):
        value = [value, value]
    return value


@pytest.mark.parametrize(
    "patch",
    [
        [op("test", "/workflow_slug", value="flow")] * 1_001,
        [op("add", "/description", value="x" * 1024 * 1024)],
        [op("add", "/x", value=nest(63))],
        [op("add", "/x", value=nest(10_000))],
        [op("add", "/x", value=holding_itself())],
        [op("add", "/x", value=doubled(50))],
    ],
    ids=["operations", "bytes", "levels", "deep", "circle", "doubled"],
)
def test_a_patch_has_bounds(patch: Any) -> None:
    with pytest.raises(EditRefused) as caught:
        apply_patch(DOCUMENT, patch)
    assert caught.value.code == "patch_too_large"


def test_a_patch_within_the_bounds_is_taken() -> None:
    apply_patch(DOCUMENT, [op("test", "/workflow_slug", value="flow")] * 1_000)
    apply_patch(DOCUMENT, [op("add", "/description", value="x" * 1_000_000)])
    patched = apply_patch(DOCUMENT, [op("add", "/x", value=nest(62))])
    assert patched["x"] == nest(62)


@pytest.mark.parametrize("document", [nest(10_000), holding_itself(), doubled(50)])
def test_a_document_that_is_too_deep_or_too_large_is_refused_not_walked(document: Any) -> None:
    with pytest.raises(EditRefused, match=r"the flow is too (deep|large) to be patched"):
        apply_patch([document], [op("remove", "/0")])
    assert apply_patch(document, []) is document


def test_copying_and_moving_do_not_make_a_document_huge() -> None:
    large = {**DOCUMENT, "description": "x" * 600_000}
    copies = [op("copy", f"/copy_{n}", from_="/") for n in range(2)]
    with pytest.raises(EditRefused, match="operation 2 of 2 .* it copies more than a patch may"):
        apply_patch({"": large}, copies)
    sink = [
        operation
        for _ in range(100)
        for operation in (
            op("add", "/next", value={}),
            op("move", "/next/x", from_="/steps"),
            op("move", "/steps", from_="/next"),
        )
    ]
    with pytest.raises(EditRefused, match="it makes the flow too deep") as caught:
        apply_patch(DOCUMENT, sink)
    assert caught.value.code == "patch_too_large"


def test_messages_stay_short() -> None:
    for operation in (op("x" * 9_000, "/a"), op("remove", "/" + "x" * 9_000), "y" * 9_000):
        with pytest.raises(EditRefused) as caught:
            apply_patch(DOCUMENT, [operation])
        assert len(json.dumps(str(caught.value))) < 500
