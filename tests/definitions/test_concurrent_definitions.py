"""Several threads at the same definition at once, and the async twins."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import IntegrityError, connection, transaction
from django.db.models.signals import pre_delete

from pgflow_django import drafts, executor, flow_builder
from pgflow_django.exceptions import PgflowError, WorkflowConflict, WorkflowNotFound
from pgflow_django.flows import definition_of, sync_code_flow
from pgflow_django.models import (
    Workflow,
    WorkflowRun,
    WorkflowStepDependency,
    WorkflowStepState,
)
from tests.engine.threads import Background

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Call them in threads that set off together; their results or errors."""
    barrier = threading.Barrier(len(calls))
    results: list[Any] = [None] * len(calls)

    def run(index: int, call: Callable[[], Any]) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(timeout=30)
            results[index] = call()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            results[index] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=item) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def codes(results: list[Any]) -> list[str]:
    return sorted(getattr(result, "code", "won") for result in results)


def test_one_of_many_creates_a_flow() -> None:
    results = at_once(*[lambda: flow_builder.create_flow("flow")] * 6)
    assert codes(results) == ["won"] + ["workflow_already_exists"] * 5


def test_one_of_many_adds_a_step() -> None:
    flow_builder.create_flow("flow")
    results = at_once(*[lambda: flow_builder.add_step("flow", "step")] * 6)
    assert codes(results) == ["duplicate_step_slug"] * 5 + ["won"]
    assert flow_builder.get_flow("flow")["version"] == 2


def test_steps_added_at_once_line_up() -> None:
    flow_builder.create_flow("flow")

    def add(slug: str) -> Callable[[], Any]:
        return lambda: flow_builder.add_step("flow", slug)

    assert codes(at_once(*map(add, "abcdef"))) == ["won"] * 6
    flow = flow_builder.get_flow("flow")
    assert [step["step_index"] for step in flow["steps"]] == list(range(6))
    assert flow["version"] == 7


def test_one_of_many_documents_creates_and_all_of_them_may_replace() -> None:
    def document(number: int) -> dict[str, Any]:
        return {"workflow_slug": "flow", "timeout": number, "steps": [{"slug": f"s{number}"}]}

    def store(number: int, *, replace: bool) -> Callable[[], Any]:
        return lambda: flow_builder.create_flow_from_spec(document(number), replace=replace)

    results = at_once(*[store(number, replace=False) for number in range(1, 7)])
    assert codes(results) == ["won"] + ["workflow_already_exists"] * 5
    flow_builder.delete_flow("flow")
    results = at_once(*[store(number, replace=True) for number in range(1, 7)])
    assert codes(results) == ["won"] * 6
    numbers = sorted(workflow.version for workflow in results)
    assert numbers == list(range(numbers[0], numbers[0] + 6))
    last = max(results, key=lambda workflow: workflow.version)
    assert flow_builder.export_flow("flow") == document(last.timeout)


def test_workers_that_start_together_store_a_code_flow_once() -> None:
    class Nightly:
        @staticmethod
        def __workflow_steps__() -> Any:
            return [("a", len), ("b", len)]

    results = at_once(*[lambda: sync_code_flow(definition_of(Nightly))] * 6)
    assert [workflow.version for workflow in results] == [1] * 6


def test_two_edges_that_make_a_cycle_together_don_t_both_get_in() -> None:
    steps = [{"slug": "a"}, {"slug": "b"}]
    flow_builder.create_flow_from_spec({"workflow_slug": "flow", "steps": steps})

    def join(dep_slug: str, step_slug: str) -> Callable[[], Any]:
        return lambda: WorkflowStepDependency.objects.create(
            workflow_slug="flow", dep_slug=dep_slug, step_slug=step_slug
        )

    results = at_once(join("a", "b"), join("b", "a"))
    errors = [result for result in results if isinstance(result, Exception)]
    assert len(errors) == 1
    assert isinstance(errors[0], IntegrityError)
    assert "has a cycle: " in str(errors[0])
    assert WorkflowStepDependency.objects.count() == 1


def test_a_run_that_starts_just_before_the_deletion_is_seen() -> None:
    flow_builder.create_flow_from_spec({"workflow_slug": "flow", "steps": [{"slug": "a"}]})

    def start_elsewhere(**_: Any) -> None:
        [run] = at_once(lambda: executor.start_flow("flow"))
        assert run.workflow_slug == "flow"

    pre_delete.connect(start_elsewhere, sender=Workflow)
    try:
        with pytest.raises(WorkflowConflict, match='Flow "flow" has an active run'):
            flow_builder.delete_flow("flow")
    finally:
        pre_delete.disconnect(start_elsewhere, sender=Workflow)
    flow_builder.delete_flow("flow", force=True)


