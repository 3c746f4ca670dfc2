"""Moments as the site has them: with a time zone, or without one where ``USE_TZ`` is off.

Storage layer: imports Django.
"""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.utils import timezone


def read_moment(text: str) -> datetime:
    """The moment of a JSON text that PostgreSQL has written, as a column would give it."""
    moment = datetime.fromisoformat(text)
    if settings.USE_TZ:
        return moment
    return timezone.make_naive(moment, timezone.get_default_timezone())


def by_the_clock(moment: datetime) -> datetime:
    """The moment in the time zone in which people read it."""
    return timezone.localtime(moment) if timezone.is_aware(moment) else moment


def with_zone(moment: datetime) -> datetime:
    """The moment with a time zone, as others than this site need it."""
    if timezone.is_aware(moment):
        return moment
    return timezone.make_aware(moment, timezone.get_default_timezone())
