"""A worker and a person at one run, move by move, and what the person has decided so far."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from hypothesis import event
from hypothesis import strategies as st

from pgflow_django import PgflowError, executor
from pgflow_django.exceptions import ActionRefused, InvalidOutput, RunNotRetryable
from pgflow_django.models import WorkflowRun
from pgflow_django.worker.claimed import ClaimedTask
from tests.engine.database import messages, step_statuses, task_statuses
from tests.engine.invariants import check_consistency
from tests.engine.oracle import Decisions, Functions, Step, expect
from tests.engine.workers import HandWorker

DONE = {"completed", "skipped"}
#: What is asked for, of which step, of which task, and how.
Move = tuple[str, int, int | None, bool]
NAMES = (
    *("claim", "claim", "claim", "settle", "settle", "settle"),
    *("pause", "resume", "cancel", "retry", "retry_one", "retry_now"),
    *("skip", "skip", "complete", "complete", "rerun"),
)
MOVES: st.SearchStrategy[list[Move]] = st.lists(
    st.tuples(
        st.sampled_from(NAMES),
        st.integers(0, 7),
        st.sampled_from([None, None, 0, 1, 2, 4]),
        st.booleans(),
    ),
    min_size=3,
    max_size=16,
)


class Steered:
    """A run, the person at it, and the worker whose functions run."""

    def __init__(self, run_id: UUID, steps: list[Step], functions: Functions) -> None:
        self.run_id = run_id
        self.steps = steps
        self.functions = functions
        self.decided = Decisions()
        self.reruns: list[Steered] = []
        self.worker = HandWorker()
        self.held: list[ClaimedTask] = []
        self._is_tried = False

    @property
    def run(self) -> WorkflowRun:
        """Its row as it is now."""
        return WorkflowRun.objects.get(id=self.run_id)

    def play(self, moves: list[Move]) -> None:
        """Make the moves, each of which must leave everything consistent."""
        for name, number, index, flag in moves:
            step = self.steps[number % len(self.steps)]
            getattr(self, f"_{name}")(step, index, flag)
            check_consistency()
            if self.run.status == "paused" and not self._is_tried:
                assert not messages(self.run_id), "a message of a paused run"

    def finish(self) -> None:
        """Let it come to its end, with functions that neither fail nor cancel any more."""
        self.functions.is_healed = True
        for _ in range(4):
            with suppress(RunNotRetryable):
                executor.retry_run(self.run_id)
            with suppress(ActionRefused):
                executor.resume_run(self.run_id)
            with suppress(ActionRefused):
                executor.retry_now(self.run_id)
            self._settle(self.steps[0], None, True)
            while self.held or self._claim(self.steps[0], 4, True):
                self._settle(self.steps[0], None, True)
        self.worker.leave()

    # What the worker does.

    def _claim(self, step: Step, index: int | None, flag: bool) -> bool:
        if not self.held:
            self.held = self.worker.claim(1 + (index or 0))
        return bool(self.held)

    def _settle(self, step: Step, index: int | None, flag: bool) -> None:
        done, failed = [], []
        for task in self.held:
            context = SimpleNamespace(
                run_id=task.group.run_id, task_index=task.index, attempt=task.attempt
            )
            call = self.functions.by_slug()[task.group.step_slug]
            try:
                done.append((task, call(task.build_input(), context)))
            except ValueError:
                failed.append(task)
        self.held = []
        self.worker.exchange(done)
        self.worker.fail(*failed, delay=0 if flag else 3600)

    # What the person does.

    def _pause(self, *_: Any) -> None:
        with suppress(ActionRefused):
            executor.pause_run(self.run_id)

    def _resume(self, *_: Any) -> None:
        with suppress(ActionRefused):
            executor.resume_run(self.run_id)
        self._is_tried = False

    def _cancel(self, *_: Any) -> None:
        executor.cancel_run(self.run_id)

    def _retry(self, step: Step, index: int | None, flag: bool) -> None:
        with suppress(RunNotRetryable):
            executor.retry_run(self.run_id, hold=flag)
            self._is_tried = False

    def _retry_one(self, step: Step, index: int | None, flag: bool) -> None:
        with suppress(RunNotRetryable, ActionRefused):
            executor.retry_run(self.run_id, step=step.slug, index=index)
            self._is_tried = True

    def _retry_now(self, step: Step, index: int | None, flag: bool) -> None:
        with suppress(ActionRefused):
            executor.retry_now(self.run_id, step=step.slug if flag else None)

    def _skip(self, step: Step, index: int | None, flag: bool) -> None:
        statuses, tasks = step_statuses(self.run_id), task_statuses(self.run_id, step.slug)
        refusal = self._refusal(step, index, statuses, tasks)
        is_whole = index is None or not step.is_map
        is_empty = "completed" not in tasks
        after = self._after(step)
        if refusal is None and flag and not is_whole:
            refusal = "step_not_skippable"
        elif refusal is None and is_whole and is_empty and not flag:
            mapped = [
                one
                for one in self.steps
                if one.is_map and one.deps == (step.slug,) and statuses[one.slug] not in DONE
            ]
            refusal = "step_not_skippable" if mapped else None
        if self._is_refused(
            refusal,
            lambda: executor.skip_step(self.run_id, step.slug, index=index, downstream=flag),
        ):
            return
        if is_whole and is_empty:
            self.decided.skipped.add(step.slug)
        else:
            self._decide_tasks(step, index, tasks, lambda _: None)
        if flag:
            self.decided.skipped |= {slug for slug in after if statuses[slug] not in DONE}

    def _complete(self, step: Step, index: int | None, flag: bool) -> None:
        statuses, tasks = step_statuses(self.run_id), task_statuses(self.run_id, step.slug)
        refusal = self._refusal(step, index, statuses, tasks)
        is_whole = index is None or not step.is_map
        output: Any = {"by": "hand"}
        if step.is_map and is_whole:
            over_map = [one for one in self.steps if (one.slug,) == step.deps and one.is_map]
            known = len(tasks) or None
            if known is None and over_map and statuses[over_map[0].slug] != "created":
                known = len(task_statuses(self.run_id, over_map[0].slug))
            length = 2 if known is None else known
            output = [f"hand{number}" for number in range(length + (0 if flag else 1))]
            if refusal is None and known is not None and not flag:
                refusal = "output_size_differs"
        if self._is_refused(
            refusal, lambda: executor.complete_step(self.run_id, step.slug, output, index=index)
        ):
            return
        if not tasks:
            self.decided.outputs[step.slug] = output
        else:
            give = (lambda number: output[number]) if step.is_map and is_whole else lambda _: output
            self._decide_tasks(step, index, tasks, give)

    def _rerun(self, step: Step, index: int | None, flag: bool) -> None:
        statuses = step_statuses(self.run_id)
        from_step = step.slug if flag else None
        refusal = None
        again = {step.slug, *self._after(step)}
        deps = {statuses[dep] for dep in step.deps}
        if flag and (not deps <= DONE or (step.is_map and "skipped" in deps)):
            refusal = "rerun_not_possible"
        ids: list[UUID] = []
        if self._is_refused(
            refusal, lambda: ids.append(executor.rerun(self.run_id, from_step=from_step).id)
        ):
            return
        new = Steered(ids[0], self.steps, self.functions)
        if flag:
            so_far = expect(self.steps, self.run.input, healed=True, decided=self.decided)
            kept = {slug for slug, status in statuses.items() if status in DONE} - again
            new.decided.skipped = kept & self.decided.skipped
            new.decided.outputs = {
                slug: so_far.outputs[slug] for slug in kept - new.decided.skipped
            }
        self.reruns.append(new)

    # What must come of it.

    def _refusal(
        self, step: Step, index: int | None, statuses: dict[str, str], tasks: list[str]
    ) -> str | None:
        """Why nothing can be decided of this step or task; ``None`` where something can."""
        if self.run.status == "completed":
            return "run_has_ended"
        if statuses[step.slug] in DONE:
            return "step_already_done"
        if index is None:
            return None
        if not tasks:
            return "task_not_found" if step.is_map or index > 0 else None
        if index >= len(tasks):
            return "task_not_found"
        return "step_already_done" if tasks[index] in DONE else None

    def _is_refused(self, code: str | None, call: Callable[[], Any]) -> bool:
        event(f"refused: {code}" if code else "done")
        try:
            call()
        except (ActionRefused, InvalidOutput) as error:
            found: PgflowError = error
        else:
            assert code is None
            return False
        assert found.code == code
        return True

    def _decide_tasks(
        self, step: Step, index: int | None, tasks: list[str], give: Callable[[int], Any]
    ) -> None:
        for number, status in enumerate(tasks):
            if status not in DONE and (index in (None, number) or not step.is_map):
                self.decided.tasks[step.slug, number] = give(number)

    def _after(self, step: Step) -> set[str]:
        found = {step.slug}
        for one in self.steps:
            if found & set(one.deps):
                found.add(one.slug)
        return found - {step.slug}
