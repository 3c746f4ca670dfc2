"""Changes to a flow document, one small operation at a time. Pure: no database, no Django models.

Editor, import, undo and agents use the same operations, so that all of them keep the same rules.
"""

from __future__ import annotations

from pgflow_django.definitions.edits.differences import Change, compare
from pgflow_django.definitions.edits.operations import OPERATIONS, Edit, apply, read_arguments
from pgflow_django.definitions.python import export_python

__all__ = ["OPERATIONS", "Change", "Edit", "apply", "compare", "export_python", "read_arguments"]
