"""Step functions as commands show them: what they declare, in words and as schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgflow_django.contracts import SIDES, schema_of
from pgflow_django.definitions.schema_words import say_type
from pgflow_django.registry import registry

if TYPE_CHECKING:
    from pgflow_django.contracts import Example
    from pgflow_django.registry import RegisteredFunction


def search(query: str) -> list[RegisteredFunction]:
    """The functions that have all words of ``query`` in their name, tags or docs, by name."""
    words = query.casefold().split()
    return [function for function in registry.all() if all(word in function.text for word in words)]


def describe(function: RegisteredFunction) -> dict[str, Any]:
    """A function as a JSON object: ``types`` in words, and the schemas of what it declares."""
    contract = function.contract
    schemas = {side: schema_of(contract, side) for side in SIDES}
    return {
        "name": function.name,
        "summary": function.doc.partition("\n")[0],
        "doc": function.doc,
        "place": function.place,
        "atomic": function.atomic,
        "effects": contract.effects if contract else "unknown",
        "tags": list(contract.tags) if contract else [],
        "map_only": contract.map_only if contract else False,
        "types": {side: say_type(schema) for side, schema in schemas.items()},
        **{str(side): schema for side, schema in schemas.items()},
        "examples": [_describe_example(one) for one in contract.examples] if contract else [],
    }


def _describe_example(example: Example) -> dict[str, Any]:
    return {side: value for side in SIDES if (value := getattr(example, side)) is not None}
