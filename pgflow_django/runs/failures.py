"""Why a run failed: the cause, the attempts of the task at fault, and what to do.

Service layer, below ``explaining``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db.models import Count, F, Func, QuerySet, TextField, Window
from django.db.models.functions import Left

from pgflow_django.choices import TRIAL_VERSION, Origin, StepType
from pgflow_django.models import (
    WorkflowDraft,
    WorkflowRun,
    WorkflowTaskAttempt,
    WorkflowVersionStep,
)
from pgflow_django.registry import registry
from pgflow_django.runs.explanation import Attempt, Cause, Explanation, clip, clip_start
from pgflow_django.runs.next_actions import Situation, advise
from pgflow_django.runs.shown_errors import show_error
from pgflow_django.runs.successes import find_changes, find_same_errors
from pgflow_django.runs.why.standing import Standing
from pgflow_django.storage.moments import read_moment

Row = Mapping[str, Any]

#: Bytes of JSON that a message takes at most.
MESSAGE = 1_500
_TRACEBACK, _LINES = 3_000, 20
_ATTEMPTS, _KEYS, _PROBLEMS = 5, 12, 5
#: Characters that are read of the message of an attempt.
_READ = 400


def explain_failure(
    found: Explanation,
    run: Row,
    steps: Sequence[Standing],
    using: str,
    others: QuerySet[WorkflowRun] | None,
) -> Explanation:
    """What is found of a failed run, with all that is known of its failure."""
    error = run["found"]
    slug = error["step_slug"]
    plan = _load_plan(run["version_id"], slug, using) if slug else None
    attempts: tuple[Attempt, ...] = ()
    total = 0
    if slug and error["attempt"] is not None:
        since = next((step.started_at for step in steps if step.slug == slug), None)
        task = {"step_slug": slug, "task_index": error["task_index"] or 0}
        if since is not None:  # what came before a retry of the run counts no more
            task["ended_at__gte"] = since
        attempts, total = load_attempts(found.run_id, using, **task)
    runs = WorkflowRun.objects.using(using) if others is None else others.using(using)
    if run["now"] and run["started_at"] >= (since := read_moment(run["now"]["since"])):
        # An earlier flow of this name, which was deleted, has nothing to do with it.
        runs = runs.filter(started_at__gte=since)
    same, last = find_same_errors(runs, found.flow, found.run_id, error, using)
    worker = attempts[-1].worker if attempts else ""
    shown = show_error(error)
    cause = _read_cause(found.run_id, shown, plan, worker, using)
    is_of_flow = run["version"] != TRIAL_VERSION  # a trial may have some steps only
    situation = read_situation(found.run_id, run, using, function=cause.function or "")
    return replace(
        found,
        headline=_say_failure(shown, plan, total),
        cause=cause,
        attempts=attempts,
        attempts_total=total,
        changed_since_success=find_changes(last, run, using) if last and is_of_flow else None,
        same_error=same,
        next=advise(cause.code, situation),
    )


def _load_plan(version_id: int, slug: str, using: str) -> Row | None:
    steps = WorkflowVersionStep.objects.using(using).filter(version_id=version_id, step_slug=slug)
    columns = ("step_type", "depends_on", "function", "max_attempts", "inputs", "params")
    plan: Row | None = steps.values(*columns).first()
    return plan


def _read_cause(run_id: UUID, error: Row, plan: Row | None, worker: str, using: str) -> Cause:
    lines = (error["traceback"] or "").splitlines()[-_LINES:]
    problems = error["problems"] if isinstance(error["problems"], list) else []
    return Cause(
        code=clip(error["code"] or "", 64),
        message=clip(error["error_message"] or "", MESSAGE),
        step=error["step_slug"],
        function=plan["function"] if plan else None,
        task_index=error["task_index"],
        attempt=error["attempt"],
        error_type=clip(error["error_type"] or "", 120),
        traceback=clip_start("\n".join(lines), _TRACEBACK),
        worker=worker,
        input_keys=_find_keys(run_id, plan, using) if plan and error["attempt"] is not None else (),
        problems=tuple(
            {"pointer": clip(one["pointer"], 150), "message": clip(one["message"], 200)}
            for one in problems[:_PROBLEMS]
        ),
    )


def _find_keys(run_id: UUID, plan: Row, using: str) -> tuple[str, ...]:
    """The keys that the function's input had: those of the run, above them its own."""
    is_map = plan["step_type"] == StepType.MAP
    own = [*(plan["inputs"] or {}), *(("item", "index") if is_map else plan["depends_on"]), "run"]
    if plan["params"] is not None:
        own.append("params")
    runs = WorkflowRun.objects.using(using).annotate(
        kind=Func(F("input"), function="jsonb_typeof", output_field=TextField())
    )
    key = Func(F("input"), function="jsonb_object_keys", output_field=TextField())
    given = runs.filter(id=run_id, kind="object").values_list(Left(key, 60))[:_KEYS]
    names = dict.fromkeys([*own, *(name for (name,) in given)])
    return tuple(clip(name, 60) for name in list(names)[:_KEYS])


