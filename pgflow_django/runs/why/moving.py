"""Reasons of steps that run, are lost, or are due later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from pgflow_django.conf import settings
from pgflow_django.runs.past_seconds import load_seconds
from pgflow_django.runs.simulation import Seconds
from pgflow_django.runs.why import words
from pgflow_django.runs.why.facts import Facts
from pgflow_django.runs.why.reason import Reason
from pgflow_django.runs.why.standing import Standing
from pgflow_django.runs.workers import Work, WorkerView
from pgflow_django.storage.trouble import manage_command, worker_command

#: Steps of a kind that are told of one by one.
_MOST = 5
#: Seconds after which it is worth looking whether a task takes longer than usual, and how much
#: longer than nearly all that is.
_LONG, _UNUSUAL = 10, 1.5


def find_running(facts: Facts) -> Iterator[Reason]:
    """The steps that run, those first that have for longest."""
    plans = {step.slug: step for step in facts.steps}
    held = [(slug, works) for slug, works in facts.running.items() if slug in plans]
    held.sort(key=lambda each: min(work.since for _, work in each[1]))
    usual = _find_usual(facts, dict(held[:_MOST]), plans)
    for slug, works in held[:_MOST]:
        yield _tell_running(facts, plans[slug], works, usual.get(slug))


def _find_usual(
    facts: Facts,
    held: Mapping[str, list[tuple[WorkerView, Work]]],
    plans: Mapping[str, Standing],
) -> dict[str, Seconds]:
    long = [
        slug
        for slug, works in held.items()
        if (facts.now - min(work.since for _, work in works)).total_seconds() >= _LONG
    ]
    if not long:
        return {}
    functions = {slug: plans[slug].function for slug in long}
    return load_seconds(facts.subject.flow, functions, using=facts.subject.using)


def _tell_running(
    facts: Facts, step: Standing, works: list[tuple[WorkerView, Work]], usual: Seconds | None
) -> Reason:
    worker, first = min(works, key=lambda each: each[1].since)
    tasks = sum(work.tasks for _, work in works)
    seconds = (facts.now - first.since).total_seconds()
    who = words.name("step", [step.slug])
    if step.is_map:
        who = f"{words.count(tasks, 'task')} of {who}"
    text = f"{who} {'runs' if tasks == 1 or not step.is_map else 'run'} since "
    text += f"{words.at(first.since)} ({words.lasting(seconds)}) on {_place(worker)}"
    notes = []
    if usual is not None and usual.p95 > 0 and seconds >= _UNUSUAL * usual.p95:
        notes.append(f"{seconds / usual.p95:,.1f} times longer than usual")
    until = None
    if step.timeout > 0:
        until = first.since + timedelta(seconds=step.timeout)
        left = (until - facts.now).total_seconds()
        notes.append(
            f"{words.lasting(left)} until its timeout" if left > 0 else "its timeout is over"
        )
    return Reason(
        "running",
        f"{text}: {', '.join(notes)}" if notes else text,
        steps=(step.slug,),
        queues=(step.queue,),
        since=first.since,
        until=until,
    )


def find_lost(facts: Facts) -> Iterator[Reason]:
    """The steps with tasks that a worker holds whose lease is over."""
    if not facts.lost:
        return
    slugs = tuple(step.slug for step in facts.steps if step.slug in facts.lost)
    worker, first = min(
        (held for works in facts.lost.values() for held in works),
        key=lambda held: held[0].silent,
    )
    since = facts.now - timedelta(seconds=worker.silent)
    soon = settings.LEASE_SECONDS / 3
    then = (
        f"within {words.lasting(soon)} another worker takes back what it held"
        if facts.alive
        else "the next worker that starts takes back what it held"
    )
    many = len(slugs) > 1 or first.tasks > 1
    yield Reason(
        "lost",
        f"the worker of {words.name('step', slugs)} ({_place(worker)}) has not been heard of since "
        f"{words.at(since)}: {then}, and {'they are' if many else 'it is'} tried again",
        fix=manage_command("listworkers", using=facts.subject.using)
        if facts.alive
        else worker_command(),
        action="see_workers",
        steps=slugs,
        since=since,
        until=facts.now + timedelta(seconds=soon) if facts.alive else None,
    )


def find_retrying(facts: Facts) -> Iterator[Reason]:
    """The steps with tasks that wait for their next attempt, the soonest first."""
    retrying = [(step.retry, step) for step in facts.started if step.retry]
    retrying.sort(key=lambda each: each[0].at)
    run, using = facts.subject.run_id, facts.subject.using
    for retry, step in retrying[:_MOST]:
        last = {"step_slug": step.slug, "error_type": retry.kind, "error_message": retry.message}
        more = retry.tasks - 1
        tail = ""
        if more:
            least = "" if retry.is_all else "at least "
            tail = f"; {least}{words.count(more, 'more item')} wait{'s' if more == 1 else ''}"
        yield Reason(
            "retrying",
            f"{words.name('step', [step.slug])} is due in {_ahead(facts, retry.at)}: attempt "
            f"{retry.attempt} of {max(step.max_attempts, retry.attempt)}, last: "
            f"{words.error(last)}{tail}",
            fix=manage_command("retryrun", run, "--step", step.slug, "--now", using=using),
            action="retry_now",
            steps=(step.slug,),
            queues=(step.queue,),
            until=retry.at,
        )


def find_delayed(facts: Facts) -> Reason | None:
    """The steps whose start is delayed, and when the first of them is due."""
    due = [(step.starts_at, step.slug) for step in facts.started if step.starts_at]
    if not due:
        return None
    moment = min(moment for moment, _ in due)
    slugs = tuple(slug for _, slug in due)
    return Reason(
        "delayed",
        f"{words.name('step', slugs)} {'are' if len(slugs) > 1 else 'is'} due in "
        f"{_ahead(facts, moment)}: a delayed start",
        steps=slugs,
        until=moment,
    )


def _ahead(facts: Facts, moment: datetime) -> str:
    seconds = max(0.0, (moment - facts.now).total_seconds())
    return f"{seconds:,.1f} s, at {words.on(moment)}"


def _place(worker: WorkerView) -> str:
    return f"{worker.hostname}, pid {worker.pid}"
