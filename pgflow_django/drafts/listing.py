"""Drafts of flows that are not published yet: no other list has them."""

from __future__ import annotations

from django.db import router
from django.db.models import Exists, OuterRef, QuerySet

from pgflow_django.models import Workflow, WorkflowDraft


def list_unpublished(*, using: str | None = None) -> QuerySet[WorkflowDraft]:
    """The drafts of flows that were never published, the one edited last first."""
    alias = using or router.db_for_read(WorkflowDraft)
    flows = Workflow.objects.using(alias).filter(workflow_slug=OuterRef("workflow_slug"))
    return WorkflowDraft.objects.using(alias).exclude(Exists(flows)).order_by("-edited_at")
