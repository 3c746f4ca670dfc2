"""The tasks of a run in pages: found without an index on how they stand, and all of them."""

from __future__ import annotations

import contextlib
import itertools
import random
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.db.models.functions import Now

from pgflow_django import executor
from pgflow_django.exceptions import PgflowError
from pgflow_django.models import WorkflowRun, WorkflowStepTask, WorkflowTaskAttempt
from pgflow_django.runs import task_keys, tasks
from pgflow_django.runs.failure_groups import find_failures
from pgflow_django.runs.task_filter import CHOICES, ORDERS, Key, TaskFilter
from pgflow_django.runs.tasks import TaskPage, count_tasks, find_ordered, find_tasks
from pgflow_django.runs.view import load
from pgflow_django.storage.looking import TookTooLong, looking
from tests.engine.building import build
from tests.engine.database import query
from tests.engine.plans import GROWING, analyse, find_plans
from tests.engine.workers import HandWorker

pytestmark = pytest.mark.django_db

OLD = "2020-01-01 00:00:00+00"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a look be short, and a page, so that few tasks have many of both."""
    for module in (task_keys, tasks):
        monkeypatch.setattr(module, "LOOK", 7)
        monkeypatch.setattr(module, "PAGE", 3)


def fail(worker: HandWorker, chosen: random.Random, tries: int) -> None:
    """Claim, complete and fail some tasks; never so that the run fails."""
    for _ in range(tries):
        held = worker.claim_in_another_thread(chosen.randint(1, 4))
        for task in held:
            outcome = chosen.choice(["complete", "fail", "fail later", "keep"])
            if outcome == "complete":
                worker.complete(task, output=1)
            elif outcome != "keep":
                worker.fail(task, delay=3600 if outcome == "fail later" else 0)


def round_of(run: UUID) -> int:
    """How often the run was taken up again."""
    return WorkflowRun.objects.get(pk=run).round


def read_all(run: UUID) -> list[tuple[Key, set[str | None]]]:
    """All tasks of a run in their order, each with the filters that it fits."""
    alive = "join workflow_workers w on w.id = c.worker_id where w.lease_until > now()"
    held = {claim for (claim,) in query(f"select c.id from workflow_claims c {alive}")}
    attempts = WorkflowTaskAttempt.objects.filter(run_id=run, round=round_of(run))
    later = {
        (row.step_slug, row.task_index)
        for row in attempts.exclude(code="cancelled").filter(retry_at__gt=Now())
    }
    found = []
    for row in WorkflowStepTask.objects.filter(run_id=run).order_by("step_slug", "task_index"):
        fits: set[str | None] = {None}
        if row.status == "started":
            fits |= {"running"} if row.claim_id in held else set()
        elif row.status == "queued":
            fits.add("retrying" if (row.step_slug, row.task_index) in later else "queued")
        else:
            fits.add(row.status)
        found.append((Key(row.step_slug, row.task_index), fits))
    return found


def is_meant(key: Key, wanted: TaskFilter) -> bool:
    """Whether a task is of the step and in the range that are wanted."""
    is_of_step = not wanted.step or key.step == wanted.step
    return is_of_step and (wanted.first or 0) <= key.index <= (wanted.last or 10**6)


def walk(look: Callable[[TaskFilter], TaskPage], wanted: TaskFilter) -> list[Key]:
    """The tasks of all pages, forth; each page but the last has more, or has looked far enough."""
    found: list[Key] = []
    for _ in range(100):
        page = look(wanted)
        found += [Key(row.step, row.index) for row in page.rows]
        if page.later is None:
            return found
        wanted = replace(wanted, since=page.later)
    raise AssertionError("it goes on for ever")


def walk_back(look: Callable[[TaskFilter], TaskPage], wanted: TaskFilter) -> list[Key]:
    """The same from the end to the beginning."""
    found: list[Key] = []
    wanted = replace(wanted, before=Key("zzz", 10**6))
    for _ in range(100):
        page = look(wanted)
        found = [Key(row.step, row.index) for row in page.rows] + found
        if page.earlier is None:
            return found
        wanted = replace(wanted, before=page.earlier)
    raise AssertionError("it goes on for ever")


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seed", range(2))
def test_the_pages_of_every_filter_have_what_a_look_at_all_tasks_finds(seed: int) -> None:
    chosen = random.Random(seed)
    build("flow", {"one": [], "many*": [], "more*": []}, max_attempts=50)
    executor.start_flow("flow", list(range(4)))
    run = executor.start_flow("flow", list(range(18))).id
    worker, lost = HandWorker(), HandWorker()
    fail(worker, chosen, 14)
    lost.claim(3)
    lost.die()
    if seed % 2:  # of the round before nothing is told
        executor.cancel_run(run)
        executor.retry_run(run)
        fail(worker, chosen, 3)
    filters = [
        TaskFilter(step=step, status=status, first=first, last=last)
        for step in ("", "one", "many")
        for status in (None, *CHOICES)
        for first, last in ((None, None), (3, 9))
    ]

    def look(wanted: TaskFilter) -> TaskPage:
        return find_tasks(run, round_of(run), wanted, using="default")

    everything = read_all(run)
    assert set().union(*(fits for _, fits in everything)) >= {"retrying", "running", "queued"}
    for wanted in filters:
        expected = [
            key for key, fits in everything if wanted.status in fits and is_meant(key, wanted)
        ]
        assert walk(look, wanted) == expected, wanted
        assert walk_back(look, wanted) == expected, wanted


def wide(items: int, **flow: Any) -> UUID:
    """A run with a map of so many items, of which none has begun."""
    build("wide", {"each*": []}, max_attempts=3, **flow)
    return executor.start_flow("wide", list(range(items))).id


def add_attempts(run: UUID, first: int, last: int, message: str) -> None:
    """Failed attempts of the tasks with these indexes; ``{i}`` in the message is the index."""
    WorkflowTaskAttempt.objects.bulk_create(
        WorkflowTaskAttempt(
            run_id=run,
            step_slug="each",
            task_index=index,
            attempt=1,
            code="step_failed",
            error_type="ConnectionError",
            error_message=message.replace("{i}", str(index)),
        )
        for index in range(first, last + 1)
    )


def test_a_failed_task_among_many_is_found_with_its_error() -> None:
    run = wide(30_000)
    query(
        "update workflow_step_tasks set status = 'failed', error = jsonb_build_object("
        "'error_type', 'ValueError', 'error_message', E'no\\nmore') where task_index = 29999"
    )
    add_attempts(run, 29_999, 29_999, "no")
    with looking("default"):
        (row,) = find_tasks(run, 0, TaskFilter(status="failed"), using="default").rows
    assert (row.step, row.index, row.status) == ("each", 29_999, "failed")
    assert (row.error_type, row.error) == ("ValueError", "no")


def test_a_look_says_how_far_it_went_and_goes_on_from_there() -> None:
    run = wide(50_000)
    with looking("default"):
        page = find_tasks(run, 0, TaskFilter(status="completed"), using="default")
        assert (list(page.rows), page.looked, page.edge) == ([], 20_000, Key("each", 19_999))
        again = TaskFilter(status="completed", since=page.later)
        assert find_tasks(run, 0, again, using="default").looked == 20_000


def test_tasks_that_failed_in_one_way_are_told_from_others() -> None:
    run = wide(100)
    add_attempts(run, 10, 29, 'host 10.0.0.{i}:80 refused: "x{i}" (50% off_)')
    add_attempts(run, 20, 24, "host is down")
    found = find_failures(run, 0, using="default")
    refused, down = found.groups
    assert (refused.tasks, refused.first, down.tasks, down.first) == (20, 10, 5, 20)
    for group, indexes in ((refused, range(10, 30)), (down, range(20, 25))):
        page = find_tasks(run, 0, TaskFilter(like=group.example), using="default")
        assert [row.index for row in page.rows] == [*indexes]
    with pytest.raises(LookupError):
        find_tasks(run, 0, TaskFilter(like=1), using="default")


@pytest.mark.parametrize("order", ORDERS)
def test_an_order_has_those_first_that_took_longest(order: str) -> None:
    run = wide(120)
    query(
        "update workflow_step_tasks set status = 'completed', output = '1', queued_at = %s,"
        " started_at = %s::timestamptz + (task_index + 3600) * interval '1 s',"
        " ended_at = %s::timestamptz + (task_index + 3600) * interval '3 s' where task_index < 110",
        OLD, OLD, OLD,
    )  # fmt: skip
    wanted = TaskFilter(step="each", order=order)
    found = []
    for place in range(0, 120, 50):
        page = find_ordered(run, wanted, place, ended_at=None, using="default")
        found += [row.index for row in page.rows]
        assert page.is_last is (place == 100)
    # Who has not begun yet has taken no time, and has waited for less than those years.
    assert found == [*range(109, -1, -1), *range(110, 120)]


def test_chips_say_how_many_tasks_there_are_without_counting_them() -> None:
    run = wide(40)
    worker = HandWorker()
    first, second, *others = worker.claim(10)
    worker.fail(first, delay=3600)
    worker.complete(second, output=1)
    (step,) = load(run, using="default").steps
    counts = count_tasks(run, 0, step, using="default")
    assert (counts.failed, counts.retrying, counts.running) == (0, 1, len(others))
    assert (counts.queued, counts.completed, counts.is_cut) == (30, 1, False)
    worker.fail(others[0], permanent=True)
    (step,) = load(run, using="default").steps
    counts = count_tasks(run, 0, step, using="default")
    assert (counts.failed, counts.retrying, counts.running, counts.queued) == (1, 0, 0, 0)
    assert (counts.completed, counts.cancelled) == (1, 38)


@pytest.mark.parametrize("seed", range(4))
def test_the_numbers_of_the_chips_add_up_to_all_tasks_of_a_map(seed: int) -> None:
    chosen = random.Random(seed)
    build("wide", {"each*": [], "more*": ["each"], "end": ["more"]}, max_attempts=50)
    run = executor.start_flow("wide", list(range(30))).id
    worker = HandWorker()
    for _ in range(12):
        act = chosen.choice(["work", "skip", "complete", "pause", "fail", "cancel", "retry"])
        if act == "work":
            fail(worker, chosen, 2)
        elif act == "fail":
            worker.fail(*worker.claim_in_another_thread(1), permanent=True)
        else:
            step_by_hand(run, act, chosen)
        expect_exact_chips(run)
        if executor.get_run_status(run).status == "paused":
            executor.resume_run(run)


def step_by_hand(run: UUID, act: str, chosen: random.Random) -> None:
    """Do to the run, or an item, what a person might; what is refused changes nothing."""
    index = chosen.randrange(30)
    acts: dict[str, Callable[[], object]] = {
        "skip": lambda: executor.skip_step(run, "each", index=index),
        "complete": lambda: executor.complete_step(run, "each", 1, index=index),
        "pause": lambda: executor.pause_run(run),
        "cancel": lambda: executor.cancel_run(run),
        "retry": lambda: executor.retry_run(run),
    }
    with contextlib.suppress(PgflowError):
        acts[act]()


def expect_exact_chips(run: UUID) -> None:
    """Expect of each kind as many as a look at all tasks finds."""
    everything = read_all(run)
    for step in load(run, using="default").steps:
        fits = [fits for key, fits in everything if key.step == step.slug]
        expected = {choice: sum(choice in each for each in fits) for choice in CHOICES}
        # Whose worker is gone is neither running nor queued; there is none here.
        found = asdict(count_tasks(run, round_of(run), step, using="default"))
        assert found == {**expected, "is_cut": False}, step
        assert sum(expected.values()) == len(fits)


@pytest.mark.parametrize("statistics", ["empty", "full"])
def test_every_look_at_tasks_goes_along_an_index(statistics: str) -> None:
    analyse()
    run = wide(3_000)
    for _ in range(5):
        executor.start_flow("wide", list(range(1_000)))
    add_attempts(run, 0, 2999, "host {i} refused")
    executor.skip_step(run, "each", index=2_000)
    query(
        "insert into workflow_run_events (run_id, kind, message) select r.id, 'log', 'x' from "
        "workflow_runs r, generate_series(1, 1000)"
    )
    if statistics == "full":
        analyse()
    example = WorkflowTaskAttempt.objects.filter(run_id=run).first()
    assert example is not None
    (step,) = load(run, using="default").steps
    filters = [
        TaskFilter(step=step, status=status, first=first, last=first, since=since, before=before)
        for step, status, first in itertools.product(("", "each"), (None, *CHOICES), (None, 17))
        for since, before in ((None, None), (Key("each", 500), None), (None, Key("each", 500)))
    ]

    def act() -> None:
        with looking("default"):
            for wanted in (*filters, TaskFilter(like=example.pk)):
                find_tasks(run, 0, wanted, using="default")
            for order in ORDERS:
                wanted = TaskFilter(step="each", order=order)
                find_ordered(run, wanted, 0, ended_at=None, using="default")
            count_tasks(run, 0, step, using="default")
            find_failures(run, 0, using="default")
            find_failures(run, 0, using="default", step="each")

    plans = find_plans(act)
    assert len(plans) > 20
    for sql, plan in plans.items():
        scanned = [table for table in GROWING if f"Seq Scan on {table}" in plan]
        assert scanned == [], f"{sql}\n{plan}"
        if "from workflow_step_tasks t where t.run_id" in sql:
            assert "workflow_step_tasks_pkey" in plan
        if "from workflow_task_attempts a where a.run_id" in sql:
            assert "workflow_attempts_of_task" in plan
        if "from workflow_run_events" in sql:
            assert "workflow_events_notable" in plan


def test_a_look_that_takes_too_long_is_ended_and_changes_nothing_for_others(
    settings: Any,
) -> None:
    settings.PGFLOW = {"MONITOR_TIMEOUT": 0.01}
    before = query("show statement_timeout")
    with pytest.raises(TookTooLong), looking("default"):
        query("select pg_sleep(5)")
    assert query("show statement_timeout") == before
    with looking("default"):
        assert query("show statement_timeout") == [("10ms",)]
    assert query("show statement_timeout") == before
    assert query("show enable_seqscan") == [("on",)]
    assert connection.is_usable()
