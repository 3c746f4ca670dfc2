"""Pages of flows and runs that somebody else deletes while they are made."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from pgflow_django import drafts, engine, executor, flow_builder
from pgflow_django.cli.pruning import ENDED
from tests.views.conftest import LogIn, address

pytestmark = pytest.mark.django_db

PAGES = ("edit", "canvas", "panel", "history", "export_json", "export_py", "diagram", "import")


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


def get_statuses(client: Client, page: str) -> set[int]:
    """The statuses of a page, with the flow deleted before each of its statements."""
    found: set[int] = set()
    for number in range(1, 100):
        flow_builder.create_flow_from_spec({"workflow_slug": "flow", "steps": [{"slug": "a"}]})
        drafts.edit("flow", 0, "add_step", {"slug": "b"}, user="ann")
        deletion = Deletion(number, lambda: flow_builder.delete_flow("flow"))
        with connection.execute_wrapper(deletion):
            found.add(client.get(page).status_code)
        if deletion.left > 0:
            return found
    raise AssertionError("it never ends")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_whole_or_not_found(log_in: LogIn, page: str) -> None:
    assert get_statuses(log_in("boss"), address(f"workflow_{page}", "flow")) <= {200, 404}


def test_what_a_revision_changed_is_told_or_not_found(log_in: LogIn) -> None:
    assert get_statuses(log_in("boss"), address("workflow_diff", "flow", 1)) <= {200, 404}


def prune_all() -> None:
    engine.prune_runs(timezone.now() + timedelta(hours=1), list(ENDED), 100, using="default")


@pytest.mark.parametrize("name", ["change", "live", "step"])
def test_a_page_of_a_run_is_whole_or_not_found(log_in: LogIn, flow: str, name: str) -> None:
    client, found = log_in("boss"), set()
    for number in range(1, 100):
        run = executor.start_flow(flow)
        executor.cancel_run(run.id)
        deletion = Deletion(number, prune_all)
        with connection.execute_wrapper(deletion):
            page = client.get(address(f"workflowrun_{name}", run.pk), {"step": "double"})
        found.add(page.status_code)
        if deletion.left > 0:
            break
    assert found == {200, 404}
