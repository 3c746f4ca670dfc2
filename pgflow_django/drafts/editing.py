"""Loading, creating, editing and discarding drafts."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import IntegrityError, router, transaction
from django.db.models import Max

from pgflow_django import jsonvalue
from pgflow_django.definitions import bounds
from pgflow_django.definitions.document import validate
from pgflow_django.definitions.edits import apply, read_arguments
from pgflow_django.definitions.graph import is_valid_slug
from pgflow_django.definitions.problems import raise_problems, workflow_slug_problems
from pgflow_django.definitions.shape import Document, read_document, write_document
from pgflow_django.drafts.problems import refuse
from pgflow_django.drafts.stored import (
    Stored,
    append_revision,
    find,
    lock,
    move_head,
    name_take_over,
    present,
    start_draft,
    view,
)
from pgflow_django.drafts.types import Author, Draft, Edited, Provenance, name_user
from pgflow_django.exceptions import (
    DraftConflict,
    EditRefused,
    WorkflowConflict,
    WorkflowExists,
)
from pgflow_django.models import Workflow, WorkflowDraft, WorkflowRevision
from pgflow_django.registry import registry
from pgflow_django.storage import definitions as store
from pgflow_django.storage.definitions import workflow_not_found
from pgflow_django.storage.moments import by_the_clock
from pgflow_django.storage.trouble import transact, uses_database

#: Things that were done meanwhile which a conflict tells of, the last ones.
_TOLD = 5


@uses_database
def load(slug: str, *, using: str | None = None) -> Draft:
    """The draft of a flow; without one, the published definition as version 0.

    Writes nothing. Raises ``WorkflowNotFound``.
    """
    alias = using or router.db_for_read(WorkflowDraft)
    draft = view(slug, alias) if is_valid_slug(slug) else None
    if draft is None:
        raise workflow_not_found(slug, using=alias)
    return draft


@uses_database
def create(
    slug: str,
    document: Document | None = None,
    *,
    user: Any,
    provenance: Provenance | None = None,
    using: str | None = None,
) -> Draft:
    """Begin a new flow as a draft that nobody but its editors sees until it is published.

    ``document`` is what it begins with (an empty flow by default). With ``provenance`` a program
    begins it, and the flow's origin will be ``agent``.

    Raises ``InvalidSlug``, ``WorkflowExists`` and, for a document with errors, ``EditRefused``.
    """
    raise_problems(workflow_slug_problems(slug))
    alias = using or router.db_for_write(WorkflowDraft)
    reading = bounds.read({} if document is None else document)
    new = reading.value
    if reading.problem is None and isinstance(new, dict):
        new = {**new, "workflow_slug": slug}
    new = _check(new)
    author = Author(name_user(user), provenance)
    return transact(partial(_create, slug, new, author, alias), alias)


def _create(slug: str, document: Document, author: Author, alias: str) -> Draft:
    if Workflow.objects.using(alias).filter(pk=slug).exists():
        raise _exists(slug)
    try:
        with transaction.atomic(using=alias):
            start_draft(slug, document, None, author, alias)
    except IntegrityError as error:
        if store.violated(error) != "workflow_drafts_pkey":
            raise
        raise _exists(slug) from None
    return load(slug, using=alias)


@uses_database
def edit(
    slug: str,
    version: int,
    op: str,
    arguments: Any,
    *,
    user: Any,
    provenance: Provenance | None = None,
    using: str | None = None,
) -> Edited:
    """Do one operation on the draft of a flow; the first one makes the draft.

    ``version`` is that of the draft which the user has seen. ``arguments`` is a dict; ``op`` is a
    key of ``edits.OPERATIONS``, or ``undo``, ``redo``, ``restore`` (``seq`` of a revision).
    ``provenance`` says which program does it, and is kept with the revision.

    Raises ``WorkflowNotFound``, ``DraftConflict`` and ``EditRefused``; nothing has changed then.
    """
    arguments = read_arguments(arguments)
    alias = using or router.db_for_write(WorkflowDraft)
    author = Author(name_user(user), provenance)

    def edit_locked() -> Edited:
        stored = lock_for_edit(slug, version, author.name, alias)
        if op in ("undo", "redo"):
            message = _step_through(stored, op, author.name)
            touched: tuple[str, ...] = ()
        else:
            message, touched = _change(stored, op, arguments, author)
        return Edited(present(stored), message, touched)

    return transact(edit_locked, alias)


@uses_database
def discard(slug: str, version: int, *, user: Any, using: str | None = None) -> None:
    """Give up all changes since the last publishing; a flow never published is gone then.

    Its history goes on where the flow is published: discarding can be undone. Raises
    ``WorkflowNotFound``, ``DraftConflict``.
    """
    alias = using or router.db_for_write(WorkflowDraft)
    name = name_user(user)

    def discard_locked() -> None:
        stored = lock_for_edit(slug, version, name, alias)
        if stored.workflow is None:
            stored.row.delete(using=alias)
            return
        append_revision(
            stored,
            "discard",
            "Went back to the published flow",
            stored.published,
            Author(name),
            published_version=stored.workflow.version,
        )

    transact(discard_locked, alias)


def lock_for_edit(slug: str, version: int, name: str, alias: str) -> Stored:
    """The draft, locked and made if need be, at the version that its editor has seen."""
    stored = lock(slug, alias) if is_valid_slug(slug) else None
    if stored is None:
        raise workflow_not_found(slug, using=alias)
    if stored.is_read_only:
        text = f'Flow "{slug}" is defined in code; change it there, or copy it under another name.'
        raise WorkflowConflict(text, code="workflow_origin_conflict")
    if stored.version != version:
        raise conflict(stored, version)
    if stored.draft is None or stored.is_behind:
        try:
            with transaction.atomic(using=alias):
                stored = _begin(stored, name, alias)
        except IntegrityError as error:  # somebody else has begun at the same moment
            if store.violated(error) != "workflow_drafts_pkey":
                raise
            now = find(slug, alias)
            assert now is not None  # noqa: S101 - the row that was in our way
            raise conflict(now, version) from None
    return stored


def conflict(stored: Stored, version: int) -> DraftConflict:
    """The error of an editor who has seen another version."""
    since = WorkflowRevision.objects.using(stored.alias).filter(
        draft_id=stored.slug, draft_version__gt=version
    )
    rows = list(since.order_by("seq").values_list("user", "label"))
    edited_by = stored.draft.edited_by if stored.draft else ""
    last = (edited_by, stored.draft.last_action if stored.draft else "The draft was given up")
    if last not in rows[-1:]:
        rows.append(last)
    messages = [f"{user}: {label}" if user else label for user, label in rows[-_TOLD:]]
    return DraftConflict(
        f'Flow "{stored.slug}" was changed by {edited_by or "somebody else"} meanwhile. Look at '
        "what is there now, and do this once more on top of it.",
        draft=present(stored),
        messages=messages,
        edited_by=edited_by,
    )


def _begin(stored: Stored, name: str, alias: str) -> Stored:
    """Make the draft of a published flow, or take over what was published from elsewhere."""
    assert stored.workflow is not None  # noqa: S101 - else there is a draft already
    base = stored.workflow.version
    if stored.draft is None:
        start_draft(stored.slug, stored.published, base, Author(name), alias)
        again = lock(stored.slug, alias)
        assert again is not None  # noqa: S101 - just made
        return again
    label = name_take_over(stored)
    append_revision(
        stored, "take_over", label, stored.published, Author(""), published_version=base
    )
    return stored


def _change(
    stored: Stored, op: str, arguments: dict[str, Any], author: Author
) -> tuple[str, tuple[str, ...]]:
    if op == "restore":
        return _restore(stored, arguments.get("seq"), author), ()
    edited = apply(stored.document, op, arguments, functions=registry.names())
    new = _check(edited.document)
    if jsonvalue.same(new, stored.document):
        raise EditRefused("That changes nothing.", code="nothing_changed")
    append_revision(stored, op, edited.message, new, author)
    return f"{edited.message}.", edited.touched


def _check(document: Any) -> Document:
    """The shortest document that says the same; refuses one with errors.

    Not what breaks contracts: a step may be filled in bit by bit, before it is published.
    """
    errors = [problem for problem in validate(document) if problem.severity == "error"]
    if errors:
        raise refuse(document, errors)
    return write_document(read_document(document))


def _restore(stored: Stored, seq: Any, author: Author) -> str:
    revisions = WorkflowRevision.objects.using(stored.alias).filter(draft_id=stored.slug)
    revision = revisions.filter(seq=int(seq)).first() if isinstance(seq, int) else None
    if revision is None:
        text = "This revision is not kept any more. Choose another one of the history."
        raise EditRefused(text, code="missing_revision", field="seq")
    label = f"Restored “{revision.label}” of {by_the_clock(revision.at):%Y-%m-%d %H:%M}"
    append_revision(stored, "restore", label, _check(revision.document), author)
    return f"{label}."


def _step_through(stored: Stored, op: str, name: str) -> str:
    revisions = WorkflowRevision.objects.using(stored.alias).filter(draft_id=stored.slug)
    if op == "undo":
        parent = stored.head_row.parent
        target = None if parent is None else revisions.filter(seq=parent).first()
        done = f"Undid: {stored.head_row.label}."
    else:
        newest = revisions.filter(parent=stored.row.head).aggregate(seq=Max("seq"))["seq"]
        target = revisions.filter(seq=newest or -1).first()
        done = f"Redid: {target.label}." if target else ""
    if target is None:
        raise _nothing_to(op)
    move_head(stored, target, done.removesuffix("."), name)
    return done


def _nothing_to(op: str) -> EditRefused:
    if op == "undo":
        return EditRefused("There is nothing to undo.", code="nothing_to_undo")
    return EditRefused("There is nothing to redo.", code="nothing_to_redo")


def require(slug: str, alias: str) -> Stored:
    """The flow's draft and definition; raises ``WorkflowNotFound``."""
    stored = find(slug, alias) if is_valid_slug(slug) else None
    if stored is None:
        raise workflow_not_found(slug, using=alias)
    return stored


def _exists(slug: str) -> WorkflowExists:
    return WorkflowExists(f'There is a flow "{slug}" already, or a draft of one. Choose another.')
