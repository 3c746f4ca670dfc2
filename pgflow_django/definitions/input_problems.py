"""Whether the sources of a step's ``inputs`` are there. Pure: no ORM."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from pgflow_django.definitions.graph import did_you_mean
from pgflow_django.definitions.inputs import OF_MAPS, RUN
from pgflow_django.definitions.problems import NearestNames, Problem, say
from pgflow_django.definitions.rules import show
from pgflow_django.definitions.schemas import escape_token

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from pgflow_django.definitions.problems import Patch


#: Dependencies that are named where none is like the source.
_MAX_NAMED = 3


def _may_wait(_: str) -> bool:
    return True


def source_problems(
    inputs: dict[str, str],
    depends_on: Any,
    *,
    slug: object,
    is_map: bool,
    known: Collection[str],
    nearest: NearestNames,
    owner: str,
    pointer: str,
    may_wait: Callable[[str], bool] = _may_wait,
) -> Iterator[Problem]:
    """Whether well-formed ``inputs`` of the step at ``pointer`` name what it waits for.

    ``may_wait`` tells whether it can wait for one more step without a cycle.
    """
    waits = _read_waits(depends_on)
    for name, source in inputs.items():
        head, slash, rest = source.partition("/")
        if head == RUN or (is_map and head in OF_MAPS) or (head in waits and head != slug):
            continue
        path = f"{pointer}/inputs/{escape_token(name)}"
        if head in known and head != slug:
            text = (
                f"its input {show(name)} is what {show(head)} returns, but it is not a dependency"
            )
            fits = may_wait(head) and not (is_map and waits)
            fix = _depend(depends_on, head, pointer) if fits else None
            # A map would run over what it waits for.
            certain = fix is not None and not is_map
            message = say(owner, text)
            yield Problem("missing_dependencies", path, message, [head], fix, certain=certain)
            continue
        if head == slug:
            text = "is its own output, which comes too late"
        elif head in OF_MAPS:
            text = f"is the {head} of a map, which it is not"
        else:
            text = f"is what {show(head)} returns, but the flow has no such step"
        among = nearest(head) or islice(waits, _MAX_NAMED)
        names = [one for one in among if one != slug and one in waits]
        patch: Patch | None = None
        if len(names) == 1:
            patch = [{"op": "replace", "path": path, "value": f"{names[0]}{slash}{rest}"}]
        message = say(owner, f"its input {show(name)} {text}") + did_you_mean(names)
        yield Problem("unknown_source", path, message, names, patch)


def _read_waits(depends_on: Any) -> dict[str, None]:
    """The names that a step waits for."""
    if not _is_list(depends_on):
        return {}
    return dict.fromkeys(one for one in depends_on if isinstance(one, str))


def _is_list(depends_on: Any) -> bool:
    return isinstance(depends_on, list | tuple)


def _depend(depends_on: Any, head: str, pointer: str) -> Patch | None:
    """Let the step at ``pointer`` wait for one more, unless what it waits for is no list."""
    path = f"{pointer}/depends_on"
    if _is_list(depends_on):
        return [{"op": "add", "path": f"{path}/-", "value": head}]
    return [{"op": "add", "path": path, "value": [head]}] if depends_on is None else None
