"""The guide's last example: an ETL pipeline that was generated from a prompt."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from pgflow_django import (
    PermanentFailure,
    RunFailed,
    executor,
    flow_builder,
)
from tests.engine.invariants import check_all_ended

DATA = "name,amount\n" + "".join(f"row {n},{n}\n" for n in range(120))


def _etl(text: str) -> tuple[dict[str, Any], list[Any]]:
    flow_builder.create_flow("claude_etl", base_delay=0)
    flow_builder.add_step("claude_etl", "extract_csv", [])
    flow_builder.add_step(
        "claude_etl", "validate_rows", ["extract_csv"], step_type="map", initial_tasks=50
    )
    flow_builder.add_step("claude_etl", "load_db", ["validate_rows"])
    table: list[Any] = []

    def validate_rows(input: dict[str, Any]) -> Any:
        row = input["item"]
        if not row["amount"].isdigit():
            raise PermanentFailure("invalid")
        return {**row, "amount": int(row["amount"])}

    def load_db(input: dict[str, Any]) -> dict[str, bool]:
        table.extend(input["validate_rows"])
        return {"loaded": True}

    step_functions = {
        "extract_csv": lambda input: list(csv.DictReader(io.StringIO(text))),
        "validate_rows": validate_rows,
        "load_db": load_db,
    }
    return executor.execute_dynamic("claude_etl", {}, step_functions), table


def test_the_etl_pipeline_loads_every_row_although_it_declares_batches_of_fifty() -> None:
    result, table = _etl(DATA)
    assert result == {"load_db": {"loaded": True}}
    assert table == [{"name": f"row {n}", "amount": n} for n in range(120)]
    check_all_ended()


def test_an_invalid_row_of_the_etl_pipeline_fails_the_run_and_says_which() -> None:
    with pytest.raises(RunFailed, match="invalid") as caught:
        _etl(DATA.replace("row 70,70", "row 70,many"))
    assert (caught.value.step_slug, caught.value.task_index) == ("validate_rows", 70)
    assert caught.value.attempt == 1
    check_all_ended()
