"""A failed run beside the runs of its flow before it: the same error, and what changed since.

Service layer, below ``explaining``. The newest ``_RUNS`` runs before it are looked at, no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.fields.json import KT
from django.db.models.functions import Left

from pgflow_django.choices import RunState
from pgflow_django.definitions.edits.differences import compare
from pgflow_django.definitions.shape import write_document
from pgflow_django.models import WorkflowRun
from pgflow_django.runs.explanation import Changed, SameError, clip
from pgflow_django.runs.recent import list_recent
from pgflow_django.storage.definitions import load_versions

Row = Mapping[str, Any]

_RUNS, _CHANGES = 100, 5
#: What makes two errors the same; their messages often name what they happened to.
_SAME = ("code", "step_slug", "error_type")


def find_same_errors(
    runs: QuerySet[WorkflowRun], slug: str, run_id: UUID, error: Row, using: str
) -> tuple[SameError | None, Row | None]:
    """Who of the runs before failed with the same error; and the last one that completed."""
    ids = list_recent(slug, _RUNS, before=run_id, using=using)
    before = runs.filter(id__in=ids).order_by("-id")
    kinds = {f"error_{name}": Left(KT(f"error__{name}"), 200) for name in _SAME}
    rows = list(
        before.annotate(**kinds).values("version", "version_id", "status", "started_at", *kinds)[
            :_RUNS
        ]
    )
    told = [(error[name] or "")[:200] for name in _SAME]
    same = [
        row
        for row in rows
        if row["status"] == RunState.FAILED and [row[kind] or "" for kind in kinds] == told
    ]
    success = next((row for row in rows if row["status"] == RunState.COMPLETED), None)
    return SameError(len(same), same[-1]["started_at"]) if same else None, success


def find_changes(success: Row, run: Row, using: str) -> Changed | None:
    """How the version of ``success`` became that of ``run``; ``None`` where it is the same."""
    if success["version_id"] == run["version_id"]:
        return None
    slug = run["workflow_slug"]
    versions = load_versions(slug, [success["version_id"], run["version_id"]], using)
    changes = compare(*map(write_document, versions))
    shown = tuple(clip(str(change), 160) for change in changes[:_CHANGES])
    return Changed(success["version"], shown, len(changes))
