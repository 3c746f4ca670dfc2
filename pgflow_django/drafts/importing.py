"""Flow documents that come as text: looked at first, applied when confirmed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.db import router

from pgflow_django import jsonvalue
from pgflow_django.definitions.answers import MAX_TOLD, choose_first
from pgflow_django.definitions.edits import Change
from pgflow_django.definitions.edits import compare as compare_documents
from pgflow_django.definitions.graph import is_valid_slug
from pgflow_django.definitions.problems import Problem
from pgflow_django.definitions.shape import Document, read_document, write_document
from pgflow_django.definitions.source import Source, find_fault, find_place
from pgflow_django.drafts.editing import create, edit, load
from pgflow_django.drafts.problems import Found, describe
from pgflow_django.drafts.types import Edited
from pgflow_django.exceptions import WorkflowNotFound
from pgflow_django.flow_builder import repair_flow, validate_flow
from pgflow_django.models import WorkflowDraft
from pgflow_django.storage.trouble import uses_database

#: Bytes of text that are read.
MAX_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Located:
    """A problem and where it stands in the text; 0 for the text as a whole."""

    found: Found
    line: int = 0
    column: int = 0


@dataclass(frozen=True)
class Offer:
    """What of a bad document can be fixed without asking.

    ``text`` is the repaired document, ``applied`` are the first of the ``count`` problems that are
    gone in it, each with its fix; so many are ``left``.
    """

    text: str
    applied: Sequence[Problem]
    count: int
    left: int


@dataclass(frozen=True)
class ImportPreview:
    """What an import would do.

    ``document`` is ``None`` while ``problems`` has errors; there are ``more`` of these than are
    told, and where some can be fixed without asking, ``offer`` does so. ``changes`` are against
    what is there; ``version`` is that of the draft they are against, ``is_new`` says that there is
    no such flow.
    """

    slug: str
    document: Document | None
    problems: list[Located]
    changes: list[Change] = field(default_factory=list)
    before: Document | None = None
    version: int = 0
    is_read_only: bool = False
    more: int = 0
    offer: Offer | None = None

    @cached_property
    def is_new(self) -> bool:
        """Whether the import makes a new flow."""
        return self.before is None

    @property
    def can_apply(self) -> bool:
        """Whether there is anything to apply, and nothing in the way."""
        return (
            self.document is not None
            and not self.is_read_only
            and bool(self.changes or self.is_new)
        )


@uses_database
def preview_import(
    text: str, *, slug: str | None = None, using: str | None = None
) -> ImportPreview:
    """Read a flow document and say what it would change. Never raises for bad text.

    ``slug`` is the flow to import into, whatever the document calls itself; by default the
    document's own.
    """
    value, fault = _parse(text)
    if fault is not None:
        return ImportPreview(slug or "", None, [fault])
    given = value
    if isinstance(value, dict) and slug is not None:
        value = {**value, "workflow_slug": slug}
    problems = validate_flow(value)
    located = _locate(Source(text, value), problems)
    more = len(problems) - len(located)
    if any(problem.severity == "error" for problem in problems):
        name = value.get("workflow_slug") if isinstance(value, dict) else None
        known = name if isinstance(name, str) else ""
        may_repair = slug is not None or any(problem.certain for problem in problems)
        offer = _offer(given) if may_repair else None
        return ImportPreview(known, None, located, more=more, offer=offer)
    document = write_document(read_document(value))
    name = document["workflow_slug"]
    try:
        draft = load(name, using=using)
    except WorkflowNotFound:
        changes = compare_documents(None, document)
        return ImportPreview(name, document, located, changes, more=more)
    return ImportPreview(
        name,
        document,
        located,
        compare_documents(draft.document, document),
        draft.document,
        draft.version,
        draft.is_read_only,
        more,
    )


@uses_database
def apply_import(
    slug: str, document: Document, *, version: int, user: Any, using: str | None = None
) -> Edited:
    """Make ``document`` the draft of ``slug``, as one edit that can be undone.

    ``version`` is that of the preview: 0 also stands for a flow that is not there yet. Raises
    ``DraftConflict``, ``EditRefused``, ``WorkflowConflict`` (a flow in code), ``InvalidSlug``.
    """
    alias = using or router.db_for_write(WorkflowDraft)
    if version == 0 and is_valid_slug(slug):
        try:
            load(slug, using=alias)
        except WorkflowNotFound:
            draft = create(slug, document, user=user, using=alias)
            touched = tuple(step["slug"] for step in draft.document["steps"])
            return Edited(draft, f'Imported flow "{slug}".', touched)
    return edit(slug, version, "replace", {"document": document}, user=user, using=alias)


def _offer(value: Any) -> Offer | None:
    repair = repair_flow(value)
    if not repair.patch:
        return None
    text = json.dumps(repair.document, ensure_ascii=False, indent=2)
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        text = jsonvalue.dump(repair.document)
    count = len(repair.applied)
    return Offer(text, choose_first(repair.applied, MAX_TOLD), count, len(repair.problems))


def _locate(source: Source, problems: list[Problem]) -> list[Located]:
    """The first problems with their places, errors before warnings where not all can be told."""
    document = source.value if isinstance(source.value, dict) else {}
    return [
        Located(describe(document, problem), source.find_line(problem.pointer), 1)
        for problem in choose_first(problems, MAX_TOLD)
    ]


def _parse(text: str) -> tuple[Any, Located | None]:
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        text = f"The text is larger than {MAX_BYTES // 1024:,} KiB."
        return None, _fault(text, code="document_too_large")
    if not text.strip():
        return None, _fault("There is no text to import.")
    value = None
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        return None, _fault(f"This is not JSON: {error.msg}.", error.lineno, error.colno)
    except (RecursionError, ValueError):
        pass  # too deep, or an integer of too many digits: find_fault says where
    if fault := find_fault(text):
        place = find_place(text, fault.position)
        code = "document_too_deep" if fault.is_too_deep else "invalid_document"
        return None, _fault(f"This can't be imported: {fault.reason}.", *place, code=code)
    try:
        jsonvalue.encode(value, subject="This", not_json=ValueError)
    except ValueError as error:
        return None, _fault(str(error))
    return value, None


def _fault(
    message: str, line: int = 0, column: int = 0, *, code: str = "invalid_document"
) -> Located:
    return Located(Found("error", code, "", None, message), line, column)
