"""What programs do to runs beside retry and cancel: one operation, each act with its own right."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from pgflow_django import engine
from pgflow_django.agents import quotas
from pgflow_django.agents.operations.shapes import Controlled, ControlRun
from pgflow_django.agents.operations.starting import refuse_wide
from pgflow_django.agents.operations.words import link, refuse_hidden
from pgflow_django.drafts.types import name_user
from pgflow_django.exceptions import InvalidInput
from pgflow_django.runs import control

if TYPE_CHECKING:
    from pgflow_django.agents.access import Principal
    from pgflow_django.models import WorkflowRun
    from pgflow_django.runs.control import ControlResult

#: What the user must be allowed for each act.
_RIGHTS: Final = {
    "pause": "pause_run",
    "resume": "pause_run",
    "retry_now": "retry_run",
    "try_one": "retry_run",
    "skip": "decide_run",
    "complete": "decide_run",
    "rerun": "view_run",
}
#: Arguments that each act takes beside the reason, and those without which there is none.
_TAKES: Final = {
    "pause": (set(), set()),
    "resume": (set(), set()),
    "retry_now": ({"step", "index"}, set()),
    "try_one": ({"step", "index"}, {"step"}),
    "skip": ({"step", "index", "downstream", "hold"}, {"step"}),
    "complete": ({"step", "index", "output", "hold"}, {"step", "output"}),
    "rerun": ({"step", "input"}, set()),
}


def control_run(principal: Principal, asked: ControlRun, using: str) -> Controlled:
    """Pause or resume a run, retry at once, try one task first, skip or complete a step, or rerun.

    With a step, a rerun begins there, and takes over what was done before it.
    """
    _check(asked)
    run = principal.require_run(_RIGHTS[asked.action], asked.run_id)
    act: Callable[..., ControlResult] = _ACTS[asked.action]
    by = f"{principal.via}:{name_user(principal.user)}"
    done = act(principal, run, asked, {"by": by, "using": using})
    run_id = done.new_run_id or run.pk
    return Controlled(
        run_id=run_id,
        status="started" if done.new_run_id else done.status,
        did=done.did,
        steps=list(done.steps),
        tasks=done.tasks,
        url=link(principal, "workflowrun_change", run_id),
    )


def _check(asked: ControlRun) -> None:
    """Raise ``InvalidInput`` for arguments that the act has no use for, and for missing ones."""
    takes, needs = _TAKES[asked.action]
    given = asked.model_fields_set - {"run_id", "action", "reason"}
    for wrong, why in ((given - takes, "takes no"), (needs - given, "needs")):
        if wrong:
            names = ", ".join(sorted(wrong))
            text = f"The action {asked.action} {why} {names}."
            raise InvalidInput(text, code="invalid_arguments")
    refuse_hidden(asked.reason, "The reason")


def _task(asked: ControlRun) -> dict[str, Any]:
    return {"step": asked.step or None, "index": asked.index}


def _decide(asked: ControlRun, how: dict[str, Any]) -> dict[str, Any]:
    return {**_task(asked), "hold": asked.hold, "reason": asked.reason, **how}


def _rerun(
    principal: Principal, run: WorkflowRun, asked: ControlRun, how: dict[str, Any]
) -> ControlResult:
    if run.is_trial:
        text = "A trial is not run again like this: start_trial tries the draft once more."
        raise InvalidInput(text, code="invalid_arguments")
    principal.require_flow("run", run.workflow_slug)
    if "input" in asked.model_fields_set:
        principal.require_run("view_payload", run.pk)
        refuse_wide(run.workflow_slug, asked.input, how["using"])
        how["input"] = asked.input
    with (
        quotas.room_for_run(principal.user, using=how["using"]),
        engine.starting_as(name_user(principal.user), principal.via),
    ):
        return control.rerun(run.pk, from_step=asked.step or None, **how)


_ACTS: Final[dict[str, Callable[..., ControlResult]]] = {
    "pause": lambda _, run, asked, how: control.pause_run(run.pk, reason=asked.reason, **how),
    "resume": lambda _, run, asked, how: control.resume_run(run.pk, reason=asked.reason, **how),
    "retry_now": lambda _, run, asked, how: control.retry_now(run.pk, **_task(asked), **how),
    "try_one": lambda _, run, asked, how: control.retry_run(
        run.pk, **_task(asked), hold=True, **how
    ),
    "skip": lambda _, run, asked, how: control.skip_step(
        run.pk, downstream=asked.downstream, **_decide(asked, how)
    ),
    "complete": lambda _, run, asked, how: control.complete_step(
        run.pk, output=asked.output, **_decide(asked, how)
    ),
    "rerun": _rerun,
}
