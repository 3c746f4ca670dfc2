"""A worker and a person at one run, move by move, and what the person has decided so far."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from hypothesis import event

from pgflow_django import PgflowError, executor
from pgflow_django.exceptions import ActionRefused, RunNotRetryable
from pgflow_django.models import WorkflowRun
from pgflow_django.worker.claimed import ClaimedTask
from tests.engine.database import messages, step_statuses, task_statuses
from tests.engine.invariants import check_consistency
from tests.engine.moves import APT, OF_PERSON, Move
from tests.engine.oracle import Decisions, Functions, Step, expect
from tests.engine.promises import (
    AGAIN,
    ENDED,
    Moment,
    Tried,
    check_messages,
    check_move,
    covered_by,
    look,
)
from tests.engine.workers import HandWorker

DONE = {"completed", "skipped"}


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
        self._tried: Tried | None = None
        self._before: Moment = look(run_id)

    @property
    def run(self) -> WorkflowRun:
        """Its row as it is now."""
        return WorkflowRun.objects.get(id=self.run_id)

    def play(self, moves: list[Move]) -> None:
        """Make the moves, each of which must leave everything consistent, and what it promises."""
        self._before = look(self.run_id)
        after_end = 0
        for dice, number, which, flag, holds in moves:
            before = self._before
            after_end += before.status == "completed"
            if after_end > 2:  # all else is refused, or starts another run
                break
            name, step, index = self._choose(dice, number, which)
            did = getattr(self, f"_{name}")(step, index, flag, holds)
            event(f"{name}, {before.status}: {'done' if did else 'not done'}")
            now = look(self.run_id)
            if did:
                check_consistency()
            else:
                assert now == before, (name, before, now)
            if name in OF_PERSON:
                check_move(name, before, now, did=did, holds=holds)
            self._tried = self._tried if now.status == "paused" else None
            check_messages(self.run_id, now, self._tried)
            self._before = now

    def _choose(self, dice: int, number: int, index: int | None) -> tuple[str, Step, int | None]:
        """What is done, and with which step and task of it: mostly what is worth it."""
        statuses = step_statuses(self.run_id)
        fit = [step for step in self.steps if statuses[step.slug] not in DONE]
        names: tuple[str, ...] = APT[self._before.status]
        if is_blind := dice % 7 == 0:
            fit, names = self.steps, OF_PERSON
        elif self._before.waiting:
            names = (*names, *["pause", "resume", "retry_now", "retry_now"] * 2)
        name = names[dice % len(names)]
        if name == "work":
            name = ("fail" if number % 2 == 0 else "settle") if self.held else "claim"
        elif name == "retry_now" and not is_blind:
            waiting = {slug for slug, _ in self._before.waiting}
            fit = [step for step in fit if step.slug in waiting] or fit
        elif name == "retry_one" and number % 3 == 0:
            fit = self.steps
        steps = fit or self.steps
        step = steps[number % len(steps)]
        if index is not None and not is_blind:
            tasks = task_statuses(self.run_id, step.slug)
            index = index % len(tasks) if tasks else None
        return name, step, index

    def finish(self) -> None:
        """Let it come to its end, with functions that neither fail nor cancel any more."""
        self.functions.is_healed = True
        for _ in range(4):
            if self.run.status == "completed":
                break
            with suppress(RunNotRetryable):
                executor.retry_run(self.run_id)
            with suppress(ActionRefused):
                executor.resume_run(self.run_id)
            with suppress(ActionRefused):
                executor.retry_now(self.run_id)
            self._settle(self.steps[0], None, True, False)
            while self.held or self._claim(self.steps[0], 4, True, False):
                self._settle(self.steps[0], None, True, False)
        self.worker.leave()

    # What the worker does.

    def _claim(self, step: Step, index: int | None, flag: bool, holds: bool) -> bool:
        if not self.held:
            self.held = self.worker.claim(5 if flag else 1 + (index or 0))
        return bool(self.held)

    def _settle(self, step: Step, index: int | None, flag: bool, holds: bool) -> bool:
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
        return bool(done or failed)

    def _fail(self, step: Step, index: int | None, flag: bool, holds: bool) -> bool:
        held, self.held = self.held, []
        self.worker.fail(*held, permanent=flag and holds, delay=0 if flag else 3600)
        return bool(held)

    # What the person does; each says whether it was done.

    def _pause(self, *_: Any) -> bool:
        refusal = "run_has_ended" if self._before.status in ENDED else None
        self._is_refused(refusal, lambda: executor.pause_run(self.run_id))
        return self._before.status == "started"

    def _resume(self, *_: Any) -> bool:
        refusal = "run_has_ended" if self._before.status in ENDED else None
        self._is_refused(refusal, lambda: executor.resume_run(self.run_id))
        return self._before.status == "paused"

    def _cancel(self, *_: Any) -> bool:
        executor.cancel_run(self.run_id)
        return self._before.status not in ENDED

    def _retry(self, step: Step, index: int | None, flag: bool, holds: bool) -> bool:
        refusal = None if self._before.status in AGAIN else "run_not_retryable"
        return not self._is_refused(refusal, lambda: executor.retry_run(self.run_id, hold=holds))

    def _retry_one(self, step: Step, index: int | None, *_: Any) -> bool:
        statuses, tasks = step_statuses(self.run_id), task_statuses(self.run_id, step.slug)
        refusal = self._lack(step, index, statuses, tasks)
        if self._before.status not in AGAIN:
            refusal = "run_not_retryable"
        if self._is_refused(
            refusal,
            lambda: executor.retry_run(self.run_id, step=step.slug, index=index),
            *([] if tasks else ["task_not_found"]),  # it may wait for others
        ):
            return False
        self._tried = (step.slug, index)
        sent = {task for message in messages(self.run_id) for task in covered_by(message)}
        queued = {
            (step.slug, number)
            for number, status in enumerate(task_statuses(self.run_id, step.slug))
            if status == "queued" and index in {None, number}
        }
        assert sent == queued, (sent, queued)
        assert sent or self.run.status in ENDED
        return True

    def _retry_now(self, step: Step, index: int | None, flag: bool, holds: bool) -> bool:
        statuses, tasks = step_statuses(self.run_id), task_statuses(self.run_id, step.slug)
        chosen = {
            (slug, number)
            for slug, number in self._before.waiting
            if not flag or (slug == step.slug and index in {None, number})
        }
        refusal = self._lack(step, index, statuses, tasks) if flag else None
        if refusal is None and not chosen:
            refusal = "nothing_to_retry"
        if self._is_refused(
            refusal,
            lambda: executor.retry_now(
                self.run_id, step=step.slug if flag else None, index=index if flag else None
            ),
        ):
            return False
        assert look(self.run_id).waiting == self._before.waiting - chosen
        return True

    def _skip(self, step: Step, index: int | None, flag: bool, holds: bool) -> bool:
        statuses, tasks = step_statuses(self.run_id), task_statuses(self.run_id, step.slug)
        refusal = self._refusal(step, index, statuses, tasks)
        is_whole = index is None or not step.is_map
        is_empty = "completed" not in tasks
        after = self._after(step)
        begun = {slug: statuses[slug] in DONE or task_statuses(self.run_id, slug) for slug in after}
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
            lambda: executor.skip_step(
                self.run_id, step.slug, index=index, downstream=flag, hold=holds
            ),
        ):
            return False
        if is_whole and is_empty:
            self.decided.skipped.add(step.slug)
        else:
            self._decide_tasks(step, index, tasks, lambda _: None)
        if flag:
            self.decided.skipped |= {slug for slug in after if not begun[slug]}
        return True

    def _complete(self, step: Step, index: int | None, flag: bool, holds: bool) -> bool:
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
            refusal,
            lambda: executor.complete_step(self.run_id, step.slug, output, index=index, hold=holds),
        ):
            return False
        if not tasks:
            self.decided.outputs[step.slug] = output
        else:
            give = (lambda number: output[number]) if step.is_map and is_whole else lambda _: output
            self._decide_tasks(step, index, tasks, give)
        return True

    def _rerun(self, step: Step, index: int | None, flag: bool, holds: bool) -> bool:
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
            return False
        new = Steered(ids[0], self.steps, self.functions)
        kept = {slug for slug, status in statuses.items() if flag and status in DONE} - again
        so_far = expect(self.steps, self.run.input, healed=True, decided=self.decided)
        new.decided.skipped = kept & self.decided.skipped
        new.decided.outputs = {slug: so_far.outputs[slug] for slug in kept - new.decided.skipped}
        self._check_rerun(new, {slug: statuses[slug] for slug in kept})
        self.reruns.append(new)
        return True

    def _check_rerun(self, new: Steered, kept: dict[str, str]) -> None:
        """Nothing is done in a run that has just begun but what was taken over."""
        assert (new.run.rerun_of, new.run.input) == (self.run_id, self.run.input)
        assert look(new.run_id).events == ("rerun",), look(new.run_id)
        for step in self.steps:
            status = step_statuses(new.run_id)[step.slug]
            if step.slug in kept:
                assert status == kept[step.slug]
            else:  # over an empty list a map is done at once
                assert status not in DONE or task_statuses(new.run_id, step.slug) == []

    # What must come of it.

    def _refusal(
        self, step: Step, index: int | None, statuses: dict[str, str], tasks: list[str]
    ) -> str | None:
        """Why nothing can be decided of this step or task; ``None`` where something can."""
        if self._before.status == "completed":
            return "run_has_ended"
        has_none = index is not None and (step.is_map or index > 0) and not tasks
        return self._lack(step, index, statuses, tasks) or ("task_not_found" if has_none else None)

    def _lack(
        self, step: Step, index: int | None, statuses: dict[str, str], tasks: list[str]
    ) -> str | None:
        """Why nothing can be done with this step or task; ``None`` where something can."""
        if statuses[step.slug] in DONE:
            return "step_already_done"
        if index is None or not tasks:
            return None
        if index >= len(tasks):
            return "task_not_found"
        return "step_already_done" if tasks[index] in DONE else None

    def _is_refused(self, code: str | None, call: Callable[[], Any], *others: str) -> bool:
        """Whether it is refused: with ``code`` where there is one, else perhaps with another."""
        try:
            call()
        except PgflowError as error:
            found = error.code
        else:
            assert code is None
            return False
        event(f"refused: {found}")
        assert found in ({code} if code else {*others})
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
