"""Every page for every kind of user, by GET, by POST, and by POST without its CSRF token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from django.contrib.admin import site
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client

from pgflow_django import drafts, executor
from pgflow_django.admin import WorkflowAdmin, WorkflowRunAdmin
from pgflow_django.agents.tokens import create_token
from pgflow_django.models import AgentToken, Workflow, WorkflowRevision, WorkflowRun
from pgflow_django.views.urls import FLOW_PAGES, RUN_PAGES, TOKEN_PAGES, WORKER_PAGES, Address
from tests.views.conftest import CHANGES, USERS, LogIn, address, make_flow, run_flow

pytestmark = pytest.mark.django_db

PAGES = [
    *(("workflow", page) for page in FLOW_PAGES),
    *(("workflowrun", page) for page in RUN_PAGES),
    *(("workflowworker", page) for page in WORKER_PAGES),
    *(("agenttoken", page) for page in TOKEN_PAGES),
]
#: What lets a user see the things of a model.
SEES: Mapping[str, str] = {
    "workflow": "view_workflow",
    "workflowrun": "view_workflowrun",
    "workflowworker": "view_workflowworker",
    "agenttoken": "view_agenttoken",
}
#: What a user needs beside that for what a page asks.
RIGHTS: Mapping[str, set[str]] = {
    "view": set(),
    "add": {"add_workflow"},
    "change": {"change_workflow"},
    "import": {"change_workflow"},
    "delete": {"delete_workflow"},
    "publish": {"publish_workflow"},
    "run": {"run_workflow"},
    "describe": {"use_ai", "add_workflow", "change_workflow"},
    "view_run": set(),
    "cancel_run": {"cancel_workflowrun"},
    "retry_run": {"retry_workflowrun"},
    "pause_run": {"pause_workflowrun"},
    "decide_run": {"decide_workflowrun"},
    "rerun": {"view_workflow", "run_workflow"},
    "view_payload": {"view_payload"},
    "view_workers": set(),
    "add_token": {"add_agenttoken"},
    "revoke_token": {"change_agenttoken"},
}
LOGIN = "to the login"
DONE = 302
#: What those get who may, where that is not the page (GET: 200) or a way on (POST: 302).
ANSWERS: Mapping[tuple[str, str], int] = {
    ("workflow_change", "GET"): 302,  # to the editor
    ("workflow_import_new", "POST"): 200,  # what it would change
    ("workflow_import", "POST"): 200,
    ("workflow_panel", "POST"): 200,
    ("workflow_presence", "POST"): 200,
    ("workflow_simulate", "POST"): 200,
    ("workflow_describe_new", "POST"): 422,  # there is no model
    ("workflow_describe", "POST"): 422,
    ("workflow_try", "POST"): 422,  # the form is empty
    ("agenttoken_add", "POST"): 422,
    ("workflow_return", "POST"): 422,  # nothing was handed in
    ("workflow_approve", "POST"): 409,
    ("workflow_review_return", "POST"): 409,
}
#: What forms send beside the version of the draft.
DATA: Mapping[str, dict[str, Any]] = {
    "workflow_new": {"name": "another"},
    "workflow_import_new": {"text": '{"workflow_slug": "new_one", "steps": [{"slug": "fetch"}]}'},
    "workflow_import": {"text": '{"workflow_slug": "numbers", "steps": [{"slug": "fetch"}]}'},
    "workflow_op": {"op": "add_step", "slug": "more"},
    "workflow_delete": {"post": "yes"},
    "workflow_run": {"mode": "json", "input": "{}", "token": "0" * 32},
    "workflowrun_rerun": {"token": "0" * 32},
    "workflowrun_retry": {"step": "double", "index": "0"},
    "workflowrun_decide": {"verdict": "complete", "output": "[1]"},
}


def path_of(name: str, run: WorkflowRun, user: str = "boss") -> str:
    """The address of a page; what it names that is only for its owner is the user's."""
    (route,) = [page.route for model, page in PAGES if f"{model}_{page.name}" == name]
    values: dict[str, Any] = {"slug": run.workflow_slug, "run_id": run.pk, "seq": 0}
    values |= {"which": "input", "step": "fetch" if name.endswith("output") else "double"}
    values["index"] = 0
    if "token_id" in route:
        owner, _ = User.objects.get_or_create(username=user)
        values["token_id"] = create_token(owner, "bot")[0].pk
    return address(name, *(value for key, value in values.items() if f":{key}>" in route))


@pytest.fixture
def run(flow: str) -> WorkflowRun:
    """Give a run that failed at its second step, of a flow with a history."""
    draft = drafts.load(flow)
    drafts.edit(flow, draft.version, "set_flow", {"description": "Numbers."}, user="ada")
    started = executor.start_flow(flow, {"is_secret": True, "password": "hush"})
    executor.complete_step(started.pk, "fetch", ["<b>no number</b>"])
    executor.drain()
    return WorkflowRun.objects.get(pk=started.pk)


