"""Hostile step functions for the workers of tests, and plain ones to run behind them."""

from __future__ import annotations

import signal
import time
from typing import Any

from django.db import connection

from pgflow_django import step_function
from tests.hostile import register_all

register_all()


@step_function("hostile.plain")
def plain(input: dict[str, Any]) -> int:
    """Use the connection, as any step may."""
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from workflows")
    return 1


@step_function("hostile.alarm")
def alarm(input: dict[str, Any]) -> None:
    """Have the process struck by a signal, as a library's own timeout does."""
    signal.alarm(1)
    time.sleep(60)


@step_function("hostile.large")
def large(input: dict[str, Any]) -> str:
    """As much as one output may be."""
    return "x" * (8 * 1024 * 1024 - 2)
