"""Programs that act for a user: what they sign in with."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from pgflow_django.choices import Access


class AgentToken(models.Model):
    """What a program signs in with: it acts as a user, and may do no more than that user.

    Of the token itself there is only the hash. ``user_key`` is the user's primary key as text: the
    users may be in another database.
    """

    id = models.BigAutoField(primary_key=True)
    user_key = models.TextField(help_text="primary key of the user for whom it acts")
    name = models.TextField(help_text="what people call it, like etl-bot")
    token_hash = models.TextField(unique=True, help_text="SHA-256 of the token")
    access = models.TextField(choices=Access.choices, default=Access.READ)
    flows_prefix = models.TextField(
        default="", blank=True, help_text="only flows whose slugs begin so; empty: all"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="null: never")
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "workflow_agent_tokens"
        ordering: ClassVar = ["-id"]
        constraints: ClassVar = [
            models.CheckConstraint(
                name="agent_token_access_is_known", condition=Q(access__in=Access.values)
            ),
            models.CheckConstraint(name="agent_token_has_a_name", condition=~Q(name="")),
        ]

    def __str__(self) -> str:
        return self.name
