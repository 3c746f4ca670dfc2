"""Who may do what, tried over HTTP: each operation by each access and user, and what is others'."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.test import override_settings

from pgflow_django import drafts, executor
from pgflow_django.admin import WorkflowAdmin, WorkflowRunAdmin
from pgflow_django.agents.operations import OPERATIONS
from pgflow_django.choices import Access
from pgflow_django.models import AgentCall, Workflow, WorkflowDraft, WorkflowRun
from tests.agents.calling import Program, read_error, sign_in
from tests.views.conftest import make_flow, steps

__all__ = ["steps"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("steps")]

DOCUMENT = {"workflow_slug": "numbers", "steps": [{"slug": "fetch", "uses": "fetch"}]}
#: The permission that each action of an operation asks for.
PERMISSIONS = {
    "view": "view_workflow",
    "change": "change_workflow",
    "run": "run_workflow",
    "view_run": "view_workflowrun",
    "cancel_run": "cancel_workflowrun",
    "retry_run": "retry_workflowrun",
    "control_run": "pause_workflowrun",
}


def limited(**policy: Any) -> Any:
    return override_settings(PGFLOW={"AGENTS": "write", "AGENT_POLICY": policy})


@pytest.fixture(autouse=True)
def _writing() -> Iterator[None]:
    with limited(CALLS_PER_MINUTE=10_000, RUNS_PER_HOUR=10_000, ACTIVE_RUNS=10_000):
        yield


def make_arguments() -> dict[str, dict[str, Any]]:
    """A call of each operation that a person with every permission may make."""
    make_flow("numbers")
    failed = executor.start_flow("numbers", {"is_broken": True})
    executor.drain(timeout=30)
    active = executor.start_flow("numbers", {})
    slug = "numbers"
    drawn = {"document": {**drafts.load(slug).document, "description": "Adds numbers."}}
    version = drafts.edit(slug, 0, "replace", drawn, user="ann").draft.version
    patch = [{"op": "add", "path": "/description", "value": "Adds."}]
    return {
        "search_step_functions": {},
        "get_flow_schema": {},
        "list_flows": {},
        "get_flow": {"slug": slug},
        "validate_flow": {"document": DOCUMENT},
        "simulate_flow": {"slug": slug},
        "diff_flow": {"slug": slug},
        "save_flow": {"document": DOCUMENT, "version": version},
        "patch_flow": {"slug": slug, "version": version, "patch": patch},
        "publish_flow": {"slug": slug, "version": version},
        "start_run": {"slug": slug},
        "list_runs": {},
        "get_run": {"run_id": str(failed.pk)},
        "explain_run": {"run_id": str(failed.pk)},
        "start_trial": {"slug": slug, "allow_effects": True},
        "retry_run": {"run_id": str(failed.pk)},
        "cancel_run": {"run_id": str(active.pk)},
        "control_run": {"run_id": str(active.pk), "action": "pause"},
    }


@pytest.mark.parametrize("access", Access)
@pytest.mark.parametrize("user", ["bare", "editor"])
def test_each_operation_by_each_access_and_permission(user: str, access: Access) -> None:
    calls = make_arguments()
    assert list(calls) == list(OPERATIONS)
    program = sign_in(user, access)
    for name, arguments in calls.items():
        try_operation(program, name, arguments, may=user == "editor", access=access)


def try_operation(
    program: Program, name: str, arguments: Any, *, may: bool, access: Access
) -> None:
    """Call an operation with and without the permission for it, and take back what came of it."""
    operation = OPERATIONS[name]
    owner = User.objects.get(username="editor" if may else "bare")
    # Who may change flows may see them, and who may add them draws.
    lost = (PERMISSIONS[operation.action], "add_workflow", "change_workflow")
    for lacks in (False, True):
        with transaction.atomic():
            if lacks:
                owner.user_permissions.remove(*owner.user_permissions.filter(codename__in=lost))
            response = program.call(name, **arguments)
            code = AgentCall.objects.latest("id").code
            transaction.set_rollback(True)
        place = f"{name} by {owner} with {access}, {lacks=}: {response.content!r}"
        if may and not lacks and access.covers(operation.access):
            assert (response.status_code, code) == (200, ""), place
        else:
            assert response.status_code in {403, 404}, place
            assert code == read_error(response)[1], place


def test_what_a_payload_says_is_for_those_who_may_see_it() -> None:
    calls = make_arguments()
    program = sign_in("viewer")
    arguments = {**calls["get_run"], "payload": True}
    assert program.refused("get_run", **arguments) == (403, "access_denied")
    assert program.get("get_run", **calls["get_run"])["output"] is None


# -- what is others' ---------------------------------------------------------------------------


class OwnFlows(WorkflowAdmin):
    """Shows each user what he has made."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Workflow]:
        mine = super().get_queryset(request).filter(created_by=request.user.get_username())
        return mine | super().get_queryset(request).filter(pk="shared")

    def get_draft_queryset(self, request: HttpRequest) -> QuerySet[WorkflowDraft]:
        drawn = super().get_draft_queryset(request)
        return drawn.filter(created_by=request.user.get_username())


