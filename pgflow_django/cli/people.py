"""Users that people name on the command line."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model

from pgflow_django.agents.tokens import find_users
from pgflow_django.cli.base import BadUsage


def read_user(name: str) -> Any:
    """The user of this name; raises ``BadUsage`` where there is none."""
    found = find_users().filter(**{get_user_model().USERNAME_FIELD: name}).first()
    if found is None:
        raise BadUsage(f'There is no user "{name}".')
    return found
