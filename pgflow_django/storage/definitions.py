"""Definitions in the tables: reading one, writing a new one, rewriting one in place.

Storage layer. The callers hold a transaction and have validated what they write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db import IntegrityError, transaction
from django.db.models import F, OuterRef
from django.db.models.functions import JSONObject

from pgflow_django.choices import TRIAL_VERSION, Origin
from pgflow_django.definitions.graph import did_you_mean, is_valid_slug, nearest_names
from pgflow_django.definitions.options import FLOW_OPTIONS, STEP_OPTIONS
from pgflow_django.definitions.rules import show
from pgflow_django.definitions.shape import FlowDefinition, StepDefinition, canonical, defaults_of
from pgflow_django.exceptions import WorkflowConflict, WorkflowExists, WorkflowNotFound
from pgflow_django.models import (
    Workflow,
    WorkflowDraft,
    WorkflowStep,
    WorkflowStepDependency,
    WorkflowVersion,
    WorkflowVersionStep,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from django.db.models import QuerySet

Row = dict[str, Any]

FLOW_COLUMNS = [field.attname for field in Workflow._meta.concrete_fields]  # noqa: SLF001
STEP_COLUMNS = [field.attname for field in WorkflowStep._meta.concrete_fields]  # noqa: SLF001
_STEP_KEYS = [*STEP_COLUMNS, "depends_on"]


def load_rows(slug: str, using: str) -> Row | None:
    """A flow's columns with its ``steps``, each with ``depends_on``; ``None`` if there is none.

    One statement, so that all of it is of one version.
    """
    depends_on = (
        WorkflowStepDependency.objects.filter(
            workflow_slug=OuterRef("workflow_slug"), step_slug=OuterRef("step_slug")
        )
        .order_by("dependency__step_index")
        .values("dep_slug")
    )
    steps = (
        WorkflowStep.objects.filter(workflow_slug=OuterRef("workflow_slug"))
        .order_by("step_index")
        .values(
            row=JSONObject(
                **{column: F(column) for column in STEP_COLUMNS},
                depends_on=ArraySubquery(depends_on),
            )
        )
    )
    flows = Workflow.objects.using(using).filter(workflow_slug=slug)
    for row in flows.annotate(step_rows=ArraySubquery(steps)).values(*FLOW_COLUMNS, "step_rows"):
        # JSON objects come back with their keys in PostgreSQL's order, not in ours.
        rows = [{key: step[key] for key in _STEP_KEYS} for step in row.pop("step_rows")]
        return {**row, "steps": rows}
    return None


def is_draft(slug: object, *, using: str) -> bool:
    """Whether somebody draws a flow of this name."""
    drafts = WorkflowDraft.objects.using(using)
    return is_valid_slug(slug) and drafts.filter(workflow_slug=slug).exists()


def workflow_not_found(workflow_slug: object, *, using: str) -> WorkflowNotFound:
    """The error about a flow that is not there, with the nearest names that are."""
    slugs = Workflow.objects.using(using).values_list("workflow_slug", flat=True)
    names = nearest_names(workflow_slug, slugs)
    hint = did_you_mean(names) or " Create it first, with flow_builder.create_flow()."
    if is_draft(workflow_slug, using=using):
        hint = " It is a draft, not published yet."
    return WorkflowNotFound(f"There is no flow {show(workflow_slug)}.{hint}")


def definition_of_rows(flow: Row) -> FlowDefinition:
    """The definition in what ``load_rows`` gave."""
    return FlowDefinition(
        slug=flow["workflow_slug"],
        options={name: flow[name] for name in FLOW_OPTIONS},
        steps=tuple(map(_read_step, flow["steps"])),
    )


def _read_step(row: Row) -> StepDefinition:
    return StepDefinition(
        slug=row["step_slug"],
        depends_on=tuple(row["depends_on"]),
        options={name: row[name] for name in STEP_OPTIONS},
    )


def list_pinned(workflow: Workflow, using: str) -> QuerySet[WorkflowVersion]:
    """The versions of a flow that were started; not those of an earlier flow of its name.

    Nor those of trials.
    """
    versions = WorkflowVersion.objects.using(using).filter(workflow_slug=workflow.workflow_slug)
    return versions.filter(created_at__gte=workflow.created_at, version__gt=TRIAL_VERSION)


def load_pinned(workflow: Workflow, version: int, using: str) -> FlowDefinition | None:
    """A version that was started, as its runs use it (see ``resolve``); ``None`` if none was."""
    pinned = list_pinned(workflow, using).filter(version=version).order_by("-id").first()
    if pinned is None:
        return None
    (definition,) = load_versions(workflow.workflow_slug, [pinned.pk], using)
    return definition


def load_versions(slug: str, version_ids: Sequence[int], using: str) -> list[FlowDefinition]:
    """Versions of a flow in this order, as their runs use them (see ``resolve``)."""
    steps = WorkflowVersionStep.objects.using(using).filter(version_id__in=version_ids)
    columns = ("version_id", "step_slug", "depends_on", *STEP_OPTIONS)
    found: dict[int, list[StepDefinition]] = {version_id: [] for version_id in version_ids}
    for row in steps.order_by("step_index").values(*columns):
        found[row["version_id"]].append(_read_step(row))
    return [
        FlowDefinition(slug, defaults_of(FLOW_OPTIONS), tuple(found[version_id]))
        for version_id in version_ids
    ]


def insert_workflow(using: str, **columns: Any) -> Workflow:
    """Insert a flow without steps. Raises ``WorkflowExists``."""
    try:
        with transaction.atomic(using=using):
            return Workflow.objects.using(using).create(**columns)
    except IntegrityError as error:
        if violated(error) != "workflows_pkey":
            raise
        slug = columns["workflow_slug"]
        message = (
            f'There is a flow "{slug}" already. Choose another slug, or delete that flow first.'
        )
        raise WorkflowExists(message) from None


def violated(error: IntegrityError) -> str | None:
    """Name of the constraint that an error is about."""
    diagnosis = getattr(error.__cause__, "diag", None)
    return getattr(diagnosis, "constraint_name", None)


def insert_definition(
    definition: FlowDefinition, using: str, *, origin: str, fingerprint: str = ""
) -> Workflow:
    """Insert a flow with its steps, as one version. Raises ``WorkflowExists``."""
    slug = definition.slug
    workflow = insert_workflow(
        using, workflow_slug=slug, origin=origin, fingerprint=fingerprint, **definition.options
    )
    if definition.steps:
        workflow.refresh_from_db(using=using)
        put_steps(slug, dict(enumerate(definition.steps)), using)
        put_edges(slug, definition.steps, using)
        _set_version(workflow, workflow.version, using)
    workflow.refresh_from_db(using=using)
    return workflow


def put_steps(slug: str, steps: Mapping[int, StepDefinition], using: str) -> None:
    """Insert or overwrite steps, given by ``step_index``; their edges come after."""
    WorkflowStep.objects.using(using).bulk_create(
        [
            WorkflowStep(
                workflow_slug=slug,
                step_slug=step.slug,
                step_index=index,
                deps_count=len(step.depends_on),
                **step.options,
            )
            for index, step in steps.items()
        ],
        update_conflicts=True,
        unique_fields=["workflow_slug", "step_slug"],
        update_fields=["step_index", *STEP_OPTIONS],  # deps_count follows the edges
    )


def put_edges(slug: str, steps: Iterable[StepDefinition], using: str) -> None:
    """Insert the edges to the dependencies of ``steps``."""
    WorkflowStepDependency.objects.using(using).bulk_create(
        WorkflowStepDependency(workflow_slug=slug, dep_slug=dependency, step_slug=step.slug)
        for step in steps
        for dependency in step.depends_on
    )


def save_definition(
    definition: FlowDefinition, using: str, *, origin: str, replace: bool, fingerprint: str = ""
) -> Workflow:
    """Insert a flow, or with ``replace`` make the one that is there the same.

    Raises ``WorkflowExists``, and ``WorkflowConflict`` as ``refuse_other_owner`` does.
    """
    workflow = lock_workflow(definition.slug, using) if replace else None
    if workflow is None:
        try:
            return insert_definition(definition, using, origin=origin, fingerprint=fingerprint)
        except WorkflowExists:
            # With "replace" somebody else was faster.
            workflow = lock_workflow(definition.slug, using) if replace else None
            if workflow is None:
                raise
    refuse_other_owner(workflow, origin)
    rewrite_definition(workflow, definition, using, fingerprint=fingerprint)
    return workflow


def rewrite_definition(
    workflow: Workflow, definition: FlowDefinition, using: str, *, fingerprint: str = ""
) -> None:
    """Make a stored flow what ``definition`` says: one version more, or none if it says the same.

    ``workflow`` must be locked. Runs in flight keep the version that they started with.
    """
    flows = Workflow.objects.using(using).filter(pk=workflow.pk)
    stored = load_rows(workflow.workflow_slug, using)
    if stored and canonical(definition_of_rows(stored)) != canonical(definition):
        flows.update(**definition.options)
        _replace_steps(stored, definition, using)
        _set_version(workflow, workflow.version + 1, using)
    if workflow.fingerprint != fingerprint:
        flows.update(fingerprint=fingerprint)
    workflow.refresh_from_db(using=using)


def lock_workflow(slug: str, using: str) -> Workflow | None:
    """The flow, locked against other changes until the transaction ends."""
    flows = Workflow.objects.using(using).select_for_update(no_key=True)
    return flows.filter(workflow_slug=slug).first()


def refuse_other_owner(workflow: Workflow, origin: str) -> None:
    """Raise ``WorkflowConflict`` where code meets a stored flow, or the other way round.

    Only code is jealous: what it says is the definition. The other origins may edit each other's.
    """
    if (workflow.origin == Origin.CODE) == (origin == Origin.CODE):
        return
    slug = workflow.workflow_slug
    if workflow.origin == Origin.CODE:
        message = f'Flow "{slug}" is defined in code; change it there, or choose another slug.'
    else:
        message = (
            f'Flow "{slug}" is stored already, and was not defined in code (its origin is '
            f'"{workflow.origin}"). Give the class another slug, or delete the stored flow.'
        )
    raise WorkflowConflict(message, code="workflow_origin_conflict")


def _replace_steps(stored: Row, new: FlowDefinition, using: str) -> None:
    """Touch only the steps that differ or stand elsewhere."""
    stored_index = {row["step_slug"]: row["step_index"] for row in stored["steps"]}
    old = {step.slug: canonical(step) for step in definition_of_rows(stored).steps}
    changed = {
        index: step
        for index, step in enumerate(new.steps)
        if stored_index.get(step.slug) != index or old[step.slug] != canonical(step)
    }
    steps = WorkflowStep.objects.using(using).filter(workflow_slug=new.slug)
    edges = WorkflowStepDependency.objects.using(using).filter(workflow_slug=new.slug)
    steps.exclude(step_slug__in=[step.slug for step in new.steps]).delete()
    edges.filter(step_slug__in=[step.slug for step in changed.values()]).delete()
    put_steps(new.slug, changed, using)
    put_edges(new.slug, changed.values(), using)


def _set_version(workflow: Workflow, version: int, using: str) -> None:
    """Number several statements as one change: no run has seen the versions between."""
    Workflow.objects.using(using).filter(pk=workflow.pk).update(version=version)
