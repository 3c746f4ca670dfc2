"""A page of a run as its script keeps it, and a run whose steps a test moves on by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import F
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from pgflow_django import executor
from pgflow_django.models import WorkflowStepState, WorkflowStepTask, WorkflowTaskAttempt
from pgflow_django.runs.digest import WHY_HOLDS
from tests.views.conftest import address, make_flow

_STATE = re.compile(r'<svg id="pgf-(?:dag|cards)"[^>]* data-state="([\w-]+)"')
_NOW = re.compile(r' data-now="([\d.]+)"')
_CARD = re.compile(r'<g class="pgf-node.*?</text>(?:<rect[^>]*/>)*</g>', re.DOTALL)
_SLUG = re.compile(r' data-slug="(\w+)"')
_EDGE = re.compile(
    r'<g class="pgf-edge( pgf-active)?" id="[^"]*" data-source="\w+" data-target="(\w+)"'
)
_ACTIVE = re.compile(r'class="[^"]* pgf-(running|retrying)"')


def list_cards(text: str) -> list[str]:
    """The steps whose cards are in an answer, in their order."""
    return _SLUG.findall(text)


class Watcher:
    """A page of a run; ``sizes`` are those of the answers that it took."""

    def __init__(self, client: Client, run: UUID) -> None:
        """Open the page."""
        self.client, self.run = client, run
        self.cards: dict[str, str] = {}
        self.edges: dict[str, bool] = {}
        self.sizes: list[int] = []
        self.take(client.get(address("workflowrun_change", run)))

    def take(self, answer: Any) -> None:
        """Put cards in the place of those of the same steps; edges look as their targets."""
        text = answer.content.decode()
        self.now = float(answer.get("X-Pgf-Now") or _NOW.findall(text)[0])
        self.sizes.append(len(answer.content))
        (self.state,) = _STATE.findall(text)
        cards = {_SLUG.findall(card)[0]: card for card in _CARD.findall(text)}
        assert list(cards) == list_cards(text)
        self.cards |= cards
        self.edges |= {target: bool(active) for active, target in _EDGE.findall(text)}
        for slug, card in cards.items():
            if slug in self.edges:
                self.edges[slug] = bool(_ACTIVE.search(card))

    def ask(self, state: str | None = None) -> Any:
        """Ask once for what the page lacks, and take nothing."""
        headers = {"X-Pgf-State": self.state if state is None else state}
        return self.client.get(address("workflowrun_live", self.run), headers=headers)

    def is_up_to_date(self) -> bool:
        """Whether a look gets nothing; the next one where this finds anew why nothing moves."""
        answer = self.ask()
        if (
            answer.status_code == 200
            and float(answer["X-Pgf-Now"]) // WHY_HOLDS > self.now // WHY_HOLDS
        ):
            self.take(answer)
            answer = self.ask()
        return bool(answer.status_code == 204)

    def look(self) -> Any:
        """Ask until the page lacks nothing, as its script does; the last answer."""
        while True:
            answer = self.ask()
            if answer.status_code == 200:
                self.take(answer)
            if answer.get("HX-Trigger") != "pgf:more":
                return answer

    def find_stale(self) -> list[str]:
        """The steps that look otherwise on a page which is opened now."""
        fresh = Watcher(self.client, self.run)
        assert fresh.cards.keys() == self.cards.keys()
        assert fresh.edges.keys() == self.edges.keys()
        return [
            slug
            for slug, card in fresh.cards.items()
            if (card, fresh.edges.get(slug)) != (self.cards[slug], self.edges.get(slug))
        ]


class Stage:
    """A run of so many steps, each after the one before it, and of the map ``items``."""

    def __init__(self, count: int, items: int = 20, description: str = "") -> None:
        """Start it; nobody works on it. ``description`` is that of each step."""
        self.slugs = [f"step_{number}" for number in range(count)]
        steps: list[dict[str, Any]] = [
            {"slug": slug, "uses": "fetch", "depends_on": self.slugs[max(0, number - 1) : number]}
            for number, slug in enumerate(self.slugs)
        ]
        steps.append({"slug": "items", "uses": "double", "type": "map"})
        for step in steps:
            step["description"] = description
        make_flow("staged", steps=steps)
        self.run = executor.start_flow("staged", list(range(items))).pk

    def begin(self, *slugs: str, worker: str = "w@host") -> None:
        """Let steps run, also those that had failed for a while."""
        created = self._of(WorkflowStepState, slugs).filter(status="created")
        created.update(
            status="started", remaining_deps=0, initial_tasks=1, remaining_tasks=1, started_at=Now()
        )
        tasks = [
            WorkflowStepTask(run_id=self.run, step_slug=slug, task_index=0, attempts_count=0)
            for slug in slugs
        ]
        WorkflowStepTask.objects.bulk_create(tasks, ignore_conflicts=True)
        self._of(WorkflowStepTask, slugs).update(
            status="started",
            claim_id=1,
            attempts_count=F("attempts_count") + 1,
            worker=worker,
            started_at=Now(),
        )

    def complete(self, *slugs: str) -> None:
        """Let steps that run complete."""
        tasks = self._of(WorkflowStepTask, slugs)
        tasks.update(status="completed", claim_id=None, output={}, ended_at=Now())
        states = self._of(WorkflowStepState, slugs)
        states.update(status="completed", remaining_tasks=0, ended_at=Now())

    def advance(self, count: int = 1) -> None:
        """Let so many items of the map complete, but for the last."""
        states = self._of(WorkflowStepState, ["items"]).filter(remaining_tasks__gt=count)
        states.update(remaining_tasks=F("remaining_tasks") - count)

    def fail(self, *slugs: str, again_in: float = 0.0, error: str = "no", trace: str = "") -> None:
        """Let steps that run fail; with ``again_in`` they are tried again in so many seconds."""
        later = timezone.now() + timedelta(seconds=again_in) if again_in else None
        for slug in slugs:
            WorkflowTaskAttempt.objects.create(
                run_id=self.run,
                step_slug=slug,
                task_index=0,
                attempt=1,
                code="step_failed",
                error_type="ValueError",
                error_message=error,
                traceback=trace,
                retry_at=later,
            )
        tasks = self._of(WorkflowStepTask, slugs)
        tasks.update(status="queued" if again_in else "failed", claim_id=None)
        if not again_in:
            self._of(WorkflowStepState, slugs).update(status="failed", ended_at=Now())

    def call_again(self) -> None:
        """Let the moment come at which all that failed for a while is tried again."""
        WorkflowTaskAttempt.objects.filter(run_id=self.run).update(retry_at=Now())

    def find(self, status: str) -> list[str]:
        """The single steps that stand so."""
        states = WorkflowStepState.objects.filter(run_id=self.run, status=status)
        found = states.exclude(step_slug="items").order_by("step_index")
        return list(found.values_list("step_slug", flat=True))

    def _of(self, model: Any, slugs: Sequence[str]) -> Any:
        return model.objects.filter(run_id=self.run, step_slug__in=slugs)
