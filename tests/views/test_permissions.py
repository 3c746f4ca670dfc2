"""Every page for every kind of user, by GET, by POST, and by POST without its CSRF token."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from django.contrib.admin import site
from django.test import Client

from pgflow_django import drafts, executor
from pgflow_django.admin import WorkflowAdmin, WorkflowRunAdmin
from pgflow_django.models import Workflow, WorkflowRun
from tests.views.conftest import CHANGES, LogIn, address, make_flow, run_flow

pytestmark = pytest.mark.django_db

LOGIN = 302
#: Status by user: anonymous, bare (staff without permissions), viewer, editor, boss.
Expected = tuple[int, int, int, int, int]
SEEN: Expected = (LOGIN, 404, 200, 200, 200)
FORBIDDEN_LIST: Expected = (LOGIN, 403, 200, 200, 200)
CHANGED: Expected = (LOGIN, 404, 403, 200, 200)
NO_GET: Expected = (LOGIN, 405, 405, 405, 405)
NAMES = ("anonymous", "bare", "viewer", "editor", "boss")

GETS: Mapping[str, Expected] = {
    "workflow_changelist": FORBIDDEN_LIST,
    "workflowrun_changelist": FORBIDDEN_LIST,
    "workflow_new": CHANGED,
    "workflow_import_new": CHANGED,
    "workflow_import": CHANGED,
    "workflow_run": CHANGED,
    "workflow_history": SEEN,
    "workflow_diff": SEEN,
    "workflow_export_json": SEEN,
    "workflow_export_py": SEEN,
    "workflow_diagram": SEEN,
    "workflowrun_change": SEEN,
    "workflowrun_live": SEEN,
    "workflowrun_step": SEEN,
    "workflowrun_task": SEEN,
    "workflowrun_log": (LOGIN, 404, 204, 204, 204),  # it has no lines
    "workflowrun_why": SEEN,
    "workflowrun_payload": CHANGED,
    "workflowrun_output": (LOGIN, 404, 403, 404, 404),  # it failed, and has none
    "workflowrun_cancel": NO_GET,
    "workflowrun_pause": NO_GET,
    "workflowrun_resume": NO_GET,
    "workflowrun_hurry": NO_GET,
    "workflowrun_rerun": NO_GET,
    "workflowrun_decide": CHANGED,
    "workflowrun_retry": NO_GET,
}
DONE = 302
POSTED: Expected = (LOGIN, 404, 403, DONE, DONE)
POSTS: Mapping[str, Expected] = {
    "workflow_new": (LOGIN, 404, 403, DONE, DONE),
    "workflow_import_new": CHANGED,
    "workflow_import": CHANGED,
    "workflow_run": POSTED,
    "workflowrun_cancel": POSTED,
    "workflowrun_pause": POSTED,
    "workflowrun_resume": POSTED,
    "workflowrun_hurry": POSTED,
    "workflowrun_rerun": POSTED,
    "workflowrun_decide": POSTED,
    "workflowrun_retry": POSTED,
    "workflow_history": (LOGIN, 405, 405, 405, 405),
    "workflow_export_json": (LOGIN, 405, 405, 405, 405),
    "workflowrun_live": (LOGIN, 405, 405, 405, 405),
    "workflowrun_task": (LOGIN, 405, 405, 405, 405),
    "workflowrun_log": (LOGIN, 405, 405, 405, 405),
    "workflowrun_why": (LOGIN, 405, 405, 405, 405),
    "workflowrun_change": (LOGIN, 405, 405, 405, 405),
}
DATA = {
    "workflow_new": {"name": "another"},
    "workflow_import_new": {"text": '{"workflow_slug": "new_one", "steps": [{"slug": "fetch"}]}'},
    "workflow_import": {"text": '{"workflow_slug": "numbers", "steps": [{"slug": "fetch"}]}'},
    "workflow_run": {"mode": "json", "input": "{}", "token": "0" * 32},
    "workflowrun_decide": {"verdict": "complete", "output": "[]"},
}


#: What addresses of a run have behind its id.
RESTS: Mapping[str, tuple[object, ...]] = {
    "workflowrun_payload": ("input",),
    "workflowrun_task": ("fetch", 0),
    "workflowrun_output": ("fetch",),
    "workflowrun_decide": ("fetch",),
}


def path_of(name: str, run: WorkflowRun) -> str:
    if name.startswith("workflowrun_") and not name.endswith("changelist"):
        return address(name, run.pk, *RESTS.get(name, ()))
    if name.endswith(("changelist", "_new")):
        return address(name)
    return address(name, "numbers", *([0] if name.endswith("diff") else []))


@pytest.fixture
def run(flow: str) -> WorkflowRun:
    """Give a run that failed, of a flow with a history."""
    draft = drafts.load(flow)
    drafts.edit(flow, draft.version, "set_flow", {"description": "Numbers."}, user="ada")
    return run_flow(flow, {"is_broken": True, "password": "hush"})


@pytest.mark.parametrize("user", NAMES)
@pytest.mark.parametrize("name", GETS)
def test_get(log_in: LogIn, run: WorkflowRun, user: str, name: str) -> None:
    response = log_in(user).get(path_of(name, run))
    assert response.status_code == GETS[name][NAMES.index(user)]
    if response.status_code == LOGIN:
        assert "/login/" in response["Location"]


@pytest.mark.parametrize("user", NAMES)
@pytest.mark.parametrize("name", POSTS)
def test_post(log_in: LogIn, run: WorkflowRun, user: str, name: str) -> None:
    response = log_in(user).post(path_of(name, run), DATA.get(name, {}))
    assert response.status_code == POSTS[name][NAMES.index(user)]
    if user == "anonymous":
        assert "/login/" in response["Location"]


@pytest.mark.parametrize("name", POSTS)
def test_post_without_its_token_is_refused(log_in: LogIn, run: WorkflowRun, name: str) -> None:
    client = log_in("boss", enforce_csrf_checks=True)
    assert client.post(path_of(name, run), DATA.get(name, {})).status_code == 403
    assert WorkflowRun.objects.count() == 1
    assert WorkflowRun.objects.get().status == "failed"


@pytest.mark.parametrize("name", [name for name in GETS if "changelist" not in name])
def test_what_is_not_there_is_404_for_those_who_see_everything(log_in: LogIn, name: str) -> None:
    if name.endswith("_new"):
        return
    ghost = WorkflowRun(id="01a20627-c15e-7627-bf5c-2721865faa60")
    client = log_in("boss")
    method = client.post if GETS[name] is NO_GET else client.get
    status = method(path_of(name, ghost)).status_code
    assert status == (200 if name == "workflow_import" else 404)


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
    assert "no numbers" in pages[1]
    assert "hush" not in pages[1]
    assert "is_broken" not in pages[1]
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