@pytest.mark.parametrize("in_transaction", [False, True])
def test_a_deletion_by_force_cancels_what_others_start_meanwhile(in_transaction: bool) -> None:
    flow_builder.create_flow_from_spec({"workflow_slug": "flow", "steps": [{"slug": "a"}]})
    executor.start_flow("flow")

    def start_elsewhere(**_: Any) -> None:
        [run] = at_once(lambda: executor.start_flow("flow"))
        assert run.workflow_slug == "flow"

    pre_delete.connect(start_elsewhere, sender=Workflow)
    try:
        with transaction.atomic() if in_transaction else nullcontext():
            flow_builder.delete_flow("flow", force=True)
    finally:
        pre_delete.disconnect(start_elsewhere, sender=Workflow)
    assert not Workflow.objects.exists()
    assert list(WorkflowRun.objects.values_list("status", flat=True)) == ["cancelled"] * 2


def test_a_deletion_by_force_leaves_the_fence_for_others_up() -> None:
    for slug in ("flow", "other"):
        flow_builder.create_flow_from_spec({"workflow_slug": slug, "steps": [{"slug": "a"}]})
        executor.start_flow(slug)
    with transaction.atomic():
        flow_builder.delete_flow("flow", force=True)
        with pytest.raises(IntegrityError, match="active runs"), transaction.atomic():
            Workflow.objects.get(pk="other").delete()


def test_a_commit_with_a_cycle_fails_and_leaves_nothing() -> None:
    @transaction.atomic
    def build() -> None:
        flow_builder.create_flow_from_spec(
            {"workflow_slug": "flow", "steps": [{"slug": "a"}, {"slug": "b", "depends_on": ["a"]}]}
        )
        WorkflowStepDependency.objects.create(workflow_slug="flow", dep_slug="b", step_slug="a")

    with pytest.raises(IntegrityError, match="has a cycle: "):
        build()
    assert not Workflow.objects.exists()


def test_async_twins_do_what_their_namesakes_do() -> None:
    @async_to_sync
    async def build() -> Any:
        await flow_builder.acreate_flow("flow", timeout=5)
        await flow_builder.aadd_step("flow", "fetch")
        await flow_builder.aadd_step("flow", "save", ["fetch"], timeout=7)
        document = await flow_builder.aexport_flow("flow")
        flow = await flow_builder.aget_flow("flow")
        listed = await flow_builder.alist_flows()
        with pytest.raises(PgflowError):
            await flow_builder.aadd_step("flow", "fetch")
        await flow_builder.adelete_flow("flow")
        with pytest.raises(WorkflowNotFound):
            await flow_builder.aget_flow("flow")
        await flow_builder.acreate_flow_from_spec(document)
        return document, flow, listed

    document, flow, listed = build()
    assert document == flow_builder.export_flow("flow")
    assert [step["step_slug"] for step in flow["steps"]] == ["fetch", "save"]
    assert [row["workflow_slug"] for row in listed] == ["flow"]


@pytest.mark.parametrize(
    "name",
    [
        "create_flow",
        "add_step",
        "list_flows",
        "get_flow",
        "delete_flow",
        "create_flow_from_spec",
        "export_flow",
    ],
)
def test_async_twins_are_named_and_documented(name: str) -> None:
    twin = getattr(flow_builder, f"a{name}")
    assert twin.__name__ == f"a{name}"
    assert twin.__doc__ == f"Do what ``{name}`` does, from async code."
    assert f"a{name}" in flow_builder.__all__


@pytest.mark.parametrize("edits", [0, 2])
def test_a_new_flow_has_no_run_of_the_steps_of_a_deleted_one(edits: int) -> None:
    for edit in range(edits):
        flow_builder.create_flow_from_spec(flow_of(f"edit_{edit}"), replace=True)
    flow_builder.create_flow_from_spec(flow_of("old"), replace=True)
    with transaction.atomic():
        before = executor.start_flow("flow")
        Background(lambda: flow_builder.delete_flow("flow", force=True)).result()
        Background(lambda: flow_builder.create_flow_from_spec(flow_of("new"))).result()
    after = executor.start_flow("flow")
    assert after.version > before.version
    states = WorkflowStepState.objects.filter(run_id=after.id)
    assert list(states.values_list("step_slug", flat=True)) == ["new"]
    assert drafts.list_versions("flow") == [after.version]


def flow_of(step: str) -> dict[str, Any]:
    return {"workflow_slug": "flow", "steps": [{"slug": step}]}
