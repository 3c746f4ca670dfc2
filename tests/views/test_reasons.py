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
    assert f"<code>python manage.py retryrun {run} --step fetch --now</code>" in text
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


BUTTON = re.compile(r'<form method="post" action="([^"]+)"')


def buttons(text: str) -> list[str]:
    """The acts that the reasons have buttons for, with the steps that they are about."""
    steps = [*re.findall(r'name="step" value="(\w+)"', text), ""]
    return [
        f"{link.split('/')[-2]} {steps.pop(0) if 'hurry' in link else ''}".strip()
        for link in BUTTON.findall(text)
    ]


def test_reasons_have_buttons_for_what_helps(log_in: LogIn) -> None:
    client, run = log_in("boss"), start()
    workers = address("workflowworker_changelist")
    text = ask(client, run)
    assert buttons(text) == ["hurry fetch"]
    assert text.count(f'href="{workers}"') == 1
    assert client.post(BUTTON.findall(text)[0], {"step": "fetch"}).status_code == 302
    assert buttons(ask(client, run)) == []
    executor.pause_run(run)
    text = ask(client, run)
    assert buttons(text) == ["resume"]
    client.post(BUTTON.findall(text)[0])
    executor.cancel_run(run)
    assert buttons(ask(client, run)) == ["retry"]


def test_the_page_of_a_run_has_the_same_buttons_also_when_it_is_told_anew(log_in: LogIn) -> None:
    client, run = log_in("boss"), start()
    page = client.get(address("workflowrun_change", run)).content.decode()
    live = client.get(address("workflowrun_live", run)).content.decode()
    for text in (page, live):
        part = text.partition('id="pgf-waiting"')[2].partition('id="pgf-details"')[0]
        assert buttons(part) == ["hurry fetch"]


def test_an_act_that_helps_against_two_things_has_one_button(log_in: LogIn) -> None:
    make_flow(
        "two",
        steps=[
            {"slug": "train", "queue": "gpu"},
            {"slug": "odd", "uses": "nobody.has_it"},
            {"slug": "a", "max_attempts": 3},
            {"slug": "b", "max_attempts": 3},
        ],
    )
    run = executor.start_flow("two").id
    worker = HandWorker(functions=["a", "b"])
    worker.fail(*worker.claim(2), delay=100)
    text = ask(log_in("boss"), run)
    assert codes(text) == ["no_worker", "no_function", "retrying", "retrying"]
    assert sorted(buttons(text)) == ["hurry a", "hurry b"]
    assert text.count("See the workers") == 1


@pytest.mark.parametrize(
    ("rights", "when_retrying", "when_paused", "when_cancelled"),
    [
        ([], [], [], []),
        (["retry_workflowrun"], ["hurry fetch"], [], ["retry"]),
        (["pause_workflowrun"], [], ["resume"], []),
    ],
)
def test_who_may_not_do_it_has_no_button(
    log_in: LogIn,
    rights: list[str],
    when_retrying: list[str],
    when_paused: list[str],
    when_cancelled: list[str],
) -> None:
    client, run = log_in("some", "view_workflowrun", *rights), start()
    text = ask(client, run)
    assert "See the workers" not in text
    assert buttons(text) == when_retrying
    executor.pause_run(run)
    assert buttons(ask(client, run)) == when_paused
    executor.cancel_run(run)
    assert buttons(ask(client, run)) == when_cancelled


def test_a_map_of_which_an_item_waits_can_be_retried_now_in_its_panel(log_in: LogIn) -> None:
    make_flow("wide", steps=[{"slug": "each", "type": "map", "uses": "fetch", "max_attempts": 3}])
    run = executor.start_flow("wide", [1, 2, 3]).id
    worker = HandWorker()
    first, *_ = worker.claim(2)
    client = log_in("boss")
    panel = client.get(address("workflowrun_step", run), {"step": "each"}).content.decode()
    assert "Retry now" not in panel
    worker.fail(first, delay=100)
    panel = client.get(address("workflowrun_step", run), {"step": "each"}).content.decode()
    assert panel.count("Retry now") == 1


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
