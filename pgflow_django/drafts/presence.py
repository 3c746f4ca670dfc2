"""Who else has a draft's page open just now."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

from django.db import router
from django.utils import timezone

from pgflow_django.drafts.types import name_user
from pgflow_django.models import WorkflowPresence
from pgflow_django.storage.trouble import retried, uses_database

#: Seconds after which somebody who was not heard of is gone.
EXPIRES_AFTER = 30


@uses_database
def touch_presence(slug: str, user: Any, session_key: str, *, using: str | None = None) -> None:
    """Note that a browser session has the page open; to be called every ten seconds or so."""
    alias = using or router.db_for_write(WorkflowPresence)
    presences = WorkflowPresence.objects.using(alias)
    now = timezone.now()

    def touch() -> None:
        presences.filter(seen_at__lt=now - timedelta(seconds=2 * EXPIRES_AFTER)).delete()
        presences.update_or_create(
            workflow_slug=slug,
            session_hash=_hash(session_key),
            defaults={"user": name_user(user), "seen_at": now},
        )

    retried(touch, alias)


@uses_database
def others_present(slug: str, session_key: str, *, using: str | None = None) -> int:
    """How many other browser sessions have the page open."""
    alias = using or router.db_for_read(WorkflowPresence)
    since = timezone.now() - timedelta(seconds=EXPIRES_AFTER)
    present = WorkflowPresence.objects.using(alias).filter(workflow_slug=slug, seen_at__gte=since)
    return present.exclude(session_hash=_hash(session_key)).count()


def _hash(session_key: str) -> str:
    return hashlib.sha256(session_key.encode()).hexdigest()
