"""How often a user has done something since a moment: counted before it is done, and exactly.

All processes of a site count together, in the database.
"""

from __future__ import annotations

from datetime import timedelta
from math import ceil
from typing import Any, Final

from django.db import connections, router
from django.utils import timezone

from pgflow_django.models import AgentUsage

# One statement, so that of two processes only one takes the last of a quota.
_COUNT: Final = """
insert into workflow_agent_usage as u (user_key, kind, since, count)
values (%(user)s, %(kind)s, %(now)s, 1)
on conflict (user_key, kind) do update set
    since = case when u.since <= %(before)s then excluded.since else u.since end,
    count = case when u.since <= %(before)s then 1 else u.count + 1 end
where u.since <= %(before)s or u.count < %(most)s
returning count
"""


def count_use(
    user: Any, kind: str, most: int, window: timedelta, *, using: str | None = None
) -> int | None:
    """Count one more of a kind for the user, who may do ``most`` of it in a time.

    ``None`` if there was room; else nothing is counted, and these are the seconds until there is.
    """
    alias = using or router.db_for_write(AgentUsage)
    now = timezone.now()
    values: dict[str, Any] = {"user": str(user.pk), "kind": kind, "most": most}
    values |= {"now": now, "before": now - window}
    if most > 0:
        with connections[alias].cursor() as cursor:
            cursor.execute(_COUNT, values)
            if cursor.fetchone() is not None:
                return None
    usage = AgentUsage.objects.using(alias).filter(user_key=str(user.pk), kind=kind)
    since = usage.values_list("since", flat=True).first() or now
    since = min(since, now)  # somebody else may have begun to count since we looked at the clock
    return max(1, ceil((since + window - now).total_seconds()))
