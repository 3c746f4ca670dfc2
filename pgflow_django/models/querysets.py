"""What is asked of runs in many places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.db import models

from pgflow_django.choices import ACTIVE_RUNS

if TYPE_CHECKING:
    from pgflow_django.models.runtime import WorkflowRun  # noqa: F401 - the name below is text


class RunQuerySet(models.QuerySet["WorkflowRun"]):
    """Runs, and which of them are meant."""

    def active(self) -> Self:
        """Those that have not ended."""
        return self.filter(status__in=ACTIVE_RUNS)
