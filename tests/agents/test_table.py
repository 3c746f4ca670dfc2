"""The table of operations: none of them lacks what tools, addresses and docs are made of."""

from __future__ import annotations

import re
from inspect import cleandoc

import pytest

from pgflow_django.agents.access import ASKS
from pgflow_django.agents.operations import OPERATIONS, Operation
from pgflow_django.agents.operations.shapes import Arguments, Result
from pgflow_django.choices import Access
from tests.documentation import DOCS, read_rows

each = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)


@each
def test_an_operation_has_all_that_is_made_of_it(operation: Operation) -> None:
    assert OPERATIONS[operation.name] is operation
    assert re.fullmatch(r"[a-z]+(_[a-z]+)+", operation.name)
    assert operation.summary.endswith((".", "!"))
    assert cleandoc(operation.call.__doc__ or "").splitlines()[0].endswith((".", ":"))
    assert issubclass(operation.arguments, Arguments)
    assert issubclass(operation.result, Result)
    assert operation.arguments.model_config["extra"] == "forbid"
    assert operation.result.__doc__
    assert operation.access in Access
    assert operation.action in ASKS


@each
def test_what_it_asks_of_its_user_is_no_more_than_of_its_token(operation: Operation) -> None:
    assert operation.access.covers(ASKS[operation.action])


@each
def test_its_annotations_agree_with_what_it_does(operation: Operation) -> None:
    assert operation.is_read_only == (operation.access is Access.READ)
    assert not (operation.is_read_only and operation.is_destructive)
    assert operation.method in {"GET", "POST", "PUT", "PATCH"}
    assert operation.method != "GET" or operation.is_read_only


@each
def test_its_path_names_arguments(operation: Operation) -> None:
    assert re.fullmatch(r"(/[a-z]+|/\{[a-z_]+\})+", operation.path)
    names = set(re.findall(r"\{(\w+)\}", operation.path))
    fields = operation.arguments.model_fields
    # The flow of a document is named within it.
    assert names - fields.keys() <= ({"slug"} if "document" in fields else set())


def test_no_two_are_at_one_address() -> None:
    addresses = [(one.method, re.sub(r"\{\w+\}", "{}", one.path)) for one in OPERATIONS.values()]
    assert len(addresses) == len(set(addresses)) == len(OPERATIONS)


def test_every_operation_is_documented_and_no_other() -> None:
    rows = [cells[0].strip("`").partition("(")[0] for cells in read_rows(DOCS / "agents.md")]
    assert [name for name in rows if name in OPERATIONS] == list(OPERATIONS)
