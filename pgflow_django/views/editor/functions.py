"""Step functions as the editor shows them: what they say, need, give, and do to the world."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from pgflow_django.contracts import Declaration, schema_of
from pgflow_django.definitions.inputs import RUN
from pgflow_django.definitions.schema_paths import keys_of, required_of
from pgflow_django.definitions.schema_views import View
from pgflow_django.definitions.schema_words import say_type
from pgflow_django.registry import registry

#: Keys of an input that the step itself gives, whatever comes before it.
_OWN_KEYS = {RUN, "params"}
_MAP_KEYS = {"item", "index"}
#: A line that begins so stands alone; others go on where the one before ends.
_ITEM = re.compile(r"\s*([-*•>]|\d+[.)]) ")


#: Of what nothing is known, anything may be.
ANYTHING = View.of(None)


@dataclass(frozen=True, slots=True)
class Needed:
    """A key that a function reads, with its type in words."""

    name: str
    words: str
    about: str = ""
    is_required: bool = False
    #: What a call takes for it, which may be more than is declared.
    accepted: View = ANYTHING


@dataclass(frozen=True, slots=True)
class Function:
    """A step function, known to this process or not, and what it declares."""

    name: str
    is_known: bool = False
    summary: str = ""
    paragraphs: list[str] = field(default_factory=list)
    needs: list[Needed] = field(default_factory=list)
    gives: str = ""
    effects: str = ""
    tags: tuple[str, ...] = ()
    is_for_maps: bool = False
    declares_input: bool = False
    output: View = ANYTHING
    params: Any = None

    @property
    def params_words(self) -> str:
        """What its params must be."""
        return say_type(self.params)

    @property
    def words(self) -> str:
        """All that it can be found by, apart from its name."""
        needs = (f"{one.name} {one.words}" for one in self.needs)
        parts = [*self.paragraphs, *self.tags, self.effects, *needs, self.gives]
        return " ".join(filter(None, parts)).casefold()

    @property
    def has_more(self) -> bool:
        """Whether there is more to say than its summary."""
        return bool(
            self.paragraphs[1:] or self.needs or self.gives or self.effects or self.tags
            or self.params is not None
        )  # fmt: skip


def name_effects() -> Mapping[str, str]:
    """What functions do to the world, in words; of one that does not say, nothing is said."""
    return {
        "none": _("changes nothing"),
        "reads": _("reads data, changes nothing"),
        "writes": _("writes data"),
        "external": _("acts outside: mail, payments"),
    }


def describe_function(name: str) -> Function:
    """What is known of the function that steps call by this name."""
    registered = registry.get(name)
    if registered is None:
        return Function(name)
    paragraphs = _read_doc(registered.doc)
    known = Function(name, True, paragraphs[0] if paragraphs else "", paragraphs)
    contract = registered.contract
    if contract is None:
        return known
    declared = Declaration(contract)
    return Function(
        name,
        True,
        known.summary,
        paragraphs,
        needs=_list_needs(View.of(declared.input), View.of(declared.accepted)),
        gives=say_type(declared.output),
        effects=name_effects().get(contract.effects, ""),
        tags=contract.tags,
        is_for_maps=contract.map_only,
        declares_input=contract.input is not None,
        output=View.of(declared.output),
        params=schema_of(contract, "params"),
    )


def output_of(row: Mapping[str, Any], function: Function) -> View:
    """What a step of a document returns: of a map, the list of its tasks' outputs."""
    output = function.output
    if row.get("type") != "map":
        return output
    return output.within({"type": "array", "items": output.schema})


def is_given(name: str, *, is_map: bool) -> bool:
    """Whether a step has this key of its input by itself."""
    return name in _OWN_KEYS or (is_map and name in _MAP_KEYS)


def _list_needs(view: View, accepted: View) -> list[Needed]:
    """The keys that are read, those first that must be there."""
    required, taken = required_of(view), keys_of(accepted)
    found = [
        Needed(
            name,
            say_type(one.schema, one.root),
            _about(one),
            name in required,
            taken.get(name, ANYTHING),
        )
        for name, one in keys_of(view).items()
        if name not in _OWN_KEYS
    ]
    return sorted(found, key=lambda one: not one.is_required)


def _about(view: View) -> str:
    text = view.schema.get("description") if isinstance(view.schema, dict) else None
    return text if isinstance(text, str) else ""


def _read_doc(doc: str) -> list[str]:
    """The paragraphs of a docstring, whose lines are those of an editor of code."""
    paragraphs = []
    for block in re.split(r"\n\s*\n", doc.strip()):
        text = ""
        for line in block.splitlines():
            glue = "\n" if _ITEM.match(line) else " "
            text += (glue if text else "") + line.strip()
        if text:
            paragraphs.append(text)
    return paragraphs
