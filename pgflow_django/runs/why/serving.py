"""Reasons that lie with workers: there is none, none has the function, all are at other tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from pgflow_django.runs.past_seconds import load_seconds
from pgflow_django.runs.why import words
from pgflow_django.runs.why.facts import Facts
from pgflow_django.runs.why.reason import Reason
from pgflow_django.runs.why.standing import Standing
from pgflow_django.runs.workers import WorkerView
from pgflow_django.storage.backlog import MOST, count_ahead
from pgflow_django.storage.trouble import manage_command, worker_command

#: Seconds after which it is worth saying how long something has waited.
_NOTICED = 10
#: Workers that are told of one by one, and functions whose pace is looked up.
_TOLD, _PACED = 3, 5


def find_unserved(facts: Facts) -> Iterator[Reason]:
    """Steps that no live worker could run: of their queues, then of their functions."""
    idle = [step for step in facts.started if step.slug not in facts.running]
    served = {queue for worker in facts.alive for queue in worker.queues}
    nobody = [step for step in idle if step.queue not in served]
    unable = [step for step in idle if step.queue in served and not facts.list_able(step)]
    if nobody:
        yield _no_worker(facts, nobody)
    if unable:
        yield _no_function(facts, unable)


def _no_worker(facts: Facts, steps: Sequence[Standing]) -> Reason:
    slugs, queues = _list(step.slug for step in steps), _list(step.queue for step in steps)
    since = _find_since(steps)
    wait = "wait" if len(slugs) > 1 else "waits"
    if since is not None and (seconds := (facts.now - since).total_seconds()) >= _NOTICED:
        have = "have" if len(slugs) > 1 else "has"
        wait = f"{have} waited for {words.lasting(seconds)}"
    return Reason(
        "no_worker",
        f"no live worker serves {words.name('queue', queues)}, where "
        f"{words.name('step', slugs)} {wait}",
        fix=worker_command(queues),
        action="see_workers",
        steps=slugs,
        queues=queues,
        since=since,
    )


def _no_function(facts: Facts, steps: Sequence[Standing]) -> Reason:
    slugs, queues = _list(step.slug for step in steps), _list(step.queue for step in steps)
    functions = _list(step.function for step in steps)
    serving = [worker for worker in facts.alive if set(worker.queues) & set(queues)]
    hosts = _list(_place(worker) for worker in serving)
    more = f" and {len(hosts) - _TOLD:,} more" if len(hosts) > _TOLD else ""
    return Reason(
        "no_function",
        f"no live worker of {words.name('queue', queues)} has "
        f"{words.name('function', functions)} ({words.name('step', slugs)}). "
        f"The queue is served by {', '.join(hosts[:_TOLD])}{more}",
        fix=worker_command(queues),
        action="see_workers",
        steps=slugs,
        queues=queues,
        functions=functions,
        since=_find_since(steps),
    )


def find_busy(facts: Facts, steps: Sequence[Standing]) -> Reason | None:
    """Where each worker that could run one of these steps, which are due, has other tasks."""
    able = {worker.id: worker for step in steps for worker in facts.list_able(step)}
    if not able or not all(worker.doing for worker in able.values()):
        return None
    slugs, queues = _list(step.slug for step in steps), _list(step.queue for step in steps)
    is_one = len(able) == 1
    who = "the only worker" if is_one else f"all {len(able):,} workers"
    wait = "wait for their turn" if len(slugs) > 1 else "waits for its turn"
    return Reason(
        "busy",
        f"{who} of {words.name('queue', queues)} {'is' if is_one else 'are'} busy: "
        f"{words.name('step', slugs)} {wait}{_say_ahead(facts, queues[0], len(able))}",
        fix=manage_command("listworkers", using=facts.subject.using),
        action="see_workers",
        steps=slugs,
        queues=queues,
        since=_find_since(steps),
    )


def _say_ahead(facts: Facts, queue: str, workers: int) -> str:
    """How many tasks will be taken before, and about how long that takes, if both are known."""
    using = facts.subject.using
    ahead = count_ahead(facts.subject.run_id, queue, using=using)
    tasks = sum(ahead.values())
    if not tasks:
        return ""
    most = sorted(ahead, key=lambda function: -ahead[function])[:_PACED]
    # Their functions are looked up by names that no step can have.
    pace = load_seconds("", {f" {function}": function for function in most}, using=using)
    counted = {function: pace.get(f" {function}") for function in most}
    is_bounded = tasks >= MOST
    text = f"; {'more than ' if is_bounded else ''}{words.count(tasks, 'task')} "
    text += f"{'is' if tasks == 1 else 'are'} ahead of it"
    if is_bounded or len(ahead) > len(most) or not all(counted.values()):
        return text
    seconds = sum(ahead[function] * found.p50 for function, found in counted.items() if found)
    return f"{text}, at the usual pace about {words.lasting(seconds / workers)}"


def _find_since(steps: Sequence[Standing]) -> datetime | None:
    return min((since for step in steps if (since := step.waits_since)), default=None)


def _list(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _place(worker: WorkerView) -> str:
    return worker.node or f"{worker.hostname}, pid {worker.pid}"