class OwnRuns(WorkflowRunAdmin):
    """Shows each user what he has started."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[WorkflowRun]:
        return super().get_queryset(request).filter(started_by=request.user.get_username())


site = admin.AdminSite("own")
site.register(Workflow, OwnFlows)
site.register(WorkflowRun, OwnRuns)


@pytest.fixture
def own(_writing: None) -> Iterator[None]:
    name = "tests.agents.test_attacks_access.site"
    with override_settings(PGFLOW={"AGENTS": "write", "AGENT_ADMIN_SITE": name}):
        yield


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("is_published", [True, False])
def test_flows_of_others_are_not_there(is_published: bool) -> None:
    if is_published:
        make_flow("numbers")
        Workflow.objects.update(created_by="boss")
    else:
        drafts.create("numbers", DOCUMENT, user="boss")
    version = drafts.load("numbers").version
    mallory = sign_in()
    patch = [{"op": "add", "path": "/description", "value": "Mine."}]
    not_found = (404, "workflow_not_found")
    assert mallory.get("list_flows")["flows"] == []
    for name, arguments in (
        ("get_flow", {}),
        ("get_flow", {"which": "published"}),
        ("simulate_flow", {}),
        ("diff_flow", {}),
        ("patch_flow", {"version": version, "patch": patch}),
        ("publish_flow", {"version": version}),
        ("start_run", {}),
        ("start_trial", {}),
    ):
        assert mallory.refused(name, slug="numbers", **arguments) == not_found, name
        call = AgentCall.objects.latest("id")
        assert (call.code, call.workflow_slug) == ("workflow_not_found", "numbers")
    for seen in (0, version):
        status, _ = mallory.refused("save_flow", document=DOCUMENT, version=seen)
        assert status in {404, 409}
    taken = mallory.refused("start_trial", document=DOCUMENT, allow_effects=True)
    assert taken == (409, "workflow_already_exists")
    assert drafts.load("numbers").version == version
    assert mallory.get("list_runs", slug="numbers")["runs"] == []
    boss = sign_in("boss")
    assert boss.get("get_flow", slug="numbers")["slug"] == "numbers"


@pytest.mark.usefixtures("own")
def test_runs_of_others_are_not_there() -> None:
    make_flow("shared")
    run = sign_in("boss").get("start_run", slug="shared", key="once")["run_id"]
    mallory = sign_in()
    assert mallory.get("list_runs")["runs"] == []
    for name in ("get_run", "explain_run", "retry_run", "cancel_run"):
        assert mallory.refused(name, run_id=run) == (404, "run_not_found")
        assert AgentCall.objects.latest("id").code == "run_not_found"
    response = mallory.call("start_run", slug="shared", key="once")
    assert read_error(response) == (404, "run_not_found")
    assert run not in response.content.decode()
    assert WorkflowRun.objects.get().pk == UUID(run)
    assert mallory.get("list_flows")["flows"][0]["last_run"] is None
    assert mallory.get("start_run", slug="shared", key="another")["run_id"] != run


def test_a_prefix_keeps_a_token_to_its_flows() -> None:
    calls = make_arguments()
    narrow = sign_in(flows_prefix="etl_")
    for name, arguments in calls.items():
        if arguments.keys() & {"slug", "run_id"}:
            assert narrow.refused(name, **arguments)[0] == 404, name
    assert narrow.refused("save_flow", document=DOCUMENT)[0] in {403, 404}
    assert narrow.refused("start_trial", document=DOCUMENT) == (403, "access_denied")
    assert narrow.get("list_flows")["flows"] == narrow.get("list_runs")["runs"] == []
    renamed = {**DOCUMENT, "workflow_slug": "etl_numbers"}
    narrow.get("save_flow", document=renamed)
    patch = [{"op": "replace", "path": "/workflow_slug", "value": "numbers"}]
    narrow.call("patch_flow", slug="etl_numbers", version=1, patch=patch)
    assert not WorkflowDraft.objects.filter(pk="numbers", created_by="editor").exists()


# -- quotas ------------------------------------------------------------------------------------


def call_in_threads(act: Callable[[int], int], threads: int = 8, times: int = 5) -> list[int]:
    """The statuses of so many calls by threads of their own."""
    statuses: list[int] = []

    def work(number: int) -> None:
        try:
            statuses.extend(act(number * times + turn) for turn in range(times))
        finally:
            connection.close()

    working = [threading.Thread(target=work, args=[number]) for number in range(threads)]
    for thread in working:
        thread.start()
    for thread in working:
        thread.join()
    return statuses


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("quota", "most", "name"),
    [
        ("CALLS_PER_MINUTE", 13, "list_flows"),
        ("RUNS_PER_HOUR", 3, "start_run"),
        ("ACTIVE_RUNS", 2, "start_run"),
        ("FLOWS_PER_USER", 3, "save_flow"),
    ],
)
def test_of_eight_threads_exactly_as_many_get_through_as_may(
    quota: str, most: int, name: str
) -> None:
    make_flow("numbers")
    program = sign_in()
    with limited(**{"CALLS_PER_MINUTE": 10_000, quota: most}):

        def act(number: int) -> int:
            one = Program(program.secret)
            arguments: dict[str, Any] = {}
            if name == "start_run":
                arguments = {"slug": "numbers"}
            elif name == "save_flow":
                arguments = {"document": {**DOCUMENT, "workflow_slug": f"numbers_{number}"}}
            response = one.call(name, **arguments)
            status: int = response.status_code
            if status == 429:
                assert read_error(response)[1] == "quota_exceeded"
            return status

        statuses = call_in_threads(act)
    assert sorted(statuses) == [200] * most + [429] * (40 - most)
    if name == "start_run":
        assert WorkflowRun.objects.count() == most
    assert AgentCall.objects.filter(code="quota_exceeded").count() == 40 - most
