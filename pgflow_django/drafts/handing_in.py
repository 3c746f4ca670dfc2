"""Handing a draft in, for somebody who may publish it, and returning it with a note."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import router
from django.utils import timezone

from pgflow_django.definitions.rules import show
from pgflow_django.drafts.editing import lock_for_edit
from pgflow_django.drafts.publishing import refuse_errors
from pgflow_django.drafts.stored import present, take_back
from pgflow_django.drafts.types import Draft, name_user
from pgflow_django.exceptions import EditRefused
from pgflow_django.models import WorkflowDraft
from pgflow_django.storage.trouble import transact, uses_database

#: Characters of a note.
MAX_NOTE = 2000


@uses_database
def hand_in(
    slug: str, version: int, *, user: Any, note: str = "", using: str | None = None
) -> Draft:
    """Let a draft wait for somebody who publishes it; to hand it in again changes the note.

    Any edit takes it back. Its version stays: what is published is what was handed in.

    Raises ``WorkflowNotFound``, ``DraftConflict``, ``EditRefused`` for a draft with errors, for one
    that says what is published, and for a note that is none.
    """
    _refuse_note(note)
    alias = using or router.db_for_write(WorkflowDraft)
    return transact(partial(_hand_in, slug, version, name_user(user), note, alias), alias)


def _hand_in(slug: str, version: int, user: str, note: str, alias: str) -> Draft:
    stored = lock_for_edit(slug, version, user, alias)
    refuse_errors(stored)
    if not present(stored).has_changes:
        raise EditRefused("The draft says what is published already.", code="nothing_changed")
    draft = stored.row
    draft.submitted_at = timezone.now()
    draft.submitted_by, draft.submitted_note = user, note
    draft.returned_by = draft.returned_note = ""
    draft.save(using=alias)
    return present(stored)


@uses_database
def send_back(slug: str, version: int, *, user: Any, note: str, using: str | None = None) -> Draft:
    """Return a draft that was handed in, with what to do better.

    Raises ``WorkflowNotFound``, ``DraftConflict``, ``EditRefused`` where it was not handed in, and
    for a note that is none.
    """
    _refuse_note(note)
    alias = using or router.db_for_write(WorkflowDraft)
    return transact(partial(_send_back, slug, version, name_user(user), note, alias), alias)


def _send_back(slug: str, version: int, user: str, note: str, alias: str) -> Draft:
    stored = lock_for_edit(slug, version, user, alias)
    draft = stored.row
    if draft.submitted_at is None:
        text = f'The draft of "{slug}" waits for nobody: it was not handed in, or edited since.'
        raise EditRefused(text, code="not_handed_in")
    take_back(draft)
    draft.returned_by, draft.returned_note = user, note
    draft.save(using=alias)
    return present(stored)


def _refuse_note(note: Any) -> None:
    fault = ""
    if not isinstance(note, str):
        fault = f"is {show(note)}, but must be text"
    elif len(note) > MAX_NOTE:
        fault = f"has {len(note):,} characters, but may have at most {MAX_NOTE:,}"
    elif not all(letter.isprintable() or letter in "\n\t" for letter in note):
        fault = "has control characters, or such as change the direction of text"
    if fault:
        raise EditRefused(f"The note {fault}.", code="invalid_note", field="note")
