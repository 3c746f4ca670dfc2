"""What the functions for drafts give and raise."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from pgflow_django.definitions.shape import Document
from pgflow_django.models import Workflow

#: Which program made an edit: ``by`` (the user for whom), ``via`` (``mcp``, ``http``, ``stdio``,
#: ``generate``, ``editor``), ``token`` (its name); ``client``, ``model`` and ``prompt_sha256`` as
#: the program itself says.
Provenance = dict[str, str]


class Author(NamedTuple):
    """Who edits: the name of a user, and which program does it for him, if one does."""

    name: str
    provenance: Provenance | None = None


@dataclass(frozen=True, slots=True)
class HandedIn:
    """That a draft waits for somebody to publish it."""

    by: str
    at: datetime
    note: str


@dataclass(frozen=True, slots=True)
class Returned:
    """That a draft was handed in and not published, and what to do better."""

    by: str
    note: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft as it is now.

    ``version`` goes into the next edit; 0 where nothing is stored yet and ``document`` is the
    published definition. ``published_version`` is ``None`` for a flow that was never published.
    Flows that are defined in code are read-only. ``owner`` began the flow: the name of a user, or
    what its ``created_by`` says. ``handed_in`` until it is edited, published or returned;
    ``returned`` until it is handed in again, or published. ``provenance`` of its last edit, where a
    program made it.
    """

    slug: str
    document: Document
    version: int
    has_changes: bool
    can_undo: bool
    can_redo: bool
    undo_label: str
    redo_label: str
    edited_by: str
    edited_at: datetime | None
    published_version: int | None
    is_read_only: bool
    owner: str = ""
    handed_in: HandedIn | None = None
    returned: Returned | None = None
    provenance: Provenance | None = None


@dataclass(frozen=True, slots=True)
class Edited:
    """The draft after an edit, a sentence that says what was done, and the steps it touched."""

    draft: Draft
    message: str
    touched: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Published:
    """The flow as published, and how many runs go on with earlier versions of it."""

    workflow: Workflow
    active_runs: int


@dataclass(frozen=True, slots=True)
class Revision:
    """One entry of a draft's history. ``is_current``: the draft is this now."""

    seq: int
    op: str
    label: str
    user: str
    at: datetime
    published_version: int | None
    is_current: bool
    provenance: Provenance | None = None

    @property
    def is_published(self) -> bool:
        """Whether it was published."""
        return self.published_version is not None


def name_user(user: Any) -> str:
    """The name to keep of a Django user; text stays as it is."""
    if isinstance(user, str) or user is None:
        return user or ""
    return str(user.get_username()) if getattr(user, "is_authenticated", False) else ""
