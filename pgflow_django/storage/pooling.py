"""Django's own pool of connections, ``OPTIONS["pool"]``: how many it has, and whether they do.

A pool is a process's own. Whoever wants one connection more than it has waits for half a minute,
and is refused then: so what needs more than there are refuses to start.

Storage layer: imports Django and ``trouble``.
"""

from __future__ import annotations

import math
from typing import Any

from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper

from pgflow_django.exceptions import DatabaseNotReady
from pgflow_django.storage.trouble import place

#: What psycopg takes for ``min_size`` where a site says nothing of it.
_USUAL_SIZE = 4

#: Pools of a parent process, kept so that nobody closes its connections from a child.
_inherited: list[Any] = []


def pool_size(using: str) -> float:
    """The most connections that this process can have to an alias at once."""
    pool = (connections[using].settings_dict.get("OPTIONS") or {}).get("pool")
    if not pool:
        return math.inf
    sizes = {} if pool is True else pool
    most = sizes.get("max_size")
    return float(sizes.get("min_size", _USUAL_SIZE) if most is None else most)


def require_connections(using: str, count: int, what: str, otherwise: str = "") -> None:
    """Raise ``DatabaseNotReady`` where the pool of this alias has fewer connections than that.

    ``what`` needs them, as the beginning of a sentence; ``otherwise`` is what else would help.
    """
    size = pool_size(using)
    if size < count:
        raise DatabaseNotReady(
            f"{what} needs {count} connections at once, and Django's pool of the {place(using)} "
            f'has at most {size:.0f}: set OPTIONS["pool"]["max_size"] of '
            f'DATABASES["{using}"] to {count} or more{otherwise}.'
        )


def forget_inherited_pools() -> None:
    """In a forked process: let it have pools of its own, not the connections of its parent."""
    backend: Any = DatabaseWrapper  # django-stubs don't know its pools
    _inherited.append(dict(backend._connection_pools))  # noqa: SLF001 - there is no door to them
    backend._connection_pools.clear()  # noqa: SLF001 - as above
