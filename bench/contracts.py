"""W2 with items of 0.8 KB, by functions that declare nothing, and by others that declare it all."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from bench.flows import JSON, Shape
from pgflow_django import flow_builder, step_function

#: 10,000 such items are just what one task may return, 8 MiB.
PADDING = "." * 800


class Item(BaseModel):
    """An item of 0.8 KB."""

    n: int
    padding: str


class Order(BaseModel):
    """What the source reads."""

    items: int


class Each(BaseModel):
    """What a task reads."""

    item: Item


class All(BaseModel):
    """What the reducer reads."""

    each: list[Item]


class Total(BaseModel):
    """What comes of it."""

    sum: int


@step_function("bench.typed_items")
def make_typed(input: Order) -> list[Item]:
    """Give as many items as the run asks for."""
    return [Item(n=number, padding=PADDING) for number in range(input.items)]


@step_function("bench.typed_item")
def take_typed(input: Each) -> Item:
    """Add one to an item."""
    return Item(n=input.item.n + 1, padding=PADDING)


@step_function("bench.typed_reduce")
def reduce_typed(input: All) -> Total:
    """Add the items up."""
    return Total(sum=sum(place * item.n for place, item in enumerate(input.each)))


@step_function("bench.kb_items")
def make_plain(input: JSON) -> Any:
    """Give as many items as the run asks for."""
    return [{"n": number, "padding": PADDING} for number in range(input["items"])]


@step_function("bench.kb_item")
def take_plain(input: JSON) -> Any:
    """Add one to an item."""
    return {"n": input["item"]["n"] + 1, "padding": PADDING}


@step_function("bench.kb_reduce")
def reduce_plain(input: JSON) -> Any:
    """Add the items up."""
    return {"sum": sum(place * item["n"] for place, item in enumerate(input["each"]))}


def _output(input: JSON) -> JSON:
    return {"reduce": {"sum": sum(place * (place + 1) for place in range(input["items"]))}}


def _shape(kind: str) -> Shape:
    return Shape(
        f"bench_{kind}_map",
        lambda items: [{"items": items}],
        lambda run_input: run_input["items"] + 2,
        _output,
    )


def _document(kind: str) -> JSON:
    steps = [
        {"slug": "source", "uses": f"bench.{kind}_items"},
        {"slug": "each", "uses": f"bench.{kind}_item", "type": "map", "depends_on": ["source"]},
        {"slug": "reduce", "uses": f"bench.{kind}_reduce", "depends_on": ["each"]},
    ]
    return {"workflow_slug": f"bench_{kind}_map", "steps": steps}


PLAIN, TYPED = _shape("kb"), _shape("typed")


def install() -> None:
    """Store both flows."""
    for kind in ("kb", "typed"):
        flow_builder.create_flow_from_spec(_document(kind), replace=True)
