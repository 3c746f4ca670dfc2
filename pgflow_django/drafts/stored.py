"""The rows of a draft, its revisions and its flow, read together."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from django.db.models import Max
from django.utils import timezone
from django.utils.functional import cached_property  # Python 3.11's own locks out other threads

from pgflow_django.choices import Origin
from pgflow_django.definitions.shape import Document, write_document
from pgflow_django.drafts.types import Author, Draft, HandedIn, Returned
from pgflow_django.jsonvalue import same
from pgflow_django.models import Workflow, WorkflowDraft, WorkflowRevision
from pgflow_django.storage import definitions as store

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
        if self.draft and self.workflow and self.draft.base_version == self.workflow.version:
            # Reading one document is many times cheaper than putting one together.
            known = self.draft.revisions.using(self.alias)
            known = known.filter(published_version=self.workflow.version).order_by("-seq")
            if (document := known.values_list("document", flat=True).first()) is not None:
                return dict(document)
        rows = store.load_rows(self.slug, self.alias) if self.workflow else None
        if rows is None:
            return {"workflow_slug": self.slug, "steps": []}
        return write_document(store.definition_of_rows(rows))

    @cached_property
    def head_row(self) -> WorkflowRevision:
        """The revision that the draft is now."""
        return self.row.revisions.using(self.alias).get(seq=self.row.head)

    @property
    def is_clean(self) -> bool:
        """Whether the draft is what was published when it was last in step with the flow."""
        base = self.draft.base_version if self.draft else None
        return base is not None and self.head_row.published_version == base

    @property
    def is_behind(self) -> bool:
        """Whether nobody edits it, and something newer than it began with is published."""
        if self.draft is None or self.workflow is None:
            return False
        return self.workflow.version != self.draft.base_version and self.is_clean

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

    def is_current(self) -> bool:
        """Whether neither row has changed since they were read."""
        draft, workflow = self.draft, self.workflow
        seen = [(draft.version, draft.edited_at)] if draft else []
        seen += [(workflow.version, workflow.created_at)] if workflow else []
        drafts = WorkflowDraft.objects.using(self.alias).filter(pk=self.slug)
        flows = Workflow.objects.using(self.alias).filter(pk=self.slug)
        now = drafts.values_list("version", "edited_at").union(
            flows.values_list("version", "created_at"), all=True
        )
        return list(now.order_by()) == seen  # not by what the models order by: it isn't read

    @property
    def is_read_only(self) -> bool:
        """Whether the flow is defined in code."""
        return self.workflow is not None and self.workflow.origin == Origin.CODE


def find(slug: str, alias: str) -> Stored | None:
    """Read a flow's draft and definition; ``None`` where there is neither."""
    draft = WorkflowDraft.objects.using(alias).filter(pk=slug).first()
    workflow = Workflow.objects.using(alias).filter(pk=slug).first()
    return Stored(slug, alias, draft, workflow) if draft or workflow else None


def view(slug: str, alias: str) -> Draft | None:
    """The draft, all of it as it was at one moment; ``None`` where there is no such flow.

    Each statement sees what is committed by then, also in transactions of most callers. So where
    somebody has changed it before the last one, all is read once more.
    """
    while (stored := find(slug, alias)) is not None:
        with suppress(WorkflowRevision.DoesNotExist):
            draft = present(stored)
            if stored.is_current():
                return draft
    return None


def lock(slug: str, alias: str) -> Stored | None:
    """As ``find``, with both rows locked until the transaction ends.

    The flow first, as deleting one does: whoever changes or deletes it elsewhere waits, or is seen.
    """
    workflow = store.lock_workflow(slug, alias)
    draft = WorkflowDraft.objects.using(alias).select_for_update().filter(pk=slug).first()
    if draft is not None and workflow is None:  # it may have been published while we waited
        workflow = store.lock_workflow(slug, alias)
    return Stored(slug, alias, draft, workflow) if draft or workflow else None


