"""What is asked of runs in many places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.db import models
from django.db.models import Q

from pgflow_django.choices import ACTIVE_RUNS, TRIAL_VERSION
from pgflow_django.definitions.trials import GIVEN, MARK

if TYPE_CHECKING:
    # The names below are texts.
    from pgflow_django.models.runtime import WorkflowRun, WorkflowTaskAttempt  # noqa: F401


#: Runs that only try a draft, and all others. For querysets of sites too, which may be no ours.
IS_TRIAL = Q(version=TRIAL_VERSION)
IS_NO_TRIAL = Q(version__gt=TRIAL_VERSION)


#: Steps of a version whose outputs were given to a trial. Reads their params, which may be large.
IS_GIVEN = Q(function=GIVEN, params__has_key=MARK)


#: The code of attempts that were cut off when their run ended.
CUT_OFF = "cancelled"


class RunQuerySet(models.QuerySet["WorkflowRun"]):
    """Runs, and which of them are meant."""

    def active(self) -> Self:
        """Those that have not ended."""
        return self.filter(status__in=ACTIVE_RUNS)

    def without_trials(self) -> Self:
        """Those that do not only try a draft."""
        return self.filter(IS_NO_TRIAL)


class AttemptQuerySet(models.QuerySet["WorkflowTaskAttempt"]):
    """Attempts that did not complete."""

    def failed(self) -> Self:
        """Those that failed, and not those that were cut off."""
        return self.exclude(code=CUT_OFF)