def expect(rights: tuple[str, ...] | None, model: str, page: Address, method: str) -> int | str:
    """The status of an answer to somebody with these rights; ``None``: who is not logged in."""
    if rights is None:
        return LOGIN
    if method not in page.methods:
        return 405
    if rights != ("*",) and SEES[model] not in rights:
        return 404
    if rights != ("*",) and not RIGHTS[page.asks] <= {*rights}:
        return 403
    usual = 200 if method == "GET" else DONE
    return ANSWERS.get((f"{model}_{page.name}", method), usual)


def snapshot() -> list[Any]:
    """What a click could change."""
    models = (LogEntry, Workflow, WorkflowRevision, AgentToken)
    statuses = list(WorkflowRun.objects.order_by("pk").values_list("pk", "status"))
    return [statuses, *(model.objects.count() for model in models)]


def ask(client: Client, method: str, path: str, data: dict[str, Any]) -> int | str:
    """The status of the answer; what was refused must change nothing, all else is undone."""
    with transaction.atomic():
        before = snapshot()
        answer = client.get(path) if method == "GET" else client.post(path, data)
        leads_to_login = "/login/" in answer.headers.get("Location", "")
        if leads_to_login or answer.status_code in {403, 404, 405}:
            assert snapshot() == before
        transaction.set_rollback(True)
    return LOGIN if leads_to_login else answer.status_code


@pytest.mark.parametrize(("model", "page"), PAGES, ids=lambda each: getattr(each, "name", each))
def test_a_page_is_for_those_who_may_do_what_it_asks(
    log_in: LogIn, run: WorkflowRun, model: str, page: Address
) -> None:
    name, sees = f"{model}_{page.name}", SEES[model]
    just = (sees, *RIGHTS[page.asks])
    found, expected = {}, {}
    for user, rights in {**USERS, "onlooker": (sees,), "just": just}.items():
        client = log_in(user, *rights or ())
        path = path_of(name, run, user)
        data = {"version": drafts.load("numbers").version, **DATA.get(name, {})}
        for method in ("GET", "POST"):
            found[user, method] = ask(client, method, path, data)
            expected[user, method] = expect(rights, model, page, method)
        client.handler.enforce_csrf_checks = True
        found[user, "POST without its token"] = ask(client, "POST", path, data)
        expected[user, "POST without its token"] = 403
    assert found == expected


def test_the_table_knows_what_every_page_asks() -> None:
    assert {page.asks for _, page in PAGES} == RIGHTS.keys()
    assert {model for model, _ in PAGES} == SEES.keys()
    known = {f"{model}_{page.name}" for model, page in PAGES}
    assert {*DATA, *(name for name, _ in ANSWERS)} <= known


@pytest.mark.parametrize("model", ["workflow", "workflowrun", "agenttoken", "agentcall"])
def test_a_list_is_for_those_who_may_see_what_is_in_it(log_in: LogIn, model: str) -> None:
    sees = f"view_{model}"
    for user, rights in {**USERS, "just": (sees,)}.items():
        status = log_in(user, *rights or ()).get(address(f"{model}_changelist")).status_code
        may = rights == ("*",) or sees in (rights or ())
        assert status == (302 if rights is None else 200 if may else 403), user
        client = log_in(user, *rights or (), enforce_csrf_checks=True)
        assert client.post(address(f"{model}_changelist")).status_code == 403, user


@pytest.mark.parametrize(
    ("model", "page"),
    # Under a name that nobody has, a document is imported as a new flow.
    [each for each in PAGES if "<" in each[1].route and each[1].name != "import"],
    ids=lambda each: getattr(each, "name", each),
)
def test_what_is_not_there_is_404_for_those_who_see_everything(
    log_in: LogIn, model: str, page: Address
) -> None:
    client = log_in("boss")
    ghost = WorkflowRun(id="01a20627-c15e-7627-bf5c-2721865faa60", workflow_slug="nothing")
    path = path_of(f"{model}_{page.name}", ghost)
    AgentToken.objects.all().delete()
    for method in page.methods:
        assert getattr(client, method.lower())(path).status_code == 404


@pytest.mark.parametrize("codename", CHANGES[2:])
def test_one_permission_opens_one_door(log_in: LogIn, run: WorkflowRun, codename: str) -> None:
    client = log_in("single", "view_workflow", "view_workflowrun", codename)
    opened = {
        "new": client.get(address("workflow_new")).status_code == 200,
        "import": client.get(address("workflow_import", "numbers")).status_code == 200,
        "run": client.get(address("workflow_run", "numbers")).status_code == 200,
        "cancel": client.post(address("workflowrun_cancel", run.pk)).status_code == DONE,
        "pause": client.post(address("workflowrun_pause", run.pk)).status_code == DONE,
        "resume": client.post(address("workflowrun_resume", run.pk)).status_code == DONE,
        "retry": client.post(address("workflowrun_retry", run.pk)).status_code == DONE,
        "hurry": client.post(address("workflowrun_hurry", run.pk)).status_code == DONE,
        "rerun": client.post(address("workflowrun_rerun", run.pk)).status_code == DONE,
        "decide": client.get(path_of("workflowrun_decide", run)).status_code == 200,
        "payload": client.get(path_of("workflowrun_payload", run)).status_code == 200,
    }
    doors = {
        "add_workflow": {"new"},
        "change_workflow": {"import"},
        "run_workflow": {"run", "rerun"},
        "cancel_workflowrun": {"cancel"},
        "retry_workflowrun": {"retry", "hurry"},
        "pause_workflowrun": {"pause", "resume"},
        "decide_workflowrun": {"decide"},
        "view_payload": {"payload"},
    }
    assert {name for name, is_open in opened.items() if is_open} == doors.get(codename, set())


