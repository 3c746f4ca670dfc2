"""Who may publish what programs have drawn: a person, and where the site says so, another one."""

from __future__ import annotations

from typing import Any

from django.db import router
from django.db.models import Max

from pgflow_django.agents.policy import quotas
from pgflow_django.drafts.types import name_user
from pgflow_django.exceptions import PgflowError
from pgflow_django.models import WorkflowDraft, WorkflowRevision


class ApprovalRefused(PgflowError):
    """What a program has drawn is published by another person than its user."""

    default_code = "other_person_needed"


def require_approval(slug: str, user: Any, *, using: str | None = None) -> None:
    """Raise ``ApprovalRefused`` unless this person may publish the draft as it is now.

    That he has the permission is asked elsewhere. With ``APPROVAL`` of the site's policy being
    ``other_person``, he may not be one whose program edited the draft since it was published last,
    also where that edit was undone.
    """
    if quotas().approval != "other_person":
        return
    name = name_user(user)
    if name in find_program_users(slug, using=using):
        raise ApprovalRefused(
            f'A program of yours has edited the draft of "{slug}" since it was published last, and '
            "this site wants another person to publish that. Hand it in, or ask somebody who may "
            "publish to look at it."
        )


def find_program_users(slug: str, *, using: str | None = None) -> set[str]:
    """The names of the users whose programs edited the draft since it was published last."""
    alias = using or router.db_for_read(WorkflowDraft)
    revisions = WorkflowRevision.objects.using(alias).filter(draft_id=slug)
    published = revisions.filter(published_version__isnull=False).aggregate(seq=Max("seq"))["seq"]
    since = revisions.filter(seq__gt=-1 if published is None else published)
    told = since.filter(provenance__isnull=False).values_list("user", "provenance")
    return {name for user, made in told for name in (user, (made or {}).get("by", "")) if name}
