"""Documents of any size and depth: refused before anything else is looked at, and in no time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from pgflow_django import drafts, flow_builder
from pgflow_django.definitions.edits import apply
from pgflow_django.exceptions import EditRefused, InvalidDocument
from pgflow_django.flow_builder import validate_flow
from pgflow_django.models import Workflow, WorkflowDraft

from .test_patches import doubled, holding_itself, nest


def flow(*steps: Any, **options: Any) -> dict[str, Any]:
    return {"workflow_slug": "flow", "steps": list(steps), **options}


DEEP = {
    "params": flow({"slug": "a", "params": nest(65)}),
    "very deep": flow({"slug": "a", "params": nest(10_000)}),
    "an unknown key": {"x": nest(10_000)},
    "steps": {"workflow_slug": "flow", "steps": nest(10_000)},
    "a list": nest(10_000),
    "a circle": flow({"slug": "a", "params": holding_itself()}),
    "a circle of steps": flow(holding_itself()),
}
LARGE = {
    "text": flow(*[{"slug": "a", "description": "x" * 1024 * 1024}] * 256),
    "many": flow({"slug": "a", "params": doubled(29)}),
}
BAD = {
    **{name: (document, "document_too_deep") for name, document in DEEP.items()},
    **{name: (document, "document_too_large") for name, document in LARGE.items()},
}
each = pytest.mark.parametrize(("document", "code"), BAD.values(), ids=BAD.keys())


@each
def test_it_is_the_only_problem_of_the_whole_document(document: Any, code: str) -> None:
    [problem] = validate_flow(document)
    assert (problem.code, problem.pointer, problem.severity) == (code, "", "error")


@each
@pytest.mark.django_db
def test_nothing_takes_it(document: Any, code: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        flow_builder.create_flow_from_spec(document)
    assert caught.value.code == code
    draft = drafts.create("flow", user="ann")
    attempts: list[Callable[[], Any]] = [
        lambda: drafts.edit("flow", draft.version, "replace", {"document": document}, user="ann"),
        lambda: drafts.edit("flow", draft.version, "paste", {"steps": document}, user="ann"),
    ]
    if isinstance(document, dict):
        attempts.append(lambda: drafts.create("other", document, user="ann"))
    for attempt in attempts:
        with pytest.raises(EditRefused) as refused:
            attempt()
        assert refused.value.code in (code, "invalid_document")
    assert (Workflow.objects.count(), WorkflowDraft.objects.count()) == (0, 1)


@pytest.mark.parametrize("op", ["add_step", "update_step", "set_flow", "replace", "patch", "paste"])
def test_no_operation_is_given_a_value_without_end(op: str) -> None:
    with pytest.raises(EditRefused) as caught:
        apply(flow({"slug": "a"}), op, {"x": nest(10_000)})
    assert caught.value.code in ("document_too_deep", "invalid_arguments")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[" * 100_000, "document_too_deep"),
        (json.dumps(flow({"slug": "a", "params": nest(62)})), "document_too_deep"),
        (" " * 1_100_000, "document_too_large"),
    ],
)
@pytest.mark.django_db
def test_an_import_tells_it_by_the_same_code(text: str, code: str) -> None:
    [problem] = drafts.preview_import(text).problems
    assert problem.found.code == code


def test_what_an_option_may_hold_is_not_too_deep() -> None:
    assert validate_flow(flow({"slug": "a", "params": nest(64)})) == []


def test_two_thousand_steps_with_64_kib_each_are_looked_at_quickly() -> None:
    rows = [{"slug": f"s{n}", "params": {"text": "x" * 64 * 1024}} for n in range(2_000)]
    assert validate_flow(flow(*rows)) == []


def test_a_value_that_is_huge_only_when_written_down_costs_no_time() -> None:
    start = time.process_time()
    assert validate_flow(flow({"slug": "a", "params": doubled(60)}))[0].code == "document_too_large"
    assert time.process_time() - start < 1