def _say_failure(error: Row, plan: Row | None, total: int) -> str:
    what = f"{error['error_type'] or 'Error'}: {error['error_message'] or ''}"
    if not error["step_slug"]:
        return f"The run failed: {what}"
    who = f'Step "{error["step_slug"]}"'
    if plan is not None and plan["step_type"] == StepType.MAP and error["task_index"] is not None:
        who += f", task {error['task_index']}"
    if error["attempt"] is None or plan is None:
        return f"{who} failed: {what}"
    most = max(plan["max_attempts"], total)
    return f"{who} failed at its {_ordinal(error['attempt'])} of {most} attempts: {what}"


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in {11, 12, 13} else _ENDINGS.get(number % 10, "th")
    return f"{number}{ending}"


_ENDINGS = {1: "st", 2: "nd", 3: "rd"}


def load_attempts(run_id: UUID, using: str, **which: Any) -> tuple[tuple[Attempt, ...], int]:
    """The last attempts that failed, oldest first, and how many there are."""
    attempts = WorkflowTaskAttempt.objects.using(using).failed().filter(run_id=run_id, **which)
    rows = attempts.annotate(
        total=Window(Count("*")), message=Left("error_message", _READ), type=Left("error_type", 80)
    ).order_by((F("id") + 0).desc())[:_ATTEMPTS]  # not along the primary key, through all runs
    columns = ("step_slug", "task_index", "attempt", "code", "worker", "ended_at", "retry_at")
    found = list(rows.values(*columns, "message", "type", "total"))
    shown = tuple(_view_attempt(row) for row in reversed(found))
    return shown, found[0]["total"] if found else 0


def _view_attempt(row: Row) -> Attempt:
    shown = show_error({**row, "error_type": row["type"], "error_message": row["message"]})
    return Attempt(
        step=row["step_slug"],
        task_index=row["task_index"],
        attempt=row["attempt"],
        code=clip(row["code"], 64),
        error_type=clip(shown["error_type"], 80),
        worker=clip(row["worker"], 60),
        message=clip(shown["error_message"], 120),
        ended_at=row["ended_at"],
        retry_at=row["retry_at"],
    )


def read_situation(run_id: UUID, run: Row, using: str, *, function: str = "") -> Situation:
    """What actions are made of, from what was read of a run."""
    now = run["now"] or {}
    is_stored, has_effects = True, False
    if run["version"] == TRIAL_VERSION:
        drafts = WorkflowDraft.objects.using(using).filter(pk=run["workflow_slug"])
        steps = WorkflowVersionStep.objects.using(using).filter(version_id=run["version_id"])
        is_stored = bool(now) or drafts.exists()
        has_effects = not all(map(registry.is_harmless, steps.values_list("function", flat=True)))
    return Situation(
        run_id=run_id,
        flow=run["workflow_slug"],
        version=run["version"],
        is_stored=is_stored,
        has_effects=has_effects,
        newest=now.get("v"),
        is_code=now.get("origin") == Origin.CODE,
        has_caller_functions=run["has_caller_functions"],
        step=run["found"]["step_slug"] or "",
        function=function,
        using=using,
    )
