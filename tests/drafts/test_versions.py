"""Versions of a flow that are known, and what changed from one to another."""

from __future__ import annotations

from typing import Any

import pytest

from pgflow_django import Flow, drafts, executor, flow_builder, step
from pgflow_django.definitions.options import FLOW_OPTIONS, STEP_OPTIONS
from pgflow_django.definitions.shape import Document
from pgflow_django.exceptions import EditRefused, WorkflowNotFound
from pgflow_django.flows import definition_of, sync_code_flow
from pgflow_django.models import Workflow, WorkflowRevision
from tests.definitions.samples import sample_options

pytestmark = pytest.mark.django_db

STEPS: list[dict[str, Any]] = [{"slug": "fetch"}, {"slug": "send", "depends_on": ["fetch"]}]


def edit(op: str, slug: str = "orders", **arguments: Any) -> None:
    drafts.edit(slug, drafts.load(slug).version, op, arguments, user="ada")


def publish(slug: str = "orders") -> int:
    published = drafts.publish(slug, drafts.load(slug).version, user="ada")
    return int(published.workflow.version)


def tell(before: Any, after: Any = "draft", slug: str = "orders") -> list[str]:
    """What changed, in a line each."""
    return [str(change) for change in drafts.compare_versions(slug, before, after).changes]


@pytest.fixture
def drawn() -> None:
    """Publish three versions, and go on with the draft."""
    drafts.create("orders", {"steps": STEPS}, user="ada")
    assert publish() == 1
    edit("update_step", step="send", timeout=5)
    assert publish() == 2
    edit("set_flow", queue="slow")
    assert publish() == 3
    edit("delete_step", step="fetch")


def test_any_two_versions_are_compared_in_either_direction(drawn: None) -> None:
    assert drafts.list_versions("orders") == [3, 2, 1]
    assert tell(1, 2) == ["step send: timeout null → 5"]
    assert tell(2, 1) == ["step send: timeout 5 → null"]
    assert tell(1, 3) == ['flow: queue "default" → "slow"', "step send: timeout null → 5"]
    assert tell(2, 2) == []
    gone = ["step fetch: removed", 'step send: depends_on ["fetch"] → []']
    assert tell(3) == tell(3, "draft") == gone
    assert tell("draft", "draft") == []
    found = drafts.compare_versions("orders", 1)
    assert [row["slug"] for row in found.before["steps"]] == ["fetch", "send"]
    assert [row["slug"] for row in found.after["steps"]] == ["send"]
    assert not found.is_of_runs


@pytest.mark.parametrize("which", [0, 4, -1, 10**30, "2", None, True])
def test_a_version_that_is_not_known_is_refused(drawn: None, which: Any) -> None:
    for pair in ((which, "draft"), (1, which)):
        with pytest.raises(EditRefused, match=r"no version .* is kept\. Choose another") as error:
            drafts.compare_versions("orders", *pair)
        assert error.value.code == "missing_version"


def test_a_flow_that_is_not_there_has_no_versions() -> None:
    for call in (drafts.list_versions, lambda slug: drafts.compare_versions(slug, 1, 1)):
        with pytest.raises(WorkflowNotFound):
            call("nothing")
    drafts.create("plan", user="ada")
    assert drafts.list_versions("plan") == []
    with pytest.raises(EditRefused):
        drafts.compare_versions("plan", 1)


def test_of_versions_that_were_only_started_is_known_what_their_runs_use() -> None:
    flow_builder.create_flow_from_spec({"workflow_slug": "orders", "timeout": 9, "steps": STEPS})
    executor.start_flow("orders")
    flow_builder.add_step("orders", "report", ["send"], timeout=9)
    flow_builder.add_step("orders", "bill")
    executor.start_flow("orders")
    flow_builder.create_flow_from_spec(
        {"workflow_slug": "orders", "max_attempts": 1, "timeout": 9, "steps": STEPS}, replace=True
    )
    first, second, third = reversed(drafts.list_versions("orders"))
    assert tell(first, second) == ["step report: added", "step bill: added"]
    found = drafts.compare_versions("orders", first, third)
    assert found.is_of_runs
    assert [str(change) for change in found.changes] == [
        "step fetch: max_attempts 3 → 1",
        "step send: max_attempts 3 → 1",
    ]
    assert tell(third, "draft") == []


def make_full() -> Document:
    """A flow with a value for every option, and a step with none."""
    values = {FLOW_OPTIONS[key].key: value for key, value in sample_options(FLOW_OPTIONS).items()}
    own = {STEP_OPTIONS[key].key: value for key, value in sample_options(STEP_OPTIONS).items()}
    steps = [{"slug": "fetch", **own}, {"slug": "send", "depends_on": ["fetch"]}]
    return {"workflow_slug": "orders", **values, "max_attempts": 0, "steps": steps}


def test_what_runs_use_of_a_flow_is_what_its_document_says() -> None:
    flow_builder.create_flow_from_spec(make_full())
    executor.start_flow("orders", [1])
    edited = {**make_full(), "description": "Something else."}
    flow_builder.create_flow_from_spec(edited, replace=True)
    assert tell(1, 2) == []
    flow_builder.create_flow_from_spec({**edited, "queue": "another"}, replace=True)
    assert tell(1, 3) == ['step send: queue "sample_3" → "another"']


def test_versions_of_a_flow_in_code() -> None:
    def define(timeout: int) -> None:
        class Nightly(Flow):
            @step(timeout=timeout)
            def fetch(input: Any) -> Any:  # noqa: N805
                """Get the numbers."""

        sync_code_flow(definition_of(Nightly))
        executor.start_flow(Nightly)

    define(5)
    define(6)
    assert drafts.list_versions("nightly") == [2, 1]
    assert tell(1, 2, "nightly") == ["step fetch: timeout 5 → 6"]


@pytest.mark.django_db(transaction=True)
def test_a_flow_does_not_show_what_an_earlier_one_of_its_name_was() -> None:
    flow_builder.create_flow_from_spec({"workflow_slug": "orders", "steps": STEPS})
    executor.start_flow("orders")
    flow_builder.delete_flow("orders", force=True)
    drafts.create("orders", {"steps": [{"slug": "other"}]}, user="bob")
    assert drafts.list_versions("orders") == []
    assert publish() > 1
    assert drafts.list_versions("orders") == [Workflow.objects.get().version]
    with pytest.raises(EditRefused):
        drafts.compare_versions("orders", 1)


def test_a_version_whose_revision_is_gone_is_known_from_its_runs(drawn: None) -> None:
    executor.start_flow("orders")
    edit("set_flow", queue="fast")
    publish()
    WorkflowRevision.objects.filter(published_version=3).delete()
    assert drafts.list_versions("orders") == [4, 3, 2, 1]
    found = drafts.compare_versions("orders", 3, 4)
    assert found.is_of_runs
    assert 'step send: queue "slow" → "fast"' in map(str, found.changes)
