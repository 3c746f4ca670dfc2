"""Pages of flows and runs that somebody else deletes while they are made."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from pgflow_django import drafts, engine, executor, flow_builder
from pgflow_django.cli.pruning import ENDED
from tests.views.conftest import FLOW_VIEWS, LogIn, address

pytestmark = pytest.mark.django_db

#: What is sent to pages that change something. Those that change a draft lock it: nobody else
#: deletes it then, and they can't be asked in this way.
SENT = {
    "validate": {},
    "presence": {},
    "run": {"mode": "json", "input": "{}"},
    "import": {"text": '{"workflow_slug": "flow", "steps": []}'},
    "delete": {"post": "yes"},
}


class Deletion:
    """Deletes what a page is about just before the ``number``-th statement of a request."""

    def __init__(self, number: int, delete: Callable[[], object]) -> None:
        self.left = number
        self.delete = delete

    def __call__(self, execute: Any, *arguments: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            self.delete()
        return execute(*arguments)


def get_statuses(ask: Callable[[], Any]) -> set[int]:
    """The statuses of an answer, with the flow deleted before each of its statements."""
    found: set[int] = set()
    for number in range(1, 200):
        deletion = Deletion(number, lambda: flow_builder.delete_flow("flow", force=True))
        with transaction.atomic():
            with connection.execute_wrapper(deletion):
                found.add(ask().status_code)
            transaction.set_rollback(True)
        if deletion.left > 0:
            return found
    raise AssertionError("it never ends")


@pytest.fixture
def draft(db: None) -> drafts.Draft:
    """Give the draft of a flow that has changes."""
    flow_builder.create_flow_from_spec({"workflow_slug": "flow", "steps": [{"slug": "a"}]})
    return drafts.edit("flow", 0, "add_step", {"slug": "b"}, user="ann").draft


@pytest.mark.parametrize("page", FLOW_VIEWS)
def test_a_page_is_whole_or_not_found(log_in: LogIn, draft: drafts.Draft, page: str) -> None:
    client, path = log_in("boss"), address(f"workflow_{page}", "flow")
    assert get_statuses(lambda: client.get(path)) <= {200, 404}


def test_what_a_revision_changed_is_told_or_not_found(log_in: LogIn, draft: drafts.Draft) -> None:
    client, path = log_in("boss"), address("workflow_diff", "flow", 1)
    assert get_statuses(lambda: client.get(path)) <= {200, 404}


@pytest.mark.parametrize("page", SENT)
def test_a_change_is_made_or_refused_or_not_found(
    log_in: LogIn, draft: drafts.Draft, page: str
) -> None:
    client, path = log_in("boss"), address(f"workflow_{page}", "flow")
    assert get_statuses(lambda: client.post(path, SENT[page])) <= {200, 302, 403, 404, 422}


def prune_all() -> None:
    engine.prune_runs(timezone.now() + timedelta(hours=1), list(ENDED), 100, using="default")


@pytest.mark.parametrize(
    "name", ["change", "live", "step", "history", "payload", "cancel", "retry"]
)
def test_a_page_of_a_run_is_whole_or_not_found(log_in: LogIn, flow: str, name: str) -> None:
    client, found = log_in("boss"), set()
    is_change = name in {"cancel", "retry"}
    for number in range(1, 200):
        run = executor.start_flow(flow)
        executor.cancel_run(run.id)
        path = address(f"workflowrun_{name}", run.pk, *(["input"] if name == "payload" else []))
        deletion = Deletion(number, prune_all)
        with connection.execute_wrapper(deletion):
            page = client.post(path) if is_change else client.get(path, {"step": "double"})
        found.add(page.status_code)
        if deletion.left > 0:
            break
    usual = {"history": {200, 302}}.get(
        name, {302} if is_change else {200}
    )  # Django's page leads on
    assert found == {*usual, 404}
