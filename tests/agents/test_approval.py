"""Who publishes what a program has drawn, by every way that the admin has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from pgflow_django import drafts
from pgflow_django.models import Workflow, WorkflowRun
from tests.views.conftest import LogIn, address, log_in, make_flow, steps

__all__ = ["log_in", "steps"]

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("steps")]

OTHER = {"AGENT_POLICY": {"APPROVAL": "other_person"}}
CANNOT = "wants another person to publish"


def made_by(user: str) -> dict[str, str]:
    return {"by": user, "via": "mcp", "token": "bot"}


def publish_in_editor(client: Client, version: int) -> Any:
    data = {"op": "publish", "version": version, "view": "diagram"}
    return client.post(address("workflow_publish", "numbers"), data)


def publish_in_review(client: Client, version: int) -> Any:
    return client.post(address("workflow_approve", "numbers"), {"version": version})


def publish_with_run(client: Client, version: int) -> Any:
    data = {"mode": "json", "input": "{}", "token": "0" * 32, "publish": version}
    return client.post(address("workflow_run", "numbers"), data)


WAYS = (publish_in_editor, publish_in_review, publish_with_run)
Way = Callable[[Client, int], Any]


@pytest.fixture
def version() -> int:
    """Give the version of a draft that a program of ann's has changed, and handed in."""
    make_flow("numbers")
    arguments = {"description": "Numbers."}
    draft = drafts.edit(
        "numbers", 0, "set_flow", arguments, user="ann", provenance=made_by("ann")
    ).draft
    drafts.hand_in("numbers", draft.version, user="ann")
    return draft.version


@pytest.mark.parametrize("way", WAYS)
def test_another_person_publishes_where_the_site_says_so(
    log_in: LogIn, settings: Any, version: int, way: Way
) -> None:
    settings.PGFLOW = OTHER
    answer = way(log_in("ann", "*"), version)
    assert answer.status_code == 422
    assert CANNOT in answer.content.decode()
    assert Workflow.objects.get().version == 1
    assert not WorkflowRun.objects.exists()
    assert drafts.load("numbers").handed_in is not None
    assert way(log_in("ben", "*"), version).status_code in {200, 302}
    assert Workflow.objects.get().version == 2


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("approval", ["person", "none"])
def test_else_any_person_publishes(
    log_in: LogIn, settings: Any, version: int, way: Way, approval: str
) -> None:
    settings.PGFLOW = {"AGENT_POLICY": {"APPROVAL": approval}}
    assert way(log_in("ann", "*"), version).status_code in {200, 302}
    assert Workflow.objects.get().version == 2


def test_the_review_says_so_beforehand(log_in: LogIn, settings: Any, version: int) -> None:
    settings.PGFLOW = OTHER
    link = address("workflow_approve", "numbers")
    for name, may in (("ann", False), ("ben", True)):
        page = log_in(name, "*").get(address("workflow_review", "numbers")).content.decode()
        assert (CANNOT in page) is not may
        assert (link in page) is may
        assert address("workflow_review_return", "numbers") in page


def test_an_edit_of_a_program_counts_until_it_is_published(
    log_in: LogIn, settings: Any, version: int
) -> None:
    settings.PGFLOW = OTHER
    ann = log_in("ann", "*")
    for op, arguments in (("undo", {}), ("update_step", {"step": "fetch", "max_attempts": 3})):
        version = drafts.edit("numbers", version, op, arguments, user="ann").draft.version
        assert CANNOT in publish_in_editor(ann, version).content.decode()
    assert publish_in_editor(log_in("ben", "*"), version).status_code in {200, 302}
    version = drafts.load("numbers").version
    arguments = {"step": "fetch", "max_attempts": 4}
    version = drafts.edit("numbers", version, "update_step", arguments, user="ann").draft.version
    assert publish_in_editor(ann, version).status_code in {200, 302}
    assert Workflow.objects.get().version == 3


def test_a_new_flow_of_a_program_is_published_by_another_person(
    log_in: LogIn, settings: Any
) -> None:
    settings.PGFLOW = OTHER
    drafts.create("numbers", {"steps": [{"slug": "fetch"}]}, user="ann", provenance=made_by("ann"))
    assert CANNOT in publish_in_editor(log_in("ann", "*"), 1).content.decode()
    assert publish_in_editor(log_in("ben", "*"), 1).status_code in {200, 302}


def test_an_approval_that_is_none_is_told(log_in: LogIn, settings: Any, version: int) -> None:
    settings.PGFLOW = {"AGENT_POLICY": {"APPROVAL": "nobody"}}
    answer = publish_in_editor(log_in("ann", "*"), version)
    assert answer.status_code == 422
    assert "must be one of person, other_person, none" in answer.content.decode()
