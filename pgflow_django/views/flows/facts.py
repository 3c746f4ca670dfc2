"""What the list of flows shows of each: a picture, its last runs, how they went."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Count, OuterRef, Q, QuerySet
from django.db.models.functions import JSONObject

from pgflow_django.choices import ACTIVE_RUNS
from pgflow_django.drawing.canvas import find_layout, render_thumbnail
from pgflow_django.drawing.graph import Node
from pgflow_django.models import Workflow, WorkflowRun, WorkflowStep, WorkflowStepDependency
from pgflow_django.models.querysets import IS_NO_TRIAL
from pgflow_django.storage.moments import read_moment

#: How many runs of a flow the list looks at.
LAST_RUNS = 20
#: Flows with more steps get a picture of boxes only for the first ones: nobody sees more.
_DRAWN_STEPS = 300


@dataclass(frozen=True, slots=True)
class PastRun:
    """One of the last runs of a flow."""

    id: str
    status: str
    started_at: datetime
    ended_at: datetime | None

    @property
    def duration(self) -> timedelta | None:
        """From start to end, if it has one."""
        return self.ended_at - self.started_at if self.ended_at else None


@dataclass(slots=True)
class FlowFacts:
    """What is known of one flow beyond its own row."""

    nodes: list[Node] = field(default_factory=list)
    runs: Sequence[PastRun] = ()
    active_runs: int = 0

    @property
    def success_rate(self) -> int | None:
        """Completed runs in percent of those among the last ones that completed or failed."""
        ended = [run for run in self.runs if run.status in {"completed", "failed"}]
        if not ended:
            return None
        return round(100 * sum(run.status == "completed" for run in ended) / len(ended))

    @property
    def median_duration(self) -> timedelta | None:
        """The middle one of the durations of the last completed runs."""
        durations = [run.duration for run in self.runs if run.status == "completed"]
        seconds = [duration.total_seconds() for duration in durations if duration is not None]
        return timedelta(seconds=median(seconds)) if seconds else None

    def draw(self, label: str) -> str:
        """Return the flow as a small SVG."""
        shown = self.nodes[:_DRAWN_STEPS]
        if len(shown) < len(self.nodes):
            known = {node.slug for node in shown}
            shown = [
                Node(node.slug, tuple(d for d in node.depends_on if d in known), kind=node.kind)
                for node in shown
            ]
        return render_thumbnail(find_layout(tuple(shown), direction="LR"), label)


def load_facts(
    flows: Iterable[Workflow], known: QuerySet[WorkflowRun], using: str
) -> dict[str, FlowFacts]:
    """The facts of each flow by slug: four queries, however many there are.

    ``known`` are the runs that may be told of.
    """
    slugs = [flow.workflow_slug for flow in flows]
    facts = {slug: FlowFacts() for slug in slugs}
    for slug, nodes in _load_nodes(slugs, using).items():
        facts[slug].nodes = nodes
    for row in _with_runs(Workflow.objects.using(using).filter(pk__in=slugs), known):
        # There is no array, not even an empty one, where a site knows beforehand of no run.
        facts[row["workflow_slug"]].runs = [_read_run(run) for run in row["runs"] or ()]
    for slug, count in count_active(known.using(using), slugs).items():
        facts[slug].active_runs = count
    return facts


def count_active(
    known: QuerySet[WorkflowRun], slugs: Collection[str], *, kind: Q = IS_NO_TRIAL
) -> dict[str, int]:
    """How many of the ``known`` runs of each flow have not ended; flows without any are left out.

    Trials don't count, unless they are the ``kind``. A site may have joined other tables to find
    them: each run counts once.
    """
    active = known.filter(kind, workflow_slug__in=slugs, status__in=ACTIVE_RUNS)
    counts = active.order_by("workflow_slug").values_list("workflow_slug")
    return dict(counts.annotate(count=Count("id", distinct=True)))


def _load_nodes(slugs: list[str], using: str) -> dict[str, list[Node]]:
    edges: dict[tuple[str, str], list[str]] = {}
    stored = WorkflowStepDependency.objects.using(using).filter(workflow_slug__in=slugs)
    for slug, step, dependency in stored.values_list("workflow_slug", "step_slug", "dep_slug"):
        edges.setdefault((slug, step), []).append(dependency)
    steps = WorkflowStep.objects.using(using).filter(workflow_slug__in=slugs)
    nodes: dict[str, list[Node]] = {}
    for slug, step, kind in steps.values_list("workflow_slug", "step_slug", "step_type"):
        depends_on = tuple(sorted(edges.get((slug, step), ())))
        nodes.setdefault(slug, []).append(
            Node(step, depends_on, kind="map" if kind == "map" else "single")
        )
    return nodes


def _with_runs(flows: QuerySet[Workflow], known: QuerySet[WorkflowRun]) -> Iterable[Any]:
    """The flows with their last runs, the newest first."""
    last = known.filter(IS_NO_TRIAL, workflow_slug=OuterRef("workflow_slug")).order_by("-id")
    facts = JSONObject(id="id", status="status", started_at="started_at", ended_at="ended_at")
    runs = ArraySubquery(last.values(run=facts)[:LAST_RUNS])
    return flows.order_by().annotate(runs=runs).values("workflow_slug", "runs")


def _read_run(row: dict[str, Any]) -> PastRun:
    ended_at = read_moment(row["ended_at"]) if row["ended_at"] else None
    return PastRun(row["id"], row["status"], read_moment(row["started_at"]), ended_at)
