"""What a problem suggests: functions that do what a step says, the edges of a cycle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pgflow_django import step_function, validate_flow
from pgflow_django.definitions.policy import Policy
from pgflow_django.definitions.problems import Problem
from pgflow_django.registry import registry


@pytest.fixture(autouse=True)
def functions() -> Iterator[None]:
    before = dict(registry._functions)

    @step_function("csv.read", tags=["table"])
    def read(input: dict[str, Any]) -> Any:
        """Read the rows of a spreadsheet."""

    @step_function("orders.charge")
    def charge(input: dict[str, Any]) -> Any:
        """Take the money for an order from its credit card."""

    @step_function("orders.mail")
    def mail(input: dict[str, Any]) -> Any:
        """Send a summary of the order to its customer."""

    yield
    registry._functions.clear()
    registry._functions.update(before)


def problem_of(code: str, *steps: dict[str, Any], policy: Policy | None = None) -> Problem:
    document = {"workflow_slug": "flow", "steps": list(steps)}
    (found,) = (one for one in validate_flow(document, policy=policy) if one.code == code)
    return found


@pytest.mark.parametrize(
    ("step", "best"),
    [
        ({"slug": "a", "uses": "import_table"}, "csv.read"),
        ({"slug": "take_money", "uses": "pay"}, "orders.charge"),
        (
            {"slug": "a", "uses": "x", "description": "Mails the summary to the customer"},
            "orders.mail",
        ),
        ({"slug": "a", "uses": "orders.mial"}, "orders.mail"),
    ],
)
def test_functions_that_do_what_a_step_says_are_suggested(step: dict[str, Any], best: str) -> None:
    for policy in (None, Policy()):
        found = problem_of("unknown_function", step, policy=policy)
        assert found.suggestions[0] == best
        assert best in found.message


def test_only_those_that_a_policy_allows_are_suggested() -> None:
    policy = Policy(functions=("csv.*",))
    step = {"slug": "a", "uses": "x", "description": "Take the money, read the rows"}
    assert problem_of("unknown_function", step, policy=policy).suggestions == ["csv.read"]


def test_what_is_like_nothing_gets_no_suggestion() -> None:
    found = problem_of("unknown_function", {"slug": "zzz", "uses": "qqq"})
    assert list(found.suggestions) == []
    assert found.fix is None


def test_a_name_that_is_near_is_a_fix_also_where_others_do_alike() -> None:
    step = {"slug": "a", "uses": "orders.mial", "description": "charge the card"}
    found = problem_of("unknown_function", step)
    assert found.suggestions[0] == "orders.mail"
    assert "orders.charge" in found.suggestions
    assert found.fix == [{"op": "replace", "path": "/steps/0/uses", "value": "orders.mail"}]


def test_a_cycle_suggests_its_edges() -> None:
    found = problem_of(
        "cycle_detected",
        {"slug": "a", "depends_on": ["c"]},
        {"slug": "b", "depends_on": ["a"]},
        {"slug": "c", "depends_on": ["b"]},
    )
    assert sorted(found.suggestions) == ["a → b", "b → c", "c → a"]
    assert found.fix is None
