"""Flows as people draw them, before they are published."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import F, Q
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Now
from django.db.models.lookups import Exact

from pgflow_django.choices import Origin
from pgflow_django.models.definitions import SlugField, is_slug


class WorkflowDraft(models.Model):
    """A flow that is being edited. It may not be published yet, and then nothing else knows it."""

    workflow_slug = SlugField(primary_key=True)
    document = models.JSONField(help_text="a flow document, see docs/flows.md")
    version = models.IntegerField(default=1, help_text="counts up at every edit, for the next one")
    head = models.IntegerField(default=0, help_text="seq of the revision that the document is")
    base_version = models.IntegerField(
        null=True, help_text="version of the flow that it began with; null: not published yet"
    )
    last_action = models.TextField(
        default="", blank=True, help_text="what made this version, for those who saw another"
    )
    created_by = models.TextField(default="", blank=True, help_text="its owner")
    edited_by = models.TextField(default="", blank=True)
    edited_at = models.DateTimeField(db_default=Now())
    submitted_at = models.DateTimeField(
        null=True, blank=True, help_text="when it was handed in; null: it waits for nobody"
    )
    # Processes of the release before don't know these.
    submitted_by = models.TextField(db_default="", blank=True)
    submitted_note = models.TextField(db_default="", blank=True, help_text="what it is about")
    returned_by = models.TextField(db_default="", blank=True)
    returned_note = models.TextField(
        db_default="", blank=True, help_text="what to do better; kept until it is handed in again"
    )
    origin = models.TextField(
        db_default=Origin.EDITOR, help_text="what a new flow gets that is published from it"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "workflow_drafts"
        ordering: ClassVar = ["workflow_slug"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="draft_slug_follows_the_slug_rule", condition=is_slug("workflow_slug")
            ),
            models.CheckConstraint(
                name="draft_version_is_positive", condition=Q(version__gte=1, head__gte=0)
            ),
            models.CheckConstraint(
                name="draft_document_is_of_its_flow",
                condition=Exact(
                    KeyTextTransform("workflow_slug", F("document")), F("workflow_slug")
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"draft of {self.workflow_slug}"


class WorkflowRevision(models.Model):
    """What a draft was after one edit: for undo, redo and the history."""

    id = models.BigAutoField(primary_key=True)
    draft = models.ForeignKey(WorkflowDraft, on_delete=models.CASCADE, related_name="revisions")
    seq = models.IntegerField(help_text="0 is what the draft began with")
    parent = models.IntegerField(null=True, help_text="seq of what was edited; undo goes there")
    op = models.TextField()
    label = models.TextField()
    document = models.JSONField()
    draft_version = models.IntegerField(help_text="of the draft after this edit")
    user = models.TextField(default="", blank=True)
    at = models.DateTimeField(db_default=Now())
    published_version = models.IntegerField(
        null=True, help_text="version of the flow that was published from it"
    )
    provenance = models.JSONField(
        null=True, help_text="which program made this edit, by which door; null: a person"
    )

    class Meta:
        db_table = "workflow_revisions"
        ordering: ClassVar = ["draft", "-seq"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["draft", "seq"], name="revision_seq_is_unique"),
            models.CheckConstraint(
                name="revision_follows_an_earlier_one",
                condition=Q(parent__isnull=True) | Q(parent__lt=F("seq")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.draft_id} {self.seq}: {self.label}"


class WorkflowPresence(models.Model):
    """Somebody who has the page of a draft open."""

    id = models.BigAutoField(primary_key=True)
    workflow_slug = SlugField()
    session_hash = models.TextField(help_text="of the browser session, not the session itself")
    user = models.TextField(default="", blank=True)
    seen_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "workflow_presences"
        ordering: ClassVar = ["workflow_slug", "-seen_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["workflow_slug", "session_hash"], name="presence_is_one_per_session"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} at {self.workflow_slug}"
