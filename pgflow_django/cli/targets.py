"""What ``runflow`` runs: a flow as it is stored or in code, or a draft as a trial."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pgflow_django import executor
from pgflow_django.exceptions import TrialNeedsConsent
from pgflow_django.runs import trials
from pgflow_django.runs.executing import Options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from uuid import UUID

    from pgflow_django.flows import Flow
    from pgflow_django.models import WorkflowRun

    Watch = Callable[[UUID], None]


T = TypeVar("T")


class Target(Protocol):
    """What a command runs."""

    def start(self, value: Any, *, using: str) -> WorkflowRun:
        """Start a run for the workers."""

    def execute(
        self, value: Any, timeout: float | None, *, using: str, on_start: Watch, on_tick: Watch
    ) -> dict[str, Any]:
        """Run it in this process, and give its output."""


@dataclass(frozen=True)
class FlowTarget:
    """A flow by its slug, or one that is defined in code."""

    flow: str | type[Flow]

    def start(self, value: Any, *, using: str) -> WorkflowRun:
        """See ``Target``."""
        return executor.start_flow(self.flow, value, using=using)

    def execute(
        self, value: Any, timeout: float | None, *, using: str, on_start: Watch, on_tick: Watch
    ) -> dict[str, Any]:
        """See ``Target``."""
        options: dict[str, Any] = {"using": using, "on_start": on_start, "on_tick": on_tick}
        if isinstance(self.flow, str):
            return executor.execute_dynamic(self.flow, value, timeout=timeout, **options)
        return executor.execute(self.flow, value, timeout=timeout, **options)


@dataclass(frozen=True)
class TrialTarget:
    """A draft, without publishing it; see ``executor.start_trial``."""

    slug: str
    outputs: Mapping[str, Any]
    until: str | None
    allow_effects: bool

    def start(self, value: Any, *, using: str) -> WorkflowRun:
        """See ``Target``."""
        options: dict[str, Any] = {"outputs": self.outputs, "until": self.until}
        return self._advise(partial(executor.start_trial, self.slug, value, using=using, **options))

    def execute(
        self, value: Any, timeout: float | None, *, using: str, on_start: Watch, on_tick: Watch
    ) -> dict[str, Any]:
        """See ``Target``."""
        options: dict[str, Any] = {"outputs": self.outputs, "until": self.until}
        trial = self._advise(partial(trials.prepare, self.slug, value, using=using, **options))
        how = Options(using, timeout, on_start=on_start, on_tick=on_tick)
        return trials.execute(trial, how)[1].result()

    def _advise(self, act: Callable[..., T]) -> T:
        try:
            return act(allow_effects=self.allow_effects)
        except TrialNeedsConsent as error:
            error.add_note(
                "--yes allows it; --given FILE has outputs, --until STEP ends before them."
            )
            raise
