"""A claiming loop as a request that Celery's worker runs like any other, without a message."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from billiard.einfo import ExceptionInfo
from billiard.exceptions import Terminated, WorkerLostError
from celery import Celery
from celery.app.trace import build_tracer
from celery.utils import uuid
from celery.worker import state
from celery.worker.request import Request

logger = logging.getLogger("pgflow_django.worker")

#: Seconds that a loop may last by the site's ``task_time_limit``, which is meant for its tasks.
_FOR_EVER = 10 * 365 * 24 * 3600


class LoopRequest(Request):  # type: ignore[misc]
    """One call of ``pgflow_django.consume``; ``inspect active`` shows it, autoscale counts it."""

    def __init__(
        self,
        app: Celery,
        worker: Any,
        slot: int,
        on_end: Callable[[LoopRequest, bool], None],
        on_cancel: Callable[[int], None],
    ) -> None:
        task = app.tasks["pgflow_django.consume"]
        if task.__trace__ is None:
            # The consumer, which starts later, does this for every task.
            task.__trace__ = build_tracer(task.name, task, app.loader, worker.hostname, app=app)
        identity = uuid()
        has_limits = worker.time_limit or worker.soft_time_limit
        headers = {
            "lang": "py",
            "task": task.name,
            "id": identity,
            "root_id": identity,
            "parent_id": None,
            "group": None,
            "argsrepr": f"({slot},)",
            "kwargsrepr": "{}",
            "origin": worker.hostname,
            "timelimit": [_FOR_EVER, _FOR_EVER] if has_limits else [None, None],
            "retries": 0,
            "eta": None,
            "expires": None,
            "ignore_result": True,
        }
        body: tuple[Any, ...] = (
            [slot],
            {},
            {"callbacks": None, "errbacks": None, "chain": None, "chord": None},
        )
        message = SimpleNamespace(
            headers=headers, body=body, delivery_info={}, properties={"correlation_id": identity}
        )
        super().__init__(
            message,
            app=app,
            hostname=worker.hostname,
            eventer=getattr(worker.consumer, "event_dispatcher", None),
            task=task,
            body=body,
            headers=headers,
            decoded=True,
        )
        self.slot = slot
        self._on_end = on_end
        self._on_cancel = on_cancel

    @property
    def has_begun(self) -> bool:
        """Whether a process of the pool has taken it."""
        return self.time_start is not None

    def cancel(self, *_: Any, **__: Any) -> None:
        """Stop at once: a cold shutdown, which then waits until the pool's processes have ended."""
        self._on_cancel(self.slot)

    def on_success(
        self, failed__retval__runtime: tuple[bool, Any, float] | ExceptionInfo, **kwargs: Any
    ) -> None:
        """Hear from the pool that it has ended, by whatever: its threads bring errors this way."""
        if isinstance(failed__retval__runtime, ExceptionInfo):
            self.on_failure(failed__retval__runtime)
            return
        failed, value, _ = failed__retval__runtime
        if failed:
            self.on_failure(value)
            return
        try:
            super().on_success(failed__retval__runtime, **kwargs)
        finally:
            # Celery brings what a task gives as text.
            self._on_end(self, str(value) != str(True))

    def on_failure(
        self,
        exc_info: ExceptionInfo,
        send_failed_event: bool = True,  # noqa: ARG002 - as Celery calls it
        return_ok: bool = False,  # noqa: ARG002
    ) -> None:
        """Hear from the pool that it has raised, or that its process is gone.

        Of the latter the service has told, which sees processes end.
        """
        state.task_ready(self)
        if not isinstance(exc_info.exception, WorkerLostError | Terminated):
            logger.error("a claiming loop broke: %r", exc_info.exception)
        self._on_end(self, True)
