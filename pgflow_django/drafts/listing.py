"""Drafts of flows that are not published yet, which no other list has, and the names of all."""

from __future__ import annotations

from django.db import router
from django.db.models import Exists, OuterRef, QuerySet

from pgflow_django.definitions.graph import MAX_SLUG_LENGTH, free_slug
from pgflow_django.models import Workflow, WorkflowDraft
from pgflow_django.storage.trouble import uses_database


def list_unpublished(*, using: str | None = None) -> QuerySet[WorkflowDraft]:
    """The drafts of flows that were never published, the one edited last first."""
    alias = using or router.db_for_read(WorkflowDraft)
    flows = Workflow.objects.using(alias).filter(workflow_slug=OuterRef("workflow_slug"))
    return WorkflowDraft.objects.using(alias).exclude(Exists(flows)).order_by("-edited_at")


def list_handed_in(*, using: str | None = None) -> QuerySet[WorkflowDraft]:
    """The drafts that wait for somebody who publishes them, the one that waits longest first."""
    alias = using or router.db_for_read(WorkflowDraft)
    waiting = WorkflowDraft.objects.using(alias).filter(submitted_at__isnull=False)
    return waiting.order_by("submitted_at", "workflow_slug")


@uses_database
def name_copy(slug: str, *, using: str | None = None) -> str:
    """A name for a copy of a flow that no flow and no draft has: ``orders_copy``, or numbered."""
    alias = using or router.db_for_read(WorkflowDraft)
    wish = f"{slug[: MAX_SLUG_LENGTH - 5]}_copy"
    alike = slug[:100]  # whatever it ends with
    drafts = WorkflowDraft.objects.using(alias).filter(workflow_slug__startswith=alike)
    flows = Workflow.objects.using(alias).filter(workflow_slug__startswith=alike)
    taken = drafts.values_list("workflow_slug").union(flows.values_list("workflow_slug"))
    return free_slug(wish, {name for (name,) in taken.order_by()})
