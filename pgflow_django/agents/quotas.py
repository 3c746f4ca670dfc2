"""How often the programs of a user have done something: each count is taken before it is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final, Literal

from django.db import router, transaction
from django.utils import timezone

from pgflow_django.agents.policy import quotas
from pgflow_django.exceptions import PgflowError
from pgflow_django.models import AgentUsage, Workflow, WorkflowDraft, WorkflowRun
from pgflow_django.storage.trouble import uses_database
from pgflow_django.storage.usage import count_use

Kind = Literal["calls", "runs", "generations"]

#: What is counted, in which time, and the quota that bounds it.
_WINDOWS: Final = {
    "calls": (timedelta(minutes=1), "calls_per_minute", "calls a minute"),
    "runs": (timedelta(hours=1), "runs_per_hour", "runs an hour"),
    "generations": (timedelta(days=1), "generations_per_day", "generated flows a day"),
}
#: Seconds after which to look again whether a run has ended.
_RUN_PATIENCE: Final = 30
_DOORS: Final = ("mcp", "http", "stdio")


class QuotaExceeded(PgflowError):
    """The programs of a user have done as much as they may; ``retry_after`` seconds to wait."""

    default_code = "quota_exceeded"

    def __init__(self, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@uses_database
def count(user: Any, kind: Kind, *, using: str | None = None) -> None:
    """Count one more of this kind for the user; what fails afterwards has counted.

    Raises ``QuotaExceeded``, with the seconds until there is room again; nothing is counted then.
    """
    window, quota, name = _WINDOWS[kind]
    most = getattr(quotas(), quota)
    left = count_use(user, kind, most, window, using=using)
    if left is not None:
        raise QuotaExceeded(
            f"The programs of {user} may make {most:,} {name}, and have. There is room again in "
            f"{left:,} seconds.",
            left,
        )


@contextmanager
def room_for_run(user: Any, *, using: str | None = None) -> Iterator[None]:
    """A transaction in which one run more may be started, and no other program of the user's does.

    Raises ``QuotaExceeded`` where as many are active as may be.
    """
    most = quotas().active_runs
    alias = using or router.db_for_write(WorkflowRun)
    with transaction.atomic(using=alias):
        _lock(user, "active_runs", alias)
        runs = WorkflowRun.objects.using(alias).active()
        mine = runs.filter(started_by=user.get_username(), via__in=_DOORS).order_by()
        if mine[: most + 1].count() >= most:
            raise QuotaExceeded(
                f"{most:,} runs that programs of {user} have started go on, and that is as many as "
                "may. Wait until one has ended, or cancel one.",
                _RUN_PATIENCE,
            )
        yield


@contextmanager
def room_for_flow(user: Any, *, using: str | None = None) -> Iterator[None]:
    """A transaction in which one flow more may be made, and no other program of the user's does.

    Raises ``QuotaExceeded`` where the user owns as many as may be.
    """
    most = quotas().flows_per_user
    alias = using or router.db_for_write(WorkflowDraft)
    name = user.get_username()
    with transaction.atomic(using=alias):
        _lock(user, "flows", alias)
        flows = Workflow.objects.using(alias).filter(created_by=name).order_by()
        drafts = WorkflowDraft.objects.using(alias).filter(created_by=name, base_version=None)
        if flows[: most + 1].count() + drafts.order_by()[: most + 1].count() >= most:
            raise QuotaExceeded(
                f"{user} has {most:,} flows, and programs may make no more. Delete some, or "
                "change one that is there."
            )
        yield


def _lock(user: Any, kind: str, alias: str) -> None:
    """Let others of this user and kind wait until the transaction ends."""
    usage = AgentUsage.objects.using(alias)
    usage.bulk_create(
        [AgentUsage(user_key=str(user.pk), kind=kind, since=timezone.now(), count=0)],
        ignore_conflicts=True,
    )
    usage.select_for_update().get(user_key=str(user.pk), kind=kind)
