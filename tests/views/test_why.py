"""The page of a failed run says why, as much of it as its reader may know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from pgflow_django import RunFailed, executor, flow_builder, step_function
from pgflow_django.admin import WorkflowRunAdmin
from pgflow_django.agents.performing import perform
from pgflow_django.models import WorkflowRun
from pgflow_django.registry import registry
from tests.agents.test_access import principal
from tests.views.conftest import LogIn, address

pytestmark = pytest.mark.django_db

BAD = "<script>alert(1)</script>"
SCHEMA = {
    "type": "object",
    "properties": {BAD: {"type": "integer"}, "password": {"type": "integer"}},
}


@pytest.fixture
def typed() -> Iterator[None]:
    """A flow that worked in its first version, and has failed twice in the second."""

    @step_function("why.typed", input=SCHEMA)
    def typed(input: dict[str, Any]) -> int:
        return 1

    flow_builder.create_flow("typed")
    flow_builder.add_step("typed", "a", function="why.typed")
    executor.execute_dynamic("typed", {})
    flow_builder.add_step("typed", "late", ["a"], function="why.typed", params={"x": 1})
    for _ in range(2):
        with pytest.raises(RunFailed):
            executor.execute_dynamic("typed", {BAD: "no number", "password": "s3cret"})
    yield
    registry.unregister("why.typed")


def part_of(client: Client) -> str:
    """What the page says of the failure, between its message and the traceback."""
    run = WorkflowRun.objects.order_by("-id")[0]
    page = client.get(address("workflowrun_change", run.pk)).content.decode()
    assert BAD not in page
    _, _, rest = page.partition('aria-labelledby="pgf-error-h"')
    return rest.partition("</bdi></p>")[2].partition("<summary>Traceback")[0]


def test_it_names_the_places_what_changed_and_what_to_do(log_in: LogIn, typed: None) -> None:
    part = part_of(log_in("boss"))
    bad = "&lt;script&gt;alert(1)&lt;~1script&gt;"
    assert f"<li><code>/{bad}</code>: <bdi>should be a whole number, is &quot;no number" in part
    assert "One attempt failed." in part
    assert "One run before it failed with the same error." in part
    assert "The flow has changed since version " in part
    assert "<li><bdi>step late: added</bdi></li>" in part
    assert "<code>python manage.py exportflow typed --output flow.json</code>" in part


def test_secrets_are_hidden_in_it(log_in: LogIn, typed: None) -> None:
    part = part_of(log_in("boss"))
    assert "s3cret" not in part
    assert "<li><code>/password</code>: <bdi>[hidden]</bdi></li>" in part


def test_secrets_are_hidden_on_the_page_of_the_item_and_from_programs_too(
    log_in: LogIn, typed: None
) -> None:
    run = WorkflowRun.objects.order_by("-id")[0]
    path = address("workflowrun_task", run.pk, "a", 0)
    page = log_in("boss").get(path).content.decode()
    assert "<li><code>/password</code>: <bdi>[hidden]</bdi></li>" in page
    assert "should be a whole number, is &quot;no number" in page
    assert "s3cret" not in page
    assert "/password</code>" not in log_in("viewer").get(path).content.decode()
    told = perform(principal("editor"), "explain_run", {"run_id": str(run.pk)}).value
    assert {"pointer": "/password", "message": "[hidden]"} in told["cause"]["problems"]


def test_payloads_and_the_flow_are_for_those_who_may_see_them(log_in: LogIn, typed: None) -> None:
    part = part_of(log_in("watcher", "view_workflowrun"))
    assert "One attempt failed." in part
    assert "/password" not in part
    assert "Its input had" not in part
    assert "step late" not in part
    assert "step late" in part_of(log_in("viewer"))


def test_runs_that_its_reader_may_not_know_of_are_not_counted(
    log_in: LogIn, typed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = WorkflowRun.objects.order_by("-id").values_list("pk", flat=True)[0]

    def get_queryset(self: Any, request: Any) -> Any:
        return WorkflowRun.objects.filter(pk=last)

    monkeypatch.setattr(WorkflowRunAdmin, "get_queryset", get_queryset)
    part = part_of(log_in("boss"))
    assert "with the same error" not in part
    assert "The flow has changed since" not in part


def test_a_hook_that_gives_something_else_hides_all(
    log_in: LogIn, typed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WorkflowRunAdmin, "redact_payload", lambda *_: "secret")
    part = part_of(log_in("boss"))
    assert "<li><code>" not in part.partition("<details>")[0]
    assert "Its input had" not in part
    run = WorkflowRun.objects.order_by("-id")[0]
    page = log_in("boss").get(address("workflowrun_task", run.pk, "a", 0)).content.decode()
    assert "/password</code>" not in page
    told = perform(principal("editor"), "explain_run", {"run_id": str(run.pk)}).value
    assert (told["cause"]["problems"], told["cause"]["input_keys"]) == ([], [])


def test_it_costs_at_most_eight_queries(log_in: LogIn, typed: None) -> None:
    client = log_in("boss")
    part_of(client)
    with CaptureQueriesContext(connection) as queries:
        part_of(client)
    assert len(queries) <= 1 + 22 + 8
