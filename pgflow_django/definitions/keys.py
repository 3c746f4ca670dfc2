"""Keys that documents don't have, and the ones that were meant. Pure: no ORM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pgflow_django.definitions.graph import did_you_mean, is_valid_slug
from pgflow_django.definitions.options import FLOW_KEYS, STEP_KEYS
from pgflow_django.definitions.problems import NearestNames, Problem, say
from pgflow_django.definitions.rules import show
from pgflow_django.definitions.schemas import escape_token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

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
_SLUGS = ("slug", "workflow_slug")
#: What stands between the words of a key, and characters that no key of ours has.
_BETWEEN = str.maketrans("", "", "_- ")
_LONG = 40


class Keys:
    """The keys of a flow or of a step, for many questions about those that are none."""

    def __init__(
        self, names: tuple[str, ...], options: Mapping[str, Option], synonyms: Mapping[str, str]
    ) -> None:
        """``names`` are all that there are, ``options`` those of them that have a rule."""
        self._known = frozenset(names)
        self._listed = ", ".join(names)
        self._asked: dict[Any, _Meant] = {}
        self._options = options
        self._words = {_letters(word): name for word, name in synonyms.items()}
        self._words |= {_letters(name): name for name in names}
        self._nearest = NearestNames(names)

    def problems(
        self,
        row: dict[Any, Any],
        owner: str,
        pointer: str,
        may_wait: Callable[[Any], bool] | None = None,
    ) -> Iterator[Problem]:
        """Every key of a row that is none of ours.

        ``may_wait`` tells whether a step can wait for another one of the flow without a cycle.
        """
        unknown = [key for key in row if key not in self._known]
        if not unknown:
            return
        wishes: dict[str, dict[Any, Any]] = {}
        for key in unknown:
            if name := self._meant(key).name:
                wishes.setdefault(name, {})[key] = row[key]
        chosen = {name: self._choose(name, values, may_wait) for name, values in wishes.items()}
        for key in unknown:
            token = escape_token(key if isinstance(key, str) else show(key))
            path, meant = f"{pointer}/{token}", self._meant(key)
            fix, certain = [{"op": "remove", "path": path}], False
            if meant.name and meant.name not in row:
                fix = [{"op": "move", "from": path, "path": f"{pointer}/{meant.name}"}]
                certain = meant.is_clear and chosen[meant.name] == key
            text = f"there is no key {show(key)}; the keys are {self._listed}"
            names = [meant.name] if meant.name else []
            message = say(owner, text) + did_you_mean(names)
            patch = fix if isinstance(key, str) else None
            yield Problem("unknown_key", path, message, names, patch, certain=certain)

    def means(self, key: Any, name: str) -> bool:
        """Whether a key is this one of ours, or probably meant to be."""
        return key == name or (key not in self._known and self._meant(key).name == name)

    def _meant(self, key: Any) -> _Meant:
        """The key that was probably meant."""
        if key not in self._asked:
            self._asked[key] = self._find(key) if isinstance(key, str) else _Meant(None)
        return self._asked[key]

    def _find(self, key: str) -> _Meant:
        if name := self._words.get(_letters(key)):
            return _Meant(name, is_clear=True)
        names = self._nearest(key)
        if len(names) != 1:
            return _Meant(names[0] if names else None)
        return _Meant(names[0], is_clear=_is_slip(key.casefold(), names[0]))

    def _choose(
        self, name: str, values: dict[Any, Any], may_wait: Callable[[Any], bool] | None
    ) -> Any:
        """The one key whose value can stand under ``name``; ``None`` where there are several."""
        if name == "depends_on" and may_wait is not None:
            values = {key: value for key, value in values.items() if _are_all(value, may_wait)}
        able = [key for key, value in values.items() if self._may_be(name, value)]
        if name in _SLUGS and len(able) > 1:
            able = [key for key in able if is_valid_slug(values[key])]
        return able[0] if len(able) == 1 else None

    def _may_be(self, name: str, value: Any) -> bool:
        """Whether a value is one that the key ``name`` can have, if need be written otherwise."""
        if name in _SLUGS:
            return isinstance(value, str) and value != ""
        if name == "depends_on":
            return value is None or isinstance(value, list | tuple | str)
        if name == "steps":
            return isinstance(value, list | tuple)
        option = self._options[name]
        meant = option.rule.fix(value)
        return option.fault(value) is None or (meant is not None and meant.certain)


def _are_all(value: Any, may_wait: Callable[[Any], bool]) -> bool:
    """Whether a step may wait for all that is named, which may be one or none."""
    names = value if isinstance(value, list | tuple) else [value]
    return all(name is None or may_wait(name) for name in names)


def _is_slip(key: str, name: str) -> bool:
    """Whether a key has one letter too many, too few or another, or two swapped."""
    start = _count_same(key, name)
    end = _count_same(key[start:][::-1], name[start:][::-1])
    written, meant = key[start : len(key) - end], name[start : len(name) - end]
    if not (written + meant).isalpha():
        return False
    return max(len(written), len(meant)) == 1 or (len(meant) == 2 and written == meant[::-1])


def _count_same(one: str, other: str) -> int:
    """How many letters two words begin with both."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


class _Meant(NamedTuple):
    """A key of ours that another one stands for; ``is_clear``: it can't be anything else."""

    name: str | None
    is_clear: bool = False


def _letters(key: str) -> str:
    """What two ways to write a key share: ``dependsOn``, ``depends-on`` and ``depends_on``."""
    return key.casefold().translate(_BETWEEN) if len(key) < _LONG else key


def keys_of_flows() -> Keys:
    """The keys of a flow document."""
    return Keys(("workflow_slug", *FLOW_KEYS, "steps"), FLOW_KEYS, _OF_FLOWS)


def keys_of_steps() -> Keys:
    """The keys of a step in it."""
    return Keys(("slug", "depends_on", *STEP_KEYS), STEP_KEYS, _OF_STEPS)
