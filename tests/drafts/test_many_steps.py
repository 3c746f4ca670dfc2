"""Operations on several steps at once, and steps that are pasted: one edit each, or none."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pgflow_django import drafts
from pgflow_django.definitions.edits import Edit, apply
from pgflow_django.exceptions import EditRefused

DOCUMENT: dict[str, Any] = {
    "workflow_slug": "orders",
    "steps": [
        {"slug": "fetch"},
        {"slug": "check", "depends_on": ["fetch"], "type": "map", "timeout": 5},
        {"slug": "score", "depends_on": ["check"], "params": {"by": [1]}},
        {"slug": "store", "depends_on": ["check", "score"], "uses": "shop.store"},
    ],
}


def edit(op: str, **arguments: Any) -> Edit:
    before = copy.deepcopy((DOCUMENT, arguments))
    edited = apply(DOCUMENT, op, arguments, functions=["fetch", "score"])
    assert before == (DOCUMENT, arguments), "what was given was changed"
    return edited


def steps(op: str, **arguments: Any) -> dict[str, dict[str, Any]]:
    return {row["slug"]: row for row in edit(op, **arguments).document["steps"]}


def paste(*rows: dict[str, Any], **more: Any) -> dict[str, dict[str, Any]]:
    """The steps that were not there before."""
    pasted = edit("paste", steps=list(rows), **more)
    before = {row["slug"] for row in DOCUMENT["steps"]}
    new = {row["slug"]: row for row in pasted.document["steps"] if row["slug"] not in before}
    assert tuple(new) == pasted.touched
    return new


def test_several_steps_are_deleted_and_what_is_left_stays_connected() -> None:
    left = steps("delete_step", step=["check", "score"])
    assert left == {
        "fetch": {"slug": "fetch"},
        "store": {"slug": "store", "depends_on": ["fetch"], "uses": "shop.store"},
    }
    assert edit("delete_step", step=["check", "score"]).message == "Deleted 2 steps"
    assert edit("delete_step", step=["check"]).message == 'Deleted step "check"'
    assert "depends_on" not in steps("delete_step", step=["check", "score"], bridge=False)["store"]
    assert steps("delete_step", step=list(steps("add_step"))[:4]) == {}


def test_a_step_behind_deleted_ones_waits_for_all_that_they_waited_for() -> None:
    rows = [
        {"slug": "a"},
        {"slug": "b"},
        {"slug": "both", "depends_on": ["a", "b"]},
        {"slug": "each", "depends_on": ["both"], "type": "map"},
        {"slug": "last", "depends_on": ["each"]},
    ]
    document = {"workflow_slug": "f", "steps": rows}
    edited = apply(document, "delete_step", {"step": ["both", "each"]}).document
    assert edited["steps"][-1] == {"slug": "last", "depends_on": ["a", "b"]}


def test_several_steps_get_one_queue_or_lose_it() -> None:
    changed = steps("update_step", step=["fetch", "store"], queue="slow", max_attempts=2)
    assert {slug: row.get("queue") for slug, row in changed.items()} == {
        "fetch": "slow",
        "check": None,
        "score": None,
        "store": "slow",
    }
    edited = edit("update_step", step=["check", "score"], timeout=None)
    assert "timeout" not in edited.document["steps"][1]
    assert (edited.message, edited.touched) == (
        "Changed timeout of 2 steps",
        ("check", "score"),
    )


def test_several_steps_are_duplicated_with_the_lines_between_them() -> None:
    copies = steps("duplicate", step=["score", "check"])
    assert copies["check_2"] == {
        "slug": "check_2",
        "depends_on": ["fetch"],
        "type": "map",
        "timeout": 5,
    }
    assert copies["score_2"] == {
        "slug": "score_2",
        "uses": "score",
        "depends_on": ["check_2"],
        "params": {"by": [1]},
    }
    assert edit("duplicate", step=["score", "check"]).touched == ("check_2", "score_2")


def test_pasted_steps_get_names_of_their_own_and_keep_their_functions() -> None:
    pasted = paste({"slug": "fetch"}, {"slug": "load"}, {"slug": "store", "uses": "shop.store"})
    assert list(pasted.values()) == [
        {"slug": "fetch_2", "uses": "fetch"},
        {"slug": "load"},
        {"slug": "store_2", "uses": "shop.store"},
    ]
    assert paste({"slug": "check"})["check_2"]["uses"] == "check"  # though nobody knows it here


def test_pasted_steps_wait_for_one_another_and_for_what_is_there() -> None:
    pasted = paste(
        {"slug": "check", "depends_on": ["fetch"], "type": "map"},
        {"slug": "score", "depends_on": ["check", "elsewhere", "store"]},
    )
    assert pasted["check_2"]["depends_on"] == ["fetch"]
    assert pasted["score_2"]["depends_on"] == ["check_2", "store"]
    rows = [{"slug": "b", "depends_on": ["elsewhere", "fetch"]}, {"slug": "a"}]
    message = edit("paste", steps=rows).message
    assert message == "Pasted 2 steps, without 1 line to what is not in this flow"


def test_pasted_steps_begin_behind_a_step_that_is_named() -> None:
    pasted = paste(
        {"slug": "a", "depends_on": ["fetch"]},
        {"slug": "b", "depends_on": ["a", "elsewhere"]},
        {"slug": "c"},
        after="store",
    )
    assert {slug: row["depends_on"] for slug, row in pasted.items()} == {
        "a": ["store"],
        "b": ["a"],
        "c": ["store"],
    }


@pytest.mark.parametrize(
    "value",
    [
        {"steps": [{"slug": "a"}]},
        {"workflow_slug": "other", "timeout": 7, "steps": [{"slug": "a"}]},
        [{"slug": "a"}],
        {"slug": "a"},
    ],
)
def test_documents_lists_and_single_steps_are_pasted(value: Any) -> None:
    edited = apply(DOCUMENT, "paste", {"steps": value})
    assert edited.document == {**DOCUMENT, "steps": [*DOCUMENT["steps"], {"slug": "a"}]}
    assert edited.message == 'Pasted step "a"'


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, 7, "fetch", [], {}, [[]], [7], ["fetch"]),
        *({"steps": []}, {"steps": {}}, {"steps": None}),
        *([{"slug": 7}], [{"slug": []}], [{"name": "a"}], [{"slug": "a"}, None]),
    ],
)
def test_what_holds_no_steps_is_not_pasted(value: Any) -> None:
    with pytest.raises(EditRefused, match="no steps") as caught:
        apply(DOCUMENT, "paste", {"steps": value})
    assert (caught.value.code, caught.value.field) == ("invalid_document", "text")


@pytest.mark.parametrize(
    ("op", "arguments", "code"),
    [
        ("delete_step", {"step": []}, "missing_step"),
        ("delete_step", {"step": ["fetch", "nobody"]}, "missing_step"),
        ("delete_step", {"step": [["fetch"]]}, "missing_step"),
        ("update_step", {"step": [], "queue": "slow"}, "missing_step"),
        ("update_step", {"step": ["fetch", {}], "queue": "slow"}, "missing_step"),
        ("duplicate", {"step": [None]}, "missing_step"),
        ("paste", {"steps": [{"slug": "a"}], "after": "nobody"}, "missing_step"),
    ],
)
def test_of_several_steps_all_are_changed_or_none(
    op: str, arguments: dict[str, Any], code: str
) -> None:
    with pytest.raises(EditRefused) as caught:
        apply(DOCUMENT, op, arguments)
    assert caught.value.code == code


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ([{"slug": "1st"}], "invalid_step_slug"),
        ([{"slug": "a", "colour": "red"}], "unknown_key"),
        ([{"slug": "a", "timeout": "soon"}], "invalid_timeout"),
        ([{"slug": "a", "depends_on": "fetch"}], "invalid_depends_on"),
        ([{"slug": "a", "depends_on": [[], 7]}], "invalid_depends_on"),
        (
            [{"slug": "a", "depends_on": ["b"]}, {"slug": "b", "depends_on": ["a"]}],
            "cycle_detected",
        ),
        ([{"slug": "a", "type": "map", "depends_on": ["fetch", "score"]}], "map_step"),
        ([{"slug": "a"}] * 2_000, "too_many_steps"),
    ],
)
def test_a_flow_takes_no_pasted_steps_that_would_spoil_it(
    rows: list[dict[str, Any]], code: str
) -> None:
    draft = drafts.create("orders", DOCUMENT, user="ann")
    with pytest.raises(EditRefused) as caught:
        drafts.edit("orders", draft.version, "paste", {"steps": rows}, user="ann")
    assert caught.value.code.startswith(code)
    assert drafts.load("orders") == draft


@pytest.mark.django_db
def test_one_undo_takes_back_what_was_done_to_several() -> None:
    draft = drafts.create("orders", DOCUMENT, user="ann")
    start = draft.document
    for op, arguments in (
        ("paste", {"steps": start["steps"]}),
        ("delete_step", {"step": ["fetch", "check", "score"]}),
        ("update_step", {"step": ["fetch", "check"], "queue": "slow"}),
        ("duplicate", {"step": ["fetch", "check"]}),
    ):
        edited = drafts.edit("orders", draft.version, op, arguments, user="ann").draft
        assert edited.document != start
        draft = drafts.edit("orders", edited.version, "undo", {}, user="ann").draft
        assert draft.document == start
