"""Step functions that the workers of these tests have beside those of tests/celery."""

from __future__ import annotations

import os
import random
import time
from typing import Any

from django.db import connection

from pgflow_django import step_function
from pgflow_django.context import StepContext

JSON = dict[str, Any]


@step_function("chaos.triple")
def triple(input: JSON) -> int:
    """Three times the item, after up to 4 ms."""
    time.sleep(random.random() * 0.004)
    return int(input["item"]) * 3


@step_function("chaos.sum")
def total(input: JSON) -> int:
    """The sum of what the step ``triple`` gave."""
    return sum(input["triple"])


@step_function("chaos.flaky")
def flaky(input: JSON, context: StepContext) -> int:
    """Fail at first, then give 7."""
    if context.attempt == 1:
        raise ValueError("the first attempt fails")
    return 7


@step_function("chaos.record", atomic=True)
def record(input: JSON, context: StepContext) -> int:
    """Write a row in the transaction that completes the task."""
    with connection.cursor() as cursor:
        cursor.execute(
            "insert into chaos_rows (run_id, task_index) values (%s, %s)",
            [str(context.run_id), context.task_index],
        )
    return int(input["item"])


@step_function("chaos.join")
def join(input: JSON) -> int:
    """What the branches of the mixed flow gave, summed up."""
    return int(sum(input["triple"]) + sum(input["record"]) + input["flaky"] + input["single"])


@step_function("chaos.one")
def one(input: JSON) -> int:
    """One."""
    return 1


@step_function("chaos.poison")
def poison(input: JSON) -> int:
    """Item 500 kills its process; the others give their item."""
    if input["item"] == 500:
        os._exit(9)
    return int(input["item"])
