"""From a draft to the definition that new runs get."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import router

from pgflow_django.choices import Origin
from pgflow_django.drafts.editing import conflict, lock_for_edit
from pgflow_django.drafts.problems import problems
from pgflow_django.drafts.stored import Stored, take_back
from pgflow_django.drafts.types import Published, name_user
from pgflow_django.exceptions import DraftConflict, EditRefused, WorkflowExists
from pgflow_django.flow_builder import create_flow_from_spec
from pgflow_django.models import Workflow, WorkflowDraft, WorkflowRevision, WorkflowRun
from pgflow_django.storage.trouble import transact, uses_database


@uses_database
def publish(slug: str, version: int, *, user: Any, using: str | None = None) -> Published:
    """Store the draft as the flow's definition, in one transaction and as one version.

    Runs in flight go on with the version that they started with. A new flow gets the origin
    ``editor``, or ``agent`` where a program began it; one that was there keeps its own.

    Raises ``WorkflowNotFound``, ``DraftConflict`` (also where the flow was changed from elsewhere
    since the draft began: publishing again overrules that), ``EditRefused`` while there are errors.
    """
    alias = using or router.db_for_write(WorkflowDraft)
    publish_it = partial(_publish, slug, version, name_user(user), alias)
    try:
        done = transact(publish_it, alias)
    except WorkflowExists:
        # Somebody has just made a flow of this name elsewhere: now it is seen, and told of.
        done = transact(publish_it, alias)
    if isinstance(done, DraftConflict):
        raise done
    return Published(done, _count_active_runs(done, alias))


def _publish(slug: str, version: int, user: str, alias: str) -> Workflow | DraftConflict:
    """The published flow; or the conflict to raise, once what tells of it is committed."""
    stored = lock_for_edit(slug, version, user, alias)
    if stored.workflow is not None and stored.row.base_version != stored.workflow.version:
        return _tell_of_change(stored)
    refuse_errors(stored)
    return _store(stored, user)


def _tell_of_change(stored: Stored) -> DraftConflict:
    """Say once that the flow was changed elsewhere: the next publishing knows of it."""
    assert stored.workflow is not None  # noqa: S101
    draft = stored.row
    draft.base_version = stored.workflow.version
    draft.version += 1
    draft.last_action = f"version {stored.workflow.version} was stored from elsewhere"
    draft.save(using=stored.alias)
    refusal = conflict(stored, draft.version)
    refusal.messages[:] = [draft.last_action]
    return refusal


def refuse_errors(stored: Stored) -> None:
    """Raise ``EditRefused`` for a draft that can't be published as it is."""
    errors = [found for found in problems(stored.document) if found.level == "error"]
    if errors:
        first = errors[0]
        fix = first.fixes[0] if first.fixes else None
        raise EditRefused(first.message, code=first.code, suggestions=first.suggestions, fix=fix)


def _store(stored: Stored, user: str) -> Workflow:
    workflow = create_flow_from_spec(
        stored.document,
        origin=Origin(stored.row.origin),
        replace=stored.workflow is not None,
        using=stored.alias,
    )
    if stored.workflow is None:
        owner = stored.row.created_by
        Workflow.objects.using(stored.alias).filter(pk=workflow.pk).update(created_by=owner)
        workflow.refresh_from_db(using=stored.alias)
    draft = stored.row
    draft.base_version = workflow.version
    draft.version += 1
    draft.last_action = f"Published version {workflow.version}"
    draft.edited_by = user
    take_back(draft)
    draft.returned_by = draft.returned_note = ""
    draft.save(using=stored.alias)
    WorkflowRevision.objects.using(stored.alias).filter(pk=stored.head_row.pk).update(
        published_version=workflow.version
    )
    return workflow


def _count_active_runs(workflow: Workflow, alias: str) -> int:
    active = WorkflowRun.objects.using(alias).active().without_trials()
    of_flow = active.filter(workflow_slug=workflow.workflow_slug)
    return of_flow.exclude(version=workflow.version).count()
