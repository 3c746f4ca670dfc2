"""Who changed what and when, and how two states differ."""

from __future__ import annotations

from django.db import router

from pgflow_django.drafts.editing import require
from pgflow_django.drafts.types import Revision
from pgflow_django.edits import Change
from pgflow_django.edits import compare as compare_documents
from pgflow_django.exceptions import EditRefused
from pgflow_django.models import WorkflowDraft, WorkflowRevision


def history(slug: str, *, using: str | None = None) -> list[Revision]:
    """The kept revisions of a flow's draft, newest first; empty for one that was never edited.

    Raises ``WorkflowNotFound``.
    """
    alias = using or router.db_for_read(WorkflowDraft)
    require(slug, alias)
    head = WorkflowDraft.objects.using(alias).filter(pk=slug).values_list("head", flat=True).first()
    rows = WorkflowRevision.objects.using(alias).filter(draft_id=slug).order_by("-seq")
    names = ("seq", "op", "label", "user", "at", "published_version")
    return [Revision(**row, is_current=row["seq"] == head) for row in rows.values(*names)]


def compare(
    slug: str, seq: int, other: int | None = None, *, using: str | None = None
) -> list[Change]:
    """What changed from one revision to another; without ``other``, what revision ``seq`` did.

    Raises ``WorkflowNotFound``, ``EditRefused`` (``missing_revision``).
    """
    alias = using or router.db_for_read(WorkflowDraft)
    require(slug, alias)
    kept = WorkflowRevision.objects.using(alias).filter(draft_id=slug)
    chosen = kept.filter(seq=seq).first()
    asked = None if chosen is None else other if other is not None else chosen.parent
    second = None if asked is None else kept.filter(seq=asked).first()
    if chosen is None or (other is not None and second is None):
        text = "This revision is not kept any more. Choose another one of the history."
        raise EditRefused(text, code="missing_revision", field="seq")
    if other is not None and second is not None:
        return compare_documents(chosen.document, second.document)
    return compare_documents(second.document if second else None, chosen.document)
