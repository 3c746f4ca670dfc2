"""The log of what programs ask for: who, what, and what came of it; never what was in it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.db import DatabaseError, router
from django.utils import timezone

from pgflow_django import jsonvalue
from pgflow_django.drafts.types import name_user
from pgflow_django.models import AgentCall

if TYPE_CHECKING:
    from pgflow_django.agents.access import Principal

logger = logging.getLogger("pgflow_django.agents")

#: Rows that all strangers get in a minute: who floods the address must not fill the table.
_STRANGERS: Final = 60
#: Characters that are kept of what a program says of itself, or of a flow that may be none.
_TEXT: Final = 255


def log_call(
    principal: Principal | None,
    operation: str,
    *,
    workflow_slug: str = "",
    run_id: UUID | None = None,
    code: str = "",
    milliseconds: int = 0,
    arguments: Mapping[str, Any] | None = None,
    using: str | None = None,
) -> None:
    """Keep that a program has called; a log that can't be written keeps nobody from going on.

    ``code`` says why it was refused, empty for what was done. Of the arguments there is the
    SHA-256 of their JSON.
    """
    alias = using or router.db_for_write(AgentCall)
    try:
        AgentCall.objects.using(alias).create(
            user=_text(name_user(principal.user)) if principal else "",
            token=_text(principal.name) if principal else "",
            via=_text(principal.via) if principal else "",
            client=_text(principal.client) if principal else "",
            operation=_text(operation),
            workflow_slug=_text(workflow_slug),
            run_id=run_id,
            code=_text(code),
            milliseconds=milliseconds,
            arguments_sha256=_digest(arguments),
        )
    except DatabaseError as error:
        logger.warning("a call of %s is not in the log of programs: %s", operation, error)


def log_stranger(via: str) -> None:
    """Keep that somebody without a good token came by the door ``via``, unless very many do."""
    since = timezone.now() - timedelta(minutes=1)
    alias = router.db_for_write(AgentCall)
    try:
        found = AgentCall.objects.using(alias).filter(at__gte=since, user="").order_by()
        is_flood = found[:_STRANGERS].count() == _STRANGERS
    except DatabaseError as error:
        logger.warning("a stranger is not in the log of programs: %s", error)
        return
    if not is_flood:
        log_call(None, via, code="not_signed_in", using=alias)


def _text(value: Any) -> str:
    return jsonvalue.storable_text(str(value), limit=_TEXT)


def _digest(arguments: Mapping[str, Any] | None) -> str:
    if arguments is None:
        return ""
    try:
        text = jsonvalue.dump(arguments)
    except (RecursionError, TypeError, ValueError):  # what is no JSON, or endless, was refused
        return ""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
