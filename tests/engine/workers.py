"""A worker driven by hand, call by call, through the gateway that real workers use."""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from pgflow_django import engine
from pgflow_django.engine import Settled
from pgflow_django.worker.claimed import ClaimedTask, iterate
from tests.engine.database import query

_pids = itertools.count(100_001)


class HandWorker:
    """One process with one thread: claims, and settles what it is told to."""

    def __init__(
        self, queues: Sequence[str] = ("default",), functions: Sequence[str] | None = None
    ) -> None:
        self.id = engine.register_worker(
            "in_process", "by-hand", next(_pids), queues, functions, using="default"
        )
        self.claim_id = secrets.randbits(62)

    def claim(self, wanted: int = 1, *, run: UUID | None = None) -> list[ClaimedTask]:
        """Claim up to so many tasks."""
        return list(iterate(self.exchange([], wanted, run=run)))

    def claim_in_another_thread(self, wanted: int = 1) -> list[ClaimedTask]:
        """Claim beside what is held already, as another thread of the process does."""
        self.claim_id = secrets.randbits(62)
        return self.claim(wanted)

    def exchange(
        self,
        outputs: Sequence[tuple[ClaimedTask, Any]],
        wanted: int = 0,
        *,
        run: UUID | None = None,
        poll: bool = True,
        feed: bool = True,
    ) -> Settled:
        """Settle tasks with their outputs and claim others, in one call."""
        results = [{**task.ref, "o": output} for task, output in outputs]
        return engine.settle_and_claim(
            self.id,
            json.dumps(results) if results else None,
            self.claim_id,
            wanted,
            using="default",
            run=run,
            poll=poll,
            feed=feed,
        )

    def complete(self, *tasks: ClaimedTask, output: Any = None) -> int:
        """Complete tasks; how many of them counted."""
        return self.exchange([(task, output) for task in tasks]).accepted

    def fail(self, *tasks: ClaimedTask, permanent: bool = False, delay: float | None = None) -> int:
        """End attempts as failed; how many of them counted."""
        return engine.fail_tasks(
            [
                {
                    **task.ref,
                    "code": "step_failed",
                    "error_type": "ValueError",
                    "error_message": "by hand",
                    "traceback": "",
                    "permanent": permanent,
                    "delay": delay,
                }
                for task in tasks
            ],
            using="default",
        )

    def release(self, *tasks: ClaimedTask) -> int:
        """Hand tasks back; how many of them counted."""
        return engine.release_tasks([task.ref for task in tasks], using="default")

    def die(self) -> None:
        """Stop without a word, long enough ago for the lease to have ended."""
        query(
            "update workflow_workers set lease_until = clock_timestamp() - interval '1 second' "
            "where id = %s",
            self.id,
        )

    def leave(self) -> None:
        """Stop as a worker should."""
        engine.release_claims([self.claim_id], using="default")
        engine.remove_worker(self.id, using="default")


def sweep() -> int:
    """Take back what dead workers held."""
    return engine.sweep(using="default")
