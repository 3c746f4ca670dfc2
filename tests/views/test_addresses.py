"""The table of the admin's pages, walked: each asks what it says, of everybody, once."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin import site
from django.contrib.auth.models import Permission, User
from django.http import HttpRequest
from django.test import RequestFactory

from pgflow_django import drafts
from pgflow_django.admin import WorkflowAdmin
from pgflow_django.agents.tokens import create_token
from pgflow_django.models import Workflow, WorkflowRun
from pgflow_django.views.page import Page
from pgflow_django.views.urls import FLOW_PAGES, RUN_PAGES, TOKEN_PAGES, WORKER_PAGES, Address
from tests.views.conftest import LogIn, address, make_flow, run_flow

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("steps")]

PAGES = [
    *(("workflow", page) for page in FLOW_PAGES),
    *(("workflowrun", page) for page in RUN_PAGES),
    *(("workflowworker", page) for page in WORKER_PAGES),
    *(("agenttoken", page) for page in TOKEN_PAGES),
]
#: What a user needs for each action, beside what lets the thing be seen.
RIGHTS = {
    "view": "view_workflow",
    "add": "add_workflow",
    "change": "change_workflow",
    "import": "change_workflow",
    "delete": "delete_workflow",
    "publish": "publish_workflow",
    "run": "run_workflow",
    "view_run": "view_workflowrun",
    "cancel_run": "cancel_workflowrun",
    "retry_run": "retry_workflowrun",
    "pause_run": "pause_workflowrun",
    "decide_run": "decide_workflowrun",
    "rerun": ("view_workflow", "run_workflow"),
    "view_payload": "view_payload",
    "view_workers": "view_workflowworker",
    "add_token": "add_agenttoken",
    "revoke_token": "change_agenttoken",
    "describe": ("use_ai", "add_workflow", "change_workflow"),
}
SEES = {
    "workflow": "view_workflow",
    "workflowrun": "view_workflowrun",
    "workflowworker": None,
    "agenttoken": "view_agenttoken",
}
MAY_NOT = {403, 404}


@pytest.fixture
def run() -> WorkflowRun:
    """Give a run of a flow that has a history."""
    draft = drafts.load(make_flow())
    drafts.edit("numbers", draft.version, "set_flow", {"description": "Numbers."}, user="ada")
    return run_flow()


def path_of(model: str, page: Address, run: WorkflowRun, user: str = "nobody") -> str:
    """The address of a page; what it names that is only for its owner is the user's."""
    values: dict[str, Any] = {"slug": "numbers", "run_id": run.pk, "seq": 0, "which": "input"}
    values |= {"step": "fetch", "index": 0}
    if "token_id" in page.route:
        owner, _ = User.objects.get_or_create(username=user)
        values["token_id"] = create_token(owner, "bot")[0].pk
    return address(
        f"{model}_{page.name}", *(v for k, v in values.items() if f":{k}>" in page.route)
    )


def request(client: Any, method: str, path: str) -> int:
    return int(getattr(client, method.lower())(path).status_code)


@pytest.mark.parametrize(("model", "page"), PAGES, ids=lambda each: getattr(each, "name", each))
def test_a_page_is_for_those_who_may_do_what_it_asks(
    model: str, page: Address, run: WorkflowRun, log_in: LogIn
) -> None:
    path, sees, right = path_of(model, page, run), SEES[model], RIGHTS[page.asks]
    rights = {right} if isinstance(right, str) else {*right}
    for_sees = log_in("sees", sees) if sees is not None and {sees} != rights else None
    for_may = log_in("may", *({sees} | rights) - {None})
    for method in ("GET", "POST"):
        assert request(log_in("anonymous"), method, path) == 302
        stranger = request(log_in("bare"), method, path)
        if method not in page.methods:
            assert stranger == 405
            continue
        assert stranger == 404
        if for_sees is not None:
            assert request(for_sees, method, path_of(model, page, run, "sees")) == 403
        own = path_of(model, page, run, "may")
        assert request(for_may, method, own) not in {*MAY_NOT, 405, 500}


def test_every_action_is_asked_by_a_page() -> None:
    assert {page.asks for _, page in PAGES} == RIGHTS.keys()


def test_an_edit_asks_for_its_permission_once(
    run: WorkflowRun, log_in: LogIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def watch(hook: str) -> None:
        original = getattr(WorkflowAdmin, hook)

        def ask(self: WorkflowAdmin, request: HttpRequest, obj: Any = None) -> bool:
            asked.append(hook)
            return bool(original(self, request, obj))

        monkeypatch.setattr(WorkflowAdmin, hook, ask)

    for hook in ("has_view_permission", "has_change_permission", "has_publish_permission"):
        watch(hook)
    client = log_in("boss")
    data = {"op": "add_step", "slug": "more", "version": drafts.load("numbers").version}
    answer = client.post(address("workflow_op", "numbers"), data, headers={"HX-Request": "true"})
    assert answer.status_code == 200, answer.content
    assert len(asked) == len(set(asked)), asked


def test_an_answer_is_never_that_about_an_object_that_is_gone(
    rf: RequestFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        WorkflowAdmin, "has_change_permission", lambda self, request, flow: flow.pk == "mine"
    )
    page = Page(rf.get("/"), site.get_model_admin(Workflow))
    for number in range(100):  # each takes the place of the one before it
        slug = "mine" if number % 2 else "theirs"
        assert page.may("change", Workflow(workflow_slug=slug)) is (slug == "mine")


def test_the_users_of_these_tests_have_no_more_than_they_say(log_in: LogIn) -> None:
    log_in("may", "view_workflow")
    found = Permission.objects.filter(user=User.objects.get(username="may"))
    assert [each.codename for each in found] == ["view_workflow"]
