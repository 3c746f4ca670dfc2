"""The keys that a JSON Schema declares, and the paths that lead to them. Pure: no Django."""

from __future__ import annotations

from collections.abc import Iterator

from pgflow_django.definitions.schema_views import View
from pgflow_django.definitions.schemas import escape_token


def keys_of(view: View) -> dict[str, View]:
    """The keys that an object declares; none where there may be something else."""
    found, _ = view.resolve()
    if isinstance(found.schema, bool) or found.choices():
        return {}
    return {name: found.within(one) for name, one in found.read_object().properties.items()}


def required_of(view: View) -> frozenset[str]:
    """The keys that an object must have."""
    found, _ = view.resolve()
    if isinstance(found.schema, bool) or found.choices():
        return frozenset()
    return found.read_object().required


def list_paths(view: View, depth: int = 3, *, into_lists: bool = True) -> Iterator[str]:
    """The paths to the keys that are declared: ``valid``, then what is in it; items by 0."""
    if depth == 0:
        return
    found, _ = view.resolve()
    is_list = not isinstance(found.schema, bool) and found.kinds() == {"array"}
    inner = keys_of(view)
    if is_list:
        inner = {"0": found.items()} if into_lists else {}
    for name, one in inner.items():
        token = escape_token(name)
        yield token
        for rest in list_paths(one, depth - 1, into_lists=into_lists):
            yield f"{token}/{rest}"
