"""Settings: one dict ``PGFLOW`` of the site, over typed defaults, read when used."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from django.conf import settings as django_settings
from django.core.signals import setting_changed
from django.dispatch import receiver


@dataclass(frozen=True, slots=True)
class Defaults:
    """Every setting with its default; the keys of ``PGFLOW`` are these names."""

    #: Largest run input, in bytes of JSON.
    MAX_INPUT_BYTES: int = 8 * 1024 * 1024
    #: Largest output of one task, in bytes of JSON.
    MAX_OUTPUT_BYTES: int = 8 * 1024 * 1024
    #: Largest value that is joined from the outputs of several tasks, a step's input or a run's
    #: output, in bytes; at most ``JOINED_BYTES_LIMIT``.
    MAX_JOINED_BYTES: int = 64 * 1024 * 1024
    #: Days after which ``pruneruns`` deletes trials of drafts that have ended; at most
    #: ``TRIAL_DAYS_LIMIT``.
    TRIAL_DAYS: float = 7.0
    #: Lines that one attempt may write to its run with ``context.log`` and ``context.progress``.
    MAX_LOG_LINES: int = 1000
    #: Seconds after which the work of a silent process goes to others.
    LEASE_SECONDS: float = 30.0
    #: Threads that run step functions in this process (``execute*``, ``drain``, ``runflow``).
    THREADS: int = 4
    #: Most tasks that one thread claims at once; short steps travel in large batches.
    MAX_BATCH: int = 200
    #: Seconds between looks at an empty queue.
    POLL_INTERVAL: float = 0.2
    #: Queues that Celery workers serve; None: all. ``--pgflow-queues`` overrides it for a worker.
    QUEUES: list[str] | None = None
    #: Seconds after which the database gives up a look for a page of the admin.
    MONITOR_TIMEOUT: float = 2.0
    #: Seconds after which a claiming loop ends for Celery to see whether its child process has
    #: done enough, where ``--max-tasks-per-child`` or ``--max-memory-per-child`` limit it.
    LOOP_SECONDS: float = 60.0
    #: What programs may do here: ``off``, ``read``, or ``write``.
    AGENTS: str = "read"
    #: What flows they may make and how much they may do, over the defaults of ``docs/agents.md``.
    AGENT_POLICY: dict[str, Any] = field(default_factory=dict)
    #: Dotted names of callables ``(request) -> Principal | None`` by which else they sign in.
    AGENT_AUTHENTICATORS: list[str] | None = None
    #: Largest request of a program, in bytes.
    AGENT_MAX_BYTES: int = 2 * 1024 * 1024
    #: Most step functions that a language model chooses from at once.
    AI_MAX_FUNCTIONS: int = 60
    #: Name of the language model that generates flows, as pydantic-ai has it.
    AI_MODEL: str = ""
    #: Address of a server that speaks as OpenAI's does; empty: the provider's own.
    AI_BASE_URL: str = ""
    #: Name of the environment variable that has the key; empty: the provider's own.
    AI_API_KEY_ENV: str = ""
    #: Dotted name of a callable ``(prompt, registry, current) -> document`` in place of a model.
    AI_BACKEND: str = ""
    #: How a model is held to the schema: ``auto``, ``native``, ``tool`` or ``prompted``.
    AI_OUTPUT: str = "auto"
    #: Dotted name of the admin site whose permissions and querysets programs are held to.
    AGENT_ADMIN_SITE: str = "django.contrib.admin.site"


#: What ``AI_OUTPUT`` may be.
AI_OUTPUTS = ("auto", "native", "tool", "prompted")
#: What PostgreSQL bears: it refuses a jsonb of 256 MiB.
JOINED_BYTES_LIMIT = 255 * 1024 * 1024
#: A hundred years: there is a date so long ago.
TRIAL_DAYS_LIMIT = 36_500


class Settings:
    """Attribute access to the site's value of a setting, or its default.

    Each is looked up once, and again when Django says that ``PGFLOW`` has changed, as
    ``override_settings`` makes it: several are asked for with every step.
    """

    def __getattr__(self, name: str) -> Any:
        if name not in NAMES:
            raise AttributeError(f"PGFLOW has no setting {name!r}")
        site = getattr(django_settings, "PGFLOW", {})
        value = site.get(name, getattr(_DEFAULTS, name))
        self.__dict__[name] = value
        return value


NAMES = frozenset(each.name for each in fields(Defaults))
_DEFAULTS = Defaults()


def joined_bytes() -> int | None:
    """``MAX_JOINED_BYTES`` where the site has changed it; else ``None``: SQL knows the default."""
    bound: int = settings.MAX_JOINED_BYTES
    return None if bound == _DEFAULTS.MAX_JOINED_BYTES else min(bound, JOINED_BYTES_LIMIT)


settings = Settings()


@receiver(setting_changed, dispatch_uid="pgflow_django.conf")
def _forget(*, setting: str, **_: Any) -> None:
    if setting == "PGFLOW":
        settings.__dict__.clear()
