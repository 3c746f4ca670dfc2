"""What ``listflows`` and ``listruns`` show: flows and runs with what counts about each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import Count, Exists, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, JSONObject

from pgflow_django.models import Workflow, WorkflowRun, WorkflowStep
from pgflow_django.models.querysets import IS_NO_TRIAL, IS_TRIAL
from pgflow_django.runs.status import count_steps
from pgflow_django.storage.definitions import FLOW_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet

_RUN_COLUMNS = (
    "id",
    "workflow_slug",
    "version",
    "status",
    "started_at",
    "ended_at",
    "key",
    "parent_run_id",
    "started_by",
    "via",
    "error",
)


def list_flows(search: str = "", *, using: str) -> list[dict[str, Any]]:
    """Flows, newest first, with ``steps_count``, ``active_runs`` and ``last_run``.

    ``search`` picks those that have it in their slug, description, steps or functions.
    """
    flows = Workflow.objects.using(using)
    steps = WorkflowStep.objects.filter(workflow_slug=OuterRef("workflow_slug"))
    if search:
        named = Q(step_slug__icontains=search) | Q(function__icontains=search)
        flows = flows.filter(
            Q(workflow_slug__icontains=search)
            | Q(description__icontains=search)
            | Exists(steps.filter(named))
        )
    runs = WorkflowRun.objects.without_trials().filter(workflow_slug=OuterRef("workflow_slug"))
    last = JSONObject(id="id", status="status", started_at="started_at", ended_at="ended_at")
    rows = flows.annotate(
        steps_count=_count(steps),
        active_runs=_count(runs.active()),
        last_run=Subquery(runs.order_by("-id").values(found=last)[:1]),
    )
    return list(rows.values(*FLOW_COLUMNS, "steps_count", "active_runs", "last_run"))


def list_runs(
    *, flow: str | None, statuses: Sequence[str], limit: int, using: str, trials: bool = False
) -> list[dict[str, Any]]:
    """Runs, newest first, with ``steps_count`` and ``steps_done``; without input and output.

    ``trials``: trials in their place, which ``is_trial`` says of each.
    """
    runs = WorkflowRun.objects.using(using).order_by("-id")
    runs = runs.filter(IS_TRIAL if trials else IS_NO_TRIAL)
    if flow is not None:
        runs = runs.filter(workflow_slug=flow)
    if statuses:
        runs = runs.filter(status__in=statuses)
    counts = {"steps_count": F("total_steps"), "steps_done": F("completed_steps")}
    rows = count_steps(runs).values(*_RUN_COLUMNS, **counts)[:limit]
    return [{**row, "is_trial": trials} for row in rows]


def _count(rows: QuerySet[Any]) -> Coalesce:
    """How many rows of a flow there are."""
    of_flow = rows.order_by().values("workflow_slug")
    return Coalesce(Subquery(of_flow.values(count=Count("*"))), 0)
