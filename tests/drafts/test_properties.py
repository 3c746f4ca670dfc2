"""Random edits by Hypothesis: valid or refused, and undoing them all gives the start back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgflow_django import drafts
from pgflow_django.exceptions import EditRefused
from pgflow_django.flow_builder import validate_flow
from pgflow_django.models import WorkflowDraft

SLUGS = st.sampled_from(["a", "b", "c", "d", "e", "f", "1x", "run", "item", ""])
NAMES = st.lists(SLUGS, max_size=3)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from(["single", "map", "both"]),
    "timeout": st.one_of(st.none(), st.integers(-1, 100)),
    "max_attempts": st.one_of(st.none(), st.integers(-1, 5), st.text(max_size=2)),
    "initial_tasks": st.one_of(st.none(), st.integers(0, 5)),
    "uses": st.one_of(st.none(), st.text(max_size=3), st.just("shop.fetch")),
    "params": st.one_of(st.none(), st.dictionaries(st.text(max_size=2), st.integers())),
    "depends_on": NAMES,
}
ROWS = st.lists(
    st.fixed_dictionaries({"slug": SLUGS}, optional={**FIELDS, "depends_on": NAMES}), max_size=4
)


def operation(op: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(st.just(op), st.fixed_dictionaries(fields))


OPERATIONS = st.one_of(
    operation("add_step", slug=SLUGS, depends_on=NAMES, type=FIELDS["type"]),
    st.tuples(st.just("update_step"), st.fixed_dictionaries({"step": SLUGS}, optional=FIELDS)),
    operation("rename_step", step=SLUGS, to=SLUGS),
    operation("delete_step", step=SLUGS, bridge=st.booleans()),
    operation("add_edge", source=SLUGS, target=SLUGS),
    operation("delete_edge", source=SLUGS, target=SLUGS),
    operation("insert_on_edge", source=SLUGS, target=SLUGS),
    operation("duplicate", step=SLUGS),
    operation("duplicate", step=NAMES),
    operation("delete_step", step=NAMES, bridge=st.booleans()),
    operation("update_step", step=NAMES, timeout=FIELDS["timeout"]),
    operation("paste", steps=ROWS, after=st.one_of(st.none(), SLUGS)),
    operation("set_flow", timeout=st.integers(-1, 9), description=st.text(max_size=3)),
    st.tuples(st.sampled_from(["undo", "redo"]), st.just({})),
)


def errors(document: Any) -> list[str]:
    return [problem.code for problem in validate_flow(document) if problem.severity == "error"]


@pytest.mark.slow
@pytest.mark.django_db
@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(OPERATIONS, min_size=1, max_size=12))
def test_random_edits_keep_the_draft_valid_and_undo_gives_the_start_back(
    operations: list[tuple[str, dict[str, Any]]],
) -> None:
    WorkflowDraft.objects.all().delete()
    start = draft = drafts.create("flow", {"steps": [{"slug": "a"}]}, user="ann")
    for op, arguments in operations:
        try:
            draft = drafts.edit("flow", draft.version, op, arguments, user="ann").draft
        except EditRefused:
            assert drafts.load("flow") == draft
        assert errors(draft.document) == []
    end = draft.document
    undone = 0
    while draft.can_undo:
        draft = drafts.edit("flow", draft.version, "undo", {}, user="ann").draft
        undone += 1
    assert draft.document == start.document
    for _ in range(undone):
        draft = drafts.edit("flow", draft.version, "redo", {}, user="ann").draft
    assert draft.document == end
