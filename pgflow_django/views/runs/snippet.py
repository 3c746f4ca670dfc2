"""What can be copied of a task that failed: its error, and a test that calls its function."""

from __future__ import annotations

import keyword
import pprint
from typing import TYPE_CHECKING, Any

from pgflow_django.registry import registry

if TYPE_CHECKING:
    from pgflow_django.runs.task_detail import AttemptView, TaskDetail

_WIDTH = 88


def write_error(task: TaskDetail, attempt: AttemptView) -> str:
    """The error of an attempt with its traceback, and what it is of."""
    name = f"{task.step}[{task.index}]" if task.is_map else task.step
    head = f"{name}, attempt {attempt.number}: {attempt.error_type}: {attempt.message}"
    return f"{head}\n\n{attempt.traceback}".rstrip() + "\n"


def write_test(run_id: object, task: TaskDetail, value: Any, error: str) -> str:
    """A pytest function that calls the function of a task with this input.

    ``error`` is how it failed. It can be run where the function can be imported.
    """
    call, imports = _find_function(task.plan["function"])
    lines = [f"{line}\n" for line in imports]
    name = f"test_{task.step}_{task.index}" if task.is_map else f"test_{task.step}"
    given = pprint.pformat(value, width=_WIDTH, sort_dicts=False).replace("\n", "\n    ")
    return (
        "".join(lines)
        + ("\n\n" if lines else "")
        + f"def {name}():\n"
        + f"    # Run {run_id}"
        + (f", failed with {_one_line(error)}" if error else "")
        + f"\n    given = {given}\n    {call}\n"
    )


def _find_function(name: str) -> tuple[str, list[str]]:
    """The call of a step function, and what it needs to have imported."""
    known = registry.get(name)
    if known is None:
        last = name.rpartition(".")[2]
        return f"{last}(given)  # the function {name!r} is not registered here", []
    called = getattr(known.function, "__qualname__", "")
    imports = ["from unittest.mock import Mock"] if known.takes_context else []
    rest = ", context=Mock()" if known.takes_context else ""
    if called.isidentifier() and not keyword.iskeyword(called):
        return f"{called}(given{rest})", [*imports, f"from {known.module} import {called}"]
    registered = ["from pgflow_django.registry import registry"]
    return f"registry.get({name!r})(given{rest})", [*imports, *registered]


def _one_line(text: str) -> str:
    return repr(" ".join(text.split())[:200])
