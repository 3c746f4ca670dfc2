"""``publishflow``."""

from __future__ import annotations

from pgflow_django import drafts, executor, flow_builder
from tests.commands.calling import call


def test_a_draft_is_published_and_runs_in_flight_are_told_of() -> None:
    draft = drafts.create("orders", {"steps": [{"slug": "a"}]}, user="ann")
    answer = call("publishflow", "orders")
    assert (answer.status, answer.stdout) == (0, 'Flow "orders" is published as version 1.\n')
    assert answer.stderr == ""
    executor.start_flow("orders")
    draft = drafts.load("orders")
    drafts.edit("orders", draft.version, "add_step", {"slug": "b"}, user="ann")
    answer = call("publishflow", "orders", user="bob")
    assert answer.stdout == 'Flow "orders" is published as version 2.\n'
    assert answer.stderr == "1 run goes on with its own version.\n"
    assert drafts.load("orders").edited_by == "bob"
    assert len(flow_builder.get_flow("orders")["steps"]) == 2


def test_a_flow_without_changes_stays_as_it_is() -> None:
    flow_builder.create_flow("orders")
    flow_builder.add_step("orders", "a")
    version = flow_builder.get_flow("orders")["version"]
    answer = call("publishflow", "orders")
    assert answer.stdout == 'Flow "orders" has no draft with changes: nothing to publish.\n'
    facts = {"action": "unchanged", "version": version, "active_runs": 0}
    assert call("publishflow", "orders", json=True).json == {"workflow_slug": "orders", **facts}


def test_what_can_not_be_published_is_refused_in_one_sentence() -> None:
    drafts.create("orders", user="ann")
    answer = call("publishflow", "orders")
    assert answer.status == 2
    assert "no steps" in answer.stderr
    draft = drafts.load("orders")
    drafts.edit("orders", draft.version, "add_step", {"slug": "a"}, user="ann")
    flow_builder.create_flow("orders")
    error = call("publishflow", "orders", json=True).json["error"]
    assert error["code"] == "draft_conflict"
    assert "meanwhile" in error["message"]
    assert error["draft"] == {"version": drafts.load("orders").version}
    assert len(error["messages"]) > 0
    assert call("publishflow", "orders").status == 0
    assert call("publishflow", "nobody").status == 2
