"""The tabs of a run's page: links, one of which is shown, and which htmx asks for alone."""

from __future__ import annotations

import re
from contextlib import suppress

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from pgflow_django import executor, flow_builder
from pgflow_django.exceptions import RunFailed
from pgflow_django.models import WorkflowRun
from pgflow_django.views.runs.tabs import MOST_STEPS, TABS
from tests.views.conftest import LogIn, address, run_flow

pytestmark = pytest.mark.django_db

ALONE = {"HX-Request": "true", "HX-Target": "pgf-tabs"}
BAD = "<script>alert(1)</script>"


@pytest.fixture
def client(log_in: LogIn) -> Client:
    return log_in("boss")


@pytest.mark.parametrize("tab", TABS)
def test_each_tab_is_shown_by_its_link_without_any_script(
    client: Client, flow: str, tab: str
) -> None:
    path = address("workflowrun_change", run_flow().pk)
    links = re.findall(r'<a id="pgf-tab-(\w+)"\s+href="([^"]+)"', client.get(path).content.decode())
    assert [name for name, _ in links] == list(TABS)
    page = client.get(dict(links)[tab])
    assert page.status_code == 200
    current = re.findall(r'id="pgf-tab-(\w+)"[^>]*aria-current="page"', page.content.decode())
    assert current == [tab]
    assert page.content.decode().count('id="pgf-dag"') == 1


@pytest.mark.parametrize("tab", TABS)
def test_htmx_gets_the_tab_alone_from_the_same_address(client: Client, flow: str, tab: str) -> None:
    path = f"{address('workflowrun_change', run_flow().pk)}?tab={tab}"
    with CaptureQueriesContext(connection) as whole:
        client.get(path)
    with CaptureQueriesContext(connection) as alone:
        part = client.get(path, headers=ALONE)
    assert part.status_code == 200
    assert part.content.decode().lstrip().startswith("<section")
    assert "pgf-dag" not in part.content.decode()
    assert len(alone) < len(whole)


def test_the_first_tab_is_that_of_the_steps(client: Client, flow: str) -> None:
    page = client.get(address("workflowrun_change", run_flow().pk)).content.decode()
    assert 'id="pgf-row-double"' in page
    assert page.count('aria-current="page"') == 1


def test_of_many_steps_the_first_are_listed_after_those_that_went_wrong(client: Client) -> None:
    slugs = [f"s{number:02}" for number in range(MOST_STEPS + 7)]
    steps = [{"slug": slug, "max_attempts": 1} for slug in slugs]
    flow_builder.create_flow_from_spec({"workflow_slug": "many", "steps": steps})
    functions = dict.fromkeys(slugs, lambda input: 1) | {slugs[-1]: lambda input: 1 / 0}
    with suppress(RunFailed):
        executor.execute_dynamic("many", {}, functions)
    path = address("workflowrun_change", WorkflowRun.objects.get().pk)
    page = client.get(path).content.decode()
    assert re.findall(r'id="pgf-row-(\w+)"', page) == [slugs[-1], *slugs[: MOST_STEPS - 1]]
    assert "7 more steps are not shown." in page
    (link,) = re.findall(r'href="([^"]+)">Show all', page)
    page = client.get(link.replace("&amp;", "&")).content.decode()
    assert re.findall(r'id="pgf-row-(\w+)"', page) == slugs
    assert "not shown" not in page


@pytest.mark.parametrize("headers", [{}, ALONE], ids=["page", "alone"])
def test_a_tab_that_is_not_there_is_refused_with_a_sentence(
    client: Client, flow: str, headers: dict[str, str]
) -> None:
    path = address("workflowrun_change", run_flow().pk)
    answer = client.get(path, {"tab": BAD}, headers=headers)
    assert answer.status_code == 400
    assert "There is no tab of this name." in answer.content.decode()
    assert BAD not in answer.content.decode()


def test_the_step_that_the_address_names_is_open_in_the_panel(client: Client, flow: str) -> None:
    path = address("workflowrun_change", run_flow().pk)
    page = client.get(path, {"step": "double"}).content.decode()
    assert 'data-step="double"' in page
    assert 'data-selected="double"' in page
