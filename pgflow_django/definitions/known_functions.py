"""Whether there are the functions that steps call. Pure: no ORM."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pgflow_django.definitions.graph import did_you_mean
from pgflow_django.definitions.options import FUNCTION_NAME
from pgflow_django.definitions.problems import NearestNames, Problem, say
from pgflow_django.definitions.rules import show

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pgflow_django.definitions.policy import Policy
    from pgflow_django.definitions.problems import Patch

Search = Callable[[str], list[str]]

#: Steps of a document for which functions are looked for by what they do, and how many are named.
_SEARCHES, _FOUND = 20, 3
#: Characters of a text that are searched for.
_TEXT = 500


class KnownFunctions:
    """The names of the functions that steps may call."""

    def __init__(
        self, names: Collection[str], policy: Policy | None, search: Search | None = None
    ) -> None:
        """``search`` finds functions by words that describe them, best first."""
        known = names if policy is None else [name for name in names if policy.allows(name)]
        self._names = frozenset(known)
        self._nearest = NearestNames(known)
        self._search = search
        self._searches = 0
        #: Without a policy whoever starts the flow may pass the functions.
        self._is_strict = policy is not None

    def problems(self, row: dict[str, Any], owner: str, pointer: str) -> Iterator[Problem]:
        """Whether there is the function that a step calls; without ``uses``, only for a policy."""
        name, slug = row.get("uses"), row.get("slug")
        if name and (FUNCTION_NAME.fault(name) or name in self._names):
            return
        if not name and not (self._is_strict and isinstance(slug, str)):
            return
        wanted = name or slug
        if wanted in self._names:
            return
        path, nearest = f"{pointer}/uses", self._nearest(wanted)
        fix: Patch | None = None
        if len(nearest) == 1:
            fix = [{"op": "replace" if name else "add", "path": path, "value": nearest[0]}]
        found = self._find_described(row, nearest)
        text = f"no function {show(wanted)} is registered in this process"
        if self._is_strict:
            text = f"there is no function {show(wanted)} that it may call"
        message = say(owner, text) + did_you_mean(nearest or found)
        yield Problem(
            "unknown_function",
            path,
            message,
            [*nearest, *found],
            fix,
            severity="error" if self._is_strict else "warning",
        )

    def _find_described(self, row: dict[str, Any], nearest: Collection[str]) -> list[str]:
        """The functions that do what the step's name and description say, beside the nearest."""
        if self._search is None or self._searches == _SEARCHES:
            return []
        self._searches += 1
        parts = (row.get("uses"), row.get("slug"), row.get("description"))
        text = " ".join(part[:_TEXT] for part in parts if isinstance(part, str))
        found = [name for name in self._search(text) if name in self._names]
        return [name for name in found if name not in nearest][:_FOUND]
