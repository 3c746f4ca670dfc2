"""What can be wrong with a flow or a step, told once for ``flow_builder`` and for documents.

Pure: no ORM. A problem points into a flow document; ``raise_problems`` turns it into the
exception of its code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from pgflow_django import exceptions
from pgflow_django.definitions.graph import (
    MAX_SLUG_LENGTH,
    did_you_mean,
    is_valid_slug,
    nearest_names,
    slug_fault,
)
from pgflow_django.definitions.options import MAX_DEPENDENCIES, MAX_STEPS
from pgflow_django.definitions.rules import shorten, show

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from pgflow_django.definitions.options import Option

Severity = Literal["error", "warning"]
#: A JSON Patch (RFC 6902): operations on the document, as dicts.
Patch = list[dict[str, Any]]

#: Where the problems of a step that is about to be added point: behind the steps there are.
NEW_STEP = "/steps/-"

#: Problems, and steps, that are told in one message; ``error.problems`` has all problems.
_MAX_TOLD = 10
#: Nearest names are costly; a document full of unknown names gets suggestions for the first ones.
_MAX_SUGGESTED = 20

_CLASSES: dict[str, type[exceptions.PgflowError]] = {
    "invalid_document": exceptions.InvalidDocument,
    "document_too_deep": exceptions.InvalidDocument,
    "document_too_large": exceptions.InvalidDocument,
    "unknown_key": exceptions.InvalidDocument,
    "invalid_workflow_slug": exceptions.InvalidSlug,
    "invalid_step_slug": exceptions.InvalidSlug,
    "duplicate_step_slug": exceptions.StepExists,
    "missing_dependencies": exceptions.MissingDependencies,
    "duplicate_dependency": exceptions.DuplicateDependency,
    "self_dependency": exceptions.SelfDependency,
    "cycle_detected": exceptions.CycleDetected,
    "map_step_constraint_violation": exceptions.MapStepConstraint,
    "too_many_steps": exceptions.InvalidStep,
    "too_many_dependencies": exceptions.InvalidStep,
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong (``error``) or doubtful (``warning``) in a flow document.

    ``pointer`` is a JSON Pointer into the document, ``""`` for the whole. ``suggestions`` are names
    that were probably meant. ``fix`` is a JSON Patch that fixes it, where there is one way to. It
    is ``certain`` if it loses nothing that the author wrote and nothing else can have been meant.
    """

    code: str
    pointer: str
    message: str
    suggestions: Sequence[str] = ()
    fix: Patch | None = None
    severity: Severity = "error"
    certain: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The problem as a JSON object."""
        return {
            "code": self.code,
            "pointer": self.pointer,
            "message": self.message,
            "suggestions": list(self.suggestions),
            "fix": self.fix,
            "severity": self.severity,
            "certain": self.certain,
        }


class NearestNames:
    """``nearest_names`` for many questions about the same names, with a bound on the work."""

    def __init__(self, names: Iterable[str]) -> None:
        """``names`` are what may be suggested."""
        self._names = list(names)
        self._known: dict[str, list[str]] = {}

    def __call__(self, name: Any) -> list[str]:
        """Names that look like ``name``; none once many names have been asked about."""
        if not isinstance(name, str):
            return []
        if name not in self._known and len(self._known) < _MAX_SUGGESTED:
            self._known[name] = nearest_names(name, self._names)
        return self._known.get(name, [])


def raise_problems(problems: Iterable[Problem]) -> None:
    """Raise the exception of the first error; warnings pass.

    Its ``code`` is the first error's, its text tells them all, and ``problems`` lists them.
    """
    errors = [problem for problem in problems if problem.severity == "error"]
    if not errors:
        return
    message = " ".join(error.message for error in errors[:_MAX_TOLD])
    if len(errors) > _MAX_TOLD:
        message += f" And {len(errors) - _MAX_TOLD:,} more."
    first = errors[0]
    error = _exception_class(first)(message, code=first.code)
    error.problems = errors
    raise error


def _exception_class(problem: Problem) -> type[exceptions.PgflowError]:
    if known := _CLASSES.get(problem.code):
        return known
    if problem.pointer.startswith("/steps/"):
        return exceptions.InvalidStepOption
    return exceptions.InvalidWorkflow


def name_flow(slug: object) -> str:
    """How messages call a flow."""
    return "the flow" if slug is None else f"flow {show(slug)}"


def name_step(slug: object, flow: object) -> str:
    """How messages call a step."""
    if slug is None:
        return f"a step without a slug, of {name_flow(flow)}"
    return f"step {show(slug)} of {name_flow(flow)}"


def say(owner: str, text: str) -> str:
    """A sentence about ``owner`` (see ``name_flow``)."""
    return f"{owner[0].upper()}{owner[1:]}: {text}."


def workflow_slug_problems(slug: object, pointer: str = "/workflow_slug") -> Iterator[Problem]:
    """Whether ``slug`` may name a flow."""
    if fault := slug_fault(slug):
        meant = _meant_slug(slug)
        fix = [{"op": "add", "path": pointer, "value": name} for name in meant]
        message = f"The flow name {show(slug)} {fault}."
        if slug is None:
            message = f'The workflow_slug {fault}: it names the flow, like "send_invoices".'
        yield Problem("invalid_workflow_slug", pointer, message, meant, fix or None)


def step_slug_problems(slug: object, flow: object, pointer: str) -> Iterator[Problem]:
    """Whether ``slug`` may name a step. The fix is left to who knows the steps that wait for it."""
    if fault := slug_fault(slug):
        message = f"The step name {show(slug)} in {name_flow(flow)} {fault}."
        if slug is None:
            message = f'The slug of a step of {name_flow(flow)} {fault}: it names it, like "fetch".'
        yield Problem("invalid_step_slug", pointer, message, _meant_slug(slug))


def option_problems(
    options: Mapping[str, Option], values: Mapping[str, Any], owner: str, pointer: str = ""
) -> Iterator[Problem]:
    """Whether the options in ``values`` pass; ``options`` has them under the same keys."""
    for key, option in options.items():
        if key in values and (fault := option.fault(values[key])):
            path = f"{pointer}/{key}"
            meant = option.rule.fix(values[key])
            fix: Patch | None = None
            suggestions: Sequence[str] = ()
            certain = values[key] is None if meant is None else meant.certain
            if meant is not None:
                fix = [{"op": "replace", "path": path, "value": meant.value}]
                suggestions = (meant.value,) if isinstance(meant.value, str) else ()
            elif values[key] is None:  # it says nothing, so that nothing is lost
                fix = [{"op": "remove", "path": path}]
            message = say(owner, f"{key} {fault}")
            yield Problem(option.code, path, message, suggestions, fix, certain=certain)


def size_problems(steps: int, dependencies: int, owner: str) -> Iterator[Problem]:
    """Whether a flow may have so many steps and dependencies."""
    if steps > MAX_STEPS:
        text = f"it may have at most {MAX_STEPS:,} steps, and would have {steps:,}"
        yield Problem("too_many_steps", "/steps", say(owner, text))
    if dependencies > MAX_DEPENDENCIES:
        text = f"its steps may have at most {MAX_DEPENDENCIES:,} dependencies in all"
        message = say(owner, f"{text}, and would have {dependencies:,}")
        yield Problem("too_many_dependencies", "/steps", message)


def dependency_problems(
    depends_on: Any,
    *,
    slug: object,
    is_map: bool,
    known: Collection[str],
    nearest: NearestNames,
    owner: str,
    pointer: str,
    may_wait: Callable[[str], bool] | None = None,
) -> Iterator[Problem]:
    """Whether a step may wait for ``depends_on``, given the ``known`` steps of its flow.

    ``may_wait`` tells whether it can wait for one more step without a cycle.
    """
    if not isinstance(depends_on, list | tuple):
        is_known = isinstance(depends_on, str) and depends_on in known
        may = is_known and (may_wait is None or may_wait(depends_on))
        yield _no_list(depends_on, may, owner, pointer)
        return
    accepted: dict[str, None] = {}
    for index, dependency in enumerate(depends_on):
        fault = _dependency_fault(dependency, slug, accepted, known)
        if not fault:
            accepted[dependency] = None
            continue
        code, text = fault
        path = f"{pointer}/{index}"
        names: list[str] = []
        fix: Patch = [{"op": "remove", "path": path}]
        certain = dependency is None or code == "duplicate_dependency"
        if code == "missing_dependencies":
            nearer = nearest(dependency)
            names = [name for name in nearer if name != slug and name not in accepted]
            fix = [{"op": "replace", "path": path, "value": name} for name in names]
        message = say(owner, text) + did_you_mean(names)
        patch = fix if len(fix) == 1 else None
        yield Problem(code, path, message, names, patch, certain=certain)
    if is_map and len(accepted) > 1:
        told = [*islice(accepted, _MAX_TOLD), *(["…"] if len(accepted) > _MAX_TOLD else [])]
        named = ", ".join(map(shorten, told))
        text = (
            "a map step has at most one dependency, whose list it maps over, but this one has "
            f"{len(accepted)} ({named}). Join them in a single step before it"
        )
        yield Problem("map_step_constraint_violation", pointer, say(owner, text))


def _no_list(depends_on: Any, may_wait: bool, owner: str, pointer: str) -> Problem:
    """What is wrong with dependencies that are no list, but perhaps a step to wait for."""
    fix: Patch | None = None
    certain = depends_on is None
    if isinstance(depends_on, str):
        fix = [{"op": "replace", "path": pointer, "value": [depends_on]}]
        certain = may_wait and len(depends_on) <= MAX_SLUG_LENGTH
    elif depends_on is None:
        fix = [{"op": "remove", "path": pointer}]
    text = f"depends_on is {show(depends_on)}, but must be a list of step names"
    return Problem("invalid_depends_on", pointer, say(owner, text), fix=fix, certain=certain)


def _dependency_fault(
    dependency: Any, slug: object, accepted: Collection[str], known: Collection[str]
) -> tuple[str, str] | None:
    if not isinstance(dependency, str):
        text = f"depends_on holds {show(dependency)}, but must hold step names"
        return "invalid_depends_on", text
    if dependency in accepted:
        text = f"it depends on {show(dependency)} twice; once is enough"
        return "duplicate_dependency", text
    if dependency == slug:
        return "self_dependency", "it depends on itself, and would wait for ever"
    if dependency not in known:
        text = f"it depends on {show(dependency)}, but the flow has no such step"
        return "missing_dependencies", text
    return None


def joining_problems(
    workflow_slug: str,
    step_slug: str,
    depends_on: Any,
    is_map: bool,
    known: Sequence[tuple[str, int, int]],
) -> Iterator[Problem]:
    """Whether a new step may join the ``known`` ones (slug, index, number of dependencies)."""
    slugs = [slug for slug, _, _ in known]
    owner = name_step(step_slug, workflow_slug)
    if step_slug in slugs:
        text = "the flow has a step of this name already; each step needs its own"
        yield Problem("duplicate_step_slug", f"{NEW_STEP}/slug", say(owner, text))
    yield from dependency_problems(
        depends_on,
        slug=step_slug,
        is_map=is_map,
        known=set(slugs),
        nearest=NearestNames(slugs),
        owner=owner,
        pointer=f"{NEW_STEP}/depends_on",
    )
    new_edges = len(depends_on) if isinstance(depends_on, list | tuple) else 0
    edges = sum(count for _, _, count in known) + new_edges
    yield from size_problems(len(known) + 1, edges, name_flow(workflow_slug))


def _meant_slug(slug: object) -> list[str]:
    """The slug that was probably meant, or none."""
    if not isinstance(slug, str):
        return []
    meant = re.sub(r"[^a-zA-Z0-9_]+", "_", slug[:1000]).strip("_")
    if meant[:1].isdigit() or meant == "run":
        meant = f"_{meant}"
    meant = meant[:MAX_SLUG_LENGTH]
    return [meant] if is_valid_slug(meant) else []
