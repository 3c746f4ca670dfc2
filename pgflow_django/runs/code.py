"""Flows defined in code, as documents: ``Flow`` classes and objects with ``__workflow_steps__()``.

Service layer, below ``executor``: a class says by ``__code_flow__`` what it is.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from django.db import router

from pgflow_django.choices import Origin
from pgflow_django.definitions.document import validate
from pgflow_django.definitions.options import FLOW_OPTIONS, STEP_OPTIONS
from pgflow_django.definitions.problems import raise_problems
from pgflow_django.definitions.rules import show
from pgflow_django.definitions.shape import Document, fingerprint, read_document
from pgflow_django.exceptions import WorkflowExists
from pgflow_django.models import Workflow
from pgflow_django.registry import RegisteredFunction, StepFunction, describe
from pgflow_django.storage import definitions as store
from pgflow_django.storage.trouble import transact

if TYPE_CHECKING:
    from collections.abc import Iterable

WorkflowSteps = list[tuple[str, StepFunction, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class CodeFlow:
    """A flow as code defines it.

    ``functions`` has each step's function by step slug. ``fingerprint`` changes exactly when
    ``document`` says something else.
    """

    slug: str
    document: Document
    functions: dict[str, RegisteredFunction]
    fingerprint: str


def definition_of(flow: Any) -> CodeFlow:
    """The definition of a ``Flow`` class, or of anything else with ``__workflow_steps__()``.

    ``__workflow_steps__()`` gives tuples ``(slug, function)`` or ``(slug, function, options)``.
    Those without ``depends_on`` wait for the one before them. The flow's slug is the object's
    ``workflow_slug``, or the name of its class (of itself, for a class or a module) in snake case;
    its attributes may be options of ``flow_builder.create_flow``.

    Raises what ``create_flow_from_spec`` raises for a document with problems.
    """
    if hasattr(flow, "__code_flow__"):
        code: CodeFlow = flow.__code_flow__()
        return code
    if not hasattr(flow, "__workflow_steps__"):
        raise TypeError(
            f"{show(flow)} is not a flow: pass a slug, a Flow class, or an object with "
            "__workflow_steps__()"
        )
    name: str = getattr(flow, "__name__", None) or type(flow).__name__
    slug = getattr(flow, "workflow_slug", None) or snake_case(name.rpartition(".")[2])
    return define(flow, slug, _in_sequence(flow.__workflow_steps__()))


def sync_code_flow(code_flow: CodeFlow, *, using: str | None = None) -> Workflow:
    """Store a code flow, as a new version where it changed, and give its row.

    Costs one query when nothing changed. Raises ``WorkflowConflict`` (``workflow_origin_conflict``)
    when a flow that is not defined in code has the slug.
    """
    alias = using or router.db_for_write(Workflow)
    stored = Workflow.objects.using(alias).filter(workflow_slug=code_flow.slug).first()
    if stored and stored.origin == Origin.CODE and stored.fingerprint == code_flow.fingerprint:
        return stored
    definition = read_document(code_flow.document)
    save = partial(store.save_definition, definition, alias, origin=Origin.CODE, replace=True)
    return transact(partial(save, fingerprint=code_flow.fingerprint), alias, also=(WorkflowExists,))


def define(
    flow: Any,
    slug: str,
    steps: WorkflowSteps,
    registered: dict[str, RegisteredFunction] | None = None,
) -> CodeFlow:
    """The definition that an object's attributes and steps make; raises for one with problems."""
    options = (
        {}
        if inspect.ismodule(flow)
        else {name: getattr(flow, name) for name in FLOW_OPTIONS if hasattr(flow, name)}
    )
    rows = []
    for step_slug, _, step_options in steps:
        uses = {"uses": registered[step_slug].name} if registered else {}
        rows.append({"slug": step_slug, **uses, **_by_key(step_options)})
    document: Document = {"workflow_slug": slug, **options, "steps": rows}
    raise_problems(validate(document))
    functions = registered or {slug: describe(function, slug) for slug, function, _ in steps}
    return CodeFlow(slug, document, functions, fingerprint(document))


def _by_key(options: dict[str, Any]) -> Document:
    """Options of ``add_step`` under the keys that they have in a document."""
    return {
        STEP_OPTIONS[name].key if name in STEP_OPTIONS else name: value
        for name, value in options.items()
    }


def _in_sequence(steps: Iterable[Any]) -> WorkflowSteps:
    """The tuples of ``__workflow_steps__()``, each with its options and ``depends_on``."""
    result: WorkflowSteps = []
    for found in steps:
        if not isinstance(found, tuple | list) or len(found) not in {2, 3}:
            raise TypeError(
                "__workflow_steps__() must give tuples (slug, function) or (slug, function, "
                f"options), but gave {show(found)}"
            )
        slug, function, *rest = found
        before = [result[-1][0]] if result else []
        result.append((slug, function, {"depends_on": before, **dict(*rest)}))
    return result


def snake_case(name: str) -> str:
    """The name of a class as that of a flow: ``NightlyReport``, ``nightly_report``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
