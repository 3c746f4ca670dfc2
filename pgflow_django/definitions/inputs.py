"""Where the keys of a step's input come from: names, each with a source. Pure.

A source is the slug of a dependency, ``item``, ``index`` or ``run``, and behind it, if only a part
is meant, the tokens of a JSON Pointer: ``check/rows/0``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from pgflow_django.definitions.rules import Json, show
from pgflow_django.definitions.schemas import unescape_token

MAX_INPUTS = 50
MAX_SOURCE = 1_000
#: The whole input of the run; no step is called so.
RUN = "run"
#: What only a task of a map has.
OF_MAPS = ("item", "index")

_BAD_ESCAPE = re.compile(r"~(?![01])")
_INDEX = re.compile(r"0|[1-9][0-9]{0,9}", re.ASCII)


class Source(NamedTuple):
    """A source as it is read: what it begins with, and the keys that lead into that."""

    head: str
    tokens: Sequence[str]


def read_source(text: str) -> Source:
    """A valid source, read."""
    head, *tokens = text.split("/")
    return Source(head, [unescape_token(token) for token in tokens])


def source_fault(text: Any) -> str | None:
    """What is wrong with a source, as the end of a sentence; ``None`` when it is well-formed."""
    if not isinstance(text, str):
        return f"is {show(text)}, but must be text"
    if len(text) > MAX_SOURCE:
        return f"has {len(text):,} characters, but may have at most {MAX_SOURCE:,}"
    if not text.partition("/")[0]:
        return f"is {show(text)}, which does not begin with a step, item, index or run"
    if _BAD_ESCAPE.search(text):
        return f"is {show(text)}: behind ~ stands 0 (for ~ itself) or 1 (for a slash)"
    return None


def follow(value: Any, tokens: Sequence[str]) -> Any:
    """What tokens lead to in a JSON value. Raises ``LookupError``, with the token that fails."""
    for token in tokens:
        if isinstance(value, dict) and token in value:
            value = value[token]
        elif isinstance(value, list) and _INDEX.fullmatch(token) and int(token) < len(value):
            value = value[int(token)]
        else:
            raise LookupError(token)
    return value


def names_step(source: Any, slug: str, *, is_map: bool) -> bool:
    """Whether a source is the output of this step."""
    if not isinstance(source, str) or source.partition("/")[0] != slug:
        return False
    return slug != RUN and not (is_map and slug in OF_MAPS)


def rename_sources(row: dict[str, Any], names: Mapping[str, str]) -> None:
    """Let the sources of a document's step name other steps, as ``names`` says: old to new."""
    if isinstance(inputs := row.get("inputs"), dict):
        row["inputs"] = {
            name: _rename(source, names, is_map=row.get("type") == "map")
            for name, source in inputs.items()
        }


def drop_sources(row: dict[str, Any], slugs: Collection[str]) -> None:
    """Take out what a document's step reads of steps that it waits for no longer."""
    if isinstance(inputs := row.get("inputs"), dict):
        is_map = row.get("type") == "map"
        row["inputs"] = {
            name: source
            for name, source in inputs.items()
            if not any(names_step(source, slug, is_map=is_map) for slug in slugs)
        }
        if not row["inputs"] and inputs:
            del row["inputs"]


def _rename(source: Any, names: Mapping[str, str], *, is_map: bool) -> Any:
    if not isinstance(source, str):
        return source
    head, slash, rest = source.partition("/")
    if head not in names or not names_step(source, head, is_map=is_map):
        return source
    return f"{names[head]}{slash}{rest}"


@dataclass(frozen=True, slots=True)
class Inputs(Json):
    """An object of names and well-formed sources."""

    must_be_object: bool = True

    keeps: ClassVar[str] = "is_an_object"

    def describe(self) -> str:
        """See ``Rule``."""
        return f"an object of at most {MAX_INPUTS} names, each with a source as `check/rows`"

    def fault(self, value: Any) -> str | None:
        """See ``Rule``."""
        if not isinstance(value, dict):
            return f"is {show(value)}, but must be {self.describe()}"
        if len(value) > MAX_INPUTS:
            return f"has {len(value):,} names, but may have at most {MAX_INPUTS}"
        for name, source in value.items():
            if not isinstance(name, str) or not name:
                return f"has the name {show(name)}, but names must be text"
            if name == RUN:
                return f"has the name {RUN}, under which each input has that of the whole run"
            if fault := source_fault(source):
                return f"{show(name)} {fault}"
        return Json.fault(self, value)
