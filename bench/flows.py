"""The flows of the workloads: their steps do nothing but pass on about 100 bytes that add up."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pgflow_django import Flow, flow_builder, step, step_function

JSON = dict[str, Any]
FLOW_DOCUMENT = dict[str, Any]

PADDING = "." * 80
BRANCHES = 50
LINE_STEPS = 10


def payload(number: int) -> JSON:
    """About 100 bytes of JSON around a number."""
    return {"n": number, "padding": PADDING}


class CodeChain(Flow):
    """The chain a → b → c as a flow in code; the stored one uses the same functions."""

    slug = "bench_code_chain"

    @step
    def a(input: JSON) -> JSON:  # noqa: N805
        """Begin with the number of the run."""
        return payload(input["n"] + 1)

    @step(depends_on=["a"])
    def b(input: JSON) -> JSON:  # noqa: N805
        """Add one."""
        return payload(input["a"]["n"] + 1)

    @step(depends_on=["b"])
    def c(input: JSON) -> JSON:  # noqa: N805
        """Add one."""
        return payload(input["b"]["n"] + 1)


@step_function("bench.items")
def make_items(input: JSON) -> list[JSON]:
    """Give as many items as the run asks for."""
    return [payload(number) for number in range(input["items"])]


@step_function("bench.item")
def take_item(input: JSON) -> JSON:
    """Add one to an item."""
    return payload(input["item"]["n"] + 1)


@step_function("bench.reduce")
def reduce_items(input: JSON) -> JSON:
    """Add the items up, so that one lost, doubled or out of place shows."""
    return {"sum": sum(place * item["n"] for place, item in enumerate(input["each"]))}


@step_function("bench.root")
def begin(input: JSON) -> JSON:
    """Begin with the number of the run."""
    return payload(input["n"])


@step_function("bench.branch")
def branch(input: JSON) -> JSON:
    """Add the branch's number."""
    return payload(input["root"]["n"] + input["params"])


@step_function("bench.join")
def join(input: JSON) -> JSON:
    """Add the branches up."""
    return {"sum": sum(input[f"branch_{number}"]["n"] for number in range(BRANCHES))}


@step_function("bench.stamp")
def stamp(input: JSON) -> JSON:  # noqa: ARG001 - a step function takes its input, read or not
    """Tell when it ran, on the clock that all processes of a machine share."""
    return {"at": time.monotonic(), "padding": PADDING}


@dataclass(frozen=True)
class Shape:
    """A flow as a workload runs it.

    ``inputs`` gives the inputs of all runs for a size, ``tasks`` the number of tasks of a run and
    ``output`` what it must give, both from its input.
    """

    flow: str | type[Flow]
    inputs: Callable[[int], list[JSON]]
    tasks: Callable[[JSON], int]
    output: Callable[[JSON], JSON]


def _inputs(runs: int) -> list[JSON]:
    return [payload(number) for number in range(runs)]


def _chain_output(input: JSON) -> JSON:
    return {"c": payload(input["n"] + 3)}


def _fan_output(input: JSON) -> JSON:
    return {"join": {"sum": BRANCHES * input["n"] + sum(range(BRANCHES))}}


def _map_output(input: JSON) -> JSON:
    return {"reduce": {"sum": sum(place * (place + 1) for place in range(input["items"]))}}


CHAIN = Shape("bench_chain", _inputs, lambda _: 3, _chain_output)
CODE_CHAIN = Shape(CodeChain, _inputs, lambda _: 3, _chain_output)
FAN = Shape("bench_fan", _inputs, lambda _: BRANCHES + 2, _fan_output)
MAP = Shape(
    "bench_map",
    lambda items: [{"items": items, "padding": PADDING}],
    lambda run_input: run_input["items"] + 2,
    _map_output,
)
LINE = "bench_line"

DOCUMENTS: list[FLOW_DOCUMENT] = [
    {
        "workflow_slug": CHAIN.flow,
        "steps": [
            {"slug": "a", "uses": "bench_code_chain.a"},
            {"slug": "b", "uses": "bench_code_chain.b", "depends_on": ["a"]},
            {"slug": "c", "uses": "bench_code_chain.c", "depends_on": ["b"]},
        ],
    },
    {
        "workflow_slug": MAP.flow,
        "steps": [
            {"slug": "source", "uses": "bench.items"},
            {"slug": "each", "uses": "bench.item", "type": "map", "depends_on": ["source"]},
            {"slug": "reduce", "uses": "bench.reduce", "depends_on": ["each"]},
        ],
    },
    {
        "workflow_slug": FAN.flow,
        "steps": [
            {"slug": "root", "uses": "bench.root"},
            *(
                {
                    "slug": f"branch_{number}",
                    "uses": "bench.branch",
                    "params": number,
                    "depends_on": ["root"],
                }
                for number in range(BRANCHES)
            ),
            {
                "slug": "join",
                "uses": "bench.join",
                "depends_on": [f"branch_{number}" for number in range(BRANCHES)],
            },
        ],
    },
    {
        "workflow_slug": LINE,
        "steps": [
            {
                "slug": f"step_{number}",
                "uses": "bench.stamp",
                "depends_on": [f"step_{number - 1}"] if number else [],
            }
            for number in range(LINE_STEPS)
        ],
    },
]


def install() -> None:
    """Store the flows."""
    for document in DOCUMENTS:
        flow_builder.create_flow_from_spec(document, replace=True)
