"""Who changed what and when, and how two states differ."""

from __future__ import annotations

from django.db import router
from django.db.models import F, Q

from pgflow_django.definitions.edits import Change
from pgflow_django.definitions.edits import compare as compare_documents
from pgflow_django.drafts.editing import require
from pgflow_django.drafts.types import Revision
from pgflow_django.exceptions import EditRefused
from pgflow_django.models import WorkflowDraft, WorkflowRevision
from pgflow_django.storage.trouble import uses_database


@uses_database
def history(slug: str, *, using: str | None = None) -> list[Revision]:
    """The kept revisions of a flow's draft, newest first; empty for one that was never edited.

    Raises ``WorkflowNotFound``.
    """
    alias = using or router.db_for_read(WorkflowDraft)
    rows = WorkflowRevision.objects.using(alias).filter(draft_id=slug).order_by("-seq")
    names = ("seq", "op", "label", "user", "at", "published_version", "provenance")
    kept = list(rows.values(*names, is_current=Q(seq=F("draft__head"))))
    if not kept:  # a draft has one at least
        require(slug, alias)
    return [Revision(**row) for row in kept]


@uses_database
def compare(
    slug: str, seq: int, other: int | None = None, *, using: str | None = None
) -> list[Change]:
    """What changed from one revision to another; without ``other``, what revision ``seq`` did.

    Raises ``WorkflowNotFound``, ``EditRefused`` (``missing_revision``).
    """
    alias = using or router.db_for_read(WorkflowDraft)
    kept = WorkflowRevision.objects.using(alias).filter(draft_id=slug)
    parent = kept.filter(seq=seq).values("parent")
    rows = {
        row.seq: row
        for row in kept.filter(Q(seq=seq) | Q(seq__in=parent if other is None else [other]))
    }
    if seq not in rows or (other is not None and other not in rows):
        require(slug, alias)
        text = "This revision is not kept any more. Choose another one of the history."
        raise EditRefused(text, code="missing_revision", field="seq")
    chosen = rows[seq]
    if other is not None:
        return compare_documents(chosen.document, rows[other].document)
    before = None if chosen.parent is None else rows.get(chosen.parent)
    return compare_documents(before.document if before else None, chosen.document)
