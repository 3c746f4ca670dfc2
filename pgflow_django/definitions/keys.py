"""Keys that documents don't have, and the ones that were meant. Pure: no ORM."""

from __future__ import annotations

import difflib
from collections import Counter
from typing import TYPE_CHECKING, Any

from pgflow_django.definitions.graph import did_you_mean, is_valid_slug
from pgflow_django.definitions.options import FLOW_KEYS, STEP_KEYS
from pgflow_django.definitions.problems import NearestNames, Problem, say
from pgflow_django.definitions.rules import show
from pgflow_django.definitions.schemas import escape_token

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pgflow_django.definitions.options import Option

#: Keywords of ``create_flow`` and ``add_step``, and words of other tools, for which a document has
#: its own.
_OF_FLOWS = {
    **dict.fromkeys(("id", "name", "slug", "flow", "flow_slug", "workflow"), "workflow_slug"),
    **dict.fromkeys(("nodes", "tasks", "stages"), "steps"),
}
_OF_STEPS = {
    **dict.fromkeys(("id", "name", "step_slug"), "slug"),
    **dict.fromkeys(("dependencies", "needs", "depends", "requires", "after"), "depends_on"),
    "step_type": "type",
    "function": "uses",
}
#: How alike (of 1) two keys must be for one to be the other with a slip of the pen.
_SLIP = 0.8


class Keys:
    """The keys of a flow or of a step, for many questions about those that are none."""

    def __init__(
        self, names: tuple[str, ...], options: Mapping[str, Option], synonyms: Mapping[str, str]
    ) -> None:
        """``names`` are all that there are, ``options`` those of them that have a rule."""
        self.names = names
        self._options = options
        self._synonyms = synonyms
        self._nearest = NearestNames(names)

    def problems(self, row: dict[Any, Any], owner: str, pointer: str) -> Iterator[Problem]:
        """Every key of a row that is none of ours."""
        unknown = [key for key in row if key not in self.names]
        if not unknown:
            return
        meant = {key: self._meant(key) for key in unknown}
        wishes = Counter(meant.values())
        for key in unknown:
            path, name = f"{pointer}/{escape_token(key)}", meant[key]
            fix, certain = [{"op": "remove", "path": path}], False
            if name and name not in row:
                fix = [{"op": "move", "from": path, "path": f"{pointer}/{name}"}]
                certain = wishes[name] == 1 and self._is_certain(key, name, row[key])
            text = f"there is no key {show(key)}; the keys are {', '.join(self.names)}"
            names = [name] if name else []
            message = say(owner, text) + did_you_mean(names)
            patch = fix if isinstance(key, str) else None
            yield Problem("unknown_key", path, message, names, patch, certain=certain)

    def _meant(self, key: Any) -> str | None:
        """The key that was probably meant."""
        if not isinstance(key, str):
            return None
        return self._synonyms.get(key) or next(iter(self._nearest(key)), None)

    def _is_certain(self, key: str, name: str, value: Any) -> bool:
        """Whether a key can't be anything but ``name``: by the word, and by its value."""
        if key not in self._synonyms:
            alike = difflib.SequenceMatcher(None, key.casefold(), name).ratio()
            if len(self._nearest(key)) > 1 or alike < _SLIP:
                return False
        if name in ("slug", "workflow_slug"):
            return is_valid_slug(value)
        if name == "depends_on":
            return value is None or isinstance(value, list | tuple) or is_valid_slug(value)
        if name == "steps":
            return isinstance(value, list | tuple)
        option = self._options[name]
        meant = option.rule.fix(value)
        return option.fault(value) is None or (meant is not None and meant.certain)


def keys_of_flows() -> Keys:
    """The keys of a flow document."""
    return Keys(("workflow_slug", *FLOW_KEYS, "steps"), FLOW_KEYS, _OF_FLOWS)


def keys_of_steps() -> Keys:
    """The keys of a step in it."""
    return Keys(("slug", "depends_on", *STEP_KEYS), STEP_KEYS, _OF_STEPS)
