"""The app in the Django admin: flows, runs and workers, with all their pages.

Steps, edges, states and tasks have no pages of their own: Django's admin takes no models with
composite keys, and the page of their flow or run is the place to see them.
"""

from __future__ import annotations

from pgflow_django.admin.flows import WorkflowAdmin
from pgflow_django.admin.runs import WorkflowRunAdmin
from pgflow_django.admin.workers import WorkflowWorkerAdmin

__all__ = ["WorkflowAdmin", "WorkflowRunAdmin", "WorkflowWorkerAdmin"]
