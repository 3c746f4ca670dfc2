"""Trials: a draft is run without being published, with steps left out or their outputs given.

Service layer, below ``executor``, which has ``start_trial``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pgflow_django import drafts, engine, jsonvalue
from pgflow_django.definitions import bounds
from pgflow_django.definitions.graph import did_you_mean, nearest_names
from pgflow_django.definitions.problems import raise_problems
from pgflow_django.definitions.rules import show
from pgflow_django.definitions.shape import Document, FlowDefinition, read_document, resolve
from pgflow_django.definitions.trials import cut, write_rows
from pgflow_django.exceptions import InvalidInput, TrialNeedsConsent, WorkflowConflict
from pgflow_django.flow_builder import validate_flow
from pgflow_django.models import WorkflowRun
from pgflow_django.registry import registry
from pgflow_django.runs import delivery
from pgflow_django.runs.checking import encode_input, refuse_misfit
from pgflow_django.runs.executing import (
    Functions,
    Options,
    execute_run,
    own_worker,
    raise_if_failed,
)
from pgflow_django.runs.given import read_outputs, refuse_wrong_types
from pgflow_django.runs.status import RunStatus
from pgflow_django.worker.current import current_run


@dataclass(frozen=True, slots=True)
class Trial:
    """What a trial is to run, checked: the steps, and its input as JSON."""

    flow: FlowDefinition
    input_json: str

    @property
    def functions(self) -> dict[str, str]:
        """``{step slug: function name}`` of its steps."""
        return {step.slug: step.options["function"] for step in self.flow.steps}


def prepare(
    draft: Document | drafts.Draft | str,
    input: Any,
    *,
    outputs: Mapping[str, Any] | None,
    until: str | None,
    allow_effects: bool,
    using: str,
) -> Trial:
    """Check everything that a trial needs, and write nothing; raises as ``start_trial`` does."""
    document = draft.document if type(draft) is drafts.Draft else bounds.read(draft).value
    if type(document) is str:
        document = drafts.load(document, using=using).document
    raise_problems(validate_flow(document))
    stored = read_document(document)
    flow = resolve(stored)
    if not flow.steps:
        raise WorkflowConflict(
            f'flow "{flow.slug}" has no steps: add one before you try it',
            code="workflow_has_no_steps",
        )
    slugs = [step.slug for step in flow.steps]
    if until is not None and until not in slugs:
        hint = did_you_mean(nearest_names(until, slugs))
        raise InvalidInput(
            f'until names {show(until)}, but flow "{flow.slug}" has no such step.{hint}',
            code="missing_step",
        )
    given = read_outputs(flow, {} if outputs is None else outputs)
    refuse_wrong_types(flow, given)
    text = encode_input(flow.slug, input)
    if (schema := stored.options["input_schema"]) is not None:
        refuse_misfit(flow.slug, schema, text)
    trial = Trial(cut(flow, given, until), text)
    if not allow_effects:
        _ask_consent(trial)
    return trial


def start(trial: Trial, using: str, *, owner: int | None = None, key: str | None = None) -> UUID:
    """Pin the trial's version and start its run, or find the one that has this key."""
    return engine.start_trial(
        trial.flow.slug,
        jsonvalue.dump(write_rows(trial.flow)),
        trial.input_json,
        using=using,
        key=key,
        owner=owner,
        parent=current_run(),
    )


def start_for_workers(trial: Trial, using: str, *, key: str | None = None) -> UUID:
    """Start it for the workers; in eager mode (see ``delivery``) it has ended when this returns.

    ``key`` tells starts apart that are meant as one: only the first of them starts a run.
    """
    if not delivery.is_eager():
        return start(trial, using, key=key)
    if key is not None:
        known = WorkflowRun.objects.using(using).filter(workflow_slug=trial.flow.slug, key=key)
        if (run_id := known.values_list("id", flat=True).first()) is not None:
            return run_id
    run_id, status = execute(trial, Options(using, in_thread=True), key=key)
    raise_if_failed(status)
    return run_id


def execute(trial: Trial, options: Options, *, key: str | None = None) -> tuple[UUID, RunStatus]:
    """Run it in this process, and give how it ended; raises ``StepFunctionMissing``."""
    functions = Functions()
    functions.require(trial.functions, trial.flow.slug)
    with own_worker(options.using) as worker:
        run_id = start(trial, options.using, owner=worker, key=key)
        return run_id, execute_run(run_id, worker, functions, options)


def list_effects(flow: FlowDefinition) -> Iterator[tuple[str, str, str]]:
    """The steps that change something, or may: ``(step, function, effects)``."""
    for step in flow.steps:
        name = step.options["function"]
        if not registry.is_harmless(name):
            yield step.slug, name, registry.effects_of(name)


def _ask_consent(trial: Trial) -> None:
    steps = list(list_effects(trial.flow))
    if not steps:
        return
    listed = ", ".join(f'"{slug}" ({function}: {effects})' for slug, function, effects in steps)
    raise TrialNeedsConsent(
        f'a trial of flow "{trial.flow.slug}" calls functions that change something, or don\'t say '
        f"whether they do: {listed}. Give their outputs, stop before them with until, or allow it "
        "with allow_effects=True",
        steps=steps,
    )
