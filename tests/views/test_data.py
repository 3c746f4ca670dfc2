"""The tab of a run's data: trees of bounded size, secrets hidden, files that stream."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
from django.http import HttpRequest
from django.test import Client

from pgflow_django import executor
from pgflow_django.admin import WorkflowRunAdmin
from pgflow_django.models import WorkflowRun
from pgflow_django.runs.redaction import HIDDEN
from pgflow_django.views.runs import data
from pgflow_django.views.trees import CHILDREN, DEPTH, VALUES, Tree
from tests.engine.database import query
from tests.views.conftest import LogIn, address, run_flow
from tests.views.test_tabs import ALONE

pytestmark = pytest.mark.django_db

BAD = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


@pytest.fixture
def client(log_in: LogIn) -> Client:
    return log_in("boss")


def see(client: Client, run: UUID, *, code: int = 200, **params: Any) -> str:
    path = f"{address('workflowrun_change', run)}?{urlencode({'tab': 'data', **params})}"
    answer = client.get(path, headers=ALONE)
    assert answer.status_code == code, path
    return answer.content.decode()


def test_input_and_output_are_trees_with_secrets_hidden(client: Client, flow: str) -> None:
    value = {"name": "Ada", "password": "hush", "deep": {"list": [1, {"token": "t-1"}]}, BAD: BAD}
    run = run_flow(flow, value)
    page = see(client, run.pk)
    assert "<b>name</b>" in page
    assert "&quot;Ada&quot;" in page
    assert "<small>{1}</small>" in page
    assert HIDDEN in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
    output = see(client, run.pk, which="output")
    assert '<b>sum</b>: <code class="pgf-json-other">12</code>' in output
    for text in (page, output):
        assert not any(secret in text for secret in ("hush", "t-1", "k-123"))


def test_a_value_without_parts_is_shown_too(client: Client, flow: str) -> None:
    values: list[tuple[Any, str]] = [("<b>", "&quot;&lt;b&gt;&quot;"), (None, "null"), ([], "[]")]
    for value, shown in values:
        run = executor.start_flow(flow, value).id
        assert shown in see(client, run)


def test_of_many_children_a_hundred_are_shown_and_the_others_are_a_click_away(
    client: Client, flow: str
) -> None:
    run = executor.start_flow(flow, {"a/b": [f"item {n}" for n in range(230)]}).id
    page = see(client, run)
    assert page.count("&quot;item ") == CHILDREN
    assert "130 more" in page
    rest = see(client, run, at="/a~1b", **{"from": 200})
    assert rest.count("&quot;item ") == 30
    assert "&quot;item 229&quot;" in rest
    assert ">a/b</bdi>" in rest


def test_a_tree_is_as_deep_and_as_large_as_a_page_bears() -> None:
    def link(path: tuple[str, ...], start: int) -> str:
        return f"{'.'.join(path)}:{start}"

    deep: Any = 1
    for level in range(20):
        deep = {f"k{19 - level}": deep}
    shown = Tree(link).render(deep)
    assert shown.count("<details") == DEPTH - 1
    assert f'href="{".".join(f"k{n}" for n in range(DEPTH))}:0"' in shown
    wide = [[[n] * 90 for n in range(90)] for _ in range(90)]
    assert Tree(link).render(wide).count("<li>") < VALUES + 2 * CHILDREN


def test_a_part_is_found_in_a_value_that_is_too_large_for_the_page(
    client: Client, flow: str
) -> None:
    value = {"first": "x" * 300_000, "last": {"here": 17, "token": "t-1"}}
    run = executor.start_flow(flow, value).id
    page = see(client, run)
    assert "This is the beginning; all of it has 29" in page
    assert len(page) < 100_000
    part = see(client, run, at="/last")
    assert '<b>here</b>: <code class="pgf-json-other">17</code>' in part
    assert "t-1" not in part
    assert "This is the beginning" not in part


@pytest.mark.parametrize(
    "params",
    [
        {"which": "error"},
        {"which": "output"},
        {"at": "first"},
        {"at": "/nothing"},
        {"at": "/a\0b"},
        {"at": "/password"},
        {"at": "/password/deep"},
        {"at": "/a" * 101},
        {"at": "/" + "x" * 5000},
        {"from": "x"},
        {"from": "-1"},
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence(
    client: Client, flow: str, params: dict[str, Any]
) -> None:
    run = executor.start_flow(flow, {"password": {"deep": "hush"}}).id
    page = see(client, run, code=200 if params == {"at": "/password"} else 400, **params)
    assert "hush" not in page
    assert "deep" not in page.partition("pgf-tab-strip")[2].partition("</nav>")[2]


def test_who_redacts_in_an_own_way_is_not_handed_a_part(
    client: Client, flow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def redact(self: object, request: HttpRequest, run: WorkflowRun, value: Any) -> Any:
        assert isinstance(value, dict)
        assert "all" in value
        return {**value, "hidden": "***"}

    monkeypatch.setattr(WorkflowRunAdmin, "redact_payload", redact)
    run = executor.start_flow(flow, {"all": {"of": "it"}, "hidden": "DE-1"}).id
    assert "DE-1" not in see(client, run)
    assert "&quot;it&quot;" in see(client, run, at="/all")
    large = executor.start_flow(flow, {"all": "x" * 300_000}).id
    assert "too much for this page" in see(client, large)


def test_the_tab_is_for_those_who_may_see_payloads(log_in: LogIn, flow: str) -> None:
    run = run_flow(flow, {"name": "Ada-Lovelace"})
    viewer = log_in("viewer")
    path = address("workflowrun_change", run.pk)
    assert viewer.get(f"{path}?tab=data").status_code == 403
    assert "pgf-tab-data" not in viewer.get(path).content.decode()


def test_what_a_step_gave_is_a_file_that_streams(
    client: Client, flow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "_CHUNK", 20)  # so that chunks have one row, and few
    run = run_flow(flow)
    answer = client.get(address("workflowrun_output", run.pk, "double"))
    assert answer.streaming
    assert json.loads(answer.getvalue()) == [2, 4, 6]
    assert answer["Content-Disposition"].endswith('-double.json"')
    assert answer["X-Content-Type-Options"] == "nosniff"
    single = client.get(address("workflowrun_output", run.pk, "report"))
    assert json.loads(single.getvalue()) == {"sum": 12, "api_key": HIDDEN}


def test_the_file_of_a_large_map_has_all_of_it(client: Client, flow: str) -> None:
    run = run_flow(flow)
    query("insert into workflow_step_tasks (run_id, step_slug, task_index, status, output,"
          " attempts_count, queued_at) select %s, 'double', n, 'completed', to_jsonb(n), 1, now()"
          " from generate_series(3, 5000) as n", run.pk)  # fmt: skip
    answer = client.get(address("workflowrun_output", run.pk, "double"))
    assert json.loads(answer.getvalue()) == [2, 4, 6, *range(3, 5001)]


def test_a_step_that_has_given_nothing_has_no_file(client: Client, flow: str) -> None:
    run = run_flow(flow, {"is_broken": True})
    for step in ("fetch", "double", "nothing", "a-b"):
        assert client.get(address("workflowrun_output", run.pk, step)).status_code == 404
