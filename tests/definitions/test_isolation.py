"""REPEATABLE READ and SERIALIZABLE: what is ours is tried again, the caller's own is warned of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from psycopg import IsolationLevel

from pgflow_django import drafts, executor, flow_builder
from pgflow_django.checks import check_isolation
from pgflow_django.exceptions import DraftConflict, PgflowError
from pgflow_django.flows import definition_of, sync_code_flow
from pgflow_django.models import Workflow
from tests.engine.database import clean
from tests.engine.threads import at_once

STEPS = [{"slug": "a"}]
OTHER = {"workflow_slug": "flow", "steps": [{"slug": "c"}]}


@pytest.fixture(params=[IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE], autouse=True)
def transactional_db(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any
) -> Iterator[IsolationLevel]:
    """Isolate the transactions of this alias, in every thread, and let tests commit."""
    options = connection.settings_dict["OPTIONS"]
    with django_db_blocker.unblock():
        clean()
        connection.close()
        options["isolation_level"] = request.param
        yield request.param
        del options["isolation_level"]
        connection.close()
        clean()


def unless_refused(call: Callable[[], Any]) -> Callable[[], Any]:
    """The call, whose refusals with an error of ours are fine."""

    def try_it() -> Any:
        try:
            return call()
        except PgflowError as error:
            return error

    return try_it


def test_the_check_warns(transactional_db: IsolationLevel) -> None:
    (warning,) = check_isolation()
    assert warning.id == "pgflow.W003"
    assert transactional_db.name.replace("_", " ") in warning.msg


def test_editors_at_once_lose_nothing() -> None:
    drafts.create("flow", user="ann")

    def add_steps(name: str) -> Callable[[], None]:
        def add_all() -> None:
            done = 0
            while done < 4:
                draft = drafts.load("flow")
                try:
                    arguments = {"slug": f"{name}_{done}"}
                    drafts.edit("flow", draft.version, "add_step", arguments, user=name)
                    done += 1
                except DraftConflict:
                    continue

        return add_all

    at_once([add_steps(name) for name in ("ann", "bob", "cleo")])
    assert len(drafts.load("flow").document["steps"]) == 12


def test_everything_that_changes_one_flow_at_once_is_done_or_refused_by_name() -> None:
    for _ in range(5):
        flow_builder.create_flow_from_spec({"workflow_slug": "flow", "steps": STEPS}, replace=True)
        draft = drafts.load("flow")
        draft = drafts.edit("flow", draft.version, "add_step", {"slug": "b"}, user="ann").draft
        calls: list[Callable[[], Any]] = [
            lambda draft=draft: drafts.publish("flow", draft.version, user="ann"),  # type: ignore[misc]
            lambda: flow_builder.add_step("flow", "d"),
            lambda: flow_builder.create_flow_from_spec(OTHER, replace=True),
            lambda: executor.start_flow("flow"),
            lambda: flow_builder.delete_flow("flow", force=True),
        ]
        at_once([unless_refused(call) for call in calls])


def test_one_of_many_creates_and_all_of_them_may_replace() -> None:
    def store(number: int) -> Callable[[], Any]:
        document = {"workflow_slug": "flow", "timeout": number, "steps": STEPS}
        return lambda: flow_builder.create_flow_from_spec(document, replace=True)

    results = at_once([store(number) for number in range(1, 5)])
    assert sorted(workflow.version for workflow in results) == [1, 2, 3, 4]


def test_workers_that_start_together_store_a_code_flow_once() -> None:
    class Nightly:
        @staticmethod
        def __workflow_steps__() -> Any:
            return [("a", len), ("b", len)]

    code = definition_of(Nightly)
    results = at_once([lambda: sync_code_flow(code)] * 4)
    assert [workflow.version for workflow in results] == [1] * 4
    assert Workflow.objects.count() == 1