def present(stored: Stored) -> Draft:
    """The draft for those who look at it."""
    draft, workflow = stored.draft, stored.workflow
    undo, redo = _labels(stored) if draft else ("", "")
    is_same = workflow is not None and (
        draft is None or stored.is_clean or same(draft.document, stored.published)
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
        owner=_name_owner(stored),
        edited_by=draft.edited_by if draft else "",
        edited_at=draft.edited_at if draft else None,
        published_version=workflow.version if workflow else None,
        is_read_only=stored.is_read_only,
        handed_in=_find_submission(draft),
        returned=_find_return(draft),
        provenance=stored.head_row.provenance if draft and not stored.is_behind else None,
    )


def _find_submission(draft: WorkflowDraft | None) -> HandedIn | None:
    if draft is None or draft.submitted_at is None:
        return None
    return HandedIn(draft.submitted_by, draft.submitted_at, draft.submitted_note)


def _find_return(draft: WorkflowDraft | None) -> Returned | None:
    if draft is None or not (draft.returned_by or draft.returned_note):
        return None
    return Returned(draft.returned_by, draft.returned_note)


def take_back(draft: WorkflowDraft) -> None:
    """Let a draft wait for nobody: what was handed in is not what it is any more."""
    draft.submitted_at, draft.submitted_by, draft.submitted_note = None, "", ""


def _name_owner(stored: Stored) -> str:
    if stored.workflow is not None:
        return stored.workflow.created_by
    return stored.draft.created_by if stored.draft else ""


def name_take_over(stored: Stored) -> str:
    """The label of a revision that takes over what was published elsewhere."""
    version = stored.workflow.version if stored.workflow else 0
    return f"Took over version {version}, which was made elsewhere"


def _labels(stored: Stored) -> tuple[str, str]:
    """What undo and redo would take back and bring back; empty for nothing."""
    if stored.is_behind:  # whatever is done next takes that over first
        return name_take_over(stored), ""
    head = stored.head_row
    revisions = stored.row.revisions.using(stored.alias)
    has_parent = head.parent is not None and revisions.filter(seq=head.parent).exists()
    next_label = revisions.filter(parent=head.seq).order_by("-seq").values_list("label", flat=True)
    return (head.label if has_parent else ""), (next_label.first() or "")


def start_draft(
    slug: str, document: Document, base_version: int | None, author: Author, alias: str
) -> None:
    """Insert a draft with its first revision; ``IntegrityError`` where there is one already."""
    draft = WorkflowDraft.objects.using(alias).create(
        workflow_slug=slug,
        document=document,
        version=1,
        head=0,
        base_version=base_version,
        last_action="Began",
        created_by=author.name,
        edited_by=author.name,
        edited_at=timezone.now(),
        origin=Origin.EDITOR if author.provenance is None else Origin.AGENT,
    )
    WorkflowRevision.objects.using(alias).create(
        draft=draft,
        seq=0,
        op="start",
        label="Began",
        document=document,
        draft_version=1,
        user=author.name,
        provenance=author.provenance,
        published_version=base_version,
    )


def append_revision(
    stored: Stored,
    op: str,
    label: str,
    document: Document,
    author: Author,
    *,
    published_version: int | None = None,
) -> None:
    """Make ``document`` the draft, as a revision that undo leads back from.

    ``published_version``: it is what this version of the flow is, and the draft in step with it.
    """
    revisions = WorkflowRevision.objects.using(stored.alias).filter(draft=stored.row)
    newest = revisions.aggregate(seq=Max("seq"))["seq"]
    parent = stored.row.head
    revision = revisions.create(
        draft=stored.row,
        seq=newest + 1,
        parent=parent,
        op=op,
        label=label,
        document=document,
        draft_version=stored.row.version + 1,
        user=author.name,
        provenance=author.provenance,
        published_version=published_version,
    )
    if published_version is not None:
        stored.row.base_version = published_version
    move_head(stored, revision, label, author.name)
    old = revisions.filter(seq__lte=newest + 1 - MAX_REVISIONS)
    old.exclude(seq=parent).delete()  # undo must find the state before, however old


def move_head(stored: Stored, revision: WorkflowRevision, action: str, user: str) -> None:
    """Make a revision the draft; ``action`` says to others what was done."""
    draft = stored.row
    draft.document = revision.document
    draft.head = revision.seq
    draft.version += 1
    draft.last_action = action
    draft.edited_by = user
    draft.edited_at = timezone.now()
    take_back(draft)
    draft.save(using=stored.alias)
    stored.head_row = revision
