"""The SQL functions for tasks: settle and claim, fail, hand back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import DatabaseError

from pgflow_django.engine.calling import call, call_telling
from pgflow_django.exceptions import InvalidOutput, LeaseLost
from pgflow_django.storage.sqlstates import sqlstate_of

_LEASE_LOST = (
    "this process was silent for longer than its lease (PGFLOW['LEASE_SECONDS']), and its work "
    "went to others: was the machine asleep, or the database out of reach?"
)

#: Somebody has moved one of the two steps of a link, or has given the second one its output.
_SHORT_WAY_IS_CLOSED = {"PF009", "23505"}


@dataclass(frozen=True, slots=True)
class TaskGroup:
    """Tasks of one step of one run that were claimed together, and what they share.

    ``tasks`` are ``[task_index, attempt, item]``; ``deps`` is ``{dependency: output}`` for a
    single step, and where the ``inputs`` of a map step name its dependency; ``broadcast`` is
    ``[value]`` for a map step over a value that is no array; ``next`` is a single step's only
    dependent.
    """

    run_id: str
    workflow_slug: str
    version_id: int
    step_slug: str
    step_type: str
    function: str
    params: Any
    timeout: int
    max_attempts: int
    next: str | None
    tasks: list[list[Any]]
    run_input: Any
    deps: dict[str, Any] | None = None
    broadcast: list[Any] | None = None
    inputs: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """The answer of ``settle_and_claim``: how many results counted, and the next tasks."""

    accepted: int = 0
    claim: int | None = None
    groups: tuple[TaskGroup, ...] = ()


def settle_and_claim(
    worker: int | None,
    results_json: str | None,
    claim: int | None,
    wanted: int,
    *,
    using: str,
    run: UUID | None = None,
    poll: bool = True,
    feed: bool = True,
) -> Settled:
    """Settle completed tasks and claim up to ``wanted`` others, in one round trip and commit.

    ``claim`` is the caller's claim, to be used again, once nothing of it is left to run. Without
    ``feed`` steps that become ready wait behind what the queues hold.

    Raises ``LeaseLost``, and ``InvalidOutput`` where a run's output would be too large to join.
    """
    try:
        answer = call_telling(
            "select pgflow.settle_and_claim(%s, %s::jsonb, %s, %s, %s, %s, %s)",
            [worker, results_json, claim, wanted, run, poll, feed],
            using,
        )
    except DatabaseError as error:
        state = sqlstate_of(error)
        if state == "PF006":
            raise LeaseLost(_LEASE_LOST) from error
        if state == "PF008":
            reason = error.__cause__.diag.message_primary  # type: ignore[union-attr]
            raise InvalidOutput(reason, code="output_too_large") from error
        if state in _SHORT_WAY_IS_CLOSED and not poll:  # take the long one
            return settle_and_claim(
                worker, results_json, claim, wanted, using=using, run=run, feed=feed
            )
        raise
    if answer is None:
        return Settled()
    data = json.loads(answer)
    return Settled(data["accepted"], data.get("claim"), tuple(_read_groups(data)))


def _read_groups(data: dict[str, Any]) -> Iterator[TaskGroup]:
    """Put together what ``_describe.sql`` gives once for all that share it."""
    outputs = {(run, slug): output for run, slug, output in data.get("outputs") or ()}
    for run_id, version_id, slug, tasks, broadcast in data.get("groups") or ():
        workflow_slug, run_input = data["runs"][run_id]
        step = data["steps"][str(version_id)][slug]
        inputs = step.get("inputs")
        if step["step_type"] == "single":
            deps = {dep: outputs[run_id, dep] for dep in step["depends_on"]}
        elif inputs:
            named = ((dep, (run_id, dep)) for dep in step["depends_on"])
            deps = {dep: outputs[key] for dep, key in named if key in outputs}
        else:
            deps = None
        yield TaskGroup(
            run_id=run_id,
            workflow_slug=workflow_slug,
            version_id=version_id,
            step_slug=slug,
            step_type=step["step_type"],
            function=step["function"],
            params=step["params"],
            timeout=step["timeout"],
            max_attempts=step["max_attempts"],
            next=step["next"],
            tasks=tasks,
            run_input=run_input,
            deps=deps,
            broadcast=broadcast,
            inputs=inputs,
        )


def fail_tasks(failures: Sequence[dict[str, Any]], *, using: str) -> int:
    """End failed attempts (see ``fail_tasks.sql`` for their keys); how many of them counted."""
    return call_telling("select pgflow.fail_tasks(%s::jsonb)", [json.dumps(list(failures))], using)


def refuse_messages(worker: int, *, using: str, run: UUID | None = None) -> list[dict[str, Any]]:
    """End what a worker's claims can't take, by name; what it was (see ``refuse_messages.sql``)."""
    told = call_telling("select pgflow.refuse_messages(%s, %s)", [worker, run], using)
    refused: list[dict[str, Any]] = json.loads(told or "[]")
    return refused


def release_tasks(tasks: Sequence[dict[str, Any]], *, using: str) -> int:
    """Hand back claimed tasks that have not begun; how many were still the caller's."""
    return call("select pgflow.release_tasks(%s::jsonb)", [json.dumps(list(tasks))], using)


def release_claims(claims: Sequence[int], *, using: str) -> int:
    """Hand back whatever these claims still cover, and forget them; how many tasks that were."""
    return call("select pgflow.release_claims(%s::bigint[])", [list(claims)], using)


def next_visible(worker: int, *, using: str, run: UUID | None = None) -> float | None:
    """Seconds until the next message that a worker could take is due, ``None`` for none."""
    return call("select pgflow.next_visible(%s, %s)", [worker, run], using)
