"""Flows as they are: listed, read, checked, simulated, compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from django.db.models import OuterRef, Subquery

from pgflow_django import drafts
from pgflow_django.agents.operations.shapes import (
    Changes,
    DiffFlow,
    Flow,
    Flows,
    GetFlow,
    ListFlows,
    Simulated,
    SimulateFlow,
    ValidateFlow,
    Validation,
)
from pgflow_django.agents.operations.words import fit, link, require_one, tell_problems
from pgflow_django.agents.policy import policy
from pgflow_django.definitions import bounds
from pgflow_django.definitions.answers import answer
from pgflow_django.definitions.edits import Change, compare
from pgflow_django.exceptions import InvalidInput
from pgflow_django.flow_builder import validate_flow as check
from pgflow_django.models import WorkflowDraft
from pgflow_django.runs.simulating import simulate_flow as simulate

if TYPE_CHECKING:
    from pgflow_django.agents.access import Principal


def list_flows(principal: Principal, asked: ListFlows, using: str) -> Flows:
    """The flows that you may see, by their names, with the newest run of each."""
    newest = principal.list_runs().filter(workflow_slug=OuterRef("workflow_slug"), version__gt=0)
    newest = newest.order_by("-id")
    flows = principal.list_flows().using(using).filter(workflow_slug__gt=asked.cursor)
    unpublished = principal.list_unpublished().using(using).filter(workflow_slug__gt=asked.cursor)
    if asked.query:
        flows = flows.filter(workflow_slug__icontains=asked.query) | flows.filter(
            description__icontains=asked.query
        )
        unpublished = unpublished.filter(workflow_slug__icontains=asked.query)
    rows: list[dict[str, Any]] = [
        {
            "slug": row["workflow_slug"],
            "description": row["description"],
            "version": row["version"],
            "last_run": {"id": str(row["run"]), "status": row["run_status"]}
            if row["run"]
            else None,
        }
        for row in flows.annotate(
            run=Subquery(newest.values("id")[:1]), run_status=Subquery(newest.values("status")[:1])
        )
        .order_by("workflow_slug")
        .values("workflow_slug", "description", "version", "run", "run_status")[: asked.limit + 1]
    ]
    rows += [
        {"slug": slug, "description": text or "", "version": None, "last_run": None}
        for slug, text in unpublished.order_by("workflow_slug").values_list(
            "workflow_slug", "document__description"
        )[: asked.limit + 1]
    ]
    rows = sorted(rows, key=lambda row: row["slug"])
    page, more = fit(rows[: asked.limit])
    drawn = _find_drafts([row["slug"] for row in page], using)
    for row in page:
        row["has_draft"] = row["slug"] in drawn
        row["submitted"] = bool(drawn.get(row["slug"]))
    is_more = more > 0 or len(rows) > asked.limit
    return Flows(flows=page, next=page[-1]["slug"] if is_more and page else "")


def _find_drafts(slugs: list[str], using: str) -> dict[str, bool]:
    """``{slug: whether it waits for approval}`` of those that have a draft."""
    drawn = WorkflowDraft.objects.using(using).filter(pk__in=slugs)
    return {slug: at is not None for slug, at in drawn.values_list("pk", "submitted_at")}


def get_flow(principal: Principal, asked: GetFlow, using: str) -> Flow:
    """A flow's document: what is drawn, what is published, or an earlier version."""
    principal.require_flow("view", asked.slug)
    draft = drafts.load(asked.slug, using=using)
    document = draft.document
    if asked.which != "draft":
        which = read_version(asked.which, draft.published_version)
        document = drafts.compare_versions(asked.slug, which, which, using=using).before
    return Flow(
        slug=asked.slug,
        document=document,
        version=draft.version,
        published_version=draft.published_version,
        problems=tell_problems(document),
        submitted=draft.handed_in is not None,
        note=draft.returned.note if draft.returned else "",
        provenance=dict(draft.provenance) if draft.provenance else None,
        url=link(principal, "workflow_edit", asked.slug),
    )


def read_version(which: str, published: int | None) -> int | Literal["draft"]:
    """A version by its number or its word; raises ``InvalidInput`` (``missing_version``)."""
    if which == "draft":
        return "draft"
    if which == "published" and published is not None:
        return published
    if which.isdecimal() and len(which) < 10:
        return int(which)
    raise InvalidInput(
        f'There is no version "{which}": say draft, published, or the number of a version.',
        code="missing_version",
    )


def validate_flow(principal: Principal, asked: ValidateFlow, using: str) -> Validation:
    """Check a document: every problem with its place, and a patch that mends what is certain."""
    allowed = policy()
    document = bounds.read(asked.document).value
    return Validation(**answer(document, lambda value: check(value, policy=allowed)))


def simulate_flow(principal: Principal, asked: SimulateFlow, using: str) -> Simulated:
    """How a run would go: waves, tasks, values, effects and times. Nothing is called or stored."""
    document = _find_document(principal, asked.document, asked.slug, using)
    given: dict[str, Any] = {"outputs": asked.outputs, "using": using}
    if "input" in asked.model_fields_set:
        given["input"] = asked.input
    told = simulate(document, **given).to_dict()
    steps, more = fit(told.pop("steps"))
    problems, _ = fit(told.pop("problems"), 12 * 1024)
    waves, _ = fit(told.pop("waves"))
    output = told.pop("output")
    kept = {key: value for key, value in output.items() if not fit([value], 8 * 1024)[1]}
    return Simulated(**told, steps=steps, problems=problems, waves=waves, output=kept, more=more)


def _find_document(
    principal: Principal, document: dict[str, Any] | None, slug: str, using: str
) -> dict[str, Any]:
    """The document that was given, or the draft of the flow that was named."""
    require_one(document, slug)
    if document is not None:
        return document
    principal.require_flow("view", slug)
    return drafts.load(slug, using=using).document


def diff_flow(principal: Principal, asked: DiffFlow, using: str) -> Changes:
    """What a document would change in a flow, or what changed from one version to another."""
    principal.require_flow("view", asked.slug)
    draft = drafts.load(asked.slug, using=using)
    if asked.document is not None:
        return tell_changes(compare(draft.document, asked.document))
    if asked.from_ == "published" and draft.published_version is None:
        return tell_changes(compare(None, draft.document))
    versions = [read_version(which, draft.published_version) for which in (asked.from_, asked.to)]
    return tell_changes(drafts.compare_versions(asked.slug, *versions, using=using).changes)


def tell_changes(changes: list[Change]) -> Changes:
    """Changes as JSON and in words, the first of them where there are many."""
    told, more = fit([change.to_dict() for change in changes])
    return Changes(changes=told, text="\n".join(map(str, changes[: len(told)]))[:8000], more=more)
