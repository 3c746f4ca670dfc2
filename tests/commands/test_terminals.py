"""``runflow`` on a pseudo terminal: the live table, and what is left on the screen."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pgflow_django.models import WorkflowRun
from tests.commands.calling import on_terminal
from tests.engine.building import build

pytestmark = pytest.mark.slow


def test_a_terminal_gets_a_live_table(doubles: str) -> None:
    screen = on_terminal("runflow", doubles, "--input", '{"count": 700}', columns=100)
    assert screen.status == 0
    run_id = str(WorkflowRun.objects.get().id)
    assert screen.raw.count("\x1b[?25l") == screen.raw.count("\x1b[?25h") == 1
    assert not re.search(r"\x1b\[\d*A", screen.raw.split("\x1b[?25h")[1])
    last = screen.last_picture.splitlines()
    assert f"run {run_id}" in last[0]
    assert re.fullmatch(r"✓ doubles +completed +[\d.]+ m?s  3 steps, 702 tasks", last[1])
    assert re.fullmatch(r"  ✓ numbers +completed +[\d.]+ m?s", last[2])
    assert re.fullmatch(r"  ✓ double +completed +[\d.]+ m?s  ━{30} 700/700", last[3])
    assert re.fullmatch(r"  ✓ total +completed +[\d.]+ m?s", last[4])
    assert json.loads("\n".join(last[5:])) == {"total": 489_300}


def test_the_table_shows_what_failed(failing: str) -> None:
    screen = on_terminal("runflow", failing, columns=120)
    assert screen.status == 1
    assert re.search(
        r"  ✗ fail +failed +[\d.]+ m?s  attempt 2 of 2: ValueError: no luck, and more", screen.text
    )
    assert "  ⊘ after    cancelled" in screen.text


@pytest.mark.parametrize("columns", [20, 40, 80])
def test_no_line_of_the_table_is_wider_than_the_terminal(doubles: str, columns: int) -> None:
    screen = on_terminal("runflow", doubles, "--input", '{"count": 50}', columns=columns)
    assert screen.status == 0
    table = screen.last_picture.splitlines()[:5]
    assert all(len(line) < columns for line in table)
    assert "50/50" in screen.text or columns == 20


def test_a_flow_higher_than_the_terminal_shows_what_matters() -> None:
    slugs = [f"n{number}" for number in range(30)]
    options = {slug: {"uses": "tests.numbers"} for slug in slugs}
    build("tall", {slug: [] for slug in slugs}, options=options)
    screen = on_terminal("runflow", "tall", "-v1", lines=12)
    assert screen.status == 0
    table = screen.last_picture.split("{")[0].splitlines()
    assert len(table) == 11
    assert table[-1].strip() == "and 22 more steps"


def test_ctrl_c_on_a_terminal_leaves_it_clean(tmp_path: Path) -> None:
    build("holding", {"held": []}, options={"held": {"uses": "tests.hold", "timeout": 60}})
    paths = json.dumps({"mark": str(tmp_path / "mark"), "gate": str(tmp_path / "gate")})
    screen = on_terminal(
        "runflow", "holding", "--input", paths, ctrl_c_when=lambda _: (tmp_path / "mark").exists()
    )
    assert screen.status == 130
    assert screen.raw.rindex("\x1b[?25h") > screen.raw.rindex("\x1b[?25l")
    assert "⊘ held" in screen.last_picture
    assert "Interrupted: run " in screen.last_picture


def test_prints_of_steps_stand_above_the_table() -> None:
    build("loud", {"shout": []}, options={"shout": {"uses": "tests.shout"}})
    screen = on_terminal("runflow", "loud")
    assert "a step prints this" in screen.text
    assert "a step prints this" not in screen.last_picture


def test_a_dumb_terminal_gets_plain_lines(doubles: str) -> None:
    screen = on_terminal("runflow", doubles, env={"TERM": "dumb"})
    assert "step double: started, 3 tasks" in screen.text
    assert "\x1b[?25l" not in screen.raw
