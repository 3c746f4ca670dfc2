"""The demo from end to end, on the real database, against a count of the file by other means."""

from __future__ import annotations

import csv
import re
from collections import Counter
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from pgflow_django import executor
from project import flows
from project.models import Airport
from project.rows import DATA

pytestmark = pytest.mark.django_db(transaction=True)


def lines_of(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader((DATA / name).read_text(encoding="utf-8").splitlines()))


def count_by_hand() -> tuple[Counter[str], int]:
    """Count the airports to be loaded by state, and all rows, without the demo's own code."""
    boxes = {
        line["code"]: [float(line[side]) for side in ("south", "north", "west", "east")]
        for line in lines_of("states.csv")
    }
    lines = lines_of("airports.csv")
    by_state: Counter[str] = Counter()
    for line in lines:
        south, north, west, east = boxes.get(line["state"], (0, 0, 0, 0))
        is_inside = south <= float(line["latitude"]) <= north
        is_inside &= west <= float(line["longitude"]) <= east
        by_state[line["state"]] += is_inside and "NA" not in line.values()
    return +by_state, len(lines)


def loaded() -> list[tuple[Any, ...]]:
    return list(Airport.objects.order_by("code").values_list())


def test_the_flow_loads_what_is_valid_and_lists_what_is_not() -> None:
    assert flows.install()
    report = executor.execute_dynamic(flows.AIRPORTS_ETL["workflow_slug"])["report_airports"]
    by_state, count = count_by_hand()
    assert report["states"] == by_state
    assert report["rows"] == count == 3376
    assert report["loaded"] == report["new"] == Airport.objects.count() == by_state.total() == 3356
    assert report["rejected"] == len(report["rejected_rows"]) == count - by_state.total()
    assert all(entry["reasons"] for entry in report["rejected_rows"])
    assert {entry["row"]["iata"] for entry in report["rejected_rows"]} >= {"GUM", "ROP", "MIB"}


def test_a_second_run_changes_nothing() -> None:
    assert flows.install()
    executor.execute_dynamic(flows.AIRPORTS_ETL["workflow_slug"])
    before = loaded()
    assert not flows.install()
    report = executor.execute_dynamic(flows.AIRPORTS_ETL["workflow_slug"])["report_airports"]
    assert (report["loaded"], report["new"]) == (3356, 0)
    assert loaded() == before


def test_the_command_ends_with_the_report_the_picture_and_what_to_try(tmp_path: Path) -> None:
    diagram, output = tmp_path / "flow.svg", StringIO()
    call_command("demo", diagram=diagram, stdout=output)
    text = re.sub(r"\s+", " ", output.getvalue())
    assert "3,376 rows read, 3,356 loaded (3,356 of them new), 20 rejected." in text
    assert "12 city is missing" in text
    assert "10 of the 20 rejected rows" in text
    assert re.search(r"Picture of the flow: \S*flow\.svg", text)
    assert "What to try next:" in text
    assert diagram.read_text(encoding="utf-8").startswith("<svg")
    assert Airport.objects.count() == 3356
