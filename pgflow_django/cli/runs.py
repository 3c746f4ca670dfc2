"""Finding runs by what a person types."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import UUID

from pgflow_django.cli.base import BadUsage
from pgflow_django.models import WorkflowRun

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from pgflow_django.runs.view import RunView

_PREFIX = re.compile(r"[0-9a-f]{1,32}")
#: Runs that are named where a prefix fits many.
_NAMED = 5


def name_run(run: WorkflowRun | RunView, word: str = "run") -> str:
    """A run as sentences call it; ``word`` is their first or another one."""
    of_flow = ", a trial of flow" if run.is_trial else " of flow"
    return f'{word} {run.id}{of_flow} "{run.workflow_slug}"'


def find_run(text: str, *, using: str) -> WorkflowRun:
    """The run with this id, or whose id alone begins so; without its input and output.

    Raises ``BadUsage`` where there is none, and where several begin so.
    """
    digits = text.strip().lower().replace("-", "")
    if not _PREFIX.fullmatch(digits):
        raise _not_found(f'"{text}": ids of runs are UUIDs.')
    found = list(_with_prefix(digits, using)[: _NAMED + 1])
    if not found:
        raise _not_found(f'"{text}".')
    if len(found) > 1:
        listed = "".join(f"\n  {run.id}  {run.workflow_slug}" for run in found[:_NAMED])
        more = "\n  …" if len(found) > _NAMED else ""
        raise BadUsage(f'Several runs begin with "{text}":{listed}{more}', code="ambiguous_run")
    return found[0]


def _not_found(which: str) -> BadUsage:
    return BadUsage(f"There is no run {which}", code="run_not_found")


def _with_prefix(digits: str, using: str) -> QuerySet[WorkflowRun]:
    """A range of the primary key: no run is looked at that does not begin so."""
    low, high = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
    runs = WorkflowRun.objects.using(using).filter(id__gte=low, id__lte=high)
    return runs.defer("input", "output").order_by("id")
