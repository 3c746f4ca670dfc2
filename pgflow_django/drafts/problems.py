"""What is wrong or doubtful in a document, with the edits that would fix it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from pgflow_django.definitions.problems import NearestNames, Problem
from pgflow_django.definitions.shape import Document
from pgflow_django.exceptions import EditRefused
from pgflow_django.flow_builder import validate_flow
from pgflow_django.registry import registry


@dataclass(frozen=True, slots=True)
class Found:
    """One problem: an ``error`` keeps the draft from being published, a ``warning`` does not.

    ``step`` is the slug of the step that it is about, ``None`` for the flow. ``fixes`` are
    operations that fix it: ``{"op", "arguments", "label"}``; where there is one that loses nothing
    and has no alternative, the problem is ``certain`` to be fixed by it.
    """

    level: str
    code: str
    pointer: str
    step: str | None
    message: str
    suggestions: tuple[str, ...] = ()
    fixes: tuple[dict[str, Any], ...] = ()
    certain: bool = False


def problems(document: Document, *, functions: Collection[str] | None = None) -> list[Found]:
    """Every problem of a draft's document: those of ``validate_flow``, and what an editor can tell.

    ``functions`` are the names of registered step functions, those of this process by default.
    """
    known = registry.names() if functions is None else functions
    found = [describe(document, problem) for problem in validate_flow(document)]
    return found + _unchosen_functions(document, known)


def describe(document: Document, problem: Problem) -> Found:
    """A problem of ``validate_flow`` for somebody who edits the document."""
    level = "error" if problem.code == "workflow_has_no_steps" else problem.severity
    fixes = []
    if problem.fix:
        label = _name_fix(problem)
        fixes.append({"op": "patch", "arguments": {"patch": problem.fix}, "label": label})
    step = step_at(document, problem.pointer)
    if problem.code == "unknown_function" and step is not None and not problem.fix:
        fixes += [_choose(step, name) for name in problem.suggestions]
    return Found(
        level,
        problem.code,
        problem.pointer,
        step,
        problem.message,
        tuple(problem.suggestions),
        tuple(fixes),
        problem.certain,
    )


def refuse(document: Document, errors: Sequence[Problem]) -> EditRefused:
    """The refusal of an edit that would make these problems; it tells the first one."""
    first = errors[0]
    refusal = EditRefused(
        first.message,
        code=first.code,
        field=field_of(first),
        suggestions=describe(document, first).suggestions,
        fix=None,
    )
    refusal.problems = errors
    return refusal


def field_of(problem: Problem) -> str:
    """The field of a step or of the flow that a problem is about; ``""`` for the whole."""
    *above, last = problem.pointer.split("/")
    return above[-1] if last.isdecimal() else last


def step_at(document: Document, pointer: str) -> str | None:
    """The slug of the step that a pointer leads into, if it does."""
    tokens = pointer.split("/")
    if len(tokens) < 3 or tokens[1] != "steps" or not tokens[2].isdecimal():
        return None
    rows = document.get("steps", [])
    index = int(tokens[2])
    slug = rows[index].get("slug") if index < len(rows) and isinstance(rows[index], dict) else None
    return slug if isinstance(slug, str) else None


def _name_fix(problem: Problem) -> str:
    if problem.suggestions:
        return f"Use {problem.suggestions[0]}"
    first = problem.fix[0] if problem.fix else {}
    key = str(first.get("path", "")).rpartition("/")[2]
    return f"Remove {key}" if first.get("op") == "remove" and not key.isdecimal() else "Fix it"


def _choose(step: str, name: str) -> dict[str, Any]:
    return {"op": "update_step", "arguments": {"step": step, "uses": name}, "label": f"Use {name}"}


def _unchosen_functions(document: Document, known: Collection[str]) -> list[Found]:
    """Steps that name no function, where none is called like them either."""
    found = []
    nearest = NearestNames(known)
    for index, row in enumerate(document.get("steps", [])):
        slug = row.get("slug") if isinstance(row, dict) else None
        if not isinstance(slug, str) or row.get("uses") or slug in known:
            continue
        names = tuple(nearest(slug)[:2])
        message = (
            f'Step "{slug}": no function is chosen, and none is registered that is called like '
            "the step. Choose one, or register it in a steps.py."
        )
        fixes = tuple(_choose(slug, name) for name in names)
        pointer = f"/steps/{index}/uses"
        found.append(Found("warning", "unknown_function", pointer, slug, message, names, fixes))
    return found
