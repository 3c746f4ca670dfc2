"""Who does it: the processes that claim tasks, and what each holds.

Only the SQL functions write these tables.
"""

from __future__ import annotations

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now


class WorkflowWorker(models.Model):
    """A process that claims tasks, and the lease on everything that it holds."""

    id = models.BigAutoField(primary_key=True)
    kind = models.TextField(help_text="in_process or celery")
    node = models.TextField(
        default="", db_default="", help_text="the Celery node that it belongs to, if any"
    )
    hostname = models.TextField()
    pid = models.IntegerField()
    queues = ArrayField(models.TextField(), default=list)
    functions = ArrayField(
        models.TextField(), null=True, help_text="what it can run; null: whatever its runs need"
    )
    started_at = models.DateTimeField(db_default=Now())
    lease_until = models.DateTimeField()
    lease_seconds = models.FloatField(default=30.0, db_default=30.0)
    is_asleep = models.BooleanField(
        default=False, db_default=False, help_text="wants NOTIFY to tell it of new messages"
    )
    alone_claim = models.BigIntegerField(
        null=True, help_text="of a task that was lost together with others: nothing else beside it"
    )
    makes_room_since = models.DateTimeField(
        null=True, help_text="when its threads last began to wait for one another for such a task"
    )

    class Meta:
        db_table = "workflow_workers"
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return f"{self.hostname}:{self.pid}"


class WorkflowClaim(models.Model):
    """The batch of tasks that a thread of a worker took last: what to return if it is lost."""

    id = models.BigIntegerField(primary_key=True, help_text="chosen by the thread that claims")
    worker_id = models.BigIntegerField()
    tasks = models.JSONField(help_text="list of {run_id, step_slug, task_index (the first), count}")
    claimed_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "workflow_claims"
        indexes: ClassVar = [models.Index(fields=["worker_id"], name="workflow_claims_by_worker")]

    def __str__(self) -> str:
        return f"claim {self.id} of worker {self.worker_id}"
