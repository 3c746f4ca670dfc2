"""``showrun`` and ``showflow``."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import uuid4

import pytest

from pgflow_django import executor, flow_builder
from pgflow_django.models import WorkflowRun, WorkflowRunEvent
from pgflow_django.runs.redaction import HIDDEN
from tests.commands.calling import call
from tests.engine.building import build


def test_a_completed_run(doubles: str) -> None:
    call("runflow", doubles, input='{"count": 4}')
    run = WorkflowRun.objects.get()
    answer = call("showrun", str(run.id))
    lines = answer.stdout.splitlines()
    assert lines[0] == f"✓ completed  doubles  {run.id}"
    assert '  input    {"count": 4}' in lines
    assert '  output   {"total": 12}' in lines
    (double,) = (line for line in lines if line.startswith("double "))
    times = r"\d\d:\d\d:\d\d  +[\d.]+ m?s  +[\d.]+ m?s"
    assert re.fullmatch(rf"double   ✓ completed    4/4  {times}", double)
    assert "Failed attempts" not in answer.stdout
    assert answer.stderr == ""


def test_a_failed_run_shows_attempts_the_traceback_and_what_to_do(failing: str) -> None:
    call("runflow", failing)
    run = WorkflowRun.objects.get()
    answer = call("showrun", str(run.id))
    assert '  error    step "fail", attempt 2: ValueError: no luck, and' in answer.stdout
    assert re.search(r"\nfail +✗ failed +0/1 +2 ", answer.stdout)
    assert "\nFailed attempts\n" in answer.stdout
    assert re.search(r"fail +1 +next try .* ValueError: no luck, and more\n", answer.stdout)
    assert re.search(r"fail +2 +the last one .* ValueError: no luck, and more\n", answer.stdout)
    assert "Traceback of the step function\nTraceback (most recent" in answer.stdout
    assert f"python manage.py retryrun {run.id} --here" in answer.stderr


def test_a_run_that_waits(doubles: str) -> None:
    run = executor.start_flow(doubles)
    answer = call("showrun", str(run.id))
    assert answer.stdout.startswith("● started  doubles ")
    assert re.search(r"\ntotal +○ waiting", answer.stdout)
    assert answer.stderr == f"\nCancel it: python manage.py cancelrun {run.id}\n"


def test_events_and_a_limit(doubles: str) -> None:
    run = executor.start_flow(doubles)
    for _ in range(3):
        executor.cancel_run(run.id, reason="for the test")
        executor.retry_run(run.id)
    answer = call("showrun", str(run.id), limit=2)
    assert "Events (the last 2; --limit shows more)" in answer.stdout
    assert "cancelled: for the test" in answer.stdout
    assert len(call("showrun", str(run.id), json=True, limit=2).json["events"]) == 2


def test_a_run_as_json(failing: str) -> None:
    call("runflow", failing, input='{"count": 1}')
    run = WorkflowRun.objects.get()
    shown = call("showrun", str(run.id), json=True).json
    assert (shown["id"], shown["status"], shown["input"]) == (str(run.id), "failed", {"count": 1})
    assert shown["error"]["error_type"] == "ValueError"
    steps = {step["step_slug"]: step for step in shown["steps"]}
    assert [*steps] == ["numbers", "fail", "after"]
    assert (steps["fail"]["status"], steps["fail"]["failed_attempts"]) == ("failed", 2)
    assert (steps["fail"]["failed_tasks"], steps["after"]["status"]) == (1, "cancelled")
    assert [attempt["attempt"] for attempt in shown["attempts"]] == [1, 2]
    assert shown["attempts"][1]["error_message"] == "no luck, and\nmore"


def test_large_outputs_are_cut_for_people_only(doubles: str) -> None:
    call("runflow", doubles, input={"text": "x" * 1_000})
    run = WorkflowRun.objects.get()
    assert "… (1,012 characters: --json)" in call("showrun", str(run.id)).stdout
    assert call("showrun", str(run.id), json=True).json["input"] == {"text": "x" * 1_000}


def test_what_stands_under_a_key_that_names_a_secret_is_hidden(doubles: str) -> None:
    call("runflow", doubles, input={"count": 2, "password": "hush", "deep": [{"api_key": "k-1"}]})
    run = WorkflowRun.objects.get()
    WorkflowRun.objects.filter(pk=run.pk).update(output={"total": 2, "token": "t-1"})
    data = {"order": 7, "cookie": "c-1"}
    WorkflowRunEvent.objects.create(run_id=run.pk, kind="log", message="told", data=data)
    shown = call("showrun", str(run.id), json=True)
    assert shown.json["input"]["deep"] == [{"api_key": HIDDEN}]
    assert shown.json["output"] == {"total": 2, "token": HIDDEN}
    assert shown.json["events"][-1]["data"] == {"order": 7, "cookie": HIDDEN}
    for text in (shown.stdout, call("showrun", str(run.id)).stdout):
        assert not any(secret in text for secret in ("hush", "k-1", "t-1", "c-1"))
        assert text.count(HIDDEN) >= 3


def test_attempts_before_a_retry_count_no_more(tmp_path: Path) -> None:
    build("gated", {"fail_until": []}, options={
        "fail_until": {"uses": "tests.fail_until", "max_attempts": 1}
    })  # fmt: skip
    gate = tmp_path / "gate"
    call("runflow", "gated", input={"gate": str(gate)})
    run = WorkflowRun.objects.get()
    gate.touch()
    assert call("retryrun", str(run.id), here=True).json == {"fail_until": "through"}
    (step,) = call("showrun", str(run.id), json=True).json["steps"]
    assert (step["status"], step["failed_attempts"]) == ("completed", 0)
    assert len(call("showrun", str(run.id), json=True).json["attempts"]) == 1


def test_an_id_may_be_cut_short_while_it_is_unambiguous(doubles: str) -> None:
    runs = executor.start_flows(doubles, [{}] * 7)
    ids = sorted(str(run.id) for run in runs)
    assert call("showrun", ids[0].upper(), json=True).json["id"] == ids[0]
    assert call("showrun", ids[0].replace("-", ""), json=True).json["id"] == ids[0]
    assert call("showrun", ids[0][:-3], json=True).json["id"] == ids[0]
    answer = call("showrun", ids[0][:2])
    assert answer.status == 2
    named = "".join(f"\n  {run_id}  doubles" for run_id in ids[:5])
    assert answer.stderr == f'Error: Several runs begin with "{ids[0][:2]}":{named}\n  …\n'


@pytest.mark.parametrize("text", ["", "x", "%", "zz-11", "0" * 33, "é"])
def test_what_is_no_id(text: str) -> None:
    answer = call("showrun", text)
    assert (answer.status, answer.stderr) == (
        2, f'Error: There is no run "{text}": ids of runs are UUIDs.\n'
    )  # fmt: skip


def test_an_unknown_run_exits_with_2() -> None:
    unknown = str(uuid4())
    for name in ("showrun", "cancelrun", "retryrun"):
        answer = call(name, unknown)
        assert (answer.status, answer.stderr) == (2, f'Error: There is no run "{unknown}".\n')
    assert call("showrun", unknown, json=True).json["error"]["code"] == "run_not_found"


def test_a_flow_is_shown_as_a_tree() -> None:
    build(
        "orders",
        {
            "fetch": [],
            "check*": ["fetch"],
            "rates": [],
            "score": ["check", "rates"],
            "say": ["check"],
        },
        options={
            "fetch": {"uses": "tests.numbers", "timeout": 120},
            "check": {"uses": "tests.double", "max_attempts": 5, "params": {"strict": True}},
            "rates": {"uses": "tests.numbers"},
            "score": {"uses": "shop.score"},
            "say": {"uses": "tests.total", "queue": "slow", "start_delay": 5},
        },
        description="Orders of a day",
    )
    answer = call("showflow", "orders")
    facts, table = answer.stdout.split("\n\n")
    assert facts.startswith("orders  5 steps, version 1, api\n  Orders of a day\n")
    assert "max_attempts 3, timeout 30 s, base_delay 0 s, queue default" in facts
    assert [re.sub(" {2,}", " | ", line) for line in table.splitlines()] == [
        "STEP | TYPE | ALSO AFTER | FUNCTION | OPTIONS",
        "fetch | single | tests.numbers | timeout 120 s",
        '└─ check | map | tests.double | max_attempts 5, params {"strict": true}',
        " | ├─ score | single | rates | ✗ shop.score",
        " | └─ say | single | tests.total | start_delay 5 s, queue slow",
        "rates | single | tests.numbers",
    ]
    assert (
        "1 function not registered here: shop.score. Register with @step_function" in answer.stderr
    )


def test_a_flow_is_shown_with_what_is_noted_of_its_steps() -> None:
    note = "Ask the shop.\nTwice, if need be. " + "More of it. " * 20
    build("noted", {"fetch": [], "say": ["fetch"]}, options={"fetch": {"description": note}})
    table = call("showflow", "noted").stdout.split("\n\n")[1].splitlines()
    assert table[0].endswith("DESCRIPTION")
    assert "Ask the shop. Twice, if need be." in table[1]
    assert call("showflow", "noted", json=True).json["steps"][0]["description"] == note


def test_a_flow_as_json(doubles: str) -> None:
    shown = call("showflow", doubles, json=True).json
    assert shown["workflow_slug"] == "doubles"
    assert [step["step_slug"] for step in shown["steps"]] == ["numbers", "double", "total"]
    assert shown["missing_functions"] == {}
    build("gaps", {"a": []})
    assert call("showflow", "gaps", json=True).json["missing_functions"] == {"a": "a"}


def test_a_flow_without_steps() -> None:
    flow_builder.create_flow("hollow", input_schema={"type": "object"})
    answer = call("showflow", "hollow")
    assert answer.stdout.startswith("hollow  0 steps, version 1, api\n")
    assert 'input_schema {"type": "object"}' in answer.stdout
    assert "It has no steps." in answer.stderr


def test_an_unknown_flow_exits_with_2_and_the_nearest_names(doubles: str) -> None:
    for name in ("showflow", "exportflow"):
        answer = call(name, "double")
        assert answer.status == 2
        assert answer.stderr == 'Error: There is no flow "double". Did you mean "doubles"?\n'
