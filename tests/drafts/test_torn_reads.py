"""Whoever reads while others change gets one consistent answer, as it was before or is after."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from django.db import connection, transaction

from pgflow_django import drafts, flow_builder
from pgflow_django.exceptions import EditRefused, WorkflowNotFound
from tests.engine.database import clean
from tests.engine.threads import Background


@pytest.fixture(autouse=True)
def transactional_db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Let the test commit; see the engine's fixture of this name."""
    with django_db_blocker.unblock():
        clean()
        yield
        clean()


Call = Callable[[], Any]


class Meanwhile:
    """Makes a change, in a session of its own, just before the ``number``-th statement of ours."""

    def __init__(self, number: int, change: Call) -> None:
        self._number = number
        self._change = change
        self._count = 0

    @property
    def is_made(self) -> bool:
        """Whether there were as many statements."""
        return self._count >= self._number

    def __call__(self, execute: Any, *arguments: Any) -> Any:
        self._count += 1
        if self._count == self._number:
            Background(self._change).result()
        return execute(*arguments)


def answer(call: Call) -> Any:
    """What a call gives; that there is no such flow is an answer, too."""
    try:
        return call()
    except (WorkflowNotFound, EditRefused) as error:
        return type(error)


def edit(op: str, arguments: dict[str, Any]) -> Any:
    return drafts.edit("flow", drafts.load("flow").version, op, arguments, user="ann")


def publish() -> None:
    drafts.publish("flow", drafts.load("flow").version, user="ann")


def discard() -> None:
    drafts.discard("flow", drafts.load("flow").version, user="ann")


def only_a_flow() -> None:
    flow_builder.create_flow_from_spec({"workflow_slug": "flow", "steps": [{"slug": "a"}]})


def only_a_draft() -> None:
    drafts.create("flow", {"steps": [{"slug": "a"}]}, user="ann")
    edit("add_step", {"slug": "b"})


def an_edited_flow() -> None:
    only_a_flow()
    edit("add_step", {"slug": "b"})


def a_published_draft() -> None:
    only_a_draft()
    publish()


STATES = [only_a_flow, only_a_draft, an_edited_flow, a_published_draft]
CHANGES: dict[str, Call] = {
    "delete": lambda: flow_builder.delete_flow("flow"),
    "publish": publish,
    "edit": lambda: edit("add_step", {"slug": "c"}),
    "undo": lambda: edit("undo", {}),
    "discard": discard,
    "store elsewhere": lambda: flow_builder.add_step("flow", "theirs"),
}
READS: dict[str, Call] = {
    "load": lambda: drafts.load("flow"),
    "history": lambda: drafts.history("flow"),
    "compare": lambda: drafts.compare("flow", 1),
    "preview": lambda: drafts.preview_import('{"workflow_slug": "flow", "steps": [{"slug": "x"}]}'),
    "get": lambda: flow_builder.get_flow("flow"),
    "export": lambda: flow_builder.export_flow("flow"),
    "list": flow_builder.list_flows,
}


CASES = [
    *itertools.product(["load"], CHANGES, [False, True]),
    *itertools.product(["history", "compare"], CHANGES, [False]),
    *itertools.product(["preview", "get", "export", "list"], ["delete", "publish"], [False]),
]
#: Of drafts and of flows, beside the changes that move most; the others take minutes.
QUICK = {
    *(("load", "publish", False), ("load", "publish", True), ("load", "delete", False)),
    ("get", "publish", False),
}


@pytest.mark.parametrize(
    ("read", "change", "in_transaction"),
    [pytest.param(*case, marks=() if case in QUICK else pytest.mark.slow) for case in CASES],
)
def test_a_read_is_of_before_or_after(read: str, change: str, in_transaction: bool) -> None:
    for state in STATES:
        number = 0
        is_made = True
        while is_made:
            number += 1
            clean()
            state()
            before = answer(READS[read])
            meanwhile = Meanwhile(number, lambda: answer(CHANGES[change]))
            around = transaction.atomic() if in_transaction else nullcontext()
            with around, connection.execute_wrapper(meanwhile):
                found = answer(READS[read])
            assert found in (before, answer(READS[read])), (state.__name__, number)
            is_made = meanwhile.is_made


def test_whoever_creates_a_flow_gets_it_though_others_delete_it_at_once() -> None:
    for number in range(1, 6):
        clean()
        meanwhile = Meanwhile(number, lambda: answer(lambda: flow_builder.delete_flow("flow")))
        with connection.execute_wrapper(meanwhile):
            assert flow_builder.create_flow("flow").workflow_slug == "flow"


def test_whoever_creates_a_draft_gets_it_though_others_discard_it_at_once() -> None:
    for number in range(1, 16):
        clean()
        meanwhile = Meanwhile(number, lambda: answer(discard))
        with connection.execute_wrapper(meanwhile):
            assert drafts.create("flow", user="ann").slug == "flow"
