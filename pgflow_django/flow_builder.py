"""Flows in the database: create, extend, read, delete, import, export.

Service layer. Each function is one transaction of its own, or takes part in the caller's; it does
all of its work or none. ``using`` is a database alias; ``None`` takes the one that the database
router gives. The ``a``-prefixed twins are for async code.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pgtrigger
from django.db import IntegrityError, router, transaction

from pgflow_django import engine
from pgflow_django.async_twins import async_twin
from pgflow_django.choices import Origin
from pgflow_django.conf import settings
from pgflow_django.definitions import bounds, schema
from pgflow_django.definitions.document import validate
from pgflow_django.definitions.graph import is_valid_slug
from pgflow_django.definitions.input_problems import source_problems
from pgflow_django.definitions.options import FLOW_OPTIONS, STEP_OPTIONS
from pgflow_django.definitions.problems import (
    NEW_STEP,
    NearestNames,
    Problem,
    joining_problems,
    name_flow,
    name_step,
    option_problems,
    raise_problems,
    step_slug_problems,
    workflow_slug_problems,
)
from pgflow_django.definitions.repairing import Repair, repair
from pgflow_django.definitions.rules import OneOf
from pgflow_django.definitions.shape import (
    StepDefinition,
    clean_options,
    read_document,
    write_document,
)
from pgflow_django.definitions.strict import strict_schema
from pgflow_django.exceptions import (
    InvalidWorkflow,
    WorkflowConflict,
    WorkflowExists,
)
from pgflow_django.models import Workflow, WorkflowRun, WorkflowStep
from pgflow_django.models.definition_triggers import KEEP_ACTIVE_FLOW
from pgflow_django.registry import registry
from pgflow_django.storage import definitions as store
from pgflow_django.storage.trouble import transact, uses_database

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet

    from pgflow_django.definitions.policy import Policy
    from pgflow_django.definitions.shape import Document

__all__ = [
    "aadd_step",
    "acreate_flow",
    "acreate_flow_from_spec",
    "add_step",
    "adelete_flow",
    "aexport_flow",
    "aget_flow",
    "alist_flows",
    "create_flow",
    "create_flow_from_spec",
    "delete_flow",
    "export_flow",
    "flow_schema",
    "get_flow",
    "is_valid_slug",
    "list_flows",
    "repair_flow",
    "validate_flow",
]


@uses_database
def create_flow(
    workflow_slug: str,
    *,
    max_attempts: int = 3,
    timeout: int = 30,
    base_delay: int = 1,
    queue: str = "default",
    description: str = "",
    input_schema: dict[str, Any] | None = None,
    using: str | None = None,
) -> Workflow:
    """Create a flow without steps, and give its row.

    ``max_attempts`` counts every try of a task; ``timeout`` (seconds) limits one try;
    ``base_delay`` is the wait (seconds) before the first retry, which doubles with each. They hold
    for the steps that have no values of their own. ``queue`` is the queue of its tasks,
    ``input_schema`` a JSON Schema of its input.

    Raises ``InvalidSlug``, ``InvalidWorkflow`` (a bad option), ``WorkflowExists``.
    """
    options = {
        "max_attempts": max_attempts,
        "timeout": timeout,
        "base_delay": base_delay,
        "queue": queue,
        "description": description,
        "input_schema": input_schema,
    }
    raise_problems(workflow_slug_problems(workflow_slug))
    raise_problems(option_problems(FLOW_OPTIONS, options, name_flow(workflow_slug)))
    alias = using or router.db_for_write(Workflow)

    def insert() -> Workflow:
        workflow = store.insert_workflow(
            alias, workflow_slug=workflow_slug, **clean_options(FLOW_OPTIONS, options)
        )
        workflow.refresh_from_db(using=alias)
        return workflow

    return transact(insert, alias)


@uses_database
def add_step(
    workflow_slug: str,
    step_slug: str,
    depends_on: Sequence[str] = (),
    *,
    step_type: str = "single",
    initial_tasks: int | None = None,
    max_attempts: int | None = None,
    timeout: int | None = None,
    base_delay: int | None = None,
    start_delay: int = 0,
    function: str | None = None,
    params: Any = None,
    queue: str | None = None,
    description: str = "",
    inputs: dict[str, str] | None = None,
    using: str | None = None,
) -> WorkflowStep:
    """Add a step behind the steps that a flow has, and give its row.

    ``depends_on``: slugs of the steps whose outputs it waits for. ``step_type="map"`` runs it once
    for each element of its one dependency's output, or of the run's input. ``function`` is the
    registered function it calls (the step's slug by default), ``params`` a JSON value that each
    call finds under ``"params"``. ``start_delay`` (seconds) is waited before the first try;
    ``description`` is a note for people; ``inputs`` says where the keys come from that the function
    reads: ``{"rows": "check/rows", "day": "run/day"}``. What is ``None`` is as the flow has it; see
    ``create_flow``.

    Raises ``WorkflowNotFound``, ``InvalidSlug``, ``StepExists``, ``InvalidStep`` (its subclass
    and code tell what is wrong), ``WorkflowConflict`` for a flow that is defined in code.
    """
    options = {
        "step_type": step_type,
        "initial_tasks": initial_tasks,
        "max_attempts": max_attempts,
        "timeout": timeout,
        "base_delay": base_delay,
        "start_delay": start_delay,
        "function": function,
        "params": params,
        "queue": queue,
        "description": description,
        "inputs": inputs,
    }
    raise_problems(step_slug_problems(step_slug, workflow_slug, f"{NEW_STEP}/slug"))
    owner = name_step(step_slug, workflow_slug)
    raise_problems(option_problems(STEP_OPTIONS, options, owner, NEW_STEP))
    alias = using or router.db_for_write(Workflow)
    insert = partial(_insert_step, workflow_slug, step_slug, depends_on, options, alias)
    return transact(insert, alias)


def _insert_step(
    workflow_slug: str,
    step_slug: str,
    depends_on: Sequence[str],
    options: dict[str, Any],
    alias: str,
) -> WorkflowStep:
    workflow = _lock(workflow_slug, alias)
    store.refuse_other_owner(workflow, Origin.API)
    steps = WorkflowStep.objects.using(alias).filter(workflow_slug=workflow_slug)
    known = list(steps.values_list("step_slug", "step_index", "deps_count"))
    is_map = options["step_type"] == "map"
    raise_problems(joining_problems(workflow_slug, step_slug, depends_on, is_map, known))
    slugs = [slug for slug, _, _ in known]
    sources = source_problems(
        options["inputs"] or {},
        depends_on,
        slug=step_slug,
        is_map=is_map,
        known=slugs,
        nearest=NearestNames(slugs),
        owner=name_step(step_slug, workflow_slug),
        pointer=NEW_STEP,
    )
    raise_problems(sources)
    step = StepDefinition(step_slug, tuple(depends_on), clean_options(STEP_OPTIONS, options))
    index = max((index for _, index, _ in known), default=-1) + 1
    store.put_steps(workflow_slug, {index: step}, alias)
    store.put_edges(workflow_slug, [step], alias)
    return steps.get(step_slug=step_slug)


@uses_database
def list_flows(*, using: str | None = None) -> list[dict[str, Any]]:
    """Every flow, newest first, as a dict of its columns."""
    alias = using or router.db_for_read(Workflow)
    return list(Workflow.objects.using(alias).values(*store.FLOW_COLUMNS))


@uses_database
def get_flow(workflow_slug: str, *, using: str | None = None) -> dict[str, Any]:
    """A flow as a dict of its columns, with ``steps`` in the order of ``step_index``.

    Each step is a dict of its columns, with ``depends_on`` in the order of those steps'
    ``step_index``. Raises ``WorkflowNotFound``.
    """
    alias = using or router.db_for_read(Workflow)
    flow = store.load_rows(workflow_slug, alias) if is_valid_slug(workflow_slug) else None
    if flow is None:
        raise store.workflow_not_found(workflow_slug, using=alias)
    return flow


@uses_database
def delete_flow(workflow_slug: str, *, force: bool = False, using: str | None = None) -> None:
    """Delete a flow's definition, and its draft. Its runs stay as history.

    With ``force`` its active runs are cancelled, also those that others start meanwhile. Raises
    ``WorkflowNotFound``, and ``WorkflowConflict`` (``workflow_has_active_runs``) without ``force``
    while runs are active.
    """
    alias = using or router.db_for_write(Workflow)
    transact(partial(_delete_flow, workflow_slug, force, alias), alias)


def _delete_flow(workflow_slug: str, force: bool, alias: str) -> None:
    workflow = _lock(workflow_slug, alias)
    active = WorkflowRun.objects.using(alias).active().filter(workflow_slug=workflow_slug)
    if force:
        _cancel(active, alias)
        # Others may start runs at any moment, and none of them needs the definition any more.
        trigger = f"pgflow_django.Workflow:{KEEP_ACTIVE_FLOW.name}"
        with pgtrigger.ignore(trigger, databases=[alias]), transaction.atomic(using=alias):
            workflow.delete(using=alias)
        # Until this is committed, runs are started; a new flow of this name numbers on.
        started = active.filter(version__lte=workflow.version)
        transaction.on_commit(partial(_cancel, started, alias), using=alias)
        return
    if count := active.count():
        raise _active_runs(workflow_slug, count, count - active.without_trials().count())
    try:
        workflow.delete(using=alias)
    except IntegrityError as error:
        if store.violated(error) != KEEP_ACTIVE_FLOW.name:
            raise
        raise _active_runs(workflow_slug, 1) from error  # it was started after we looked


def _cancel(runs: QuerySet[WorkflowRun], alias: str) -> None:
    for run_id in list(runs.order_by("id").values_list("id", flat=True)):
        engine.cancel_run(run_id, "its flow was deleted", using=alias)


@uses_database
def create_flow_from_spec(
    document: Document,
    *,
    origin: str = "api",
    replace: bool = False,
    using: str | None = None,
) -> Workflow:
    """Store a flow document, all of it or nothing, and give the flow's row.

    ``origin`` says who made it: ``api``, ``editor``, ``agent`` (``code`` is for ``Flow`` classes).
    With ``replace`` a flow that is there is made what the document says, as one new version; runs
    in flight go on with theirs, and the flow keeps its origin.

    Raises the exception of the first problem that ``validate_flow`` finds (its ``problems`` has
    all errors), ``WorkflowExists``, and ``WorkflowConflict`` (``workflow_origin_conflict``) for a
    flow that is defined in code.
    """
    if fault := OneOf(tuple(Origin.values)).fault(origin):
        raise InvalidWorkflow(f"origin {fault}.", code="invalid_origin")
    document = bounds.read(document).value
    raise_problems(validate_flow(document))
    definition = read_document(document)
    alias = using or router.db_for_write(Workflow)
    save = partial(store.save_definition, definition, alias, origin=origin, replace=replace)
    return transact(save, alias, also=(WorkflowExists,) if replace else ())


def validate_flow(document: Any, *, policy: Policy | None = None) -> list[Problem]:
    """Every problem of a flow document, in its order; an empty list when there is none.

    What breaks the contracts of the functions of this process comes behind all else. With a
    ``policy`` what it forbids is an error, and so is a function that is not there.

    Takes anything and never raises. Problems of severity ``warning`` (a function that is not
    registered in this process, say) keep nobody from storing the document.
    """
    return validate(document, registry.names(), registry.contracts(), policy, registry.search)


def flow_schema(*, strict: bool = False, functions: Sequence[str] | None = None) -> dict[str, Any]:
    """The JSON Schema (Draft 2020-12) of flow documents, as ``validate_flow`` accepts them.

    ``functions`` are the names that steps may call, those of this process by default. The
    ``strict`` one is of a smaller document, within the limits of the structured output of language
    models, with the first ``AI_MAX_FUNCTIONS`` names; ``read_strict`` makes a flow document of it.
    """
    names = registry.names() if functions is None else list(functions)
    if strict:
        return strict_schema(names[: settings.AI_MAX_FUNCTIONS])
    return schema.flow_schema(names)


def repair_flow(document: Any, *, policy: Policy | None = None) -> Repair:
    """Fix in a document what can be fixed without asking; nothing that its author wrote is lost.

    Gives the repaired ``document``, a JSON Patch that takes the original there, the problems that
    were ``applied`` by it, and the ``problems`` that are left, with a ``policy`` its own too. Takes
    anything and never raises; what is repaired has nothing more to repair.
    """
    return repair(document, partial(validate_flow, policy=policy))


@uses_database
def export_flow(workflow_slug: str, *, using: str | None = None) -> Document:
    """A stored flow as a document, without what equals its default. Raises ``WorkflowNotFound``.

    ``create_flow_from_spec`` makes the same flow of it.
    """
    flow = get_flow(workflow_slug, using=using)
    return write_document(store.definition_of_rows(flow))


def _lock(workflow_slug: str, using: str) -> Workflow:
    found = store.lock_workflow(workflow_slug, using) if is_valid_slug(workflow_slug) else None
    if found is None:
        raise store.workflow_not_found(workflow_slug, using=using)
    return found


def _active_runs(workflow_slug: str, count: int, trials: int = 0) -> WorkflowConflict:
    runs = "an active run" if count == 1 else f"{count:,} active runs"
    if trials:
        runs += f" (trials of its draft: {trials:,})"
    return WorkflowConflict(
        f'Flow "{workflow_slug}" has {runs}. Wait for the end, cancel with executor.cancel_run(), '
        "or delete the flow with force=True, which cancels them.",
        code="workflow_has_active_runs",
    )


acreate_flow = async_twin(create_flow)
aadd_step = async_twin(add_step)
alist_flows = async_twin(list_flows)
aget_flow = async_twin(get_flow)
adelete_flow = async_twin(delete_flow)
acreate_flow_from_spec = async_twin(create_flow_from_spec)
aexport_flow = async_twin(export_flow)
