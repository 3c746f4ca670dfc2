"""What people do to a run: the one place that commands, pages and programs call.

Each function does one thing in one transaction, in which the run's row is locked first. It gives a
``ControlResult``, whose ``did`` says whether this very call did it: the second of two clicks finds
the work done, and leaves no second event. What is refused raises, and changes nothing.

``by`` says who acts, in free text (``"admin:ada"``, ``"command:root@host"``; empty: code), and
``reason`` why: both stand in the ``data`` of the event that the act leaves.

Service layer, below ``executor``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from django.db import router

from pgflow_django import engine
from pgflow_django.choices import RunState
from pgflow_django.exceptions import ActionRefused, RunNotFound
from pgflow_django.models import WorkflowRun
from pgflow_django.runs.status import read_run_id
from pgflow_django.storage.trouble import uses_database

ActionName = Literal["cancel", "pause", "resume"]


@dataclass(frozen=True, slots=True)
class ControlResult:
    """What became of an act: ``did`` is whether this call did it, so that it is logged once.

    ``before`` is the run's status as it was found, ``status`` as it is now.
    """

    action: ActionName
    run_id: UUID
    did: bool
    before: str
    status: str


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
    before = call(run_id, reason, by=by, using=_alias(using))
    if before is None:
        raise RunNotFound(run_id)
    did = before != status and not RunState(before).is_terminal
    return ControlResult(action, run_id, did, before, status.value if did else before)


def _alias(using: str | None) -> str:
    return using or router.db_for_write(WorkflowRun)
