"""The tabs that show a run in time: its timeline, and the last runs of its flow."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.http import HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext

from pgflow_django import executor
from pgflow_django.admin import WorkflowRunAdmin
from pgflow_django.models import WorkflowRun
from pgflow_django.runs import timeline
from pgflow_django.runs.grid import read_grid
from pgflow_django.runs.timeline import read_timeline
from pgflow_django.runs.view import load
from pgflow_django.storage.looking import looking
from tests.engine.building import build, chain
from tests.engine.database import query
from tests.engine.plans import GROWING, analyse, find_plans
from tests.engine.workers import HandWorker
from tests.views.conftest import LogIn, address, make_flow, run_flow
from tests.views.test_tabs import ALONE

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(log_in: LogIn) -> Client:
    return log_in("boss")


def see(client: Client, run: UUID, tab: str, query: str = "") -> str:
    path = f"{address('workflowrun_change', run)}?tab={tab}{query}"
    answer = client.get(path, headers=ALONE)
    assert answer.status_code == 200
    return answer.content.decode()


def spans_of(run: UUID) -> dict[str, list[str]]:
    view = load(run, using="default")
    started_at = WorkflowRun.objects.get(pk=run).started_at
    found = read_timeline(run, started_at, view, using="default")
    assert all(found.begin - 1 <= s.since <= s.until for all_ in found.spans.values() for s in all_)
    return {slug: [span.status for span in spans] for slug, spans in found.spans.items()}


def test_a_timeline_has_waits_and_every_attempt_of_a_step() -> None:
    build("flow", {"one": [], "many*": [], "last": ["one"]}, max_attempts=2)
    run = executor.start_flow("flow", [1, 2, 3]).id
    worker = HandWorker(functions=["one"])
    worker.fail(*worker.claim(), delay=0)
    worker.complete(*worker.claim(), output=1)
    mapper = HandWorker(functions=["many"])
    done, _ = mapper.claim(2)
    mapper.complete(done, output=1)
    found = spans_of(run)
    assert found["one"] == ["waiting", "failed", "completed"]
    assert found["many"][0] == "waiting"
    assert sorted(found["many"][1:]) == ["completed", "running"]
    assert found["last"] == ["waiting"]
    executor.cancel_run(run)
    assert spans_of(run)["many"].count("cancelled") == 1


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> UUID:
    """Give a run of a map of 200 tasks, which are so many that 20 are looked at."""
    monkeypatch.setattr(timeline, "ALL", 30)
    monkeypatch.setattr(timeline, "SAMPLE", 20)
    monkeypatch.setattr(timeline, "_LEAST", 1)
    build("wide", {"each*": []})
    run = executor.start_flow("wide", list(range(200))).id
    worker = HandWorker()
    worker.complete(*worker.claim(200), output=1)
    return run


def test_of_a_large_map_tasks_are_looked_at_that_are_evenly_spaced(
    client: Client, large: UUID
) -> None:
    assert len(spans_of(large)["each"]) == 1 + 20
    page = see(client, large, "timeline")
    assert "each: a sample of 20 tasks, evenly spaced." in page
    small = executor.start_flow("wide", list(range(30))).id
    worker = HandWorker()
    worker.complete(*worker.claim(30), output=1)
    assert len(spans_of(small)["each"]) == 1 + 30
    assert "a sample of" not in see(client, small, "timeline")


def panel(client: Client, run: UUID, step: str) -> str:
    answer = client.get(address("workflowrun_step", run), {"step": step})
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_panel_of_a_map_has_its_density_with_a_legend(client: Client) -> None:
    build("some", {"one": [], "many*": [], "later*": ["many"]})
    run = executor.start_flow("some", list(range(9))).id
    worker = HandWorker(functions=["many"])
    done, failed, *_ = worker.claim(6)
    assert "pgf-density" not in panel(client, run, "later")
    worker.complete(done, output=1)
    worker.fail(failed, permanent=True)
    shown = panel(client, run, "many").partition('class="pgf-density"')[2]
    paths = re.findall(r'<path class="pgf-t-(\w+)"', shown)
    assert paths == ["failed", "cancelled", "completed"]
    legend = re.findall(r'<rect class="pgf-t-(\w+)".*?</svg>(\w+)', shown, re.DOTALL)
    assert sorted(legend) == [(status, status) for status in sorted(paths)]
    assert "a sample" not in shown.lower()
    assert "pgf-density" not in panel(client, run, "one")
    page = client.get(address("workflowrun_change", run)).content.decode()
    assert "pgf-density" not in page


def test_the_panel_says_where_its_density_is_a_sample(client: Client, large: UUID) -> None:
    assert "A sample of 20 tasks, evenly spaced." in panel(client, large, "each")


def test_a_density_that_takes_too_long_is_left_out(
    client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    build("wide", {"each*": []})
    run = executor.start_flow("wide", [1, 2]).id
    HandWorker().claim(2)
    assert "pgf-density" in panel(client, run, "each")
    settings.PGFLOW = {"MONITOR_TIMEOUT": 0.05}
    monkeypatch.setattr(timeline, "_DENSITY", "select %(run)s, pg_sleep(9)")
    text = panel(client, run, "each")
    assert "pgf-density" not in text
    assert "Function" in text


def test_only_the_panel_of_a_map_asks_for_its_density_once_and_by_keys(client: Client) -> None:
    build("some", {"one": [], "many*": [], "other*": []})
    run = executor.start_flow("some", list(range(300))).id
    HandWorker().claim(400)

    def ask(step: str) -> list[str]:
        with CaptureQueriesContext(connection) as queries:
            client.get(f"{address('workflowrun_change', run)}?step={step}")
        return [q["sql"] for q in queries.captured_queries if "generate_series" in q["sql"]]

    assert ask("") == ask("one") == []
    (sql,) = ask("many")
    assert "'{many}'" in sql


def test_the_timeline_says_in_words_what_it_draws(client: Client, flow: str) -> None:
    run = run_flow(input={"is_broken": True})
    page = see(client, run.pk, "timeline")
    assert re.search(r'role="img" aria-label="fetch, failed, .*failed attempts: 1"', page)
    assert 'aria-label="double, cancelled"' in page
    assert page.count("<tr>") == 4


def test_the_last_runs_stand_beside_one_another_and_this_one_is_marked(
    client: Client, flow: str
) -> None:
    runs = [run_flow(), run_flow(input={"is_broken": True}), run_flow()]
    other = run_flow(make_flow("other"))
    page = see(client, runs[1].pk, "grid")
    heads = re.findall(r'href="/.*/([0-9a-f-]+)/change/\?tab=grid"\s+hx-boost', page)
    assert heads == [str(run.pk) for run in runs]
    assert str(other.pk) not in page
    assert page.count('class="pgf-this" aria-current="true"') == 1
    assert page.count('aria-label="fetch: completed"') == 2
    assert page.count('aria-label="fetch: failed"') == 1
    assert page.count('aria-label="double: cancelled"') == 1


def test_a_run_that_is_older_stands_among_those_before_it(client: Client, flow: str) -> None:
    old = run_flow()
    executor.start_flows(flow, [{}] * 31)
    page = see(client, old.pk, "grid")
    assert "The only run of this flow." in page
    newest = WorkflowRun.objects.latest("id")
    assert see(client, newest.pk, "grid").count('<th scope="col"') == 31


def test_of_many_steps_those_come_first_that_failed(client: Client, flow: str) -> None:
    make_flow("long", steps=[{"slug": f"s{n}", "uses": "fetch"} for n in range(45)])
    run = executor.start_flow("long", {}).id
    query("update workflow_step_states set status = 'failed' where step_slug = 's44'")
    page = see(client, run, "grid")
    rows = re.findall(r'data-select="(\w+)"', page)
    assert rows == ["s44", *(f"s{n}" for n in range(39))]
    assert "5 more steps are not shown." in page
    assert len(re.findall(r"data-select=", see(client, run, "grid", "&all=1"))) == 45


def test_what_a_site_hides_is_not_in_the_grid(
    client: Client, flow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, hidden, refused = run_flow(), run_flow(), run_flow()
    before = WorkflowRunAdmin.get_queryset

    def get_queryset(self: WorkflowRunAdmin, request: HttpRequest) -> Any:
        return before(self, request).exclude(pk=hidden.pk)

    def may_view(self: Any, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None or obj.pk != refused.pk

    monkeypatch.setattr(WorkflowRunAdmin, "get_queryset", get_queryset)
    monkeypatch.setattr(WorkflowRunAdmin, "has_view_permission", may_view)
    page = see(client, shown.pk, "grid")
    assert str(shown.pk) in page
    assert str(hidden.pk) not in page
    assert str(refused.pk) not in page


def test_as_many_queries_for_many_runs_and_tasks_as_for_few(client: Client) -> None:
    build("some", {"a": [], "m*": [], "n*": []})
    runs = [executor.start_flow("some", list(range(count))).id for count in (1, 300)]
    worker = HandWorker()
    worker.claim(400)
    counts: dict[str, list[int]] = {"timeline": [], "grid": []}
    for tab, found in counts.items():
        for run in runs:
            with CaptureQueriesContext(connection) as queries:
                see(client, run, tab)
            found.append(len(queries))
            executor.start_flow("some", [1])
    assert counts["timeline"][0] == counts["timeline"][1] <= 14
    assert counts["grid"][0] == counts["grid"][1] <= 14


@pytest.mark.parametrize("statistics", ["empty", "full"])
def test_timeline_and_grid_go_along_indexes(statistics: str) -> None:
    analyse()
    build("some", {"a": [], "m*": []})
    build("others", chain(2))
    executor.start_flows("others", [{}] * 1500)
    runs = [executor.start_flow("some", list(range(500))).id for _ in range(4)]
    worker = HandWorker(functions=["m", "a"])
    held = worker.claim(700)
    worker.fail(*held[:50], delay=0)
    if statistics == "full":
        analyse()
    view = load(runs[0], using="default")
    run = WorkflowRun.objects.get(pk=runs[0])

    def act() -> None:
        with looking("default"):
            read_timeline(run.pk, run.started_at, view, using="default")
            alone = replace(view, steps=view.steps[1:])
            read_timeline(run.pk, run.started_at, alone, using="default")
            read_grid(run, WorkflowRun.objects.all(), using="default")

    plans = find_plans(act)
    assert len(plans) == 5
    for sql, plan in plans.items():
        assert [table for table in GROWING if f"Seq Scan on {table}" in plan] == [], plan
        names = {
            "workflow_runs": "workflow_runs_by_flow",
            "workflow_step_states": "workflow_step_states_pkey",
            "workflow_step_tasks": "workflow_step_tasks_pkey",
            "workflow_task_attempts": "workflow_attempts_of_task",
        }
        table = re.search(r'(?:FROM|join) "?(workflow_\w+)', sql)
        assert table
        assert names[table[1]] in plan, f"{sql}\n{plan}"
