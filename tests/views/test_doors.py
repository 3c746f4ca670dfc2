"""Every address that the admin has for our models, with every spelling of an id, for everybody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from django.contrib.admin import site
from django.contrib.admin.utils import quote as quote_pk
from django.contrib.auth.models import User
from django.test import Client

from pgflow_django.models import (
    AgentCall,
    AgentToken,
    Workflow,
    WorkflowRun,
    WorkflowWorker,
)
from tests.views.conftest import LogIn, address, make_flow, run_flow

pytestmark = pytest.mark.django_db

SECRET = "Ada-Lovelace"
ROLES = ("anonymous", "member", "bare", "viewer", "editor", "boss")
SOME_ROLES = [
    pytest.param(role, marks=() if role in {"anonymous", "boss"} else pytest.mark.slow)
    for role in ROLES
]
#: Pages of Django's and ours below the address of one object.
PAGES: Mapping[str, tuple[str, ...]] = {
    "workflowrun": (
        *("", "change/", "history/", "delete/", "add/", "password/", "live/", "step/", "cancel/"),
        *("retry/", "log/", "task/fetch/0/", "input.json", "output.json", "change/delete/"),
    ),
    "workflow": (
        *("", "change/", "history/", "delete/", "add/", "edit/", "run/", "export.json"),
        *("diagram.svg", "canvas/", "history/0/diff/", "history/99999999999999999999/diff/"),
    ),
    "workflowworker": ("", "change/", "history/", "delete/", "add/"),
    "agenttoken": ("", "change/", "history/", "delete/", "add/", "password/", "revoke/"),
    "agentcall": ("", "change/", "history/", "delete/", "add/"),
}
NOT_FOUND = 404


@pytest.fixture
def run(flow: str) -> WorkflowRun:
    """Give a run with an input that only some may see."""
    return run_flow(flow, {"note": SECRET, "is_broken": True})


@pytest.fixture
def log_in_as(log_in: LogIn) -> LogIn:
    """As ``log_in``, with members of the site who are no staff."""

    def log_in_as(name: str = "boss", *codenames: str, **options: object) -> Client:
        if name != "member":
            return log_in(name, *codenames, **options)
        client = Client()
        client.force_login(User.objects.get_or_create(username=name)[0])
        return client

    return log_in_as


def spell(key: str) -> list[str]:
    """Other ways to write an id, as they stand in an address."""
    texts = [
        *(key.upper(), key.replace("-", ""), f"{{{key}}}", f"urn:uuid:{key}", f" {key}"),
        *(f"{key}\n", f"{key}\0", f"{key}//x", f"../{key}", "\0", "a/b/c", "x" * 3000, "-1"),
    ]
    return [*(quote(text, safe="/") for text in texts), "%ff%fe", "_5F_2F_00"]


@pytest.mark.parametrize("role", SOME_ROLES)
@pytest.mark.parametrize("model", PAGES)
def test_other_spellings_of_an_id_lead_nowhere(
    log_in_as: LogIn, run: WorkflowRun, model: str, role: str
) -> None:
    client = log_in_as(role)
    is_staff = role not in {"anonymous", "member"}
    found = {}
    for spelling in spell(str(run.pk)):
        for page in PAGES[model]:
            path = f"{address(f'{model}_changelist')}{spelling}/{page}"
            answers = [client.get(path)]
            if page.startswith(("change", "delete", "cancel", "retry")):
                answers.append(client.post(path, {"post": "yes"}))
            for answer in answers:
                leads_nowhere = answer.status_code in {404, 405} or (
                    not is_staff and answer["Location"].startswith("/admin/login/")
                )
                if not leads_nowhere or SECRET in answer.content.decode():
                    found[path] = answer.status_code
    assert found == {}
    assert WorkflowRun.objects.get().status == "failed"


@pytest.mark.parametrize("role", ROLES)
def test_inputs_are_on_our_pages_only(log_in_as: LogIn, run: WorkflowRun, role: str) -> None:
    client = log_in_as(role)
    shown = set()
    for page in [*PAGES["workflowrun"], "change/?tab=data"]:
        path = f"{address('workflowrun_changelist')}{run.pk}/{page}"
        answer = client.get(path)
        assert answer.status_code in {200, 204, 302, 403, 404, 405}, path
        if SECRET in answer.content.decode():
            shown.add(page)
    may_see = role in {"editor", "boss"}
    pages = {"change/?tab=data", "task/fetch/0/", "input.json"}
    assert shown == (pages if may_see else set())


@pytest.mark.parametrize(
    ("model", "codename"),
    [
        *(("workflow", ""), ("workflow", "view_workflowrun")),
        *(("workflowrun", ""), ("workflowrun", "view_workflow"), ("workflowrun", "view_payload")),
    ],
)
def test_nobody_learns_whether_there_is_what_he_may_not_see(
    log_in: LogIn, run: WorkflowRun, model: str, codename: str
) -> None:
    client = log_in("someone", codename) if codename else log_in("bare")
    known, unknown = (run.pk, uuid4()) if model == "workflowrun" else ("numbers", "others")
    for page in PAGES[model]:
        base = address(f"{model}_changelist")
        for ask in (client.get, client.head, client.post):
            answers = [ask(f"{base}{key}/{page}").status_code for key in (known, unknown)]
            assert answers[0] == answers[1] in {404, 405}, page


def test_pages_of_django_are_left_for_the_list_alone() -> None:
    kept: dict[Any, set[str]] = {
        Workflow: {"changelist", "add"},
        WorkflowRun: {"changelist"},
        WorkflowWorker: set(),
        AgentToken: {"changelist"},
        AgentCall: {"changelist"},
    }
    for model, names in kept.items():
        admin = site.get_model_admin(model)
        found = {
            str(url.name).rpartition("_")[2]
            for url in admin.get_urls()
            if not url.callback.__module__.startswith("pgflow_django.views")
        }
        assert found == names


def test_the_log_of_a_run_is_for_those_who_see_the_run(log_in: LogIn, run: WorkflowRun) -> None:
    log_in("boss").post(address("workflowrun_retry", run.pk))
    page = log_in("viewer").get(address("workflowrun_history", run.pk))
    assert "Retried." in page.content.decode()
    for client in (log_in("bare"), log_in("flows", "view_workflow")):
        assert client.get(address("workflowrun_history", run.pk)).status_code == NOT_FOUND
    assert log_in("boss").get(address("workflowrun_history", uuid4())).status_code == NOT_FOUND


def test_addresses_that_django_writes_for_a_flow_lead_to_it(log_in: LogIn, flow: str) -> None:
    client = log_in("boss")
    for slug in ("two_words", "two_5Fwords"):
        make_flow(slug)
        changed = client.get(address("workflow_change", quote_pk(slug)))
        assert changed["Location"] == address("workflow_edit", slug)
        assert client.get(address("workflow_delete", quote_pk(slug))).status_code == 200
    client.post(address("workflow_delete", quote_pk("two_5Fwords")), {"post": "yes"})
    assert set(Workflow.objects.values_list("pk", flat=True)) == {flow, "two_words"}


@pytest.mark.parametrize(("role", "status"), [("bare", 404), ("viewer", 403), ("editor", 200)])
def test_deleting_is_for_those_who_may(log_in: LogIn, flow: str, role: str, status: int) -> None:
    client = log_in(role)
    assert client.get(address("workflow_delete", flow)).status_code == status
    assert client.get(address("workflow_delete", "unknown")).status_code == NOT_FOUND


@pytest.mark.parametrize("role", SOME_ROLES)
def test_head_answers_as_get_does(log_in_as: LogIn, run: WorkflowRun, role: str) -> None:
    client = log_in_as(role)
    flows = ("edit/", "canvas/", "panel/", "run/", "import/", "history/", "change/", "delete/")
    flow = f"{address('workflow_changelist')}numbers/"
    files = ("export.json", "export.py", "diagram.svg", "history/0/diff/", "unknown/")
    shown = address("workflowrun_changelist")
    paths = [
        *(f"{flow}{page}" for page in (*flows, *files)),
        *(f"{shown}{run.pk}/{page}" for page in PAGES["workflowrun"]),
        *(address(f"{model}_changelist") for model in PAGES),
        *(address("workflow_new"), address("workflow_import_new"), address("workflow_add")),
    ]
    for path in paths:
        answers = [ask(path) for ask in (client.get, client.head)]
        assert answers[0].status_code == answers[1].status_code, path
        assert answers[1].content == b""
    assert WorkflowRun.objects.count() == 1
