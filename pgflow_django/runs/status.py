"""How a run stands, in one look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connections
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from pgflow_django.choices import TRIAL_VERSION, RunState, StepStatus
from pgflow_django.exceptions import RunCancelled, RunFailed, RunNotFound, WaitRefused
from pgflow_django.models import WorkflowRun, WorkflowStepState
from pgflow_django.runs.waiting import Waiting
from pgflow_django.runs.why.facts import Subject
from pgflow_django.runs.why.finding import Why, find_why
from pgflow_django.runs.why.reason import Reason

_FIELDS = (
    "workflow_slug",
    "version",
    "status",
    "output",
    "error",
    "total_steps",
    "completed_steps",
)
_PINNED = ("version_id", "owner_id", "has_caller_functions", "started_at", "ended_at")


#: Whether the transaction sees only what was there when it began; and whether the run's row is its
#: own work, so that nobody else sees it: a row that we see, though its writer is in progress. The
#: writer may be a savepoint, which has a number of its own, a later one.
_OWN_WORK = """
select
    current_setting('transaction_isolation') in ('repeatable read', 'serializable'),
    coalesce(age(r.xmin) <= age(own.id::xid) and pg_xact_status(
        (own.id::text::bigint + greatest(0, age(own.id::xid) - age(r.xmin)))::text::xid8
    ) = 'in progress', false)
from workflow_runs r, (select pg_current_xact_id_if_assigned() as id) as own
where r.id = %s
"""


@dataclass(frozen=True, slots=True)
class RunStatus:
    """A run's status, its output or error, how many of its steps are done, what it waits for.

    ``reasons`` say why it stands so, the most urgent first. ``waiting`` is the first that says why
    nothing moves, and what to do; ``None`` where something does, and of a run that has ended.
    ``is_trial``: it only tries a draft.

    ``error`` is a dict with ``code``, ``step_slug``, ``task_index``, ``attempt``, ``error_type``,
    ``error_message`` and ``traceback``, each only where it applies.
    """

    run_id: UUID
    workflow_slug: str
    status: str
    output: dict[str, Any] | None
    error: dict[str, Any] | None
    total_steps: int
    completed_steps: int
    waiting: Waiting | None = None
    is_trial: bool = False
    reasons: tuple[Reason, ...] = ()

    @property
    def percentage(self) -> float:
        """Completed steps in percent of all, 0 to 100."""
        return 100.0 * self.completed_steps / self.total_steps if self.total_steps else 100.0

    @property
    def has_ended(self) -> bool:
        """Whether the run is completed, failed or cancelled."""
        return RunState(self.status).is_terminal

    def result(self) -> dict[str, Any]:
        """The run's output; raises ``RunFailed`` or ``RunCancelled`` where there is none."""
        if self.status == RunState.COMPLETED:
            return self.output or {}
        if self.status == RunState.CANCELLED:
            raise RunCancelled(
                f'run {self.run_id} of flow "{self.workflow_slug}" was cancelled',
                run_id=self.run_id,
            )
        raise RunFailed(
            f'run {self.run_id} of flow "{self.workflow_slug}" failed: '
            f"{describe_error(self.error or {})}",
            run_id=self.run_id,
            error=self.error,
        )


def read_run_id(run_id: UUID | str) -> UUID:
    """The id of a run, given as such or as text; raises ``RunNotFound`` for what is none."""
    try:
        return run_id if isinstance(run_id, UUID) else UUID(str(run_id))
    except ValueError:
        raise RunNotFound(run_id, ": a run's id is a UUID") from None


def describe_error(error: dict[str, Any]) -> str:
    """One line that names the step, the attempt and the original message."""
    text = f"{error.get('error_type', 'Error')}: {error.get('error_message', '')}"
    if "step_slug" not in error:
        return text
    where = f'step "{error["step_slug"]}"'
    if error.get("task_index"):
        where += f", task {error['task_index']}"
    if "attempt" in error:
        where += f", attempt {error['attempt']}"
    return f"{where}: {text}"


def load_status(run_id: UUID, *, using: str, explain: bool = False) -> RunStatus:
    """Read a run's status, with the reasons for it if ``explain``; raises ``RunNotFound``."""
    runs = count_steps(WorkflowRun.objects.using(using).filter(id=run_id))
    row = runs.values(*_FIELDS, *_PINNED).first()
    if row is None:
        raise RunNotFound(run_id)
    pinned = {name: row.pop(name) for name in _PINNED}
    is_trial = row.pop("version") == TRIAL_VERSION
    why = Why()
    if explain:
        about = {"flow": row["workflow_slug"], "status": row["status"], "error": row["error"]}
        why = find_why(Subject(run_id, using=using, **about, **pinned))
    return RunStatus(
        run_id=run_id, waiting=why.waiting, reasons=why.reasons, is_trial=is_trial, **row
    )


def count_steps(runs: QuerySet[WorkflowRun]) -> QuerySet[Any, Any]:
    """The runs with ``total_steps`` and ``completed_steps``: those that need nothing more."""
    states = WorkflowStepState.objects.filter(run_id=OuterRef("id")).order_by().values("run_id")
    done = states.filter(status__in=[StepStatus.COMPLETED, StepStatus.SKIPPED])
    return runs.annotate(
        total_steps=Coalesce(Subquery(states.values(count=Count("*"))), 0),
        completed_steps=Coalesce(Subquery(done.values(count=Count("*"))), 0),
    )


def refuse_hopeless_wait(run_id: UUID, *, using: str) -> None:
    """Raise ``WaitRefused`` where the caller's transaction can never see this run end."""
    with connections[using].cursor() as cursor:
        cursor.execute(_OWN_WORK, [run_id])
        is_frozen, is_own = cursor.fetchone() or (False, False)
    if is_own:
        raise WaitRefused(
            f"waiting for run {run_id} here would never end: it was started, taken up again, "
            "paused or resumed in this very transaction, so that no worker can see it. Wait after "
            "the commit, or run it with execute_dynamic(), which works inside transactions",
            run_id=run_id,
        )
    if is_frozen:
        raise WaitRefused(
            f"waiting for run {run_id} here would never end: this transaction (REPEATABLE READ, "
            "SERIALIZABLE) sees only what was there when it began. Wait outside of it",
            run_id=run_id,
        )
