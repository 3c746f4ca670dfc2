"""The versions of a flow that are known, and how two of them differ."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from django.db import router

from pgflow_django.definitions.edits import Change
from pgflow_django.definitions.edits import compare as compare_documents
from pgflow_django.definitions.rules import show
from pgflow_django.definitions.shape import Document, read_document, resolve, write_document
from pgflow_django.drafts.editing import require
from pgflow_django.drafts.stored import Stored
from pgflow_django.exceptions import EditRefused
from pgflow_django.models import WorkflowDraft, WorkflowRevision
from pgflow_django.storage import definitions as store
from pgflow_django.storage.trouble import uses_database

#: A version by its number, or what is drawn now.
Which = int | Literal["draft"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How one version of a flow becomes another.

    ``is_of_runs``: of one of them is known only what its runs use. Then both have the flow's
    attempts, timeout, pause and queue at each step, and nothing else of the flow.
    """

    before: Document
    after: Document
    changes: list[Change]
    is_of_runs: bool = False


@uses_database
def list_versions(slug: str, *, using: str | None = None) -> list[int]:
    """The numbers of the versions that are known: published here, or started. Newest first.

    Raises ``WorkflowNotFound``.
    """
    alias = using or router.db_for_read(WorkflowDraft)
    workflow = require(slug, alias).workflow
    if workflow is None:
        return []
    published = WorkflowRevision.objects.using(alias).filter(
        draft_id=slug, published_version__isnull=False
    )
    started = store.list_pinned(workflow, alias)
    numbers = {
        workflow.version,
        *started.values_list("version", flat=True),
        *filter(None, published.values_list("published_version", flat=True)),
    }
    return sorted(numbers, reverse=True)


@uses_database
def compare_versions(
    slug: str, before: Which, after: Which = "draft", *, using: str | None = None
) -> Comparison:
    """What changed from one version to another, or to the draft as it is now.

    Raises ``WorkflowNotFound``, ``EditRefused`` (``missing_version``).
    """
    alias = using or router.db_for_read(WorkflowDraft)
    while True:
        stored = require(slug, alias)
        with suppress(WorkflowRevision.DoesNotExist):
            found = [_find(stored, which) for which in (before, after)]
            if stored.is_current():  # so that both are of one moment
                break
    is_of_runs = any(each.is_pinned for each in found)
    old, new = (_resolve(each.document) if is_of_runs else each.document for each in found)
    return Comparison(old, new, compare_documents(old, new), is_of_runs)


@dataclass(frozen=True, slots=True)
class _Found:
    document: Document
    is_pinned: bool = False


def _find(stored: Stored, which: object) -> _Found:
    workflow = stored.workflow
    if which == "draft":
        return _Found(stored.document)
    if not isinstance(which, int) or isinstance(which, bool):
        raise _missing(stored, which)
    if workflow is not None and which == workflow.version:
        return _Found(stored.published)
    known = WorkflowRevision.objects.using(stored.alias).filter(
        draft_id=stored.slug, published_version=which
    )
    document: Document | None = known.order_by("-seq").values_list("document", flat=True).first()
    if document is not None:
        return _Found(document)
    pinned = store.load_pinned(workflow, which, stored.alias) if workflow is not None else None
    if pinned is not None:
        return _Found(write_document(pinned), is_pinned=True)
    raise _missing(stored, which)


def _missing(stored: Stored, which: object) -> EditRefused:
    text = f'Of flow "{stored.slug}", no version {show(which)} is kept. Choose another one.'
    return EditRefused(text, code="missing_version", field="version")


def _resolve(document: Document) -> Document:
    return write_document(resolve(read_document(document)))
