"""Starting runs: checks of input and key, code flows brought up to date, errors with a way out.

Service layer, below ``executor``, which has the public functions.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final
from uuid import UUID

from pgflow_django import engine, jsonvalue
from pgflow_django.definitions.graph import is_valid_slug
from pgflow_django.engine import WorkflowOutdated
from pgflow_django.exceptions import InvalidInput, WorkflowNotFound
from pgflow_django.models import Workflow, WorkflowRun
from pgflow_django.runs import delivery
from pgflow_django.runs.checking import encode_input, start_checked
from pgflow_django.runs.code import CodeFlow, definition_of, sync_code_flow
from pgflow_django.runs.executing import (
    Functions,
    Options,
    execute_run,
    functions_of_flow,
    own_worker,
    raise_if_failed,
)
from pgflow_django.storage.definitions import workflow_not_found
from pgflow_django.worker.current import current_run

#: Longest key of a run, in characters: it must fit into an index.
_KEY_LENGTH: Final = 255


def start_runs(
    flow: Any, inputs: list[Any], alias: str, key: str | None = None
) -> list[WorkflowRun]:
    """Start a run per input of a flow (its slug, or a flow in code), for the workers.

    In eager mode (see ``delivery``) they have ended when this returns.
    """
    if delivery.is_eager():
        return _start_eagerly(flow, inputs, alias, key)
    return _start(flow, inputs, alias, key=key)


def _start_eagerly(flow: Any, inputs: list[Any], alias: str, key: str | None) -> list[WorkflowRun]:
    """Start runs of our own and execute them, one after another, in the calling thread."""
    if isinstance(flow, str):
        functions = Functions()
        functions.require(require_flow(flow, alias), flow)
    else:
        functions = Functions(definition_of(flow).functions)
    options = Options(alias, in_thread=True)
    with own_worker(alias) as worker:
        runs = _start(flow, inputs, alias, key=key, owner=worker)
        # With a key it may be an older run, and somebody else's.
        ours = set(
            WorkflowRun.objects.using(alias).filter(owner_id=worker).values_list("id", flat=True)
        )
        ended = [execute_run(run.id, worker, functions, options) for run in runs if run.id in ours]
    for status in ended:
        raise_if_failed(status)
    return runs


def _start(flow: Any, inputs: list[Any], alias: str, **options: Any) -> list[WorkflowRun]:
    if isinstance(flow, str):
        slug = flow
        ids = start_stored_flow(slug, inputs, alias, **options)
    else:
        code = definition_of(flow)
        slug = code.slug
        ids = start_code_flow(code, inputs, alias, **options)
    # Everything else of the run is read when asked for: most callers only keep the id.
    return [WorkflowRun.from_db(alias, ["id", "workflow_slug"], [id_, slug]) for id_ in ids]


def start_code_flow(code: CodeFlow, inputs: list[Any], alias: str, **options: Any) -> list[UUID]:
    """Start a code flow, after writing its definition where the stored one is another."""
    try:
        return start_stored_flow(code.slug, inputs, alias, fingerprint=code.fingerprint, **options)
    except (WorkflowNotFound, WorkflowOutdated):
        sync_code_flow(code, using=alias)
        return start_stored_flow(code.slug, inputs, alias, fingerprint=code.fingerprint, **options)


def start_stored_flow(
    slug: str, inputs: list[Any], alias: str, *, key: Any = None, **options: Any
) -> list[UUID]:
    """Start a run per input; ``options`` are those of ``engine.start_flow``."""
    if not is_valid_slug(slug):
        raise workflow_not_found(slug, using=alias)
    if key is not None and not _is_good_key(key):
        raise InvalidInput(
            f'flow "{slug}" was not started: key must be a text of 1 to {_KEY_LENGTH} characters '
            "(no \\u0000, no lone surrogates), "
            f"not {key!r:.80}",
            code="invalid_key",
        )
    texts = [encode_input(slug, value) for value in inputs]
    start = partial(
        engine.start_flow,
        slug,
        f"[{','.join(texts)}]",
        using=alias,
        key=key,
        parent=current_run(),
        **options,
    )
    try:
        return start_checked(slug, texts, lambda digest: start(checked=digest), using=alias)
    except WorkflowNotFound:
        raise workflow_not_found(slug, using=alias) from None


def _is_good_key(key: Any) -> bool:
    return (
        isinstance(key, str) and 0 < len(key) <= _KEY_LENGTH and jsonvalue.find_problem(key) is None
    )


def require_flow(slug: Any, alias: str) -> dict[str, str]:
    """``{step slug: function name}`` of a stored flow; raises ``WorkflowNotFound``."""
    steps = functions_of_flow(slug, using=alias) if is_valid_slug(slug) else {}
    if not steps and not (
        is_valid_slug(slug) and Workflow.objects.using(alias).filter(pk=slug).exists()
    ):
        raise workflow_not_found(slug, using=alias)
    return steps
