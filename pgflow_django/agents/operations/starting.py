"""Runs begun by programs: of what is published, and trials of drafts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgflow_django import drafts, engine, executor
from pgflow_django.agents import quotas
from pgflow_django.agents.operations.shapes import Started, StartRun, StartTrial
from pgflow_django.agents.operations.words import link, require_one
from pgflow_django.agents.policy import policy
from pgflow_django.choices import StepType
from pgflow_django.definitions.graph import is_valid_slug
from pgflow_django.definitions.problems import raise_problems
from pgflow_django.drafts.types import name_user
from pgflow_django.exceptions import InvalidInput, RunNotFound, WorkflowExists
from pgflow_django.flow_builder import validate_flow
from pgflow_django.models import Workflow, WorkflowDraft, WorkflowRun, WorkflowStep

if TYPE_CHECKING:
    from pgflow_django.agents.access import Principal


def start_run(principal: Principal, asked: StartRun, using: str) -> Started:
    """Start a run of the published flow, for workers; then get_run says how it stands."""
    principal.require_flow("run", asked.slug)
    refuse_wide(asked.slug, asked.input, using)
    with (
        quotas.room_for_run(principal.user, using=using),
        engine.starting_as(name_user(principal.user), principal.via),
    ):
        run = executor.start_flow(asked.slug, asked.input, key=asked.key or None, using=using)
        try:
            principal.require_run("view_run", run.pk)
        except RunNotFound:  # nothing was started, or an older run of somebody else has this key
            why = " that you may see: take another key" if asked.key else " that you may see"
            raise RunNotFound(asked.key, why) from None
    return _started(principal, run)


def refuse_wide(slug: str, value: Any, using: str) -> None:
    """Raise ``InvalidInput`` where the published flow maps over an input of too many items."""
    roots = WorkflowStep.objects.using(using).filter(
        workflow_slug=slug, step_type=StepType.MAP, initial_tasks=None, deps_count=0
    )
    if roots.exists():
        _refuse_wide(slug, value)


def _refuse_wide(slug: str, value: Any) -> None:
    most = policy().max_fan_out
    if isinstance(value, list) and len(value) > most:
        raise InvalidInput(
            f'Flow "{slug}" maps over its input, which has {len(value):,} items: programs may have '
            f"{most:,}.",
            code="fan_out_too_large",
        )


def start_trial(principal: Principal, asked: StartTrial, using: str) -> Started:
    """Try a draft or a document with real workers, without publishing it.

    Steps whose outputs are given are not called.
    """
    require_one(asked.document, asked.slug)
    if asked.document is None:
        principal.require_flow("run", asked.slug)
        document = drafts.load(asked.slug, using=using).document
    else:
        document = asked.document
        slug = document.get("workflow_slug")
        if isinstance(slug, str) and principal.find_flow(slug) is not None:
            principal.require_flow("run", slug)
        else:
            principal.require_any("run", slug)
            _refuse_taken(slug, using)
    raise_problems(validate_flow(document, policy=policy()))
    _refuse_wide(document["workflow_slug"], asked.input)
    with (
        quotas.room_for_run(principal.user, using=using),
        engine.starting_as(name_user(principal.user), principal.via),
    ):
        run = executor.start_trial(
            document,
            asked.input,
            outputs=asked.outputs,
            until=asked.until or None,
            allow_effects=asked.allow_effects,
            using=using,
        )
    return _started(principal, run)


def _refuse_taken(slug: Any, using: str) -> None:
    """Raise for the name of a flow that is hidden from the program: its readers saw the trial."""
    if is_valid_slug(slug) and any(
        model.objects.using(using).filter(pk=slug).exists() for model in (Workflow, WorkflowDraft)
    ):
        raise WorkflowExists(f'The name "{slug}" is taken: choose another workflow_slug.')


def _started(principal: Principal, run: WorkflowRun) -> Started:
    return Started(
        run_id=run.pk, status=run.status, url=link(principal, "workflowrun_change", run.pk)
    )
