"""The tab of a log: filtered, paged, followed; what steps tell is shown as text, secrets hidden."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from pgflow_django import executor
from pgflow_django.models import WorkflowRunEvent
from pgflow_django.runs.run_log import LogFilter, read_log
from pgflow_django.storage.looking import looking
from tests.engine.database import query
from tests.engine.plans import GROWING, analyse, find_plans
from tests.views.conftest import LogIn, address
from tests.views.test_tabs import ALONE

pytestmark = pytest.mark.django_db

BAD = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


@pytest.fixture
def client(log_in: LogIn) -> Client:
    return log_in("boss")


@pytest.fixture
def run(flow: str) -> UUID:
    """Give a run without a line."""
    found = executor.start_flow(flow).id
    WorkflowRunEvent.objects.all().delete()
    return found


def write(run: UUID, count: int, message: str = "line {n}", **more: Any) -> list[int]:
    """Write lines, numbered from 0; their ids."""
    more.setdefault("kind", "log")
    rows = [
        WorkflowRunEvent(run_id=run, message=message.replace("{n}", str(n)), **more)
        for n in range(count)
    ]
    return [row.pk for row in WorkflowRunEvent.objects.bulk_create(rows)]


def see(client: Client, run: UUID, *, code: int = 200, **params: Any) -> str:
    path = f"{address('workflowrun_change', run)}?{urlencode({'tab': 'log', **params})}"
    answer = client.get(path, headers=ALONE)
    assert answer.status_code == code, path
    return answer.content.decode()


def lines_of(page: str) -> list[int]:
    return [int(found) for found in re.findall(r'data-id="(\d+)"', page)]


def test_the_newest_500_lines_are_shown_and_lead_to_the_earlier_ones(
    client: Client, run: UUID
) -> None:
    ids = write(run, 1203)
    page = see(client, run)
    assert lines_of(page) == ids[-500:]
    found: list[int] = []
    while True:
        found = lines_of(page) + found
        earlier = re.search(r"before=(\d+)\" rel=\"prev\"", page)
        if earlier is None:
            break
        page = see(client, run, before=earlier[1])
    assert found == ids


def test_lines_are_chosen_by_importance_step_index_and_text(client: Client, run: UUID) -> None:
    (plain,) = write(run, 1, "50% of a_b done", step_slug="double", task_index=1)
    (warning,) = write(run, 1, "slow", level="warning", step_slug="double", task_index=2)
    (error,) = write(run, 1, "Broken", level="error", step_slug="fetch", task_index=0)
    (event,) = write(run, 1, "cancelled", kind="run_cancelled")
    cases: list[tuple[dict[str, Any], list[int]]] = [
        ({}, [plain, warning, error, event]),
        ({"show": "notable"}, [warning, error, event]),
        ({"show": "warning"}, [warning, error]),
        ({"show": "error"}, [error]),
        ({"step": "double"}, [plain, warning]),
        ({"step": "double", "index": "2"}, [warning]),
        ({"index": "0"}, [error]),
        ({"q": "broken"}, [error]),
        ({"q": "50% of"}, [plain]),
        ({"q": "a%b"}, []),
        ({"q": "a_b"}, [plain]),
        ({"q": "5%"}, []),
        ({"q": "\\"}, []),
        ({"show": "warning", "step": "fetch", "q": "ROK"}, [error]),
    ]
    for params, expected in cases:
        page = see(client, run, **params)
        assert lines_of(page) == expected, params
        assert ("No line is like that." in page) is bool(params)
        assert ('id="pgf-log-empty" hidden' in page) is bool(expected)


def test_a_look_for_rare_lines_says_how_far_it_went(client: Client, run: UUID) -> None:
    (rare,) = write(run, 1, "needle")
    query("insert into workflow_run_events (run_id, kind, message) select %s, 'log', 'hay'"
          " from generate_series(1, 20500)", run)  # fmt: skip
    page = see(client, run, q="needle")
    assert lines_of(page) == []
    assert "0 found among 20000 lines." in page
    edge = re.search(r"before=(\d+)\" rel=\"prev\"", page)
    assert edge
    assert lines_of(see(client, run, q="needle", before=edge[1])) == [rare]


def test_who_follows_gets_what_came_after_the_newest_500_of_it(client: Client, run: UUID) -> None:
    path, ids = address("workflowrun_log", run), write(run, 5)
    answer = client.get(path, {"after": ids[2]})
    assert lines_of(answer.content.decode()) == ids[3:]
    assert "data-gap" not in answer.content.decode()
    assert client.get(path, {"after": ids[-1]}).status_code == 204
    more = write(run, 700)
    page = client.get(path, {"after": ids[-1]}).content.decode()
    assert lines_of(page) == more[-500:]
    assert "data-gap" in page


@pytest.mark.parametrize(
    "params",
    [
        {"show": "debug"},
        {"step": "nothing"},
        {"index": "1-2"},
        {"index": "x"},
        {"q": "x" * 201},
        {"q": "a\0b"},
        {"before": "x"},
        {"after": "-1"},
        {"before": "9" * 20},
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(
    client: Client, run: UUID, params: dict[str, Any]
) -> None:
    assert 'role="alert"' in see(client, run, code=400, **params)
    answer = client.get(address("workflowrun_log", run), params)
    assert answer.status_code == 400
    assert answer["Content-Type"].startswith("text/plain")


def test_what_steps_tell_beside_their_message_is_redacted_and_for_some_only(
    client: Client, run: UUID, log_in: LogIn
) -> None:
    data = {"attempt": 1, "order": "order-5", "api_key": "k-9", BAD: BAD}
    write(run, 1, "told", data=data)
    write(run, 1, "long", data={"text": "y" * 9000, "api_key": "k-9"})
    path = address("workflowrun_log", run)
    for text in (see(client, run), client.get(path).content.decode()):
        assert "&quot;order&quot;: &quot;order-5&quot;" in text
        assert "k-9" not in text
        assert "attempt" not in text
        assert "<script>alert" not in text
        assert text.count("y") < 3000
    viewer = log_in("viewer")
    for text in (see(viewer, run), viewer.get(path).content.decode()):
        assert "told" in text
        assert "order-5" not in text


def test_nothing_that_is_logged_becomes_markup(client: Client, run: UUID) -> None:
    write(run, 1, BAD, kind=BAD, level=BAD, step_slug="double", task_index=1)
    page = see(client, run, q="<script>")
    assert len(lines_of(page)) == 1
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "pgf-of-info" in page


def test_the_log_of_a_step_leads_to_its_task(client: Client, run: UUID) -> None:
    write(run, 1, step_slug="double", task_index=2)
    assert address("workflowrun_task", run, "double", 2) in see(client, run)


def test_as_many_queries_for_many_lines_as_for_few(client: Client, run: UUID) -> None:
    counts = []
    for count in (1, 600):
        write(run, count, data={"a": 1})
        with CaptureQueriesContext(connection) as queries:
            see(client, run)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 15
    with CaptureQueriesContext(connection) as queries:
        client.get(address("workflowrun_log", run), {"after": "1"})
    assert len(queries) <= 15


@pytest.mark.parametrize("statistics", ["empty", "full"])
def test_every_look_at_a_log_goes_along_its_index(run: UUID, statistics: str) -> None:
    analyse()
    other = executor.start_flow("numbers").id
    for each in (run, other):
        query("insert into workflow_run_events (run_id, kind, level, message) select %s, 'log',"
              " case when n %% 100 = 0 then 'error' else 'info' end, 'x'"
              " from generate_series(1, 8000) as n", each)  # fmt: skip
    if statistics == "full":
        analyse()

    def read(**wanted: Any) -> dict[str, str]:
        def act() -> None:
            with looking("default"):
                read_log(run, LogFilter(**wanted), using="default")

        return find_plans(act)

    filters: list[dict[str, Any]] = [
        {}, {"text": "y"}, {"step": "fetch", "index": 1}, {"before": 9}, {"after": 9},
        {"importance": "notable"}, {"importance": "warning"}, {"importance": "error", "before": 99},
    ]  # fmt: skip
    for wanted in filters:
        plans = read(**wanted)
        look = next(plan for sql, plan in plans.items() if "looked" in sql)
        name = "workflow_events_notable" if "importance" in wanted else "workflow_events_by_run"
        assert name in look, f"{wanted}\n{look}"
        for plan in plans.values():
            assert [table for table in GROWING if f"Seq Scan on {table}" in plan] == [], plan


def test_data_is_json_as_it_was_told(client: Client, run: UUID) -> None:
    write(run, 1, data={"ü": [1, None]})
    page = see(client, run)
    assert json.dumps({"ü": [1, None]}, ensure_ascii=False).replace('"', "&quot;") in page
