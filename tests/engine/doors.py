"""The ways in which a run's steps are run in this process, behind one interface.

What holds of one of them holds of all; tests that take the fixture ``door`` see to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.db import transaction

from pgflow_django import executor
from pgflow_django.exceptions import RunError
from pgflow_django.models import WorkflowRun
from pgflow_django.registry import StepFunction, registry
from tests.engine.invariants import check_all_ended

Functions = Mapping[str, StepFunction]


class Door:
    """Runs a stored flow to its end."""

    def run(self, slug: str, run_input: Any, functions: Functions) -> WorkflowRun:
        """Run it, check that it left nothing behind, and give the run, however it ended."""
        run_id = self.start_and_finish(slug, run_input, functions)
        check_all_ended()
        return WorkflowRun.objects.get(id=run_id)

    def output(self, slug: str, run_input: Any, functions: Functions) -> Any:
        """The output of a run that must complete."""
        run = self.run(slug, run_input, functions)
        assert run.status == "completed", run.error
        return run.output

    def start_and_finish(self, slug: str, run_input: Any, functions: Functions) -> UUID:
        """Start a run and work until it has ended; its id."""
        raise NotImplementedError


class Execute(Door):
    """``execute_dynamic``: threads of this process."""

    def start_and_finish(self, slug: str, run_input: Any, functions: Functions) -> UUID:
        """See ``Door``."""
        ids: list[UUID] = []
        with suppress(RunError):
            executor.execute_dynamic(slug, run_input, functions, on_start=ids.append)
        return ids[0]


class ExecuteInTransaction(Execute):
    """``execute_dynamic`` inside ``atomic()``: the calling thread and its own connection."""

    def start_and_finish(self, slug: str, run_input: Any, functions: Functions) -> UUID:
        """See ``Door``."""
        with transaction.atomic():
            return super().start_and_finish(slug, run_input, functions)


class Drain(Door):
    """``start_flow`` for the workers, and ``drain`` as a worker."""

    def start_and_finish(self, slug: str, run_input: Any, functions: Functions) -> UUID:
        """See ``Door``."""
        for name, function in functions.items():
            registry.unregister(name)
            registry.register(function, name)
        try:
            run = executor.start_flow(slug, run_input)
            assert executor.drain(timeout=60)
        finally:
            for name in functions:
                registry.unregister(name)
        return run.id


DOORS: dict[str, type[Door]] = {
    "execute": Execute,
    "execute_in_transaction": ExecuteInTransaction,
    "drain": Drain,
}
