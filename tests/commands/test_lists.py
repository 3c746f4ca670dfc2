"""``listflows`` and ``listruns``."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pgflow_django import executor, flow_builder
from pgflow_django.models import Workflow, WorkflowRun
from tests.commands.calling import Answer, call, on_terminal
from tests.engine.building import build


def test_no_flows_say_how_to_make_one() -> None:
    answer = call("listflows")
    assert (answer.status, answer.stdout) == (0, "")
    assert answer.stderr == (
        "No flows yet. Make one with flow_builder.create_flow() in Python, or import a document: "
        "python manage.py importflow flow.json\n"
    )
    assert call("listflows", json=True) == Answer("[]\n", "", 0)


def test_flows_with_their_last_runs_newest_first(doubles: str) -> None:
    build("later", {"a": []}, description="What\ncomes later")
    call("runflow", doubles)
    executor.start_flow(doubles)
    lines = call("listflows").stdout.splitlines()
    assert lines[0].split() == [
        "FLOW", "STEPS", "VERSION", "ORIGIN", "ACTIVE", "LAST", "RUN", "DESCRIPTION"
    ]  # fmt: skip
    assert lines[1].split() == ["later", "1", "1", "api", "never", "What", "comes", "later"]
    assert lines[2].split() == ["doubles", "3", "1", "api", "1", "●", "started", "just", "now"]
    Workflow.objects.filter(pk="later").update(is_active=False)
    assert "later (switched off)" in call("listflows").stdout


def test_flows_as_json(doubles: str) -> None:
    assert call("runflow", doubles).status == 0
    (flow,) = call("listflows", json=True).json
    run = WorkflowRun.objects.get()
    assert flow.keys() >= flow_builder.list_flows()[0].keys()
    assert (flow["workflow_slug"], flow["steps_count"], flow["active_runs"]) == ("doubles", 3, 0)
    assert (flow["last_run"]["id"], flow["last_run"]["status"]) == (str(run.id), "completed")


@pytest.mark.parametrize("text", ["DOUB", "arithmetic", "tests.total", "numb"])
def test_search_looks_into_slugs_descriptions_steps_and_functions(doubles: str, text: str) -> None:
    Workflow.objects.filter(pk=doubles).update(description="some arithmetic")
    build("other", {"a": []})
    flows = call("listflows", search=text, json=True).json
    assert [flow["workflow_slug"] for flow in flows] == ["doubles"]


def test_a_search_without_a_hit(doubles: str) -> None:
    assert call("listflows", search="%").stderr == 'No flow has "%" in it, of 1 flow.\n'
    assert call("listflows", search="%", json=True).json == []


def test_no_runs_say_how_to_start_one(doubles: str) -> None:
    assert call("listruns").stderr == "No runs yet. Start one: python manage.py runflow FLOW\n"
    assert call("listruns", flow=doubles).stderr == (
        'No runs of flow "doubles" yet. Start one: python manage.py runflow doubles\n'
    )
    assert call("listruns", status="failed,cancelled").stderr == "No run is failed or cancelled.\n"


def test_runs_newest_first(doubles: str, failing: str) -> None:
    call("runflow", doubles)
    call("runflow", failing)
    newest, oldest = WorkflowRun.objects.order_by("-id")
    lines = call("listruns").stdout.splitlines()
    assert lines[0].split() == ["RUN", "STATUS", "FLOW", "STEPS", "STARTED", "TOOK", "BY", "ERROR"]
    assert re.fullmatch(
        rf"{newest.id}  ✗ failed     failing    1/3  just now  +[\d.]+ m?s  command  "
        r'step "fail", attempt 2: ValueError: no luck, and more',
        lines[1],
    )
    assert re.fullmatch(
        rf"{oldest.id}  ✓ completed  doubles    3/3  just now  +[\d.]+ m?s  command", lines[2]
    )


def test_runs_can_be_picked_by_flow_and_status(doubles: str, failing: str) -> None:
    call("runflow", doubles)
    call("runflow", failing)

    def picked(**options: Any) -> list[str]:
        return [run["workflow_slug"] for run in call("listruns", json=True, **options).json]

    assert picked() == ["failing", "doubles"]
    assert picked(flow="doubles") == ["doubles"]
    assert picked(status="failed") == ["failing"]
    assert picked(status="completed, failed") == ["failing", "doubles"]
    assert picked(flow="doubles", status="failed") == []


def test_a_limit_says_that_there_are_more(doubles: str) -> None:
    executor.start_flows(doubles, [{}] * 5)
    answer = call("listruns", limit=2)
    assert len(answer.stdout.splitlines()) == 3
    assert answer.stderr == "There are more: --limit 10 shows up to 10.\n"
    assert len(call("listruns", limit=2, json=True).json) == 2
    assert call("listruns", limit=5).stderr == ""


def test_runs_of_a_deleted_flow_are_still_there(doubles: str) -> None:
    call("runflow", doubles)
    flow_builder.delete_flow(doubles)
    assert len(call("listruns", flow=doubles, json=True).json) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"flow": "doubels"}, 'There is no flow "doubels". Did you mean "doubles"?'),
        (
            {"status": "cancled"},
            (
                "--status knows started, paused, completed, failed, cancelled, but not "
                '"cancled". Did you mean "cancelled"?'
            ),
        ),
        ({"limit": "0"}, "--limit is 0, but must be 1 or more."),
        ({"limit": "many"}, "--limit is 'many', but must be a whole number."),
    ],
)
def test_bad_choices_exit_with_2(doubles: str, options: dict[str, Any], message: str) -> None:
    assert call("listruns", **options) == Answer("", f"Error: {message}\n", 2)


@pytest.mark.slow
def test_narrow_terminals_keep_ids_whole(failing: str) -> None:
    call("runflow", failing)
    run_id = str(WorkflowRun.objects.get().id)
    for columns in (60, 80, 130):
        screen = on_terminal("listruns", columns=columns)
        assert run_id in screen.text
        assert all(len(line) <= columns for line in screen.text.splitlines())
        assert ("ValueError" in screen.text) == (columns == 130)
