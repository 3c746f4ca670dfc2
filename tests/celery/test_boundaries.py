"""``kill -9`` at each boundary in the life of an attempt: one test for each.

Everywhere of one child of a worker (its parent hands its work back at once, whatever the lease),
and of all processes of a worker (another one takes over when the lease ends); there also of a step
that writes a row in the transaction that completes its task.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import pytest
from django.db import transaction

from pgflow_django import executor, flow_builder
from pgflow_django.models import WorkflowStepTask
from tests.celery.processes import Worker, worker
from tests.celery.stopping import Stop, stopping
from tests.engine.audit import audited
from tests.engine.database import attempts_counts, messages, query, value
from tests.engine.invariants import check_consistency
from tests.waiting import wait_for, wait_until

pytestmark = pytest.mark.slow

LEASE = 2.0

#: What comes by with the claim, and what with the result.
BEGUN = "the-input-of-the-run"
DONE = "the-output-of-the-step"

_WAITING_FOR_US = """
    select pid from pg_locks
    where not granted and pg_backend_pid() = any(pg_blocking_pids(pid)) limit 1
"""


class Scene:
    """A run of two steps, the worker that is killed in it, and the one that takes over."""

    def __init__(self, folder: Path, stack: ExitStack, *, kills_all: bool, atomic: bool) -> None:
        self.kills_all = kills_all
        self.atomic = atomic
        self.run_id: UUID
        self._folder = folder
        self._stack = stack
        self._killed: set[int] = set()
        self._log, self._gate = folder / "log", folder / "gate"
        only = {"slug": "only", "uses": "work.note_row" if atomic else "work.note"}
        after = {"slug": "after", "uses": "work.pid", "depends_on": ["only"]}
        flow_builder.create_flow_from_spec(
            {"workflow_slug": "boundaries", "base_delay": 0, "steps": [only, after]}
        )

    def begin(self, stop: Stop) -> None:
        """A worker that stops there, and the run."""
        address = self._stack.enter_context(stopping(stop))
        lease = LEASE if self.kills_all else 600.0
        self._first = self._add("first", lease, database=address).wait_ready(1)
        told = {"begun": BEGUN, "gives": DONE, "log": str(self._log), "gate": str(self._gate)}
        self.run_id = executor.start_flow("boundaries", told).id

    def executions(self) -> int:
        """How often the step function was called."""
        return len(self._log.read_text().splitlines()) if self._log.exists() else 0

    def open_gate(self) -> None:
        """Let the step function return."""
        self._gate.touch()

    def kill(self) -> None:
        """SIGKILL to the child that has claimed, or to all of its worker."""
        [(pid,)] = query(
            "select w.pid from workflow_claims c join workflow_workers w on w.id = c.worker_id"
        )
        if self.kills_all:
            self._killed = {self._first.pid, pid}
            self._first.kill_all()
        else:
            self._killed = {pid}
            os.kill(pid, signal.SIGKILL)

    def finish(self) -> None:
        """Let the run end, elsewhere."""
        self.open_gate()
        if self.kills_all:
            self._add("second", LEASE)
        executor.wait(self.run_id, timeout=30)

    def check(self, *, attempts: int, after: int, executions: int) -> None:
        """The attempts of both steps, the calls of the first, and that nothing is left."""
        found = [attempts_counts(self.run_id, slug) for slug in ("only", "after")]
        assert (found, self.executions()) == ([[attempts], [after]], executions)
        assert self.output() == DONE
        assert value("select count(*) from noted_rows") == int(self.atomic)
        wait_until(self._is_swept, "the sweep of what the dead left")
        check_consistency()
        assert not messages()

    def _is_swept(self) -> bool:
        left = query("select pid from workflow_workers where pid = any(%s)", list(self._killed))
        return not left and not query("select * from workflow_claims")

    def output(self) -> str | None:
        """What the first step gave, once its task has been accepted."""
        task = WorkflowStepTask.objects.get(run_id=self.run_id, step_slug="only")
        output: str | None = task.output
        return output

    def _add(self, name: str, lease: float, **options: object) -> Worker:
        added = worker(
            self._folder,
            concurrency=1,
            name=name,
            LEASE_SECONDS=lease,
            **options,  # type: ignore[arg-type]
        )
        return self._stack.enter_context(added)


@pytest.fixture(
    params=[
        "a child",
        *(pytest.param(who, marks=pytest.mark.slow) for who in ("all", "all, atomic")),
    ]
)
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    """Who is killed, and what runs."""
    query("create table noted_rows (run_id uuid)")
    try:
        with audited(), ExitStack() as stack:
            kills_all, atomic = "all" in request.param, "atomic" in request.param
            yield Scene(tmp_path, stack, kills_all=kills_all, atomic=atomic)
    finally:
        query("drop table noted_rows")


def test_after_the_claim(scene: Scene) -> None:
    answer = Stop(BEGUN, seen="answers", held="answers")
    scene.begin(answer)
    wait_for(answer.reached, "the claim's answer")
    scene.kill()
    answer.drop()
    assert scene.executions() == 0
    scene.finish()
    scene.check(attempts=2, after=1, executions=1)


def test_in_the_middle_of_the_step(scene: Scene) -> None:
    scene.begin(Stop("nothing of the kind", seen="questions", held="questions"))
    wait_until(scene.executions, "the step to begin")
    scene.kill()
    scene.finish()
    scene.check(attempts=2, after=1, executions=2)


def test_after_the_step_before_settling(scene: Scene) -> None:
    result = Stop(DONE, seen="questions", held="questions")
    scene.begin(result)
    scene.open_gate()
    wait_for(result.reached, "the result")
    assert scene.executions() == 1
    scene.kill()
    scene.finish()
    # A dead process's statement arrives when another one has settled the task: it changes nothing.
    result.deliver()
    wait_for(result.answered, "the server to refuse it")
    scene.check(attempts=2, after=1, executions=2)


@pytest.mark.parametrize("is_rolled_back", [False, True], ids=["commits", "rolls back"])
def test_during_settling(scene: Scene, is_rolled_back: bool) -> None:
    scene.begin(Stop("nothing of the kind", seen="questions", held="questions"))
    wait_until(scene.executions, "the step to begin")
    with transaction.atomic():
        query("select from workflow_step_states where run_id = %s for update", scene.run_id)
        scene.open_gate()
        [(backend,)] = wait_until(lambda: query(_WAITING_FOR_US), "the statement to wait for us")
        scene.kill()
        if is_rolled_back:
            query("select pg_terminate_backend(%s, 30000)", backend)
    scene.finish()
    if is_rolled_back or scene.atomic:
        # Who is gone sends no commit.
        scene.check(attempts=2, after=1, executions=2)
    else:
        # It was accepted without its process, and so was the claim of the next step.
        scene.check(attempts=1, after=2, executions=1)


@pytest.mark.parametrize("scene", ["all, atomic"], indirect=True)
def test_before_the_commit_of_an_atomic_step(scene: Scene) -> None:
    # Settling a step that is not atomic is one statement, which commits by itself.
    commit = Stop(DONE, "COMMIT", seen="questions", held="questions")
    scene.begin(commit)
    scene.open_gate()
    wait_for(commit.reached, "the commit")
    scene.kill()
    commit.drop()
    scene.finish()
    scene.check(attempts=2, after=1, executions=2)


def test_after_the_commit_before_its_acknowledgement(scene: Scene) -> None:
    texts = (DONE, "COMMIT") if scene.atomic else (DONE,)
    answer = Stop(*texts, seen="questions", held="answers")
    scene.begin(answer)
    scene.open_gate()
    wait_until(lambda: scene.output() == DONE, "the commit")
    scene.kill()
    answer.drop()
    scene.finish()
    # The same statement claims the next step, but not where the step settles itself.
    scene.check(attempts=1, after=1 if scene.atomic else 2, executions=1)
