"""What is told of a document's problems, with bounds: programs and models read it. Pure: no ORM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pgflow_django.definitions.problems import Problem
from pgflow_django.definitions.repairing import repair, size_as_printed
from pgflow_django.jsonvalue import cut

if TYPE_CHECKING:
    from pgflow_django.definitions.repairing import Check

#: Problems that are told; there may be one for every few characters.
MAX_TOLD = 50
#: Bytes of JSON for all problems that are told, for a patch, and for what is left after it: less
#: than 64 KiB together.
_MAX_PROBLEMS = 28 * 1024
_MAX_PATCH = 16 * 1024
_MAX_LEFT = 14 * 1024
#: Bytes of JSON of one fix, characters of a message, of a pointer and of a suggestion.
_MAX_FIX = 4 * 1024
_MAX_MESSAGE = 1_000
_MAX_POINTER = 500
_MAX_SUGGESTION = 255


def answer(document: Any, check: Check) -> dict[str, Any]:
    """What ``check`` finds in a document, and what a repair would do, in at most 64 KiB of JSON.

    ``problems`` are the first ones, errors first where not all can be told, ``more`` is how many
    others there are. ``repair`` is ``None`` where nothing can be fixed without asking; its
    ``patch`` may be the beginning of a longer one.
    """
    problems = check(document)
    told = None
    if any(problem.certain for problem in problems):
        repaired = repair(document, check, max_bytes=_MAX_PATCH)
        told = {"patch": repaired.patch, **tell(repaired.problems, _MAX_LEFT)}
    return {"valid": is_valid(problems), **tell(problems), "repair": told}


def tell(problems: Sequence[Problem], max_bytes: int = _MAX_PROBLEMS) -> dict[str, Any]:
    """The first ``problems`` as JSON objects, and how many ``more`` there are."""
    told = []
    for problem in choose_first(problems):
        told.append(_tell_problem(problem))
        max_bytes -= size_as_printed(told[-1])
        if max_bytes < 0:
            told.pop()
            break
    return {"problems": told, "more": len(problems) - len(told)}


def choose_first(problems: Sequence[Problem], count: int = MAX_TOLD) -> Sequence[Problem]:
    """The first problems, errors before warnings where not all can be told."""
    if len(problems) <= count:
        return problems
    return sorted(problems, key=lambda problem: problem.severity != "error")[:count]


def is_valid(problems: Sequence[Problem]) -> bool:
    """Whether nothing keeps a document with these problems from being stored."""
    return all(problem.severity != "error" for problem in problems)


def _tell_problem(problem: Problem) -> dict[str, Any]:
    """A problem as a JSON object, without what would make it long."""
    told = problem.to_dict()
    told["message"] = cut(problem.message, _MAX_MESSAGE)
    told["suggestions"] = [name for name in told["suggestions"] if len(name) <= _MAX_SUGGESTION]
    while len(told["pointer"]) > _MAX_POINTER:
        told["pointer"] = told["pointer"].rpartition("/")[0]
    if problem.fix and size_as_printed(problem.fix) > _MAX_FIX:
        told |= {"fix": None, "certain": False}
    return told
