"""The part of a run's page that says why it waits, and that of a step."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from pgflow_django import executor, explain_run
from pgflow_django.models import WorkflowRun
from tests.engine.database import query
from tests.engine.workers import HandWorker
from tests.views.conftest import LogIn, address, make_flow, run_flow

pytestmark = pytest.mark.django_db

EVIL = "<img src=x onerror=alert(1)>"


def ask(client: Client, run: Any, **params: str) -> str:
    answer = client.get(address("workflowrun_why", run), params)
    assert answer.status_code == 200
    return str(answer.content.decode())


def codes(text: str) -> list[str]:
    return re.findall(r'<li data-code="(\w+)"', text)


def start() -> UUID:
    """A run of which a step retries, one is for nobody, and others wait for them."""
    make_flow(
        "mixed",
        steps=[
            {"slug": "fetch", "max_attempts": 3},
            {"slug": "train", "queue": "gpu"},
            {"slug": "report", "depends_on": ["train", "fetch"]},
            {"slug": "mail", "depends_on": ["report"]},
        ],
    )
    run = executor.start_flow("mixed").id
    worker = HandWorker(functions=["fetch"])
    worker.fail(*worker.claim(), delay=100)
    query("update workflow_task_attempts set error_message = %s", EVIL)
    return run


def test_it_has_the_sentences_of_the_function(log_in: LogIn) -> None:
    run = start()
    text = ask(log_in("viewer"), run)
    assert codes(text) == ["no_worker", "retrying", "blocked"]
    found = explain_run(run).reasons
    assert [reason.code for reason in found] == codes(text)
    assert "no live worker serves queue &quot;gpu&quot;, where step &quot;train&quot; waits" in text
    assert "<code>celery -A tests worker --pgflow-queues gpu</code>" in text
    assert '<li data-code="retrying" data-action="retry_now">' in text
    assert "attempt 2 of 3, last: ValueError: &lt;img src=x onerror=alert(1)&gt;" in text
    assert EVIL not in text
    assert "It waits:" in text


def test_the_page_of_a_run_that_waits_has_it(log_in: LogIn) -> None:
    client, run = log_in("viewer"), start()
    page = client.get(address("workflowrun_change", run)).content.decode()
    _, _, part = page.partition('id="pgf-waiting"')
    part = part.partition('id="pgf-details"')[0]
    assert codes(part) == ["no_worker", "retrying", "blocked"]
    assert f'hx-get="{address("workflowrun_why", run)}"' in part
    assert EVIL not in page


def test_a_page_of_a_run_that_moves_or_has_ended_has_none(log_in: LogIn, steps: None) -> None:
    client = log_in("viewer")
    running = executor.start_flow(make_flow()).id
    HandWorker().claim()
    ended = run_flow("numbers").pk
    for run, code in {running: ["running", "blocked"], ended: ["completed"]}.items():
        page = client.get(address("workflowrun_change", run)).content.decode()
        assert codes(page) == []
        assert codes(ask(client, run)) == code  # who asks gets an answer


@pytest.mark.parametrize(
    ("step", "expected", "sentence"),
    [
        ("train", ["no_worker"], "no live worker serves"),
        ("fetch", ["retrying"], "attempt 2 of 3"),
        (
            "mail",
            ["blocked"],
            (
                "step &quot;mail&quot; waits for step &quot;report&quot;, which waits for step "
                "&quot;train&quot;: no live worker serves queue &quot;gpu&quot;"
            ),
        ),
        ("report", ["blocked"], "waits for step &quot;train&quot; and 1 more step: no live worker"),
        ("nonsense", [], ""),
    ],
)
def test_a_step_has_its_own(log_in: LogIn, step: str, expected: list[str], sentence: str) -> None:
    client, run = log_in("viewer"), start()
    text = ask(client, run, step=step)
    assert codes(text) == expected
    assert sentence in text
    panel = client.get(address("workflowrun_step", run), {"step": step}).content.decode()
    assert codes(panel) == expected
    assert sentence in panel


def test_a_step_of_a_paused_run_says_so_first(log_in: LogIn) -> None:
    client, run = log_in("viewer"), start()
    executor.pause_run(run, by=EVIL, reason=EVIL)
    text = ask(client, run, step="train")
    assert codes(text) == ["paused", "no_worker"]
    assert 'data-action="resume"' in text
    assert EVIL not in text + ask(client, run)


def test_a_failed_run_says_what_could_not_be_reached(log_in: LogIn, steps: None) -> None:
    run: WorkflowRun = run_flow(make_flow(), {"is_broken": True})
    text = ask(log_in("viewer"), run.pk)
    assert codes(text) == ["failed"]
    assert (
        "step &quot;fetch&quot; failed: RuntimeError: &lt;b&gt;no numbers&lt;/b&gt; today; steps "
        "&quot;double&quot;, &quot;report&quot; can&#x27;t be reached any more"
    ) in text


def test_it_takes_six_queries_of_its_own_at_most(log_in: LogIn) -> None:
    client, run = log_in("viewer"), start()
    ask(client, run)
    with CaptureQueriesContext(connection) as before:
        client.get(address("workflowrun_history", run))
    with CaptureQueriesContext(connection) as queries:
        ask(client, run)
    texts = [each["sql"] for each in queries.captured_queries]
    own = [sql for sql in texts if "django_" not in sql and "auth_" not in sql]
    assert 3 <= len(own) <= 1 + 6, own  # the first is that of every page of a run
    assert before
