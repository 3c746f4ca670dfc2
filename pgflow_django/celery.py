"""Adds pgflow to a site's Celery app: ``install(app)``, and its workers run flows."""

from __future__ import annotations

import click
from celery import Celery

from pgflow_django.runs import delivery

_QUEUES = click.Option(
    ("--pgflow-queues",),
    metavar="QUEUES",
    help="Queues of pgflow that this worker serves, separated by commas; all by default.",
)


def install(app: Celery) -> None:
    """Let the workers of this app run flows beside its tasks, whatever its broker and pool.

    To be called in the module that makes the app. Calling it again changes nothing.
    """
    delivery.set_eager(lambda: app.conf.task_always_eager, lambda: app.conf.task_eager_propagates)
    app.steps["worker"].add("pgflow_django.celery_worker.bootstep:PgflowStep")
    app.user_options["worker"].add(_QUEUES)
    # When the worker starts: the app may not be configured yet.
    app.autodiscover_tasks(["pgflow_django"])
