"""What a program may see and do: the smaller of its access and of its user's permissions."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.test import override_settings

from pgflow_django import drafts
from pgflow_django.admin import WorkflowAdmin, WorkflowRunAdmin
from pgflow_django.agents.access import ASKS, AccessDenied, Principal
from pgflow_django.choices import Access
from pgflow_django.exceptions import PgflowError, RunNotFound, WorkflowNotFound
from pgflow_django.models import Workflow, WorkflowRun
from tests.views.conftest import USERS, make_flow, make_user, run_flow, steps

__all__ = ["steps"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("steps")]

FLOW_ACTIONS = ("view", "change", "run", "publish")
RUN_ACTIONS = ("view_run", "view_payload", "cancel_run", "retry_run")
#: What each of the users of the tests may do in the admin.
GRANTED = {
    "bare": set(),
    "viewer": {"view", "view_run"},
    "editor": set(ASKS),
    "boss": set(ASKS),
}


def principal(user: str = "boss", access: Access = Access.PUBLISH, **more: Any) -> Principal:
    codenames = USERS[user]
    assert codenames is not None
    return Principal(make_user(user, codenames), access, "bot", **more)


@pytest.mark.parametrize("user", GRANTED)
@pytest.mark.parametrize("access", list(Access))
def test_every_action_by_every_access_and_user(user: str, access: Access) -> None:
    flow, run = Workflow.objects.get(pk=make_flow("numbers")), run_flow("numbers")
    program = principal(user, access)
    for action, needed in ASKS.items():
        obj = run if action in RUN_ACTIONS else flow if action in FLOW_ACTIONS else None
        allowed = action in GRANTED[user] and access.covers(needed)
        assert program.can(action, obj) == allowed, action


def test_accesses_are_in_order() -> None:
    assert [access.value for access in Access if Access.RUN.covers(access)] == [
        "read",
        "author",
        "run",
    ]


def test_what_may_not_be_seen_is_not_found_and_what_may_not_be_done_is_denied() -> None:
    make_flow("numbers")
    run = run_flow("numbers")
    viewer = principal("viewer", Access.PUBLISH)
    with pytest.raises(AccessDenied, match='"bot" may not do this: its user viewer has no'):
        viewer.require_flow("publish", "numbers")
    with pytest.raises(AccessDenied, match="its user viewer has no permission"):
        viewer.require_run("cancel_run", run.pk)
    reader = principal("boss", Access.READ)
    with pytest.raises(AccessDenied, match="has the access read, and this asks for publish"):
        reader.require_flow("publish", "numbers")
    with pytest.raises(AccessDenied, match="and this asks for author"):
        reader.require_new("another")
    assert reader.require_flow("view", "numbers").pk == "numbers"
    assert reader.require_run("view_run", run.pk).pk == run.pk
    bare = principal("bare", Access.PUBLISH)
    with pytest.raises(WorkflowNotFound):
        bare.require_flow("view", "numbers")
    with pytest.raises(RunNotFound):
        bare.require_run("view_run", run.pk)
    for slug in ("none", "", "no-slug", "x" * 200, "a\0b"):
        with pytest.raises(WorkflowNotFound):
            reader.require_flow("view", slug)


def test_a_prefix_narrows_everything() -> None:
    make_flow("etl_orders")
    make_flow("salaries")
    drafts.create("etl_new", user="boss")
    mine, other = run_flow("etl_orders"), run_flow("salaries")
    program = principal(flows_prefix="etl_")
    assert [flow.pk for flow in program.list_flows()] == ["etl_orders"]
    assert [run.pk for run in program.list_runs()] == [mine.pk]
    assert program.require_flow("change", "etl_new").pk == "etl_new"
    with pytest.raises(WorkflowNotFound):
        program.require_flow("view", "salaries")
    with pytest.raises(RunNotFound):
        program.require_run("view_run", other.pk)
    assert not program.can("run", Workflow.objects.get(pk="salaries"))
    with pytest.raises(AccessDenied, match='begin with "etl_"'):
        program.require_new("payments")
    program.require_new("etl_payments")
    wild = Principal(program.user, Access.PUBLISH, flows_prefix="_")
    assert not wild.list_flows().exists(), "an underscore stands for itself"


def test_a_draft_that_was_never_published_is_a_flow_too() -> None:
    drafts.create("new", user="boss")
    program = principal(access=Access.AUTHOR)
    flow = program.require_flow("change", "new")
    assert (flow.pk, flow.created_by) == ("new", "boss")


def test_an_inactive_user_may_nothing() -> None:
    make_flow("numbers")
    program = principal()
    program.user.is_active = False
    assert not any(program.can(action) for action in ASKS)


class Narrow(WorkflowAdmin):
    """Shows the flows of one team, and publishes none."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Workflow]:
        return super().get_queryset(request).filter(pk__startswith="team_")

    def has_publish_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.username == "ann"


site = admin.AdminSite("narrow")
site.register(Workflow, Narrow)
empty_site = admin.AdminSite("empty")


@override_settings(PGFLOW={"AGENT_ADMIN_SITE": "tests.agents.test_access.site"})
def test_a_site_that_narrows_its_admin_narrows_programs() -> None:
    make_flow("team_plan")
    make_flow("salaries")
    run = run_flow("team_plan")
    program = principal()
    assert [flow.pk for flow in program.list_flows()] == ["team_plan"]
    with pytest.raises(WorkflowNotFound):
        program.require_flow("view", "salaries")
    with pytest.raises(AccessDenied):
        program.require_flow("publish", "team_plan")
    ann = Principal(make_user("ann", ("*",)), Access.PUBLISH)
    assert ann.require_flow("publish", "team_plan").pk == "team_plan"
    # That site has no admin of runs: there is nobody who could allow to see them.
    assert not program.list_runs().exists()
    with pytest.raises(RunNotFound):
        program.require_run("view_run", run.pk)


@override_settings(PGFLOW={"AGENT_ADMIN_SITE": "tests.agents.test_access.empty_site"})
def test_a_site_without_flows_is_named() -> None:
    with pytest.raises(PgflowError, match=r"PGFLOW\[\"AGENT_ADMIN_SITE\"\]") as refused:
        principal().list_flows()
    assert refused.value.code == "no_admin_site"


def test_the_admin_of_runs_narrows_them() -> None:
    make_flow("numbers")
    run_flow("numbers")
    narrow = admin.AdminSite("runs")

    class NoRuns(WorkflowRunAdmin):
        def get_queryset(self, request: HttpRequest) -> QuerySet[WorkflowRun]:
            return super().get_queryset(request).none()

    narrow.register(Workflow, WorkflowAdmin)
    narrow.register(WorkflowRun, NoRuns)
    globals()["narrow_runs"] = narrow
    with override_settings(PGFLOW={"AGENT_ADMIN_SITE": "tests.agents.test_access.narrow_runs"}):
        assert not principal().list_runs().exists()
