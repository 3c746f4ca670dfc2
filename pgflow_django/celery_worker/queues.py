"""Which queues a worker serves."""

from __future__ import annotations

import re

from django.core.exceptions import ImproperlyConfigured

from pgflow_django.conf import settings
from pgflow_django.definitions.options import QUEUE_PATTERN, RESERVED_QUEUE


def chosen_queues(option: str | None) -> list[str] | None:
    """The queues of ``--pgflow-queues``, else of ``PGFLOW["QUEUES"]``; ``None``: all there are.

    Raises ``ImproperlyConfigured`` for what can't be a queue.
    """
    if option is None:
        names, source = settings.QUEUES, "PGFLOW['QUEUES']"
        if names is None:
            return None
    else:
        names, source = [name.strip() for name in option.split(",")], "--pgflow-queues"
    for name in names:
        if not isinstance(name, str) or not re.fullmatch(QUEUE_PATTERN, name):
            raise ImproperlyConfigured(
                f"{source}: {name!r} is not the name of a queue: small letters, digits and "
                "underscores, at most 40 of them; several queues are separated by commas"
            )
        if name == RESERVED_QUEUE:
            raise ImproperlyConfigured(
                f"{source}: {name!r} is the queue of runs that their caller executes; workers "
                "can't serve it"
            )
    return list(dict.fromkeys(names))
