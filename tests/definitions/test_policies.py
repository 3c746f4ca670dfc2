"""What a policy forbids, and what it is made of."""

from __future__ import annotations

from typing import Any

import pytest

from pgflow_django import step_function, validate_flow
from pgflow_django.definitions.edits.patches import apply_patch
from pgflow_django.definitions.policy import Policy
from pgflow_django.exceptions import PgflowError

JSON = dict[str, Any]


@pytest.fixture(autouse=True)
def functions() -> None:
    step_function("csv.load", effects="writes")(lambda input: input)
    step_function("csv.read", effects="reads")(lambda input: input)
    step_function("csv.each", effects="none", map_only=True)(lambda input: input)
    step_function("silent")(lambda input: input)


def flow(*steps: JSON, **options: Any) -> JSON:
    return {"workflow_slug": "flow", **options, "steps": list(steps)}


READ: JSON = {"slug": "read", "uses": "csv.read"}


def found(document: Any, policy: Policy | None) -> list[tuple[str, str]]:
    problems = validate_flow(document, policy=policy)
    return [(one.code, one.pointer) for one in problems if one.severity == "error"]


@pytest.mark.parametrize(
    ("document", "policy", "code", "pointer"),
    [
        (flow(*({"slug": f"s{n}", "uses": "silent"} for n in range(3))), {"MAX_STEPS": 2},
         "too_many_steps", "/steps"),
        (flow(READ, {**READ, "slug": "b", "depends_on": ["read"]}), {"MAX_EDGES": 0},
         "too_many_dependencies", "/steps"),
        (flow({**READ, "type": "map", "initial_tasks": 11}), {"MAX_FAN_OUT": 10},
         "fan_out_too_large", "/steps/0/initial_tasks"),
        (flow(READ, max_attempts=11), {}, "attempts_not_allowed", "/max_attempts"),
        (flow(READ), {"MAX_ATTEMPTS": 2}, "attempts_not_allowed", "/max_attempts"),
        (flow({**READ, "max_attempts": 11}), {}, "attempts_not_allowed", "/steps/0/max_attempts"),
        (flow({**READ, "timeout": 3_601}), {}, "timeout_not_allowed", "/steps/0/timeout"),
        (flow(READ, timeout=3_601), {}, "timeout_not_allowed", "/timeout"),
        (flow(READ, queue="mail"), {}, "queue_not_allowed", "/queue"),
        (flow({**READ, "queue": "mail"}), {}, "queue_not_allowed", "/steps/0/queue"),
        (flow({"slug": "a", "uses": "csv.load"}), {"EFFECTS": ["none", "reads"]},
         "effects_not_allowed", "/steps/0/uses"),
        (flow({"slug": "silent"}), {"EFFECTS": ["none"]}, "effects_not_allowed", "/steps/0/uses"),
        (flow({"slug": "a", "uses": "csv.each"}), {}, "map_only_function", "/steps/0/type"),
        (flow({"slug": "a", "uses": "csv.load"}), {"FUNCTIONS": ["*.read", "silent"]},
         "unknown_function", "/steps/0/uses"),
        (flow({"slug": "a", "uses": "csv.lod"}), {}, "unknown_function", "/steps/0/uses"),
        (flow({"slug": "read"}), {}, "unknown_function", "/steps/0/uses"),
        (flow(READ, input_schema={"pattern": "a"}), {}, "unused_schema_keyword",
         "/input_schema/pattern"),
    ],
)  # fmt: skip
def test_what_a_policy_forbids_is_an_error_under_it_only(
    document: Any, policy: JSON, code: str, pointer: str
) -> None:
    assert found(document, Policy.from_dict(policy)) == [(code, pointer)]
    assert found(document, None) == []


def test_a_cap_says_the_limit_and_the_value_and_how_to_keep_it() -> None:
    document = flow({**READ, "timeout": 7_200})
    problem = validate_flow(document, policy=Policy())[0]
    assert "7200" in problem.message
    assert "3,600" in problem.message
    assert problem.fix is not None
    assert found(apply_patch(document, problem.fix), Policy()) == []


def test_only_functions_that_are_allowed_are_proposed() -> None:
    document = flow({"slug": "a", "uses": "csv.raed"})
    assert validate_flow(document, policy=Policy())[0].suggestions[0] == "csv.read"
    read_only = Policy(functions=("csv.read", "silent"))
    problem = validate_flow(document, policy=read_only)[0]
    assert problem.suggestions == ["csv.read"]
    assert problem.fix == [{"op": "replace", "path": "/steps/0/uses", "value": "csv.read"}]
    for_slug = flow({"slug": "csv_read"})
    problem = validate_flow(for_slug, policy=Policy())[0]
    assert problem.suggestions[0] == "csv.read"


def test_a_policy_is_made_over_defaults() -> None:
    assert Policy.from_dict({}) == Policy()
    policy = Policy.from_dict({"MAX_STEPS": 3, "QUEUES": ["a", "b"], "EFFECTS": None})
    assert (policy.max_steps, policy.queues, policy.effects) == (3, ("a", "b"), None)
    assert (policy.max_edges, policy.max_fan_out, policy.max_attempts) == (200, 10_000, 10)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"MAX_STEP": 3}, 'no "MAX_STEP" in a policy. Did you mean "MAX_STEPS"'),
        ({"MAX_STEPS": "3"}, 'MAX_STEPS of the policy is "3", but must be a whole number'),
        ({"MAX_STEPS": True}, "MAX_STEPS"),
        ({"MAX_STEPS": -1}, "MAX_STEPS"),
        ({"QUEUES": "default"}, "QUEUES of the policy"),
        ({"QUEUES": None}, "QUEUES of the policy"),
        ({"FUNCTIONS": [1]}, "FUNCTIONS of the policy"),
    ],
)
def test_a_policy_that_is_none_is_refused(values: JSON, text: str) -> None:
    with pytest.raises(PgflowError, match="policy") as caught:
        Policy.from_dict(values)
    assert caught.value.code == "invalid_policy"
    assert text in str(caught.value)


@pytest.mark.parametrize("document", [None, [], {"steps": 7}, {"steps": [7, {"slug": []}]}])
def test_a_policy_takes_any_document(document: Any) -> None:
    assert validate_flow(document, policy=Policy(effects=()))
