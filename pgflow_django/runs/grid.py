"""How the steps of the last runs of a flow stand, beside one another.

Service layer. Two queries. Called within ``looking``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pgflow_django.models import WorkflowRun, WorkflowStepState
from pgflow_django.models.querysets import IS_NO_TRIAL, IS_TRIAL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from django.db.models import QuerySet

#: Runs that stand beside one another.
RUNS: Final = 30


@dataclass(frozen=True, slots=True)
class Grid:
    """Runs, oldest first, and the status of their steps by run and step, as rows have it.

    ``failed`` are the steps that failed in one of them.
    """

    runs: Sequence[WorkflowRun]
    statuses: Mapping[tuple[UUID, str], str]
    failed: frozenset[str]


def read_grid(run: WorkflowRun, known: QuerySet[WorkflowRun], *, using: str) -> Grid:
    """The last runs of the flow of ``run``, among those that are ``known`` to the reader.

    Where it is older than they are: those up to it. Trials are compared with trials.
    """
    flow = known.using(using).filter(
        IS_TRIAL if run.is_trial else IS_NO_TRIAL, workflow_slug=run.workflow_slug
    )
    newest = list(flow.order_by("-id")[:RUNS])
    if newest and newest[-1].pk > run.pk:
        newest = list(flow.filter(pk__lte=run.pk).order_by("-id")[:RUNS])
    runs = newest[::-1]
    states = WorkflowStepState.objects.using(using).filter(run_id__in=[each.pk for each in runs])
    rows = states.values_list("run_id", "step_slug", "status")
    statuses = {(run_id, slug): status for run_id, slug, status in rows}
    failed = frozenset(slug for (_, slug), status in statuses.items() if status == "failed")
    return Grid(runs, statuses, failed)
