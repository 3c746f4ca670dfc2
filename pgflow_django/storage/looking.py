"""Reading for somebody who looks: along indexes, and no longer than anybody waits for a page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError, connections, transaction

from pgflow_django.conf import settings

_CANCELLED = "57014"
#: What a planner may not choose: where tables have grown since, it would read all of one.
_NEVER = ("seqscan", "bitmapscan", "hashjoin", "mergejoin")
_SET = """
    select name, current_setting(name), set_config(name, value, true)
    from unnest(%s::text[], %s::text[]) as wanted (name, value)
"""


class TookTooLong(Exception):
    """A look that the database has ended: it would have taken longer than ``MONITOR_TIMEOUT``."""


@contextmanager
def looking(using: str) -> Iterator[None]:
    """A transaction whose statements go along indexes, and end after ``MONITOR_TIMEOUT`` seconds.

    So nothing goes on for a reader who has left. Raises ``TookTooLong``.
    """
    wanted = {
        "statement_timeout": f"{max(1, int(settings.MONITOR_TIMEOUT * 1000))}",
        **{f"enable_{way}": "off" for way in _NEVER},
    }
    is_within = connections[using].in_atomic_block
    try:
        with transaction.atomic(using=using):
            before = _configure(wanted, using)
            yield
            if is_within:  # whose transaction it is goes on as before
                _configure(before, using)
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) != _CANCELLED:
            raise
        raise TookTooLong from error


def _configure(values: dict[str, str], using: str) -> dict[str, str]:
    """Set these for the rest of the transaction, and tell what they were."""
    with connections[using].cursor() as cursor:
        cursor.execute(_SET, [list(values), list(values.values())])
        return {name: before for name, before, _ in cursor.fetchall()}
