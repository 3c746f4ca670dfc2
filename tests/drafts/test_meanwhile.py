"""Drafts while others are at work: nothing of theirs is lost, nothing is left over, no deadlock."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, transaction

from pgflow_django import drafts, flow_builder
from pgflow_django.exceptions import DraftConflict, PgflowError, WorkflowNotFound
from pgflow_django.models import Workflow, WorkflowDraft, WorkflowRevision
from tests.engine.database import clean, query
from tests.engine.threads import Background, at_once
from tests.waiting import wait_for, wait_until


@pytest.fixture(autouse=True)
def transactional_db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Let the test commit; see the engine's fixture of this name."""
    with django_db_blocker.unblock():
        clean()
        yield
        clean()


def store(*slugs: str) -> None:
    steps = [{"slug": slug} for slug in slugs]
    flow_builder.create_flow_from_spec({"workflow_slug": "flow", "steps": steps})


def stored_steps() -> list[str]:
    return [row["slug"] for row in flow_builder.export_flow("flow")["steps"]]


def add_step(draft: drafts.Draft, slug: str, user: str = "ann") -> drafts.Draft:
    return drafts.edit(draft.slug, draft.version, "add_step", {"slug": slug}, user=user).draft


def publish_while(change: Callable[[], Any], draft: drafts.Draft) -> None:
    """Publish while the transaction that makes ``change`` is open, and see it refused."""
    made, may_commit = threading.Event(), threading.Event()

    def change_and_wait() -> None:
        with transaction.atomic():
            change()
            made.set()
            wait_for(may_commit)

    other = Background(change_and_wait)
    wait_for(made)
    publishing = Background(lambda: drafts.publish("flow", draft.version, user="ann"))
    try:
        wait_until(lambda: query("select 1 from pg_stat_activity where wait_event_type = 'Lock'"))
    finally:
        may_commit.set()
    other.result()
    with pytest.raises(DraftConflict) as caught:
        publishing.result()
    assert "stored from elsewhere" in caught.value.messages[0]


def test_publishing_waits_for_a_change_from_elsewhere_and_tells_of_it() -> None:
    store("a")
    draft = add_step(drafts.load("flow"), "mine")
    publish_while(lambda: flow_builder.add_step("flow", "theirs"), draft)
    assert stored_steps() == ["a", "theirs"]


def test_publishing_does_not_take_a_slug_that_was_just_given_away() -> None:
    draft = drafts.create("flow", {"steps": [{"slug": "mine"}]}, user="ann")
    publish_while(lambda: store("theirs"), draft)
    assert stored_steps() == ["theirs"]
    assert drafts.load("flow").document["steps"] == [{"slug": "mine"}]


def unless_refused(call: Callable[[], Any]) -> Callable[[], Any]:
    def try_it() -> None:
        try:
            call()
        except PgflowError:
            return

    return try_it


@pytest.mark.parametrize("act", ["edit", "publish"])
def test_deleting_a_flow_at_the_same_moment_leaves_nothing_and_locks_nobody(act: str) -> None:
    for _ in range(15):
        store("a")
        draft = drafts.load("flow")
        if act == "publish":
            draft = add_step(draft, "mine")
        calls = {
            "edit": lambda draft=draft: add_step(draft, "mine"),
            "publish": lambda draft=draft: drafts.publish("flow", draft.version, user="ann"),
        }
        at_once([unless_refused(calls[act]), lambda: flow_builder.delete_flow("flow")])
        assert not WorkflowDraft.objects.exists()
        assert not WorkflowRevision.objects.exists()
        assert not Workflow.objects.exists()


def test_a_flow_takes_its_draft_along_however_it_is_deleted() -> None:
    store("a")
    add_step(drafts.load("flow"), "mine")
    with connection.cursor() as cursor:
        cursor.execute("delete from workflows")
    with pytest.raises(WorkflowNotFound):
        drafts.load("flow")


def test_editors_at_once_lose_nothing() -> None:
    drafts.create("flow", user="ann")

    def add_steps(name: str) -> Callable[[], None]:
        def add_all() -> None:
            done = 0
            while done < 8:
                try:
                    add_step(drafts.load("flow"), f"{name}_{done}", name)
                    done += 1
                except DraftConflict:
                    continue

        return add_all

    at_once([add_steps(name) for name in ("ann", "bob", "cleo")])
    assert len(drafts.load("flow").document["steps"]) == 24
    assert drafts.load("flow").version == 25


def test_an_undo_to_what_was_published_once_is_a_change_of_ones_own() -> None:
    store("a")
    draft = add_step(drafts.load("flow"), "b")
    drafts.publish("flow", draft.version, user="ann")
    draft = drafts.load("flow")
    draft = drafts.edit("flow", draft.version, "undo", {}, user="ann").draft
    flow_builder.add_step("flow", "theirs")
    assert drafts.load("flow").document["steps"] == [{"slug": "a"}]


def test_a_new_draft_is_not_hidden_by_a_flow_of_its_name() -> None:
    drafts.create("flow", {"steps": [{"slug": "mine"}]}, user="ann")
    store("theirs")
    draft = drafts.load("flow")
    assert draft.document["steps"] == [{"slug": "mine"}]
    assert draft.has_changes


def test_what_undo_says_is_what_it_does_when_the_flow_was_changed_elsewhere() -> None:
    store("a")
    draft = add_step(drafts.load("flow"), "b")
    drafts.publish("flow", draft.version, user="ann")
    flow_builder.add_step("flow", "theirs")
    draft = drafts.load("flow")
    edited = drafts.edit("flow", draft.version, "undo", {}, user="ann")
    assert edited.message == f"Undid: {draft.undo_label}."
    assert [row["slug"] for row in edited.draft.document["steps"]] == ["a", "b"]


def test_after_giving_up_ones_changes_there_is_nothing_to_be_told_of() -> None:
    store("a")
    draft = add_step(drafts.load("flow"), "b")
    flow_builder.add_step("flow", "theirs")
    drafts.discard("flow", draft.version, user="ann")
    draft = add_step(drafts.load("flow"), "c")
    drafts.publish("flow", draft.version, user="ann")
    assert stored_steps() == ["a", "theirs", "c"]


def test_a_conflict_says_who_undid_or_published_what() -> None:
    seen = drafts.create("flow", user="ann")
    seen = add_step(seen, "a")
    again = drafts.edit("flow", seen.version, "undo", {}, user="bob").draft
    with pytest.raises(DraftConflict) as caught:
        add_step(seen, "b")
    assert caught.value.messages == ['bob: Undid: Added step "a"']
    again = drafts.edit("flow", again.version, "redo", {}, user="bob").draft
    drafts.publish("flow", again.version, user="cleo")
    with pytest.raises(DraftConflict, match="changed by cleo") as caught:
        add_step(again, "b")
    assert caught.value.messages == ["cleo: Published version 1"]


def test_the_state_before_an_edit_is_kept_however_old() -> None:
    draft = drafts.create("flow", user="ann")
    for number in range(200):
        arguments = {"description": f"text {number}"}
        draft = drafts.edit("flow", draft.version, "set_flow", arguments, user="ann").draft
    while draft.can_undo:
        draft = drafts.edit("flow", draft.version, "undo", {}, user="ann").draft
    before = draft.document
    draft = add_step(draft, "new")
    assert drafts.edit("flow", draft.version, "undo", {}, user="ann").draft.document == before
