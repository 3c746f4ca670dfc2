"""The app in the Django admin: flows, runs and workers, with all their pages.

Steps, edges, states and tasks have no pages of their own: Django's admin takes no models with
composite keys, and the page of their flow or run is the place to see them.
"""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from pgflow_django.admin.agents import AgentCallAdmin, AgentTokenAdmin
from pgflow_django.admin.flows import WorkflowAdmin
from pgflow_django.admin.runs import WorkflowRunAdmin
from pgflow_django.admin.workers import WorkflowWorkerAdmin
from pgflow_django.models import AgentCall, AgentToken, Workflow, WorkflowRun, WorkflowWorker

__all__ = [
    "AgentCallAdmin",
    "AgentTokenAdmin",
    "WorkflowAdmin",
    "WorkflowRunAdmin",
    "WorkflowWorkerAdmin",
]

# What people call the models. In their ``Meta`` each of these words would ask for a migration.
for _model, _one, _many in (
    (Workflow, _("flow"), _("flows")),
    (WorkflowRun, _("run"), _("runs")),
    (WorkflowWorker, _("worker"), _("workers")),
    (AgentToken, _("token of a program"), _("tokens of programs")),
    (AgentCall, _("call of a program"), _("calls of programs")),
):
    _options = _model._meta  # noqa: SLF001 - Django's own name for it
    _options.verbose_name, _options.verbose_name_plural = _one, _many