def test_a_viewer_sees_values_and_no_buttons(log_in: LogIn, run: WorkflowRun) -> None:
    client = log_in("viewer")
    pages = [
        client.get(path).content.decode()
        for path in (
            address("workflow_changelist"),
            address("workflowrun_change", run.pk),
            address("workflow_history", "numbers"),
        )
    ]
    for page in pages:
        assert 'method="post"' not in page.replace('id="logout-form" method="post"', "").replace(
            'id="changelist-form" method="post"', ""
        )
    assert "New flow" not in pages[0]
    assert "Retry" not in pages[1]
    assert "invalid literal" in pages[1]
    assert "hush" not in pages[1]
    assert "is_secret" not in pages[1]
    assert "Restore" not in pages[2]


def test_a_site_hides_flows_and_runs_by_overriding_the_querysets(
    log_in: LogIn, run: WorkflowRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_flow("secret")
    hidden = run_flow("secret")
    monkeypatch.setattr(
        WorkflowAdmin, "get_queryset", lambda self, request: Workflow.objects.exclude(pk="secret")
    )
    monkeypatch.setattr(
        WorkflowRunAdmin,
        "get_queryset",
        lambda self, request: WorkflowRun.objects.exclude(workflow_slug="secret"),
    )
    client = log_in("boss")
    for name in ("edit", "run", "history", "export_json", "export_py", "diagram", "import"):
        assert client.get(address(f"workflow_{name}", "secret")).status_code == 404, name
        assert client.get(address(f"workflow_{name}", "numbers")).status_code == 200, name
    assert client.get(address("workflowrun_change", hidden.pk)).status_code == 404
    assert "secret" not in client.get(address("workflow_changelist")).content.decode()
    assert hidden.pk.hex[-8:] not in client.get(address("workflowrun_changelist")).content.decode()


def test_a_site_refuses_an_action_for_one_object_by_overriding_a_hook(
    log_in: LogIn, run: WorkflowRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        WorkflowAdmin, "has_run_permission", lambda self, request, obj=None: obj is None
    )
    monkeypatch.setattr(
        WorkflowRunAdmin, "has_retry_permission", lambda self, request, obj=None: False
    )
    client = log_in("boss")
    assert client.get(address("workflow_run", "numbers")).status_code == 403
    assert client.post(address("workflowrun_retry", run.pk)).status_code == 403
    assert "Retry" not in client.get(address("workflowrun_change", run.pk)).content.decode()


def test_flows_of_code_are_run_but_not_imported_into(log_in: LogIn, flow: str) -> None:
    Workflow.objects.filter(pk=flow).update(origin="code")
    client = log_in("boss")
    assert client.get(address("workflow_run", flow)).status_code == 200
    assert client.get(address("workflow_import", flow)).status_code == 403
    assert client.post(address("workflow_import", flow)).status_code == 403


def test_runs_are_neither_added_nor_edited_nor_deleted(log_in: LogIn, run: WorkflowRun) -> None:
    client = log_in("boss")
    base = address("workflowrun_changelist")
    assert client.get(f"{base}add/").status_code == 404
    assert client.post(f"{base}add/", {}).status_code == 404
    assert client.post(f"{base}{run.pk}/delete/", {"post": "yes"}).status_code == 404
    assert client.post(f"{base}{run.pk}/change/", {}).status_code == 405
    assert WorkflowRun.objects.count() == 1


def test_composite_keys_are_not_in_the_admin() -> None:
    ours = {model.__name__ for model in site._registry if model._meta.app_label == "pgflow_django"}
    assert ours == {"AgentCall", "AgentToken", "Workflow", "WorkflowRun", "WorkflowWorker"}


def test_answers_with_payloads_are_not_stored(log_in: LogIn, run: WorkflowRun) -> None:
    client = log_in("boss")
    for name in ("change", "live", "step", "task", "payload"):
        response = client.get(path_of(f"workflowrun_{name}", run))
        assert "no-store" in response["Cache-Control"], name


def test_htmx_is_sent_to_the_login_page_when_the_session_has_ended(run: WorkflowRun) -> None:
    response = Client().get(address("workflowrun_live", run.pk), headers={"HX-Request": "true"})
    assert response.status_code == 204
    assert "/login/" in response["HX-Redirect"]
    assert executor.get_run_status(run.pk).status == "failed"
