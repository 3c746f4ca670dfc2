"""Drafts in the database: editing, undo, conflicts, publishing."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection

from pgflow_django import Flow, drafts, executor, flow_builder, step, step_function
from pgflow_django.exceptions import (
    DraftConflict,
    EditRefused,
    InvalidSlug,
    WorkflowConflict,
    WorkflowExists,
    WorkflowNotFound,
)
from pgflow_django.flows import definition_of, sync_code_flow
from pgflow_django.models import Workflow, WorkflowDraft, WorkflowRevision, WorkflowRun

pytestmark = pytest.mark.django_db


def edit(draft: drafts.Draft, op: str, /, **arguments: Any) -> drafts.Draft:
    return drafts.edit(draft.slug, draft.version, op, arguments, user="ann").draft


def slugs(draft: drafts.Draft) -> list[str]:
    return [row["slug"] for row in draft.document["steps"]]


def test_the_flow_of_the_guide_is_drawn_published_and_run() -> None:
    step_function("fetch_data")(lambda input: [1, 2, 3])
    step_function("process")(lambda input: input["item"] * 2)
    step_function("save")(lambda input: sum(input["process"]))
    draft = drafts.create("pipeline", user="ann")
    assert (draft.version, draft.published_version, draft.has_changes) == (1, None, True)
    assert flow_builder.list_flows() == []
    draft = edit(draft, "add_step", uses="fetch_data")
    draft = edit(draft, "add_step", uses="process", type="map", depends_on=["fetch_data"])
    draft = edit(draft, "add_step", uses="save", depends_on=["process"])
    published = drafts.publish("pipeline", draft.version, user="ann")
    assert published.workflow.origin == "editor"
    assert published.workflow.created_by == "ann"
    assert published.active_runs == 0
    run = executor.start_flow("pipeline", {})
    executor.drain()
    assert executor.wait(run.id) == {"save": 12}
    after = drafts.load("pipeline")
    assert (after.has_changes, after.published_version) == (False, published.workflow.version)


def test_a_flow_belongs_to_whoever_began_it() -> None:
    draft = drafts.create("flow", {"steps": [{"slug": "a"}]}, user="ann")
    assert draft.owner == "ann"
    published = drafts.publish("flow", draft.version, user="bob")
    assert published.workflow.created_by == "ann"
    draft = drafts.load("flow")
    assert (draft.owner, draft.edited_by) == ("ann", "bob")


def test_looking_at_a_published_flow_writes_nothing() -> None:
    flow_builder.create_flow("flow")
    flow_builder.add_step("flow", "a")
    draft = drafts.load("flow")
    assert (draft.version, draft.has_changes, slugs(draft)) == (0, False, ["a"])
    assert not WorkflowDraft.objects.exists()
    assert edit(draft, "add_step", slug="b", depends_on=["a"]).version == 2
    assert flow_builder.export_flow("flow")["steps"] == [{"slug": "a"}]


def test_undo_and_redo_survive_a_reload_and_lose_nothing() -> None:
    draft = drafts.create("flow", user="ann")
    assert not draft.can_undo
    draft = edit(edit(draft, "add_step", slug="a"), "add_step", slug="b")
    draft = edit(draft, "undo")
    assert slugs(drafts.load("flow")) == ["a"]
    assert (draft.undo_label, draft.redo_label) == ('Added step "a"', 'Added step "b"')
    draft = edit(draft, "redo")
    assert slugs(draft) == ["a", "b"]
    draft = edit(edit(edit(draft, "undo"), "undo"), "add_step", slug="c")
    assert (slugs(draft), draft.can_redo) == (["c"], False)
    with pytest.raises(EditRefused, match="nothing to redo"):
        edit(draft, "redo")
    lost = next(r for r in drafts.history("flow") if r.label == 'Added step "b"')
    assert slugs(edit(draft, "restore", seq=lost.seq)) == ["a", "b"]


def test_whoever_comes_later_is_told_and_nothing_is_lost() -> None:
    draft = drafts.create("flow", user="ann")
    drafts.edit("flow", draft.version, "add_step", {"slug": "a"}, user="bob")
    with pytest.raises(DraftConflict, match="changed by bob") as caught:
        edit(draft, "add_step", slug="b")
    assert caught.value.messages == ['bob: Added step "a"']
    assert slugs(caught.value.draft) == ["a"]
    assert slugs(edit(caught.value.draft, "add_step", slug="b")) == ["a", "b"]


@pytest.mark.django_db(transaction=True)
def test_of_many_editors_at_one_moment_one_wins_and_the_others_are_told() -> None:
    flow_builder.create_flow("flow")
    flow_builder.add_step("flow", "a")
    outcomes: list[str] = []
    gate = threading.Barrier(6)

    def work(number: int) -> None:
        gate.wait()
        try:
            drafts.edit("flow", 0, "add_step", {"slug": f"s{number}"}, user=f"u{number}")
            outcomes.append("done")
        except DraftConflict:
            outcomes.append("conflict")
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes) == ["conflict"] * 5 + ["done"]
    assert len(drafts.load("flow").document["steps"]) == 2


@pytest.mark.parametrize(
    ("op", "arguments", "code", "field"),
    [
        ("add_step", {"slug": "1st"}, "invalid_step_slug", "slug"),
        ("add_step", {"slug": "run"}, "invalid_step_slug", "slug"),
        ("add_step", {"slug": "a"}, "duplicate_step_slug", "slug"),
        ("add_edge", {"source": "b", "target": "a"}, "cycle_detected", "depends_on"),
        ("add_edge", {"source": "a", "target": "a"}, "self_dependency", "depends_on"),
        ("update_step", {"step": "a", "timeout": 0}, "invalid_timeout", "timeout"),
        ("update_step", {"step": "a", "type": "both"}, "invalid_step_type", "type"),
        ("update_step", {"step": "a", "max_attempts": "x"}, "invalid_max_attempts", "max_attempts"),
        ("set_flow", {"queue": "in_process"}, "invalid_queue", "queue"),
        ("update_step", {"step": "a"}, "nothing_changed", ""),
        ("restore", {"seq": 99}, "missing_revision", "seq"),
        ("restore", {}, "missing_revision", "seq"),
        ("restore", 5, "invalid_arguments", ""),
        ("undo", {}, "nothing_to_undo", ""),
    ],
)
def test_an_edit_that_would_break_the_flow_is_refused(
    op: str, arguments: Any, code: str, field: str
) -> None:
    document = {"steps": [{"slug": "a"}, {"slug": "b", "depends_on": ["a"]}]}
    draft = drafts.create("flow", document, user="ann")
    with pytest.raises(EditRefused) as caught:
        drafts.edit("flow", draft.version, op, arguments, user="ann")
    assert (caught.value.code, caught.value.field) == (code, field)
    assert drafts.load("flow") == draft


def test_a_map_can_wait_for_one_step_only() -> None:
    document = {"steps": [{"slug": "a"}, {"slug": "b"}, {"slug": "m", "type": "map"}]}
    draft = drafts.create("flow", document, user="ann")
    draft = edit(draft, "add_edge", source="a", target="m")
    with pytest.raises(EditRefused) as caught:
        edit(draft, "add_edge", source="b", target="m")
    assert caught.value.code == "map_step_constraint_violation"


def test_a_flow_without_steps_is_not_published() -> None:
    draft = drafts.create("flow", user="ann")
    with pytest.raises(EditRefused) as caught:
        drafts.publish("flow", draft.version, user="ann")
    assert caught.value.code == "workflow_has_no_steps"
    assert not Workflow.objects.exists()


def test_problems_offer_edits_that_mend_them() -> None:
    step_function("fetch_orders")(lambda input: 1)
    document = {
        "workflow_slug": "flow",
        "steps": [{"slug": "fetch_order"}, {"slug": "x", "uses": "fetch_ordrs"}],
    }
    found = drafts.problems(document)
    assert [(f.level, f.code, f.step) for f in found] == [
        ("warning", "unknown_function", "x"),
        ("warning", "unknown_function", "fetch_order"),
    ]
    draft = drafts.create("flow", document, user="ann")
    for problem in found:
        fix = problem.fixes[0]
        draft = drafts.edit("flow", draft.version, fix["op"], fix["arguments"], user="ann").draft
    assert drafts.problems(draft.document) == []


def test_runs_in_flight_go_on_with_their_version() -> None:
    step_function("one")(lambda input: 1)
    step_function("two")(lambda input: 2)
    flow_builder.create_flow_from_spec({"workflow_slug": "flow", "steps": [{"slug": "one"}]})
    run = executor.start_flow("flow", {})
    draft = edit(drafts.load("flow"), "rename_step", step="one", to="two")
    draft = edit(draft, "update_step", step="two", uses="two")
    assert drafts.publish("flow", draft.version, user="ann").active_runs == 1
    later = executor.start_flow("flow", {})
    executor.drain()
    assert executor.wait(run.id) == {"one": 1}
    assert executor.wait(later.id) == {"two": 2}
    assert WorkflowRun.objects.count() == 2


def test_a_change_from_elsewhere_is_not_overwritten_unseen() -> None:
    flow_builder.create_flow("flow")
    flow_builder.add_step("flow", "a")
    draft = edit(drafts.load("flow"), "add_step", slug="mine")
    flow_builder.add_step("flow", "theirs")
    with pytest.raises(DraftConflict) as caught:
        drafts.publish("flow", draft.version, user="ann")
    assert "stored from elsewhere" in caught.value.messages[0]
    drafts.publish("flow", caught.value.draft.version, user="ann")
    assert [row["slug"] for row in flow_builder.export_flow("flow")["steps"]] == ["a", "mine"]


def test_an_untouched_draft_follows_what_is_published_elsewhere() -> None:
    draft = drafts.create("flow", {"steps": [{"slug": "a"}]}, user="ann")
    drafts.publish("flow", draft.version, user="ann")
    flow_builder.add_step("flow", "b")
    draft = drafts.load("flow")
    assert (slugs(draft), draft.has_changes) == (["a", "b"], False)
    draft = edit(draft, "add_step", slug="c")
    assert slugs(draft) == ["a", "b", "c"]
    assert slugs(edit(edit(draft, "undo"), "undo")) == ["a"]


def test_discarding_goes_back_to_the_published_flow_and_can_be_undone() -> None:
    draft = drafts.create("flow", {"steps": [{"slug": "a"}]}, user="ann")
    drafts.publish("flow", draft.version, user="ann")
    draft = edit(drafts.load("flow"), "add_step", slug="b")
    drafts.discard("flow", draft.version, user="ann")
    draft = drafts.load("flow")
    assert (slugs(draft), draft.has_changes) == (["a"], False)
    assert slugs(edit(draft, "undo")) == ["a", "b"]


def test_discarding_what_was_never_published_deletes_it() -> None:
    draft = drafts.create("flow", user="ann")
    assert [row.workflow_slug for row in drafts.list_unpublished()] == ["flow"]
    drafts.discard("flow", draft.version, user="ann")
    with pytest.raises(WorkflowNotFound):
        drafts.load("flow")
    assert not WorkflowRevision.objects.exists()


def test_deleting_a_flow_deletes_its_draft() -> None:
    draft = drafts.create("flow", {"steps": [{"slug": "a"}]}, user="ann")
    drafts.publish("flow", draft.version, user="ann")
    flow_builder.delete_flow("flow")
    assert not WorkflowDraft.objects.exists()


def test_code_flows_are_read_only() -> None:
    class Coded(Flow):
        @step
        def a(input: dict[str, Any]) -> int:  # noqa: N805 - a step function of a flow
            return 1

    sync_code_flow(definition_of(Coded), using="default")
    draft = drafts.load("coded")
    assert draft.is_read_only
    with pytest.raises(WorkflowConflict, match="defined in code"):
        edit(draft, "add_step", slug="b")


def test_names_that_are_taken_or_bad_are_refused() -> None:
    drafts.create("flow", user="ann")
    flow_builder.create_flow("stored")
    for slug in ("flow", "stored"):
        with pytest.raises(WorkflowExists, match="already"):
            drafts.create(slug, user="ann")
    with pytest.raises(InvalidSlug):
        drafts.create("no good", user="ann")
    with pytest.raises(WorkflowNotFound):
        drafts.load("nobody")
    with pytest.raises(WorkflowNotFound):
        drafts.edit("nobody", 0, "add_step", {}, user="ann")


def test_history_tells_who_did_what_and_how_states_differ() -> None:
    draft = drafts.create("flow", user="ann")
    draft = edit(draft, "add_step", slug="a")
    drafts.edit("flow", draft.version, "update_step", {"step": "a", "timeout": 9}, user="bob")
    entries = drafts.history("flow")
    assert [(e.seq, e.user, e.is_current) for e in entries] == [
        (2, "bob", True),
        (1, "ann", False),
        (0, "ann", False),
    ]
    assert [str(change) for change in drafts.compare("flow", 2)] == ["step a: timeout null → 9"]
    assert [change.kind for change in drafts.compare("flow", 0, 2)] == ["added"]
    with pytest.raises(EditRefused):
        drafts.compare("flow", 77)


@pytest.mark.slow
def test_two_hundred_revisions_are_kept() -> None:
    draft = drafts.create("flow", user="ann")
    for number in range(205):
        draft = edit(draft, "set_flow", description=f"text {number}")
    assert WorkflowRevision.objects.count() == 200
    for _ in range(199):
        draft = edit(draft, "undo")
    assert not draft.can_undo


def test_presence_counts_other_sessions() -> None:
    drafts.touch_presence("flow", "ann", "one")
    assert drafts.others_present("flow", "one") == 0
    drafts.touch_presence("flow", "bob", "two")
    drafts.touch_presence("flow", "bob", "two")
    assert drafts.others_present("flow", "one") == 1
    assert drafts.others_present("other", "one") == 0
