"""Drafts: flows as people edit them, with undo, history and publishing.

Every edit is one operation of ``definitions.edits``, given with the version of the draft that its
author saw: who comes later gets ``DraftConflict``, and nothing is lost. ``user`` is a Django user,
or a name; ``using`` a database alias, ``None`` the one that the router gives.
"""

from __future__ import annotations

from pgflow_django.definitions.edits import Change, export_python
from pgflow_django.drafts.editing import create, discard, edit, load
from pgflow_django.drafts.handing_in import hand_in, send_back
from pgflow_django.drafts.history import compare, history
from pgflow_django.drafts.importing import ImportPreview, apply_import, preview_import
from pgflow_django.drafts.listing import list_handed_in, list_unpublished, name_copy
from pgflow_django.drafts.presence import others_present, touch_presence
from pgflow_django.drafts.problems import Found, problems
from pgflow_django.drafts.publishing import publish
from pgflow_django.drafts.types import Draft, Edited, HandedIn, Published, Returned, Revision
from pgflow_django.drafts.versions import Comparison, compare_versions, list_versions
from pgflow_django.exceptions import DraftConflict, EditRefused

__all__ = [
    "Change",
    "Comparison",
    "Draft",
    "DraftConflict",
    "EditRefused",
    "Edited",
    "Found",
    "HandedIn",
    "ImportPreview",
    "Published",
    "Returned",
    "Revision",
    "apply_import",
    "compare",
    "compare_versions",
    "create",
    "discard",
    "edit",
    "export_python",
    "hand_in",
    "history",
    "list_handed_in",
    "list_unpublished",
    "list_versions",
    "load",
    "name_copy",
    "others_present",
    "preview_import",
    "problems",
    "publish",
    "send_back",
    "touch_presence",
]
