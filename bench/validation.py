"""How long it takes to validate large documents: ``python -m bench.validation``, JSON lines.

Each line is one kind of document of 2,000 steps, the best and the middle of some rounds.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

import django
from pydantic import BaseModel
from typing_extensions import TypedDict

STEPS = 2_000
ROUNDS = 7

Document = dict[str, Any]


class Row(TypedDict):
    """An item of what steps hand on."""

    code: str
    size: int


class Rows(TypedDict):
    """What steps read."""

    rows: list[Row]


class Params(BaseModel):
    """Constants of a step."""

    delimiter: str = ","
    most: int = 10


def register() -> None:
    """Register what the steps call."""
    from pgflow_django import step_function

    @step_function("bench.typed", params=Params)
    def typed(input: Rows) -> list[Row]:
        return input["rows"]

    rows = {"type": "object", "properties": {"rows": {"type": "array"}}, "required": ["rows"]}
    params = {"type": "object", "properties": {"most": {"type": "integer", "minimum": 1}}}

    @step_function("bench.schema", input=rows, params=params, output={"type": "array"})
    def schema(input: dict[str, Any]) -> Any:
        return input["rows"]

    @step_function("bench.count")
    def count(input: dict[str, Any]) -> int:
        return len(input)

    @step_function("bench.silent")
    def silent(input: dict[str, Any]) -> Any:
        return input


def chain(function: str, **options: Any) -> Document:
    """Steps one after another, each of which reads what the one before returns."""
    steps: list[Document] = [{"slug": "s0", "uses": "bench.silent"}]
    for number in range(1, STEPS):
        before = f"s{number - 1}"
        step = {"slug": f"s{number}", "uses": function, "depends_on": [before], **options}
        steps.append({**step, "inputs": {"rows": before}})
    return {"workflow_slug": "large", "steps": steps}


def documents() -> Iterator[tuple[str, Document]]:
    """The documents by name."""
    yield "silent", chain("bench.silent", params={"most": 5})
    yield "typed", chain("bench.typed", params={"most": 5})
    yield "schema", chain("bench.schema", params={"most": 5})
    yield "broken_params", chain("bench.typed", params={"most": "many", "delimiter": 7})
    yield "broken_schema_params", chain("bench.schema", params={"most": 0})
    broken = chain("bench.typed")
    for step in broken["steps"][::2]:
        step["uses"] = "bench.count"
    yield "broken_types", broken
    missing = chain("bench.typed")
    for step in missing["steps"]:
        step.pop("inputs", None)
    yield "missing_inputs", missing


def measure(document: Document) -> tuple[list[float], int]:
    """The seconds of work of each round, and the number of problems."""
    from pgflow_django import validate_flow

    rounds = []
    count = 0
    for _ in range(ROUNDS):
        started = time.process_time()
        count = len(validate_flow(document))
        rounds.append(time.process_time() - started)
    return rounds, count


def main() -> None:
    """Measure all, and print a line for each."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.settings")
    django.setup()
    register()
    for name, document in documents():
        rounds, count = measure(document)
        found = {
            "document": name,
            "steps": STEPS,
            "problems": count,
            "best_ms": round(min(rounds) * 1000, 1),
            "median_ms": round(statistics.median(rounds) * 1000, 1),
        }
        sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
