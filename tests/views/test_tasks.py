"""The tab of a run's tasks, and the page of one: filters, groups, attempts, input."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from pgflow_django import executor
from pgflow_django.models import WorkflowRun, WorkflowTaskAttempt
from pgflow_django.registry import registry
from pgflow_django.runs.redaction import HIDDEN
from pgflow_django.runs.tracebacks import split_traceback
from tests.engine.database import query
from tests.engine.workers import HandWorker
from tests.views.conftest import LogIn, address, make_flow, run_flow
from tests.views.test_tabs import ALONE

pytestmark = pytest.mark.django_db

BAD = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
STEPS = [
    {"slug": "each", "type": "map", "uses": "send"},
    {"slug": "sum_up", "depends_on": ["each"], "inputs": {"key": "run/api_key"}},
]


@pytest.fixture
def client(log_in: LogIn) -> Client:
    return log_in("boss")


@pytest.fixture
def failing(steps: None) -> Iterator[None]:
    """Register ``send``, which fails for what it is told to, and ``sum_up``."""

    def send(input: Any) -> Any:
        """Send one."""
        item = input["item"]
        if item.get("fails"):
            raise ConnectionError(f"host 10.0.0.{input['index']} refused: {BAD}")
        return {"sent": item["n"], "token": "t-9"}

    def sum_up(input: Any) -> Any:
        raise ValueError("not today")

    for function in (send, sum_up):
        registry.unregister(function.__name__)
        registry.register(function)
    yield
    for function in (send, sum_up):
        registry.unregister(function.__name__)


@pytest.fixture
def run(failing: None) -> WorkflowRun:
    """Give a run with a map of 60, whose 17th item failed."""
    make_flow("sending", steps=STEPS)
    return run_flow("sending", [{"n": n, "fails": n == 17, "password": "hush"} for n in range(60)])


def see(client: Client, run: UUID, *, code: int = 200, alone: bool = False, **params: Any) -> str:
    path = f"{address('workflowrun_change', run)}?{urlencode({'tab': 'tasks', **params})}"
    answer = client.get(path, headers=ALONE if alone else {})
    assert answer.status_code == code, path
    return answer.content.decode()


def rows_of(page: str) -> list[str]:
    """The tasks in the table, in its order."""
    return [
        part.partition('"')[0] for part in page.split('id="pgf-task-')[1:] if "each" in part[:9]
    ]


def test_the_failing_item_is_two_clicks_away_with_its_traceback_and_input(
    client: Client, run: WorkflowRun
) -> None:
    page = see(client, run.pk)
    assert "host ‹n› refused" in page
    assert "1 item" in page
    task = address("workflowrun_task", run.pk, "each", 17)
    assert f'href="{task}"' in page
    panel = client.get(address("workflowrun_step", run.pk), {"step": "each"}).content.decode()
    assert f'href="{task}"' in panel
    shown = client.get(task).content.decode()
    assert "Traceback (most recent call last)" in shown
    assert "host 10.0.0.17 refused" in shown
    assert "&quot;n&quot;: 17" in shown
    assert "hush" not in shown


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"step": "each", "index": "17"}, ["each-17"]),
        ({"step": "each", "index": "4-6"}, ["each-4", "each-5", "each-6"]),
        ({"index": "58 - 59"}, ["each-58", "each-59"]),
        ({"status": "failed"}, ["each-17"]),
        ({"status": "running"}, []),
        ({"step": "sum_up"}, []),
        ({"step": "each", "index": "70"}, []),
    ],
)
def test_tasks_are_found_by_step_status_and_index(
    client: Client, run: WorkflowRun, params: dict[str, Any], expected: list[str]
) -> None:
    page = see(client, run.pk, **params)
    assert rows_of(page) == expected
    assert ("No task is like that." in page) is (expected == [])


def test_pages_of_50_lead_forth_and_back(client: Client, run: WorkflowRun) -> None:
    first = see(client, run.pk, step="each")
    assert rows_of(first) == [f"each-{n}" for n in range(50)]
    assert 'rel="prev"' not in first
    onwards: dict[str, Any] = {"step": "each", "from": "each.50"}
    second = see(client, run.pk, **onwards)
    assert "from=each.50" in first
    assert rows_of(second) == [f"each-{n}" for n in range(50, 60)]
    assert 'rel="next"' not in second
    assert "before=each.50" in second
    back = see(client, run.pk, step="each", before="each.50")
    assert rows_of(back) == rows_of(first)


def test_chips_tell_how_many_there_are_of_each(client: Client, run: WorkflowRun) -> None:
    page = see(client, run.pk, step="each")
    chips = {part.partition('"')[0]: part for part in page.split('id="pgf-chip-')[1:]}
    assert list(chips) == [
        *("all", "failed", "retrying", "running", "queued", "completed", "cancelled")
    ]  # fmt: skip
    counts = {status: int(re.findall(r"<b>(\d+)</b>", chips[status])[0]) for status in [*chips][1:]}
    assert (counts["failed"], counts["queued"]) == (1, 0)
    assert sum(counts.values()) == 60
    assert len(rows_of(see(client, run.pk, step="each", status="cancelled"))) == counts["cancelled"]
    assert "<b>" not in "".join(see(client, run.pk).split('id="pgf-chip-')[1:])


def test_the_panel_of_a_map_leads_to_its_tasks_by_how_they_stand(
    client: Client, run: WorkflowRun
) -> None:
    path = address("workflowrun_step", run.pk)
    panel = client.get(path, {"step": "each"}).content.decode()
    chips = re.findall(
        r'id="pgf-panel-chip-(\w+)"\s+href="[^"]*\?(tab=tasks&amp;step=each&amp;status=\w+)"'
        r"[^<]*<b>(\d+)</b>",
        panel,
    )
    assert [status for status, *_ in chips] == ["failed", "completed", "cancelled"]
    assert all(link.endswith(f"={status}") for status, link, _ in chips)
    assert sum(int(count) for *_, count in chips) == 60
    assert "pgf-chip" not in client.get(path, {"step": "sum_up"}).content.decode()


def test_tasks_that_were_skipped_are_found_once_there_are_some(
    client: Client, run: WorkflowRun
) -> None:
    assert 'id="pgf-chip-skipped"' not in see(client, run.pk, step="each")
    executor.skip_step(run.pk, "each", index=17, hold=True)
    page = see(client, run.pk, step="each", status="skipped")
    assert rows_of(page) == ["each-17"]
    assert "<b>1</b>" in page.partition('id="pgf-chip-skipped"')[2].partition("</a>")[0]
    assert 'id="pgf-chip-cancelled"' not in page


def test_what_failed_in_one_way_is_shown_together(client: Client, run: WorkflowRun) -> None:
    attempt = WorkflowTaskAttempt.objects.filter(code="step_failed").get()
    assert f"step=each&amp;like={attempt.pk}" in see(client, run.pk)
    assert rows_of(see(client, run.pk, step="each", like=attempt.pk)) == ["each-17"]


def test_a_step_is_sorted_by_its_times(client: Client, run: WorkflowRun) -> None:
    query("update workflow_step_tasks set ended_at = started_at + interval '1 h'"
          " where task_index = 5")  # fmt: skip
    page = see(client, run.pk, step="each", sort="duration")
    assert rows_of(page)[0] == "each-5"
    assert len(rows_of(page)) == 50
    assert "place=50" in page
    assert "hx-trigger" not in page.partition('id="pgf-tabs"')[2].partition(">")[0]
    rest = rows_of(see(client, run.pk, step="each", sort="duration", place=50))
    assert {*rows_of(page), *rest} == {f"each-{n}" for n in range(60)}


@pytest.mark.parametrize(
    "params",
    [
        {"step": "nothing"},
        {"status": "odd"},
        {"status": "started"},
        {"sort": "error", "step": "each"},
        {"sort": "duration"},
        {"sort": "duration", "step": "each", "index": "0"},
        {"index": "x"},
        {"index": "-1"},
        {"index": "9-3"},
        {"index": "9999999999"},
        {"index": "٣"},
        {"from": "each"},
        {"from": "other.1", "step": "each"},
        {"from": "each.x"},
        {"before": "'.1"},
        {"from": "each.1", "before": "each.9"},
        {"like": "1"},
        {"like": "9" * 30},
        {"like": "1", "status": "failed"},
        {"place": "-1"},
        {"place": "1001"},
        {"step": BAD},
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(
    client: Client, run: WorkflowRun, params: dict[str, Any]
) -> None:
    page = see(client, run.pk, code=400, **params)
    assert 'role="alert"' in page
    assert BAD not in page


def test_a_look_that_takes_too_long_says_so(
    client: Client, run: WorkflowRun, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.PGFLOW = {"MONITOR_TIMEOUT": 0.05}
    sleep = "(select t.step_slug, t.task_index, pg_sleep(9) from workflow_step_tasks t)"
    monkeypatch.setattr("pgflow_django.runs.task_keys._FROM_TASKS", f"select * from {sleep} as t"
                        " where %(run)s is not null")  # fmt: skip
    page = see(client, run.pk)
    assert "The database took too long for this look" in page
    assert 'id="pgf-dag"' in page


def test_the_number_of_queries_does_not_depend_on_the_number_of_tasks(
    client: Client, run: WorkflowRun
) -> None:
    small = run_flow("sending", [{"n": 1, "fails": True}])
    attempt = WorkflowTaskAttempt.objects.filter(run_id=run.pk, code="step_failed").get()
    looks: list[dict[str, Any]] = [
        {},
        {"step": "each"},
        {"status": "failed"},
        {"step": "each", "sort": "wait"},
    ]
    for params in looks:
        counts = []
        for each in (small, run):
            with CaptureQueriesContext(connection) as queries:
                see(client, each.pk, alone=True, **params)
            counts.append(len(queries))
        assert counts[0] == counts[1] <= 16, params
    with CaptureQueriesContext(connection) as queries:
        see(client, run.pk, alone=True, step="each", like=attempt.pk)
    assert len(queries) <= 16
    with CaptureQueriesContext(connection) as queries:
        client.get(address("workflowrun_task", run.pk, "each", 17))
    assert len(queries) <= 18


def test_a_task_shows_every_attempt_in_every_round(client: Client, failing: None) -> None:
    make_flow("sending", steps=STEPS, max_attempts=2, base_delay=60)
    run = executor.start_flow("sending", [{"n": 1}]).id
    worker = HandWorker()
    worker.fail(*worker.claim(), delay=0)
    worker.claim()
    executor.cancel_run(run)
    executor.retry_run(run)
    worker.fail(*worker.claim(), delay=0)
    worker.complete(*worker.claim(), output=1)
    page = client.get(address("workflowrun_task", run, "each", 0)).content.decode()
    shown = [part.partition("</li>")[0] for part in page.split('<li class="pgf-attempt')[1:]]
    assert [part.partition('"')[0].strip() for part in shown] == [
        "pgf-of-completed", "pgf-of-failed", "pgf-of-cancelled", "pgf-of-failed",
    ]  # fmt: skip
    assert "attempt 2 of 2" in shown[0]
    assert "round 2" in shown[1]
    assert "cut off" in shown[2]
    assert "round 1" in shown[3]
    assert all("of waiting" in shown[number] for number in (0, 1, 2))


def test_a_task_that_nobody_has_begun_says_so(client: Client, failing: None) -> None:
    make_flow("sending", steps=STEPS)
    run = executor.start_flow("sending", [{"n": 1}]).id
    page = client.get(address("workflowrun_task", run, "each", 0)).content.decode()
    assert "It has been in its queue since" in page


def test_the_input_is_what_the_function_gets_with_secrets_hidden(
    client: Client, failing: None
) -> None:
    sources = {"mine": "run/api_key", "n": "run/deep/0/n"}
    step = {"slug": "each", "type": "map", "uses": "send", "initial_tasks": 2, "inputs": sources}
    make_flow("broad", steps=[step | {"params": {"password": "p-1", "size": 3}}])
    run = executor.start_flow("broad", {"api_key": "k-77", "deep": [{"n": 5}]}).id
    page = client.get(address("workflowrun_task", run, "each", 1)).content.decode()
    assert "&quot;index&quot;: 1" in page
    assert "&quot;n&quot;: 5" in page
    assert "&quot;size&quot;: 3" in page
    assert "p-1" not in page
    assert "k-77" not in page
    assert HIDDEN in page


def test_the_outputs_of_a_map_are_given_as_far_as_a_page_shows_them(
    client: Client, failing: None
) -> None:
    make_flow("sending", steps=STEPS)
    run = run_flow("sending", [{"n": n} for n in range(25)])
    page = client.get(address("workflowrun_task", run.pk, "sum_up", 0)).content.decode()
    # Its source leads to nothing: what its attempt says, the page says, too.
    assert "input_unresolved" in page
    make_flow("plain", steps=[STEPS[0], {"slug": "sum_up", "depends_on": ["each"]}])
    run = run_flow("plain", [{"n": n} for n in range(25)])
    page = client.get(address("workflowrun_task", run.pk, "sum_up", 0)).content.decode()
    assert "&quot;sent&quot;: 19" in page
    assert "&quot;sent&quot;: 20" not in page
    assert "Large parts are cut" in page
    assert "t-9" not in page


def test_a_test_is_made_of_a_task_that_can_be_run(client: Client, run: WorkflowRun) -> None:
    page = client.get(address("workflowrun_task", run.pk, "each", 17))
    text = page.context["test_text"]
    compiled = compile(ast.parse(text), "test", "exec")
    space: dict[str, Any] = {}
    exec(compiled, space)  # noqa: S102 - what a reader of the page would do
    with pytest.raises(ConnectionError, match="10.0.0.17"):
        space["test_each_17"]()
    assert "hush" not in text


def test_without_the_right_to_payloads_there_is_neither_input_nor_output(
    log_in: LogIn, run: WorkflowRun
) -> None:
    client = log_in("viewer")
    for index in (16, 17):
        page = client.get(address("workflowrun_task", run.pk, "each", index))
        assert page.status_code == 200
        text = page.content.decode()
        assert "&quot;n&quot;" not in text
        assert "pgf-test" not in text
        assert "&quot;sent&quot;" not in text
    assert "refused" in text


@pytest.mark.parametrize(
    ("step", "index"),
    [("each", 60), ("each", 2**31), ("each", 10**30), ("nothing", 0), ("sum_up", 1), ("a-b", 0)],
)
def test_a_task_that_is_not_there_is_not_found(
    client: Client, run: WorkflowRun, step: str, index: int
) -> None:
    assert client.get(address("workflowrun_task", run.pk, step, index)).status_code == 404


def test_nothing_of_a_task_becomes_markup(client: Client, run: WorkflowRun) -> None:
    query("update workflow_step_tasks set worker = %s", BAD)
    trace = f'  File "{BAD}", line 1, in x\n    {BAD}\n{BAD}'
    query("update workflow_task_attempts set worker = %s, error_type = %s, traceback = %s,"
          " code = %s", BAD, BAD, trace, BAD)  # fmt: skip
    item, key = json.dumps({"x": BAD}), json.dumps({BAD: 1})
    query("update workflow_step_tasks set item = %s, output = output || %s"
          " where output is not null", item, key)  # fmt: skip
    paths = [address("workflowrun_task", run.pk, "each", index) for index in (16, 17)]
    pages = [client.get(path).content.decode() for path in paths]
    pages += [see(client, run.pk), see(client, run.pk, step="each", index="16-17")]
    for page in pages:
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "&lt;script&gt;alert(1)" in page


def test_frames_of_libraries_are_folded_and_nothing_is_lost() -> None:
    frame = '  File "{}", line 1, in run\n    call()\n    ^^^^^^\n'
    own, library = frame.format("/srv/shop/steps.py"), frame.format("/x/site-packages/a/b.py")
    standard = frame.format("/usr/lib/python3.12/json/__init__.py")
    head, tail = "Traceback (most recent call last):\n", "ValueError: no\n  File more\n"
    text = f"{head}{own}{library}{standard}{library}{own}{tail}"
    parts = split_traceback(text)
    assert "".join(part.text for part in parts) == text
    assert [(part.is_own, part.frames) for part in parts] == [(True, 0), (False, 3), (True, 0)]
    assert split_traceback("") == []
    assert split_traceback("a\r\n\x0bb")[0].text == "a\r\n\x0bb"
