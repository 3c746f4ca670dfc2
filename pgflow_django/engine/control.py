"""The SQL functions by which people act upon a run: each locks its row, and says what it found.

They give the run's status before, ``None`` where there is no such run. ``by`` says who acts, in
free text; with the reason it stands in the event that the act leaves. What is refused raises
``ActionRefused`` or ``InvalidOutput``, with nothing done.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from uuid import UUID

from django.db import DatabaseError

from pgflow_django.engine.calling import call_telling, kept_whole
from pgflow_django.engine.runs import find_starter, start_error
from pgflow_django.exceptions import ActionRefused, InvalidOutput
from pgflow_django.storage.sqlstates import sqlstate_of


class Acted(NamedTuple):
    """The run's status before, how many tasks it was about, and the steps that are done by it."""

    before: str
    tasks: int
    steps: tuple[str, ...] = ()


def cancel_run(run: UUID, reason: str, *, using: str, by: str = "") -> str | None:
    """Cancel a run that has not ended."""
    return call_telling("select pgflow.cancel_run(%s, %s, %s)", [run, reason, by], using)


def pause_run(run: UUID, reason: str, *, using: str, by: str = "") -> str | None:
    """Pause a run that is started."""
    return call_telling("select pgflow.pause_run(%s, %s, %s)", [run, reason, by], using)


def resume_run(run: UUID, reason: str, *, using: str, by: str = "") -> str | None:
    """Let a run go on that is paused."""
    return call_telling("select pgflow.resume_run(%s, %s, %s)", [run, reason, by], using)


def retry_run(
    run: UUID,
    owner: int | None,
    *,
    using: str,
    step: str | None = None,
    index: int | None = None,
    hold: bool = False,
    by: str = "",
) -> str | None:
    """Take up a run again that has failed or was cancelled; see ``retry_run.sql``."""
    with _refusals(run, using):
        return call_telling(
            "select pgflow.retry_run(%s, %s, %s, %s, %s, %s)",
            [run, owner, step, index, hold, by],
            using,
        )


def retry_now(
    run: UUID, *, using: str, step: str | None = None, index: int | None = None, by: str = ""
) -> Acted | None:
    """End the wait of tasks for their next attempt."""
    with _refusals(run, using):
        found = call_telling(
            "select pgflow.retry_now(%s, %s, %s, %s)", [run, step, index, by], using
        )
    return _read_acted(found)


def decide_step(
    run: UUID,
    step: str,
    index: int | None,
    *,
    verdict: str,
    output_json: str | None,
    using: str,
    downstream: bool = False,
    hold: bool = False,
    reason: str = "",
    by: str = "",
) -> Acted | None:
    """Let a step or a task of it be ``skipped``, or ``completed`` with an output."""
    with _refusals(run, using):
        found = call_telling(
            "select pgflow.decide_step(%s, %s, %s, %s, %s::jsonb, %s, %s, %s, %s)",
            [run, step, index, verdict, output_json, downstream, hold, reason, by],
            using,
        )
    return _read_acted(found)


def rerun(
    run: UUID,
    workflow_slug: str,
    *,
    using: str,
    input_json: str | None = None,
    from_step: str | None = None,
    checked: str | None = None,
    owner: int | None = None,
    parent: UUID | None = None,
    by: str = "",
    key: str | None = None,
) -> UUID | None:
    """Start a new run with the input of this one; its id. Raises what ``start_flow`` raises.

    Where the flow has a run of this ``key`` already, nothing is started, and that is given.
    """
    with _refusals(run, using, workflow_slug):
        return call_telling(
            "select pgflow.rerun(%s, %s, %s::jsonb, %s, %s, %s, %s, %s, %s, %s)",
            [run, from_step, input_json, checked, owner, parent, *find_starter(parent), by, key],
            using,
        )


def _read_acted(text: str | None) -> Acted | None:
    if text is None:
        return None
    found = json.loads(text)
    return Acted(found["before"], found["tasks"], tuple(found.get("steps", ())))


@contextmanager
def _refusals(run: UUID, using: str, workflow_slug: str = "") -> Iterator[None]:
    try:
        with kept_whole(using):
            yield
    except DatabaseError as error:
        raise _read_refusal(error, run, workflow_slug) from error


def _read_refusal(error: DatabaseError, run: UUID, workflow_slug: str) -> Exception:
    state = sqlstate_of(error)
    if state not in {"PF008", "PF011"}:
        return start_error(error, workflow_slug)
    told: Any = error.__cause__.diag  # type: ignore[union-attr]
    if state == "PF008":
        return InvalidOutput(told.message_primary, code="output_too_large")
    if told.message_detail == "output_size_differs":
        return InvalidOutput(told.message_primary, code="output_size_differs")
    return ActionRefused(told.message_primary, code=told.message_detail, run_id=run)
