"""Searches for a text: one at a time in a page, and so many a minute for each user."""

from __future__ import annotations

import html
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.test import Client

from pgflow_django.models import AgentUsage, WorkflowRun
from pgflow_django.views.runs.query import MOST_SEARCHES
from tests.views.conftest import LogIn, address, run_flow
from tests.views.test_tabs import ALONE

pytestmark = pytest.mark.django_db

SEARCH = {"tab": "log", "q": "needle"}


@pytest.fixture
def run(flow: str) -> WorkflowRun:
    return run_flow()


@pytest.fixture
def client(log_in: LogIn) -> Client:
    return log_in("boss")


@pytest.fixture
def spent(client: Client, run: WorkflowRun) -> Client:
    """Give a client that has searched as often as it may."""
    path = address("workflowrun_change", run.pk)
    codes = {client.get(path, SEARCH, headers=ALONE).status_code for _ in range(MOST_SEARCHES)}
    assert codes == {200}
    return client


@pytest.mark.parametrize("headers", [{}, ALONE], ids=["page", "alone"])
def test_one_search_too_many_is_refused_in_its_place_and_says_when_to_try_again(
    spent: Client, run: WorkflowRun, headers: dict[str, str]
) -> None:
    answer = spent.get(address("workflowrun_change", run.pk), SEARCH, headers=headers)
    page = answer.content.decode()
    assert answer.status_code == 429
    assert 1 <= int(answer["Retry-After"]) <= 60
    told = re.search(r'role="alert">.*?<p>(.*?)</p>', page, re.DOTALL)
    assert told
    sentence, link = told[1].split(" <a ")
    assert sentence == (
        f"You may search 30 times a minute, and have. Try again in {answer['Retry-After']} s."
    )
    assert 'change/?tab=log&amp;q=needle"' in link
    assert 'aria-current="page"' in page
    assert ('id="pgf-dag"' in page) is (not headers)


def test_the_lines_of_a_log_are_searched_as_often_and_followed_for_as_long_as_one_likes(
    spent: Client, run: WorkflowRun
) -> None:
    path = address("workflowrun_log", run.pk)
    answer = spent.get(path, SEARCH)
    assert answer.status_code == 429
    assert answer["Content-Type"].startswith("text/plain")
    assert "Try again in" in answer.content.decode()
    assert spent.get(path, {**SEARCH, "after": "1"}).status_code == 204
    assert spent.get(path).status_code == 204


def test_the_limit_is_of_one_user_and_one_minute_and_of_searches_only(
    spent: Client, run: WorkflowRun, log_in: LogIn
) -> None:
    path = address("workflowrun_change", run.pk)
    assert spent.get(path, SEARCH).status_code == 429
    for query in ({"tab": "log"}, {"tab": "log", "q": ""}, {"tab": "tasks", "status": "failed"}):
        assert spent.get(path, query).status_code == 200
    assert spent.get(address("workflowrun_find", run.pk), {"find": "fetch"}).status_code == 200
    assert log_in("viewer").get(path, SEARCH).status_code == 200
    AgentUsage.objects.update(since=F("since") - timedelta(minutes=1))
    assert spent.get(path, SEARCH).status_code == 200


def test_a_search_that_is_refused_for_its_length_has_counted(
    client: Client, run: WorkflowRun
) -> None:
    path, long = address("workflowrun_change", run.pk), {"tab": "log", "q": "x" * 201}
    codes = [client.get(path, long, headers=ALONE).status_code for _ in range(MOST_SEARCHES + 1)]
    assert codes == [*[400] * MOST_SEARCHES, 429]


def test_a_page_asks_one_search_at_a_time_and_shows_what_is_refused(
    client: Client, run: WorkflowRun
) -> None:
    page = client.get(address("workflowrun_change", run.pk), SEARCH).content.decode()
    fields = re.findall(r'<input[^>]*type="search"[^>]*>', page)
    names = [re.findall(r'\bname="(\w+)"', field) for field in fields]
    assert sorted(names) == [["find"], ["q"]]
    assert re.search(r'<form class="pgf-find"[^>]*hx-sync="this:replace"', page)
    tab = page[page.index('<div class="pgf-tab" id="pgf-tab"') :]
    assert tab.partition(">")[0].endswith('hx-sync="#pgf-tabs:replace"')
    assert 'name="q"' in tab
    config: Any = re.search(r"<meta name=\"htmx-config\"\s+content='([^']*)'", page)
    rules = json.loads(html.unescape(config[1]))["responseHandling"]
    for code in ("400", "429"):
        assert next(rule for rule in rules if re.search(rule["code"], code))["swap"] is True
