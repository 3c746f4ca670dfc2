"""The tabs of a run's page: links, one of which is shown, and which htmx asks for alone."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from pgflow_django.views.runs.tabs import TABS
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
