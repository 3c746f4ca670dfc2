"""The gateway to the SQL functions: one typed Python function for each, and their errors.

Gateway layer: may import the pure modules and storage. Nothing else calls these SQL functions.
"""

from __future__ import annotations

from pgflow_django.engine.control import (
    Acted,
    cancel_run,
    decide_step,
    pause_run,
    rerun,
    resume_run,
    retry_now,
    retry_run,
)
from pgflow_django.engine.runs import (
    InputNotChecked,
    WorkflowOutdated,
    has_ended_here,
    prune_rows,
    prune_runs,
    start_flow,
    start_trial,
    starting_as,
)
from pgflow_django.engine.tasks import (
    Settled,
    TaskGroup,
    fail_tasks,
    next_visible,
    refuse_messages,
    release_claims,
    release_tasks,
    settle_and_claim,
)
from pgflow_django.engine.workers import (
    announce_sleep,
    list_queues,
    lose_workers,
    register_worker,
    release_worker,
    remove_worker,
    renew_leases,
    set_queues,
    sweep,
)

__all__ = [
    "Acted",
    "InputNotChecked",
    "Settled",
    "TaskGroup",
    "WorkflowOutdated",
    "announce_sleep",
    "cancel_run",
    "decide_step",
    "fail_tasks",
    "has_ended_here",
    "list_queues",
    "lose_workers",
    "next_visible",
    "pause_run",
    "prune_rows",
    "prune_runs",
    "refuse_messages",
    "register_worker",
    "release_claims",
    "release_tasks",
    "release_worker",
    "remove_worker",
    "renew_leases",
    "rerun",
    "resume_run",
    "retry_now",
    "retry_run",
    "set_queues",
    "settle_and_claim",
    "start_flow",
    "start_trial",
    "starting_as",
    "sweep",
]
