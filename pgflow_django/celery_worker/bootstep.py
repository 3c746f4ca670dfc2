"""The bootstep: pgflow's part of a Celery worker, between its pool and its consumer."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from functools import partial
from typing import Any

from celery import bootsteps
from celery.signals import task_received
from django.core.exceptions import ImproperlyConfigured
from django.db import router
from django.utils.module_loading import autodiscover_modules

from pgflow_django.celery_worker import hosting
from pgflow_django.celery_worker.board import Board
from pgflow_django.celery_worker.dispatching import Loops, pauses
from pgflow_django.celery_worker.listener import Listener
from pgflow_django.celery_worker.loop import Loop, SharedOutage, SlotLoop
from pgflow_django.celery_worker.node import Node
from pgflow_django.celery_worker.process_crew import BoardCrew
from pgflow_django.celery_worker.queues import chosen_queues
from pgflow_django.celery_worker.service import Service
from pgflow_django.celery_worker.thread_crew import ThreadCrew, ThreadLoop
from pgflow_django.exceptions import PgflowError
from pgflow_django.flows import code_flows, definition_of, sync_code_flow
from pgflow_django.models import WorkflowRun
from pgflow_django.storage.pooling import forget_inherited_pools, pool_size, require_connections
from pgflow_django.worker.keepalive import harden
from pgflow_django.worker.patience import Outage

logger = logging.getLogger("pgflow_django.worker")

#: Slots beyond the pool's size, for a pool that is grown by remote control.
_SPARE_SLOTS = 8


class PgflowStep(bootsteps.StartStopStep):  # type: ignore[misc]
    """Puts claiming loops onto the worker's pool and looks after them."""

    # The pool: so it starts before the consumer's loop, which starts nothing that comes after.
    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, pgflow_queues: str | None = None, **options: Any) -> None:
        super().__init__(worker, **options)
        self.queues = chosen_queues(pgflow_queues)
        self.using = router.db_for_write(WorkflowRun)
        self.service: Service | None = None
        self.loops: Loops | None = None

    def create(self, worker: Any) -> PgflowStep:
        """Make what the pool's processes inherit: they are forked after this."""
        autodiscover_modules("flows")  # flows in code register their step functions
        self.crew: BoardCrew | ThreadCrew
        outage: Outage
        if worker.pool.uses_semaphore:
            outage = self._prepare_for_children(worker)
        else:
            outage = self._prepare_for_threads(worker)
        listener = Listener(self.using)
        node = Node(self.crew, listener, using=self.using, name=worker.hostname, queues=self.queues)
        self.service = Service(
            self.crew,
            node,
            listener,
            outage,
            prepare=self._prepare_database,
            tend_loops=self._tend_loops,
            forget_loops=self._forget_loops,
        )
        return self

    def _prepare_for_children(self, worker: Any) -> Outage:
        if worker.pool_start_method != "fork":
            raise ImproperlyConfigured(
                'pgflow needs worker_pool_start_method = "fork": the processes of the pool share '
                "memory with their parent"
            )
        require_connections(self.using, 2, "Each process of a worker")
        os.register_at_fork(after_in_child=forget_inherited_pools)
        processes = worker.max_concurrency or worker.concurrency
        board = Board(processes + _SPARE_SLOTS)
        using, queues, node = self.using, self.queues, worker.hostname
        hosting.host(lambda slot: SlotLoop(board, slot, using=using, node=node, queues=queues))
        crew = self.crew = BoardCrew(
            board, using=using, kill=lambda pid: worker.pool.terminate_job(pid, signal.SIGKILL)
        )
        self.loops = Loops(worker.app, worker, board, crew.stop)
        return SharedOutage(board)

    def _prepare_for_threads(self, worker: Any) -> Outage:
        crew = self.crew = ThreadCrew(self._poke)
        lanes = worker.max_concurrency or worker.concurrency
        fewer = pool_size(self.using) - 2
        advice = f", or start the worker with -c {fewer:.0f}" if fewer >= 1 else ""
        require_connections(self.using, lanes + 2, f"A worker of {lanes} threads", advice)
        using, queues, node = self.using, self.queues, worker.hostname
        hosting.host(lambda _: ThreadLoop(crew, lanes, using=using, node=node, queues=queues))
        if not is_solo(worker):
            self.loops = Loops(worker.app, worker, None, lambda _: crew.close())
        return SharedOutage(crew)

    def _prepare_database(self) -> None:
        harden(self.using)
        sync_code_flows(using=self.using)

    def _poke(self) -> None:
        if self.service is not None:
            self.service.poke()

    def _tend_loops(self) -> float:
        return 60.0 if self.loops is None else self.loops.tend()

    def _forget_loops(self, slots: list[int]) -> None:
        if self.loops is not None:
            self.loops.forget(slots)

    # What Celery calls.

    def register_with_event_loop(self, worker: Any, hub: Any) -> None:  # noqa: ARG002
        """Use the worker's event loop, where it has one."""
        if self.loops is not None:
            self.loops.register_with_event_loop(hub)

    def start(self, worker: Any) -> None:
        """Start the loops: the pool runs, the consumer not yet."""
        assert self.service is not None  # noqa: S101 - create() made it
        if self.loops is not None:
            self.loops.poke = self.service.poke
            task_received.connect(self.loops.task_received, sender=None, weak=False)
            make_room(worker.pool)
            if isinstance(self.crew, BoardCrew):
                maintain_in_turn(worker.pool)
        elif isinstance(self.crew, ThreadCrew):
            run = partial(run_solo, self.crew)
            threading.Thread(target=run, name="pgflow-loop", daemon=True).start()
        self.service.start()
        logger.info(
            "pgflow serves %s", "all queues" if self.queues is None else ", ".join(self.queues)
        )

    def close(self, worker: Any) -> None:  # noqa: ARG002
        """Claim no more: every loop ends what it runs and hands back what waits."""
        if self.loops is not None:
            self.loops.close()
        self.crew.close()

    def stop(self, worker: Any) -> None:  # noqa: ARG002
        """Warm shutdown: wait for the loops, with their leases kept."""
        if self.loops is not None:
            task_received.disconnect(self.loops.task_received)
        if self.service is not None and self.service.ident is not None:
            self.service.close()

    def terminate(self, worker: Any) -> None:
        """Cold shutdown: stop what runs, and hand it back."""
        if isinstance(self.crew, BoardCrew):
            self.crew.kill_all()
        self.stop(worker)

    def info(self, worker: Any) -> dict[str, Any]:  # noqa: ARG002
        """What ``inspect stats`` shows of it."""
        return {"pgflow": {"queues": self.queues or "all", "loops": len(list(self.crew.workers()))}}


