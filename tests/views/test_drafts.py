"""Drafts that were never published: who knows of them, where a site narrows what users see."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.test import Client

from pgflow_django import drafts
from pgflow_django.admin import WorkflowAdmin
from pgflow_django.models import Workflow, WorkflowDraft
from tests.views.conftest import FLOW_VIEWS, LogIn, address

pytestmark = pytest.mark.django_db

SEEN, HIDDEN = "team_plan", "salaries"
POSTS = ("op", "validate", "publish", "presence", "hand_in", "return", "import")


@pytest.fixture
def both() -> None:
    """Make a draft of each kind, both by Ada."""
    for slug in (SEEN, HIDDEN):
        draft = drafts.create(slug, user="ada")
        drafts.edit(slug, draft.version, "add_step", {"slug": "secret_step"}, user="ada")


class NarrowFlows(WorkflowAdmin):
    """Shows the flows of one team."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Workflow]:
        return super().get_queryset(request).filter(pk__startswith="team_")


class TeamFlows(NarrowFlows):
    """Shows the drafts of one team, too."""

    def get_draft_queryset(self, request: HttpRequest) -> QuerySet[WorkflowDraft]:
        return drafts.list_unpublished().filter(pk__startswith="team_")


class HookedFlows(WorkflowAdmin):
    """Decides about each flow by itself, published or not."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = obj is None or obj.workflow_slug.startswith("team_")
        return allowed and super().has_view_permission(request, obj)


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[[type[WorkflowAdmin]], None]:
    """Let a narrower admin stand where ours does."""

    def install(kind: type[WorkflowAdmin]) -> None:
        monkeypatch.setattr(admin.site._registry[Workflow], "__class__", kind)

    return install


def read(client: Client, name: str, *args: Any) -> tuple[int, str]:
    response = client.get(address(name, *args))
    return response.status_code, response.content.decode()


@pytest.mark.parametrize("kind", [TeamFlows, HookedFlows])
def test_a_hidden_draft_is_in_no_list_and_not_found(
    log_in: LogIn, both: None, install: Any, kind: type[WorkflowAdmin]
) -> None:
    install(kind)
    client = log_in("boss")
    status, page = read(client, "workflow_changelist")
    assert status == 200
    assert SEEN in page
    assert HIDDEN not in page
    for name in FLOW_VIEWS:
        assert read(client, f"workflow_{name}", SEEN)[0] == 200, name
        assert read(client, f"workflow_{name}", HIDDEN)[0] == 404, name
    version = drafts.load(HIDDEN).version
    for name in POSTS:
        values = {"op": "add_step", "slug": "x", "version": version, "text": "{}"}
        answer = client.post(address(f"workflow_{name}", HIDDEN), values)
        assert answer.status_code == 404, name
    assert drafts.load(HIDDEN).version == version


def test_where_only_flows_are_narrowed_users_see_their_own_drafts(
    log_in: LogIn, both: None, install: Any
) -> None:
    install(NarrowFlows)
    drafts.create("mine", user="boss")
    client = log_in("boss")
    _, page = read(client, "workflow_changelist")
    assert "mine" in page
    assert SEEN not in page
    assert read(client, "workflow_edit", "mine")[0] == 200
    assert read(client, "workflow_edit", SEEN)[0] == 404


def test_hooks_are_asked_about_a_draft_with_what_is_known_of_it(
    log_in: LogIn, both: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def ask(self: WorkflowAdmin, request: HttpRequest, obj: Any = None) -> bool:
        asked.append(obj and (obj.workflow_slug, obj.created_by, obj.is_active))
        return obj is None or obj.created_by != "ada"

    monkeypatch.setattr(WorkflowAdmin, "has_publish_permission", ask)
    client = log_in("boss")
    version = drafts.load(SEEN).version
    assert address("workflow_publish", SEEN) not in read(client, "workflow_edit", SEEN)[1]
    answer = client.post(address("workflow_publish", SEEN), {"version": version})
    assert answer.status_code == 403
    assert (SEEN, "ada", True) in asked


@pytest.mark.parametrize("is_published", [False, True])
def test_an_import_tells_nothing_of_a_hidden_flow_but_that_its_name_is_taken(
    log_in: LogIn, both: None, install: Any, is_published: bool
) -> None:
    if is_published:
        drafts.publish(HIDDEN, drafts.load(HIDDEN).version, user="ada")
    install(TeamFlows)
    before = drafts.load(HIDDEN).version
    text = json.dumps({"workflow_slug": HIDDEN, "steps": [{"slug": "other"}]})
    answer = log_in("boss").post(address("workflow_import_new"), {"text": text})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert f"The name {HIDDEN} is taken" in page
    assert "secret_step" not in page
    assert 'name="confirm"' not in page
    assert drafts.load(HIDDEN).version == before


def test_only_flows_that_may_be_deleted_are(log_in: LogIn, flow: str, install: Any) -> None:
    class KeepFlows(WorkflowAdmin):
        def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
            return obj is None

    install(KeepFlows)
    values = {"action": "delete_selected", "_selected_action": [flow], "post": "yes"}
    answer = log_in("boss").post(address("workflow_changelist"), values)
    assert answer.status_code == 403
    assert Workflow.objects.filter(pk=flow).exists()
