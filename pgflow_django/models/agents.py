"""Programs that act for a user: what they sign in with, what they did, how much of it."""

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


class AgentCall(models.Model):
    """One call of a program: what it asked for and what came of it, refusals too; no payloads."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(db_default=Now())
    user = models.TextField(default="", blank=True, help_text="name of the user for whom it acted")
    token = models.TextField(default="", blank=True, help_text="name of its token")
    via = models.TextField(default="", blank=True, help_text="mcp, http, stdio, editor, command")
    client = models.TextField(default="", blank=True, help_text="what it says that it is")
    operation = models.TextField()
    workflow_slug = models.TextField(default="", blank=True)
    run_id = models.UUIDField(null=True)
    code = models.TextField(default="", blank=True, help_text="why it was refused; empty: done")
    milliseconds = models.IntegerField(default=0)
    arguments_sha256 = models.TextField(default="", blank=True)

    class Meta:
        db_table = "workflow_agent_calls"
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [models.Index(fields=["at"], name="agent_calls_by_age")]

    def __str__(self) -> str:
        return f"{self.user}: {self.operation}"


class AgentUsage(models.Model):
    """How often a user, or their programs, have done something since a moment; a row for a kind."""

    id = models.BigAutoField(primary_key=True)
    user_key = models.TextField(help_text="primary key of the user")
    kind = models.TextField()
    since = models.DateTimeField()
    count = models.IntegerField()

    class Meta:
        db_table = "workflow_agent_usage"
        ordering: ClassVar = ["user_key", "kind"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["user_key", "kind"], name="agent_usage_is_one_per_kind")
        ]

    def __str__(self) -> str:
        return f"{self.user_key}: {self.count} {self.kind}"
