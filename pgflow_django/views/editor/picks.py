"""An output as a list of what a source can be: each key of it is a button that chooses it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pgflow_django.definitions.schemas import escape_token

_MAX_PICKS = 30
_MAX_DEPTH = 4
_MAX_ITEMS = 3  # of each list
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Pick:
    """A part of an output: its key, the value in short, and what its button posts."""

    key: str
    value: str
    depth: int
    path: str
    posted: str


def list_picks(name: str, head: str, value: Any) -> list[Pick]:
    """The parts of an output that the input ``name`` can be, the whole first."""
    found = [_pick(name, head, head, "", value, 0)]
    found += [
        _pick(name, head, key, path, part, path.count("/") + 1)
        for key, path, part in islice(_walk(value, "", 1), _MAX_PICKS)
    ]
    return found


def list_known_paths(value: Any) -> list[str]:
    """The paths into an output, the first of them."""
    return [path for _key, path, _part in islice(_walk(value, "", 1), _MAX_PICKS)]


def _walk(value: Any, above: str, depth: int) -> Iterator[tuple[str, str, Any]]:
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, dict):
        parts = list(value.items())
    else:
        parts = list(enumerate(value[:_MAX_ITEMS])) if isinstance(value, list) else []
    for key, part in parts:
        path = f"{above}{escape_token(key)}"
        yield str(key), path, part
        yield from _walk(part, f"{path}/", depth + 1)


def _pick(name: str, head: str, key: str, path: str, value: Any, depth: int) -> Pick:
    text = json.dumps(value, ensure_ascii=False)
    short = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    source = f"{head}/{path}" if path else head
    return Pick(key, short, depth, path, json.dumps({name: source}))
