"""Step functions that the workers of these tests have."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path
from typing import Any

from django.db import connection

from pgflow_django import Flow, step, step_function
from pgflow_django.context import StepContext
from pgflow_django.exceptions import RetryAfter

JSON = dict[str, Any]


@step_function("work.numbers")
def numbers(input: JSON) -> list[int]:
    """As many numbers as ``count`` says."""
    return list(range(input["count"]))


@step_function("work.double")
def double(input: JSON) -> int:
    """Twice the item."""
    return int(input["item"]) * 2


@step_function("work.total")
def total(input: JSON) -> int:
    """The sum of what came before."""
    return sum(input["double"])


@step_function("work.pid")
def pid(input: JSON) -> int:
    """The process that it runs in."""
    return os.getpid()


@step_function("work.hold")
def hold(input: JSON) -> int:
    """Write the process into the file ``mark`` (one for each item), wait for ``gate``."""
    mark = input["mark"] if "item" not in input else f"{input['mark']}{input['item']}"
    Path(mark).write_text(str(os.getpid()))
    while not Path(input["gate"]).exists():
        time.sleep(0.005)
    return os.getpid()


@step_function("work.note")
def note(input: JSON) -> str:
    """Write one line to the file ``log``, wait for ``gate``, give what it is told to give."""
    with Path(input["log"]).open("a") as log:
        log.write(f"{os.getpid()}\n")
    while not Path(input["gate"]).exists():
        time.sleep(0.005)
    return str(input["gives"])


@step_function("work.note_row", atomic=True)
def note_row(input: JSON, context: StepContext) -> str:
    """The same with a row in a table, in the transaction that completes the task."""
    with connection.cursor() as cursor:
        cursor.execute("insert into noted_rows values (%s)", [str(context.run_id)])
    return note(input)


@step_function("work.later")
def later(input: JSON) -> float:
    """Put itself off once, then give the time."""
    mark = Path(input["mark"])
    if not mark.exists():
        mark.write_text(str(time.monotonic()))
        raise RetryAfter(input["seconds"])
    return time.monotonic() - float(mark.read_text())


@step_function("work.spin")
def spin(input: JSON) -> None:
    """Run Python code for ever."""
    while True:
        time.sleep(0.001)


@step_function("work.stuck")
def stuck(input: JSON) -> int:
    """Item 1 is stuck in C, which releases the GIL or keeps it; the others give their item."""
    if input["item"] == 1:
        library = ctypes.PyDLL(None) if input["keeps_gil"] else ctypes.CDLL(None)
        library.sleep(60)
    return int(input["item"])


class WorkerFlow(Flow):
    """A flow in code that nobody has stored: the worker does."""

    slug = "worker_flow"

    @step
    def one(input: JSON) -> int:  # noqa: N805 - steps take no self
        """One."""
        return 1
