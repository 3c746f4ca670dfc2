"""The parts that commands are made of: words, trees, places in documents, the table's choice."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import get_commands, load_command_class
from hypothesis import given
from hypothesis import strategies as st

from pgflow_django.cli.base import PgflowCommand
from pgflow_django.cli.live import choose
from pgflow_django.cli.tree import draw_tree
from pgflow_django.cli.words import ago, duration, one_line, parse_age, plural
from pgflow_django.definitions.edits.differences import compare
from pgflow_django.definitions.source import Source
from pgflow_django.runs.view import StepView

OURS = sorted(
    name
    for name, app in get_commands().items()
    if app == "pgflow_django" and name != "pgflow_doctor"
)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "0 ms"), (0.0004, "0 ms"), (0.042, "42 ms"), (0.0996, "0.1 s"), (0.1, "0.1 s"),
        (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min"), (72, "1 min 12 s"),
        (3_599, "59 min 59 s"), (3_600, "1 h"), (7_500, "2 h 5 min"), (86_400, "1 d"),
        (100_000, "1 d 3 h"), (10**9, "11,574 d 1 h"),
    ],
)  # fmt: skip
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "just now"), (3, "just now"), (42, "42 s ago"), (60, "1 min ago"), (7_300, "2 h ago"),
     (200_000, "2 d ago"), (3_000_000, "2026-10-17")],
)  # fmt: skip
def test_how_long_ago(seconds: float, words: str) -> None:
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    assert ago(now - timedelta(seconds=seconds), now) == words


def test_one_line_steers_no_terminal() -> None:
    assert one_line("a\n\tb\x1b[31m\x07 é日") == "a b [31m é日"


def test_plurals() -> None:
    assert [plural(count, "step") for count in (0, 1, 2_000)] == [
        "0 steps",
        "1 step",
        "2,000 steps",
    ]
    assert plural(2, "retry", "retries") == "2 retries"


@pytest.mark.parametrize(
    ("text", "days"), [("30d", 30), ("1d12h", 1.5), ("2w", 14), ("0s", 0), ("90min", 0.0625),
                       ("36h", 1.5), ("1.5d", 1.5)],
)  # fmt: skip
def test_ages(text: str, days: float) -> None:
    assert parse_age(text) == timedelta(days)


@pytest.mark.parametrize("text", ["", "30", "d", "1d ", "1 d", "-1d", "1y", "1dd", "٣d", "1e3d"])
def test_what_is_no_age(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        parse_age(text)


def drawn(depends_on: dict[str, list[str]]) -> list[str]:
    return [
        f"{line.branch}{line.slug}{' +' if line.also_after else ''}{','.join(line.also_after)}"
        for line in draw_tree(depends_on)
    ]


def test_a_tree_with_branches_and_a_join() -> None:
    flow = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"], "e": [], "f": ["b"]}
    assert drawn(flow) == ["a", "├─ b", "│  └─ f", "└─ c", "   └─ d +b", "e"]


def test_a_deep_flow_is_listed_flat() -> None:
    chain = {f"s{i}": [f"s{i - 1}"] if i else [] for i in range(2_000)}
    lines = drawn(chain)
    assert lines[:3] == ["s0", "s1 +s0", "s2 +s1"]
    assert len(lines) == 2_000


@given(st.lists(st.lists(st.integers(0, 30), max_size=4, unique=True), min_size=1, max_size=20))
def test_every_step_stands_in_the_tree_once_below_what_it_waits_for(edges: Any) -> None:
    flow = {
        f"s{index}": [f"s{other}" for other in others if other < index]
        for index, others in enumerate(edges)
    }
    lines = draw_tree(flow)
    assert sorted(line.slug for line in lines) == sorted(flow)
    seen: set[str] = set()
    for line in lines:
        if line.branch or len(line.also_after) < len(flow[line.slug]):
            assert set(flow[line.slug]) - set(line.also_after) <= seen
        seen.add(line.slug)


def step(slug: str, status: Any, ended: int | None = None) -> StepView:
    at = None if ended is None else datetime(2026, 1, 1, 0, 0, ended, tzinfo=UTC)
    return StepView(slug, slug, status=status, ended_at=at)


def test_the_table_prefers_what_happens_then_what_is_next_then_what_was_last() -> None:
    steps = [
        step("old", "completed", 1), step("new", "completed", 2), step("bad", "failed", 3),
        step("now", "running"), step("again", "retrying"), step("next", "waiting"),
        step("later", "waiting"),
    ]  # fmt: skip
    assert [shown.slug for shown in choose(steps, 7)] == [shown.slug for shown in steps]
    assert [shown.slug for shown in choose(steps, 6)] == ["bad", "now", "again", "next", "later"]
    assert [shown.slug for shown in choose(steps, 3)] == ["bad", "now"]
    assert [shown.slug for shown in choose(steps, 0)] == ["bad"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(json_values, st.sampled_from([None, 1]))
def test_every_place_of_a_document_is_found(value: Any, indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    source = Source(text, value)

    def check(inner: Any, pointer: str) -> None:
        line = source.find_line(pointer)
        if not isinstance(inner, dict | list):
            assert json.dumps(inner) in text.split("\n")[line - 1]
            return
        for key, child in inner.items() if isinstance(inner, dict) else enumerate(inner):
            check(child, f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}")

    check(value, "")


@pytest.mark.parametrize("pointer", ["/a/b/c", "/b/0/x", "/nowhere", "/b/7", "/b/-"])
def test_a_place_that_is_not_there_is_its_nearest_parent(pointer: str) -> None:
    text = '{\n "a": 1,\n "b": [\n  2\n ]\n}'
    lines = {"/a/b/c": 2, "/b/0/x": 4, "/nowhere": 1, "/b/7": 3, "/b/-": 3}
    assert Source(text, json.loads(text)).find_line(pointer) == lines[pointer]


def test_true_and_one_are_a_change() -> None:
    before = {"steps": [{"slug": "a", "params": {"x": 1}}]}
    after = {"steps": [{"slug": "a", "params": {"x": True}}]}
    (change,) = compare(before, after)
    assert str(change) == 'step a: params {"x": 1} → {"x": true}'


@pytest.mark.parametrize("name", OURS)
def test_every_command_has_help_with_examples(name: str) -> None:
    command = load_command_class("pgflow_django", name)
    assert isinstance(command, PgflowCommand)
    parser = command.create_parser("manage.py", name)
    text = parser.format_help()
    assert f"examples:\n  manage.py {name} " in text or f"examples:\n  manage.py {name}\n" in text
    assert "--database ALIAS" in text
    assert all(len(line) <= 100 for line in text.splitlines())
    options = [action for action in parser._actions if action.option_strings]
    assert all(action.help for action in options)


def test_all_commands_are_there() -> None:
    assert OURS == [
        "agentguide", "agenttoken", "cancelrun", "checkflow", "completestep", "explainrun",
        "exportflow", "flowschema", "generateflow", "importflow", "listflows", "listfunctions",
        "listruns", "listworkers", "mcp", "pauserun", "pruneruns", "publishflow", "rerun",
        "resumerun", "retryrun", "runflow", "showflow", "showrun", "simulateflow", "skipstep",
    ]  # fmt: skip
    folder = Path(__file__).parent.parent.parent / "pgflow_django" / "management" / "commands"
    assert {path.stem for path in folder.glob("[a-z]*.py")} >= set(OURS)
