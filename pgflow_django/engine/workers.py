"""The SQL functions for workers: their leases and queues, and what is done when they are lost."""

from __future__ import annotations

from collections.abc import Sequence

from pgflow_django.conf import settings
from pgflow_django.engine.calling import call, call_telling


def register_worker(
    kind: str,
    hostname: str,
    pid: int,
    queues: Sequence[str],
    functions: Sequence[str] | None,
    *,
    using: str,
    node: str = "",
) -> int:
    """Register a process that claims tasks; its worker id.

    ``functions=None``: it can run any. ``node`` names the group of processes that it belongs to.
    """
    return call(
        "select pgflow.register_worker(%s, %s, %s, %s::text[], %s::text[], %s, %s)",
        [
            kind,
            hostname,
            pid,
            list(queues),
            None if functions is None else list(functions),
            settings.LEASE_SECONDS,
            node,
        ],
        using,
    )


def renew_leases(workers: Sequence[int], *, using: str) -> list[int]:
    """Extend the leases on all that these workers hold; the ids of those that had one still."""
    return call(
        "select pgflow.renew_leases(%s::bigint[], %s)",
        [list(workers), settings.LEASE_SECONDS],
        using,
    )


def remove_worker(worker: int, *, using: str) -> None:
    """Unregister a worker; what it still holds returns to the queues."""
    call_telling("select pgflow.remove_worker(%s)", [worker], using)


def lose_workers(workers: Sequence[int], *, using: str) -> int:
    """Take back at once what workers held whose processes are gone; how many were swept."""
    return call_telling("select pgflow.lose_workers(%s::bigint[])", [list(workers)], using)


def release_worker(worker: int, *, using: str) -> int:
    """Hand back all that a worker has claimed, no attempt spent, and unregister it; how many."""
    return call_telling("select pgflow.release_worker(%s)", [worker], using)


def sweep(*, using: str) -> int:
    """Take back what lost workers held; the number of those workers."""
    return call_telling("select pgflow.sweep()", [], using)


def set_queues(worker: int, queues: Sequence[str], *, using: str) -> None:
    """Change which queues a worker serves; they are made where they are missing."""
    call("select pgflow.set_queues(%s, %s::text[])", [worker, list(queues)], using)


def announce_sleep(worker: int, is_asleep: bool, *, using: str) -> None:
    """Say whether NOTIFY on channel ``pgflow`` shall tell of new messages for this worker.

    Who has said so looks into its queues once more: what came meanwhile has told nobody.
    """
    call("select pgflow.announce_sleep(%s, %s)", [worker, is_asleep], using)


def list_queues(*, using: str) -> list[str]:
    """Every queue that a worker may serve."""
    return call("select pgflow.list_queues()", [], using)
