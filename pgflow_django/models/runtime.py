"""What happens: runs, the states of their steps, tasks, attempts and events.

Only the SQL functions write these tables; triggers and constraints refuse illegal states from
anybody else.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pgtrigger
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.db.models.lookups import Exact, IsNull

from pgflow_django.choices import (
    RUN_TRANSITIONS,
    STEP_TRANSITIONS,
    TRIAL_VERSION,
    RunState,
    StepStatus,
    StepType,
    TaskStatus,
    Transitions,
)
from pgflow_django.models.definition_triggers import refuse_changes
from pgflow_django.models.definitions import Relation, SlugField, WorkflowVersionStep
from pgflow_django.models.querysets import AttemptQuerySet, RunQuerySet

#: What a run is of: it never changes.
_FACTS = (
    "id",
    "workflow_slug",
    "version",
    "version_id",
    "input",
    "key",
    "parent_run_id",
    "rerun_of",
    "has_caller_functions",
    "started_by",
    "via",
)


def _exactly(status: Q, column: IsNull) -> Q:
    """The one holds exactly where the other does."""
    return Q(Exact(status, column))


def _status_moves(name: str, transitions: Transitions) -> pgtrigger.FSM:
    """Refuse what is no edge of a state machine, without a call where it is one.

    The trigger's function is only asked about moves that its condition does not know as allowed:
    calling it for every row was a tenth of the hot path.
    """
    known = ",".join(f"{old}:{new}" for old, new in transitions)
    return pgtrigger.FSM(
        name=name,
        field="status",
        transitions=transitions,
        condition=pgtrigger.Condition(
            'OLD."status" IS DISTINCT FROM NEW."status" AND '
            f"(OLD.\"status\" || ':' || NEW.\"status\") <> ALL ('{{{known}}}')"
        ),
    )


class WorkflowRun(models.Model):
    """One execution of a flow. Outlives the flow's definition."""

    id = models.UUIDField(primary_key=True, editable=False)
    workflow_slug = SlugField()
    version = models.IntegerField()
    version_id = models.BigIntegerField()
    status = models.TextField(
        choices=RunState.choices, default=RunState.STARTED, db_default=RunState.STARTED
    )
    input = models.JSONField()
    output = models.JSONField(null=True)
    error = models.JSONField(null=True)
    remaining_steps = models.IntegerField()
    key = models.TextField(null=True)  # noqa: DJ001 - null means that the caller gave none
    parent_run_id = models.UUIDField(null=True)
    rerun_of = models.UUIDField(null=True, help_text="the run whose input and steps it took over")
    round = models.IntegerField(
        default=0, db_default=0, help_text="how often it was taken up again after its end"
    )
    owner_id = models.BigIntegerField(
        null=True, help_text="the process that runs it by itself; null: any worker"
    )
    has_caller_functions = models.BooleanField(default=False, db_default=False)
    started_by = models.TextField(
        default="", db_default="", help_text="name of the user who started it; empty: code did"
    )
    via = models.TextField(
        default="", db_default="", help_text="admin, command, mcp, http, stdio; empty: code"
    )
    started_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        db_table = "workflow_runs"
        ordering: ClassVar = ["-id"]
        permissions: ClassVar = [
            ("cancel_workflowrun", "Can cancel workflow run"),
            ("retry_workflowrun", "Can retry workflow run"),
            ("pause_workflowrun", "Can pause workflow run"),
            ("decide_workflowrun", "Can decide steps of workflow run"),
            ("view_payload", "Can view inputs and outputs"),
        ]
        constraints: ClassVar = [
            # One check a table: PostgreSQL reads each anew for every statement of the hot path.
            models.CheckConstraint(
                name="run_columns_agree_with_its_status",
                condition=Q(remaining_steps__gte=0, status__in=RunState.values)
                & _exactly(Q(status__in=["started", "paused"]), IsNull(F("ended_at"), True))
                & _exactly(Q(status="completed"), IsNull(F("output"), False))
                & _exactly(Q(status="failed"), IsNull(F("error"), False))
                & (Q(remaining_steps=0) | ~Q(status="completed")),
            ),
            models.UniqueConstraint(
                # The key leads: people look for one without knowing the flow.
                fields=["key", "workflow_slug"],
                condition=Q(key__isnull=False),
                name="run_key_is_unique_in_its_workflow",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["workflow_slug", "-id"], name="workflow_runs_by_flow"),
            models.Index(
                fields=["workflow_slug"],
                condition=Q(status__in=["started", "paused"]),
                name="workflow_runs_active",
            ),
            models.Index(
                fields=["owner_id"],
                condition=Q(owner_id__isnull=False) & Q(status__in=["started", "paused"]),
                name="workflow_runs_owned",
            ),
            models.Index(
                fields=["workflow_slug", "-id"],
                condition=Q(version=TRIAL_VERSION),
                name="workflow_runs_trials",
            ),
            models.Index(
                fields=["started_by", "-id"],
                condition=~Q(started_by=""),
                name="workflow_runs_by_starter",
            ),
            models.Index(
                # Nothing is written here by a run that completes.
                fields=["status", "-id"],
                condition=Q(status__in=["failed", "cancelled"]),
                name="workflow_runs_unhappy",
            ),
            models.Index(
                fields=["parent_run_id"],
                condition=Q(parent_run_id__isnull=False),
                name="workflow_runs_children",
            ),
            models.Index(
                fields=["rerun_of"],
                condition=Q(rerun_of__isnull=False),
                name="workflow_runs_reruns",
            ),
        ]
        triggers: ClassVar = [
            _status_moves("run_status_moves_as_allowed", RUN_TRANSITIONS),
            refuse_changes("run_facts_are_read_only", _FACTS),
            pgtrigger.Protect(
                name="active_run_cannot_be_deleted",
                operation=pgtrigger.Delete,
                condition=pgtrigger.Q(old__status__in=["started", "paused"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.workflow_slug} {self.id}"

    @property
    def is_trial(self) -> bool:
        """Whether it only tries a draft: see ``executor.start_trial``."""
        return self.version == TRIAL_VERSION


class WorkflowStepState(models.Model):
    """A step within a run: what it waits for and how many tasks are left."""

    pk = models.CompositePrimaryKey("run_id", "step_slug")
    run_id = models.UUIDField()
    step_slug = SlugField()
    run = Relation(
        WorkflowRun,
        on_delete=models.DO_NOTHING,
        from_fields=["run_id"],
        to_fields=["id"],
        related_name="step_states",
    )
    step_index = models.IntegerField()
    status = models.TextField(
        choices=StepStatus.choices, default=StepStatus.CREATED, db_default=StepStatus.CREATED
    )
    remaining_deps = models.IntegerField()
    remaining_tasks = models.IntegerField(null=True, help_text="null until the step starts")
    initial_tasks = models.IntegerField(
        null=True, help_text="how many tasks it has; null until known, 0 for a map over []"
    )
    output_bytes = models.BigIntegerField(
        default=0,
        db_default=0,
        help_text="size of what its completed tasks gave, as PostgreSQL stores it",
    )
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "workflow_step_states"
        ordering: ClassVar = ["run_id", "step_index"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="step_counters_agree_with_its_status",
                condition=Q(remaining_deps__gte=0)
                & (
                    Q(remaining_tasks__isnull=True)
                    | Q(
                        initial_tasks__isnull=False,
                        remaining_tasks__gte=0,
                        remaining_tasks__lte=F("initial_tasks"),
                    )
                )
                & (
                    Q(status__in=["created", "failed", "skipped", "cancelled"])
                    | Q(
                        status="started",
                        remaining_deps=0,
                        remaining_tasks__isnull=False,
                        remaining_tasks__gt=0,
                        started_at__isnull=False,
                    )
                    | Q(
                        status="completed",
                        remaining_deps=0,
                        remaining_tasks__isnull=False,
                        remaining_tasks=0,
                    )
                ),
            ),
        ]
        triggers: ClassVar = [
            _status_moves("step_status_moves_as_allowed", STEP_TRANSITIONS),
        ]

    def __str__(self) -> str:
        return f"{self.run_id}.{self.step_slug}"

    @property
    def output(self) -> Any:
        """A completed step's output, for a map the list of its tasks'; else ``None``."""
        if self.status != StepStatus.COMPLETED:
            return None
        outputs = [task.output for task in self.tasks.order_by("task_index")]
        return outputs if self._is_map() else outputs[0]

    def _is_map(self) -> bool:
        steps = WorkflowVersionStep.objects.using(self._state.db)
        step = steps.get(version_id=self.run.version_id, step_slug=self.step_slug)
        return step.step_type == StepType.MAP


class WorkflowStepTask(models.Model):
    """The unit of work: one call of a step function, with its latest attempt."""

    pk = models.CompositePrimaryKey("run_id", "step_slug", "task_index")
    run_id = models.UUIDField()
    step_slug = SlugField()
    task_index = models.IntegerField()
    step_state = Relation(
        WorkflowStepState,
        on_delete=models.DO_NOTHING,
        from_fields=["run_id", "step_slug"],
        to_fields=["run_id", "step_slug"],
        related_name="tasks",
    )
    status = models.TextField(choices=TaskStatus.choices, default=TaskStatus.QUEUED)
    attempts_count = models.IntegerField(default=0, db_default=0)
    claim_id = models.BigIntegerField(null=True, help_text="the fence: who may settle it")
    worker = models.TextField(null=True)  # noqa: DJ001 - null until claimed
    item = models.JSONField(null=True, help_text="the element of a map")
    output = models.JSONField(null=True)
    error = models.JSONField(null=True, help_text="of the last failed attempt")
    queued_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "workflow_step_tasks"
        ordering: ClassVar = ["run_id", "step_slug", "task_index"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="task_columns_agree_with_its_status",
                condition=Q(task_index__gte=0, attempts_count__gte=0, status__in=TaskStatus.values)
                & _exactly(Q(status="started"), IsNull(F("claim_id"), False))
                & _exactly(Q(status="completed"), IsNull(F("output"), False)),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.run_id}.{self.step_slug}[{self.task_index}]"


class WorkflowTaskAttempt(models.Model):
    """An attempt that did not complete, kept with its error.

    One with the code ``cancelled`` did not fail: it was cut off when its run ended.
    """

    id = models.BigAutoField(primary_key=True)
    run_id = models.UUIDField()
    step_slug = SlugField()
    task_index = models.IntegerField()
    round = models.IntegerField(
        default=0, db_default=0, help_text="that of the run: a retry counts attempts anew"
    )
    attempt = models.IntegerField(help_text="1-based")
    code = models.TextField(help_text="step_failed, step_timeout, worker_lost, …")
    error_type = models.TextField()
    error_message = models.TextField()
    traceback = models.TextField(default="")
    worker = models.TextField(default="")
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(db_default=Now())
    retry_at = models.DateTimeField(null=True, help_text="null: it was the last attempt")
    details = models.JSONField(null=True, help_text="what else is known of the error")

    objects = AttemptQuerySet.as_manager()

    class Meta:
        db_table = "workflow_task_attempts"
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [
            models.Index(
                fields=["run_id", "step_slug", "task_index", "id"], name="workflow_attempts_of_task"
            ),
            models.Index(fields=["ended_at"], name="workflow_attempts_by_end"),
        ]

    def __str__(self) -> str:
        return f"{self.run_id}.{self.step_slug}[{self.task_index}] attempt {self.attempt}"

    @property
    def problems(self) -> list[dict[str, str]]:
        """The places at which a value broke a contract, as ``{"pointer", "message"}``."""
        found: list[dict[str, str]] = (self.details or {}).get("problems", [])
        return found


class WorkflowRunEvent(models.Model):
    """Something worth telling about a run: a warning, a retry, a cancellation, a log line."""

    id = models.BigAutoField(primary_key=True)
    run_id = models.UUIDField()
    at = models.DateTimeField(db_default=Now())
    level = models.TextField(default="info", db_default="info")
    kind = models.TextField()
    step_slug = SlugField(null=True)
    task_index = models.IntegerField(null=True)
    message = models.TextField()
    data = models.JSONField(null=True)

    class Meta:
        db_table = "workflow_run_events"
        ordering: ClassVar = ["id"]
        indexes: ClassVar = [
            models.Index(fields=["run_id", "id"], name="workflow_events_by_run"),
            models.Index(
                # What matters among all that steps log.
                fields=["run_id", "id"],
                condition=Q(level__in=["warning", "error"]) | ~Q(kind__in=["log", "progress"]),
                name="workflow_events_notable",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.run_id}: {self.message}"
