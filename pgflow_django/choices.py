"""The only lists of statuses and kinds; constraints, triggers and SQL are tested against them."""

from __future__ import annotations

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class StepType(TextChoices):
    """How many tasks a step has: one, or one per element of an array."""

    SINGLE = "single", _("single")
    MAP = "map", _("map")


class Origin(TextChoices):
    """Who owns a flow's definition."""

    API = "api", _("API")
    CODE = "code", _("code")
    EDITOR = "editor", _("editor")
    AGENT = "agent", _("agent")


#: The version of trials. No flow has it, so that no start ever finds what a trial is pinned to.
TRIAL_VERSION = 0


class Access(TextChoices):
    """What a token may be used for: each of these and all before it."""

    READ = "read", _("read")
    AUTHOR = "author", _("author")
    RUN = "run", _("run")
    OPERATE = "operate", _("operate")
    PUBLISH = "publish", _("publish")

    def covers(self, other: Access) -> bool:
        """Whether who has this may do what asks for the other."""
        order = list(Access)
        return order.index(self) >= order.index(other)


class RunState(TextChoices):
    """Where a run stands."""

    STARTED = "started", _("started")
    PAUSED = "paused", _("paused")
    COMPLETED = "completed", _("completed")
    FAILED = "failed", _("failed")
    CANCELLED = "cancelled", _("cancelled")

    @property
    def is_terminal(self) -> bool:
        """Whether nothing more happens to such a run by itself."""
        return self not in ACTIVE_RUNS


class StepStatus(TextChoices):
    """Where a step of a run stands."""

    CREATED = "created", _("created")
    STARTED = "started", _("started")
    COMPLETED = "completed", _("completed")
    FAILED = "failed", _("failed")
    SKIPPED = "skipped", _("skipped")
    CANCELLED = "cancelled", _("cancelled")


class TaskStatus(TextChoices):
    """Where a task of a step stands."""

    QUEUED = "queued", _("queued")
    STARTED = "started", _("started")
    COMPLETED = "completed", _("completed")
    FAILED = "failed", _("failed")
    SKIPPED = "skipped", _("skipped")
    CANCELLED = "cancelled", _("cancelled")


#: Runs that have not ended: all others are terminal.
ACTIVE_RUNS = (RunState.STARTED, RunState.PAUSED)

Transitions = list[tuple[str, str]]

RUN_TRANSITIONS: Transitions = [
    ("started", "completed"),
    ("started", "failed"),
    ("started", "cancelled"),
    ("started", "paused"),
    ("paused", "started"),
    ("paused", "completed"),
    ("paused", "failed"),
    ("paused", "cancelled"),
    ("failed", "started"),
    ("cancelled", "started"),
]

STEP_TRANSITIONS: Transitions = [
    ("created", "started"),
    ("created", "completed"),
    ("created", "failed"),
    ("created", "skipped"),
    ("created", "cancelled"),
    ("started", "completed"),
    ("started", "failed"),
    ("started", "skipped"),
    ("started", "cancelled"),
    ("failed", "created"),
    ("cancelled", "created"),
    ("failed", "completed"),
    ("failed", "skipped"),
]
