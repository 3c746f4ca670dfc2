"""Who changed what and when, and how two states differ."""

from __future__ import annotations

from django.db import router

from pgflow_django.drafts.editing import load
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
    load(slug, using=alias)
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
    load(slug, using=alias)
    kept = {
        revision.seq: revision
        for revision in WorkflowRevision.objects.using(alias).filter(draft_id=slug)
    }
    chosen = kept.get(seq)
    if chosen is None or (other is not None and other not in kept):
        text = "This revision is not kept any more. Choose another one of the history."
        raise EditRefused(text, code="missing_revision", field="seq")
    if other is not None:
        return compare_documents(chosen.document, kept[other].document)
    before = None if chosen.parent is None else kept.get(chosen.parent)
    return compare_documents(None if before is None else before.document, chosen.document)
