"""Drafts that wait for somebody who may publish them, and those that come back with a note."""

from __future__ import annotations

from typing import Any

import pytest

from pgflow_django import drafts, step_function
from pgflow_django.drafts import HandedIn, Returned
from pgflow_django.exceptions import DraftConflict, EditRefused, WorkflowNotFound
from pgflow_django.registry import registry

pytestmark = pytest.mark.django_db

STEP = {"slug": "fetch", "uses": "tests.numbers"}


@pytest.fixture(autouse=True)
def draft(db: None) -> drafts.Draft:
    return drafts.create("plan", {"steps": [STEP]}, user="bot")


def hand_in(version: int = 1, note: str = "please", user: str = "bot") -> drafts.Draft:
    return drafts.hand_in("plan", version, user=user, note=note)


def test_it_waits_with_what_was_handed_in() -> None:
    before = drafts.load("plan")
    assert (before.handed_in, before.returned) == (None, None)
    after = hand_in(note="the second try\n\tsee above")
    assert after == drafts.load("plan")
    assert after.handed_in is not None
    assert (after.handed_in.by, after.handed_in.note) == ("bot", "the second try\n\tsee above")
    assert (after.version, after.document) == (before.version, before.document)
    again = hand_in(note="shorter").handed_in
    assert again is not None
    assert again.note == "shorter"
    assert again.at >= after.handed_in.at


@pytest.mark.parametrize(
    ("op", "arguments"),
    [
        ("add_step", {"slug": "more", "uses": "tests.double"}),
        ("update_step", {"step": "fetch", "max_attempts": 7}),
    ],
)
def test_any_edit_takes_it_back(op: str, arguments: dict[str, Any]) -> None:
    hand_in()
    edited = drafts.edit("plan", 1, op, arguments, user="ann").draft
    assert edited.handed_in is None
    undone = hand_in(edited.version).version
    assert drafts.edit("plan", undone, "undo", {}, user="ann").draft.handed_in is None


def test_publishing_ends_it() -> None:
    hand_in()
    sent = drafts.send_back("plan", 1, user="ann", note="describe it")
    assert (sent.handed_in, sent.returned) == (None, Returned("ann", "describe it"))
    kept = drafts.edit("plan", 1, "update_step", {"step": "fetch", "max_attempts": 2}, user="bot")
    assert kept.draft.returned == Returned("ann", "describe it")
    assert hand_in(2).returned is None
    drafts.publish("plan", 2, user="ann")
    after = drafts.load("plan")
    assert (after.handed_in, after.returned) == (None, None)
    with pytest.raises(EditRefused) as refused:
        hand_in(after.version)
    assert refused.value.code == "nothing_changed"


def test_a_returned_one_that_is_published_is_no_more_returned() -> None:
    hand_in()
    drafts.send_back("plan", 1, user="ann", note="no")
    drafts.publish("plan", 1, user="ann")
    assert drafts.load("plan").returned is None


def test_what_can_not_be_published_is_not_handed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_functions", dict(registry._functions))
    table = {"type": "object", "properties": {"table": {"type": "string"}}}
    step_function("strict.load", params=table)(lambda input: 1)
    step = {"slug": "a", "uses": "strict.load", "params": {"table": 7}}
    drafts.create("wrong", {"steps": [step]}, user="bot")
    with pytest.raises(EditRefused) as refused:
        drafts.hand_in("wrong", 1, user="bot")
    assert refused.value.code == "invalid_params"
    with pytest.raises(DraftConflict):
        hand_in(2)
    with pytest.raises(WorkflowNotFound):
        drafts.hand_in("nothing", 1, user="bot")
    assert drafts.load("plan").handed_in is None


def test_only_what_was_handed_in_comes_back() -> None:
    with pytest.raises(EditRefused) as refused:
        drafts.send_back("plan", 1, user="ann", note="why?")
    assert refused.value.code == "not_handed_in"
    hand_in()
    with pytest.raises(DraftConflict):
        drafts.send_back("plan", 2, user="ann", note="why?")
    assert drafts.load("plan").handed_in is not None


@pytest.mark.parametrize("note", [None, 7, "x" * 2001, "a\0b", "a\x1b[31m", "a\u202eb", "a\ud800"])
def test_a_note_is_plain_text(note: Any) -> None:
    for function in (drafts.hand_in, drafts.send_back):
        with pytest.raises(EditRefused) as refused:
            function("plan", 1, user="bot", note=note)
        assert (refused.value.code, refused.value.field) == ("invalid_note", "note")
    draft = drafts.load("plan")
    assert (draft.handed_in, draft.returned) == (None, None)


def test_what_is_handed_in_is_told_in_parts() -> None:
    given = hand_in(note="").handed_in
    assert given is not None
    assert HandedIn(given.by, given.at, "") == given
