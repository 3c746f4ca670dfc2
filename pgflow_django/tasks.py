"""The Celery task that claims and runs steps. Workers call it by themselves, nobody else."""

from __future__ import annotations

from celery import shared_task

from pgflow_django.celery_worker.hosting import make_loop


@shared_task(name="pgflow_django.consume", ignore_result=True, acks_late=False)  # type: ignore[untyped-decorator]
def consume(slot: int) -> bool:
    """Claim tasks from the pgmq queues and run them, until this worker says that it is enough.

    Gives whether it ended because of that, and not of an error, of which the log tells.
    """
    loop = make_loop(slot)
    if loop is None:
        raise RuntimeError(
            "pgflow_django.consume is called by workers themselves: put pgflow_django.celery."
            "install(app) into the module of the Celery app, and start runs with start_flow"
        )
    return loop.run()
