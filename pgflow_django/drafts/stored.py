"""The rows of a draft, its revisions and its flow, read together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from django.db.models import Max
from django.utils import timezone

from pgflow_django import definition_store as store
from pgflow_django.choices import Origin
from pgflow_django.definition import Document, canonical, read_document, write_document
from pgflow_django.drafts.types import Draft
from pgflow_django.models import Workflow, WorkflowDraft, WorkflowRevision

#: Revisions that are kept of a draft.
MAX_REVISIONS = 200


@dataclass
class Stored:
    """A flow's draft and its published definition; at least one of them is there."""

    slug: str
    alias: str
    draft: WorkflowDraft | None
    workflow: Workflow | None

    @property
    def row(self) -> WorkflowDraft:
        """The draft's row, where it is known to be there."""
        assert self.draft is not None  # noqa: S101
        return self.draft

    @cached_property
    def published(self) -> Document:
        """The published definition; an empty flow where there is none."""
        rows = store.load_rows(self.slug, self.alias) if self.workflow else None
        if rows is None:
            return {"workflow_slug": self.slug, "steps": []}
        return write_document(store.definition_of_rows(rows))

    @cached_property
    def head_row(self) -> WorkflowRevision:
        """The revision that the draft is now."""
        return self.row.revisions.using(self.alias).get(seq=self.row.head)

    @property
    def is_behind(self) -> bool:
        """Whether nobody edits it, and something newer than it began with is published."""
        if self.draft is None or self.workflow is None:
            return False
        is_unchanged = self.head_row.parent is None or self.head_row.published_version is not None
        return self.workflow.version != self.draft.base_version and is_unchanged

    @property
    def document(self) -> Document:
        """What an edit starts from."""
        if self.draft is None or self.is_behind:
            return self.published
        document: Document = self.draft.document
        return document

    @property
    def version(self) -> int:
        """The version that the next edit must name."""
        return self.draft.version if self.draft else 0

    @property
    def is_read_only(self) -> bool:
        """Whether the flow is defined in code."""
        return self.workflow is not None and self.workflow.origin == Origin.CODE


def find(slug: str, alias: str) -> Stored | None:
    """Read a flow's draft and definition; ``None`` where there is neither."""
    draft = WorkflowDraft.objects.using(alias).filter(pk=slug).first()
    workflow = Workflow.objects.using(alias).filter(pk=slug).first()
    return Stored(slug, alias, draft, workflow) if draft or workflow else None


def lock(slug: str, alias: str) -> Stored | None:
    """As ``find``, with the draft's row locked until the transaction ends."""
    draft = WorkflowDraft.objects.using(alias).select_for_update().filter(pk=slug).first()
    workflow = Workflow.objects.using(alias).filter(pk=slug).first()
    return Stored(slug, alias, draft, workflow) if draft or workflow else None


def present(stored: Stored) -> Draft:
    """The draft for those who look at it."""
    draft, workflow = stored.draft, stored.workflow
    undo, redo = _labels(stored) if draft else ("", "")
    is_same = workflow is not None and (
        draft is None
        or stored.is_behind
        or canonical(read_document(draft.document)) == canonical(read_document(stored.published))
    )
    return Draft(
        slug=stored.slug,
        document=stored.document,
        version=stored.version,
        has_changes=not is_same,
        can_undo=bool(undo),
        can_redo=bool(redo),
        undo_label=undo,
        redo_label=redo,
        edited_by=draft.edited_by if draft else "",
        edited_at=draft.edited_at if draft else None,
        published_version=workflow.version if workflow else None,
        is_read_only=stored.is_read_only,
    )


def _labels(stored: Stored) -> tuple[str, str]:
    """What undo and redo would take back and bring back; empty for nothing."""
    head = stored.head_row
    revisions = stored.row.revisions.using(stored.alias)
    has_parent = head.parent is not None and revisions.filter(seq=head.parent).exists()
    next_label = revisions.filter(parent=head.seq).order_by("-seq").values_list("label", flat=True)
    return (head.label if has_parent else ""), (next_label.first() or "")


def start_draft(
    slug: str, document: Document, base_version: int | None, user: str, alias: str
) -> None:
    """Insert a draft with its first revision; ``IntegrityError`` where there is one already."""
    draft = WorkflowDraft.objects.using(alias).create(
        workflow_slug=slug,
        document=document,
        version=1,
        head=0,
        base_version=base_version,
        edited_by=user,
        edited_at=timezone.now(),
    )
    WorkflowRevision.objects.using(alias).create(
        draft=draft,
        seq=0,
        op="start",
        label="Began",
        document=document,
        draft_version=1,
        user=user,
        published_version=base_version,
    )


def append_revision(stored: Stored, op: str, label: str, document: Document, user: str) -> None:
    """Make ``document`` the draft, as a revision that undo leads back from."""
    revisions = WorkflowRevision.objects.using(stored.alias).filter(draft=stored.row)
    newest = revisions.aggregate(seq=Max("seq"))["seq"]
    revision = revisions.create(
        draft=stored.row,
        seq=newest + 1,
        parent=stored.row.head,
        op=op,
        label=label,
        document=document,
        draft_version=stored.row.version + 1,
        user=user,
    )
    move_head(stored, revision, user)
    revisions.filter(seq__lte=newest + 1 - MAX_REVISIONS).delete()


def move_head(stored: Stored, revision: WorkflowRevision, user: str) -> None:
    """Make a revision the draft."""
    draft = stored.row
    draft.document = revision.document
    draft.head = revision.seq
    draft.version += 1
    draft.edited_by = user
    draft.edited_at = timezone.now()
    draft.save(using=stored.alias)
    stored.head_row = revision
