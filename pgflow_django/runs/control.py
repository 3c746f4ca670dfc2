"""What people do to a run: the one place that commands, pages and programs call.

Each function does one thing in one transaction, in which the run's row is locked first. It gives a
``ControlResult``, whose ``did`` says whether this very call did it: the second of two clicks finds
the work done, and leaves no second event. What is refused raises, and changes nothing; the codes
``step_already_done`` and ``nothing_to_retry`` say that somebody else may have done it.

``by`` says who acts, in free text (``"admin:ada"``, ``"command:root@host"``; empty: code), and
``reason`` why: both stand in the ``data`` of the event that the act leaves.

Service layer, below ``executor``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from pgflow_django import engine, jsonvalue
from pgflow_django.choices import RunState
from pgflow_django.conf import settings
from pgflow_django.exceptions import ActionRefused, InvalidOutput, RunNotFound
from pgflow_django.runs.acting import (
    ActionName,
    ControlResult,
    alias_of,
    clean,
    load_run,
    load_run_status,
    read_task,
    refuse_functions_of_caller,
)
from pgflow_django.runs.again import rerun, retry_run
from pgflow_django.runs.status import read_run_id
from pgflow_django.storage.trouble import uses_database

__all__ = [
    "ControlResult",
    "cancel_run",
    "complete_step",
    "pause_run",
    "rerun",
    "resume_run",
    "retry_now",
    "retry_run",
    "skip_step",
]


@uses_database
def cancel_run(
    run_id: UUID | str,
    *,
    reason: str = "cancelled by request",
    by: str = "",
    using: str | None = None,
) -> ControlResult:
    """Cancel a run with all that it has left; nothing where it has ended.

    Raises ``RunNotFound``.
    """
    return _act("cancel", engine.cancel_run, run_id, reason, by, using, RunState.CANCELLED)


@uses_database
def pause_run(
    run_id: UUID | str, *, reason: str = "", by: str = "", using: str | None = None
) -> ControlResult:
    """Start nothing more of a run until it is resumed; nothing where it is paused already.

    What runs just now goes on to its end and counts; a run of which that was the last has ended.

    Raises ``RunNotFound``, and ``ActionRefused`` (``run_has_ended``).
    """
    return _steer("pause", engine.pause_run, run_id, reason, by, using, RunState.PAUSED)


@uses_database
def resume_run(
    run_id: UUID | str, *, reason: str = "", by: str = "", using: str | None = None
) -> ControlResult:
    """Let a paused run go on; nothing where it is not paused.

    What waits for another attempt, or for a step's ``start_delay``, is due when it was.

    Raises ``RunNotFound``, and ``ActionRefused`` (``run_has_ended``).
    """
    return _steer("resume", engine.resume_run, run_id, reason, by, using, RunState.STARTED)


@uses_database
def retry_now(
    run_id: UUID | str,
    *,
    step: str | None = None,
    index: int | None = None,
    by: str = "",
    using: str | None = None,
) -> ControlResult:
    """Let tasks that wait for their next attempt have it now: all of the run, or those named.

    ``index`` is that of a task of ``step``, from 0. Those of a paused run are due when it goes on.

    Raises ``RunNotFound``, and ``ActionRefused``: ``nothing_to_retry`` where none waits (no longer,
    perhaps), ``step_not_found``, ``task_not_found``, ``step_already_done``.
    """
    alias, run_id = alias_of(using), read_run_id(run_id)
    step, index = read_task(run_id, step, index)
    done = engine.retry_now(run_id, step=step, index=index, by=clean(by), using=alias)
    if done is None:
        raise RunNotFound(run_id)
    return ControlResult("retry_now", run_id, True, done.before, done.before, done.tasks)


@uses_database
def skip_step(
    run_id: UUID | str,
    step: str,
    *,
    index: int | None = None,
    downstream: bool = False,
    hold: bool = False,
    reason: str = "",
    by: str = "",
    using: str | None = None,
) -> ControlResult:
    """Let a run go on without a step, or without one task of a map (``index``, from 0).

    A skipped step is ``None`` to those that wait for it, and missing in the run's output; a skipped
    task is ``None`` in its map's list. What has completed of a map stays: then the step completes,
    with ``None`` for the rest. What runs just now is cut off, and its result refused.

    What maps over a skipped step could not go on: ``downstream`` skips all that comes after it and
    has not begun. A failed or cancelled run is taken up again for it. ``hold`` leaves the run
    paused.

    Raises ``RunNotFound``; ``StepFunctionMissing``, where workers don't have the functions of a run
    that has ended; and ``ActionRefused``: ``step_not_found``, ``task_not_found``,
    ``step_already_done``, ``step_not_skippable``, ``run_has_ended`` (it has completed).
    """
    decide = partial(engine.decide_step, verdict="skipped", output_json=None, downstream=downstream)
    return _decide("skip", decide, run_id, step, index, hold, reason, by, using)


@uses_database
def complete_step(
    run_id: UUID | str,
    step: str,
    output: Any,
    *,
    index: int | None = None,
    hold: bool = False,
    reason: str = "",
    by: str = "",
    using: str | None = None,
) -> ControlResult:
    """Give a step, or one task of a map (``index``, from 0), its output in place of its function.

    ``output`` is any JSON value, that of a whole map a list with an element for each of its tasks;
    those that are done keep what they gave. It is not held against what the function declares. A
    step that has not begun may be given, too. Otherwise as ``skip_step``.

    Raises as ``skip_step`` does, but not ``step_not_skippable``; and ``InvalidOutput``:
    ``output_not_json``, ``output_too_large``, ``output_size_differs``.
    """
    text = jsonvalue.encode(
        output,
        subject=f'The output of step "{step}"',
        not_json=InvalidOutput,
        too_large=partial(InvalidOutput, code="output_too_large"),
        limit=settings.MAX_OUTPUT_BYTES,
    )
    decide = partial(engine.decide_step, verdict="completed", output_json=text)
    return _decide("complete", decide, run_id, step, index, hold, reason, by, using)


def _decide(
    action: ActionName,
    decide: Callable[..., engine.Acted | None],
    run_id: UUID | str,
    step: str,
    index: int | None,
    hold: bool,
    reason: str,
    by: str,
    using: str | None,
) -> ControlResult:
    alias, run_id = alias_of(using), read_run_id(run_id)
    name, index = read_task(run_id, step, index)
    run = load_run(run_id, using=alias)
    if RunState(run.status).is_terminal:
        refuse_functions_of_caller(run, using=alias)
    done = decide(run_id, name, index, hold=hold, reason=clean(reason), by=clean(by), using=alias)
    if done is None:
        raise RunNotFound(run_id, " any more: it is being deleted")
    status = load_run_status(run_id, using=alias)
    return ControlResult(action, run_id, True, done.before, status, done.tasks, done.steps)


def _steer(
    action: ActionName,
    call: Callable[..., str | None],
    run_id: UUID | str,
    reason: str,
    by: str,
    using: str | None,
    status: RunState,
) -> ControlResult:
    """As ``_act``, of a run that must not have ended."""
    done = _act(action, call, run_id, reason, by, using, status)
    if RunState(done.before).is_terminal:
        raise ActionRefused(f"run {done.run_id} has ended: it is {done.before}", run_id=done.run_id)
    return done


def _act(
    action: ActionName,
    call: Callable[..., str | None],
    run_id: UUID | str,
    reason: str,
    by: str,
    using: str | None,
    status: RunState,
) -> ControlResult:
    """Do it where the run is on the way to this ``status``, and has not come there."""
    run_id = read_run_id(run_id)
    before = call(run_id, clean(reason), by=clean(by), using=alias_of(using))
    if before is None:
        raise RunNotFound(run_id)
    did = before != status and not RunState(before).is_terminal
    return ControlResult(action, run_id, did, before, status.value if did else before)
