"""Models: the guide's definition tables and the runtime tables beside them."""

from __future__ import annotations

from pgflow_django.models.agents import AgentCall, AgentToken, AgentUsage
from pgflow_django.models.definitions import (
    Workflow,
    WorkflowStep,
    WorkflowStepDependency,
    WorkflowVersion,
    WorkflowVersionStep,
)
from pgflow_django.models.drafts import WorkflowDraft, WorkflowPresence, WorkflowRevision
from pgflow_django.models.runtime import (
    WorkflowRun,
    WorkflowRunEvent,
    WorkflowStepState,
    WorkflowStepTask,
    WorkflowTaskAttempt,
)
from pgflow_django.models.workers import WorkflowClaim, WorkflowWorker

__all__ = [
    "AgentCall",
    "AgentToken",
    "AgentUsage",
    "Workflow",
    "WorkflowClaim",
    "WorkflowDraft",
    "WorkflowPresence",
    "WorkflowRevision",
    "WorkflowRun",
    "WorkflowRunEvent",
    "WorkflowStep",
    "WorkflowStepDependency",
    "WorkflowStepState",
    "WorkflowStepTask",
    "WorkflowTaskAttempt",
    "WorkflowVersion",
    "WorkflowVersionStep",
    "WorkflowWorker",
]