def sync_code_flows(*, using: str) -> None:
    """Store each ``Flow`` class whose fingerprint is not the stored one, as a new version."""
    for flow in code_flows():
        try:
            sync_code_flow(definition_of(flow), using=using)
        except PgflowError as error:
            logger.error("flow %s is not stored: %s", flow.slug, error)  # noqa: TRY400


def is_solo(worker: Any) -> bool:
    """Whether the worker's pool runs tasks in the thread that receives them."""
    return type(worker.pool).__module__ == "celery.concurrency.solo"


def run_solo(crew: ThreadCrew) -> None:
    """Run the loop in a thread of its own: in the pool it would keep the worker from all else.

    Where it breaks another takes its place, after a pause that grows.
    """
    for pause in pauses():
        loop: Loop | None = hosting.make_loop(0)
        try:
            if loop is None or loop.run() or crew.is_closed:
                return
        except BaseException:
            logger.exception("the loop of this worker broke: another takes its place")
        time.sleep(pause)


def make_room(pool: Any) -> None:
    """Let the loop, which only watches over its lanes, take no Celery task's place in the pool."""
    executor = getattr(pool, "executor", None)
    if executor is not None:
        executor._max_workers += 1  # noqa: SLF001 - threads have no other way
    elif pool.is_green and "gevent" in sys.modules:
        pool.grow(1)


def maintain_in_turn(pool: Any) -> None:
    """Let one thread at a time start and bury the processes of a prefork pool.

    Its supervisor and the thread that scales it both do so, and whoever meets a process that the
    other is about to start ends with a ``KeyError``: then no process is ever replaced again.
    """
    processes = pool._pool  # noqa: SLF001 - billiard has no door for it
    maintain, turn = processes._maintain_pool, threading.Lock()  # noqa: SLF001

    def maintain_alone() -> None:
        with turn:
            maintain()

    processes._maintain_pool = maintain_alone  # noqa: SLF001
