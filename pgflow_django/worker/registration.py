"""Registers this process as a worker: only as one may it claim."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Literal

from pgflow_django import engine


def register(
    kind: Literal["celery", "in_process"],
    queues: Sequence[str] | None,
    functions: Sequence[str] | None,
    *,
    using: str,
    node: str = "",
) -> int:
    """Register this process for these queues, or for all there are; its worker id.

    ``functions=None``: it can run any. ``node`` names the Celery worker that it belongs to.
    """
    if queues is None:
        queues = engine.list_queues(using=using)
    host, pid = socket.gethostname(), os.getpid()
    return engine.register_worker(kind, host, pid, queues, functions, using=using, node=node)
