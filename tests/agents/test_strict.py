"""The schema that language models are held to, and the flow document of what they answer."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import jsonschema
import pytest
from django.core.management import call_command
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from pgflow_django import flow_schema, read_strict
from pgflow_django.definitions.shape import read_document, write_document
from pgflow_django.exceptions import InvalidDocument
from tests.agents.cases import documents_of_the_demo, documents_of_the_docs, read_cases
from tests.agents.providers import CHECKERS

#: What the strict document has of a flow and of a step.
FLOW = {"workflow_slug", "description", "max_attempts", "timeout", "steps"}
STEP = {"slug", "uses", "type", "depends_on", "inputs", "params", "initial_tasks"}
STEP |= {"max_attempts", "timeout"}
NUMBERS = ("max_attempts", "timeout")


def names(count: int) -> list[str]:
    return [f"package_{number // 50}.function_{number}" for number in range(count)]


@pytest.mark.parametrize("provider", CHECKERS)
@pytest.mark.parametrize("count", [1, 60, 2000])
def test_the_schema_keeps_to_every_provider_s_limits(provider: str, count: int) -> None:
    schema = flow_schema(strict=True, functions=names(count))
    assert CHECKERS[provider](schema) == []
    jsonschema.Draft202012Validator.check_schema(schema)
    steps = schema["properties"]["flow"]["properties"]["steps"]["items"]
    assert len(steps["properties"]["uses"]["enum"]) == min(count, 60)


@pytest.mark.parametrize("provider", CHECKERS)
def test_the_whole_enum_stays_within_their_limits_where_a_site_asks_for_it(provider: str) -> None:
    with override_settings(PGFLOW={"AI_MAX_FUNCTIONS": 250}):
        assert CHECKERS[provider](flow_schema(strict=True, functions=names(2000))) == []


def open_object(schema: Any) -> None:
    del schema["properties"]["flow"]["additionalProperties"]


def optional_key(schema: Any) -> None:
    schema["required"].remove("why")


def bound(schema: Any) -> None:
    schema["properties"]["why"]["maxLength"] = 5


def many_values(schema: Any) -> None:
    step = schema["properties"]["flow"]["properties"]["steps"]["items"]
    step["properties"]["uses"]["enum"] = names(2000)


def many_unions(schema: Any) -> None:
    for number in range(11):
        schema["properties"][f"k{number}"] = {"type": ["string", "null"]}
        schema["required"].append(f"k{number}")


def foreign_word(schema: Any) -> None:
    schema["properties"]["why"]["oneOf"] = []


def deep(schema: Any) -> None:
    inner: Any = {"type": "string"}
    for _ in range(11):
        inner = {"type": "object", "properties": {"a": inner}, "required": ["a"]}
        inner["additionalProperties"] = False
    schema["properties"]["why"] = inner


@pytest.mark.parametrize(
    ("breach", "providers"),
    [
        (open_object, {"openai", "anthropic"}),
        (optional_key, {"openai"}),
        (bound, {"anthropic", "gemini"}),
        (many_values, {"openai"}),
        (many_unions, {"anthropic"}),
        (foreign_word, {"gemini"}),
        (deep, {"openai"}),
    ],
)
def test_a_breach_is_found(breach: Any, providers: set[str]) -> None:
    schema = deepcopy(flow_schema(strict=True, functions=names(3)))
    breach(schema)
    assert {name for name, check in CHECKERS.items() if check(schema)} == providers


def tell_strictly(document: dict[str, Any]) -> dict[str, Any] | None:
    """The strict answer of a document; ``None`` for one that it can't express."""
    if not document.keys() <= FLOW or any(not step.keys() <= STEP for step in document["steps"]):
        return None
    steps = [
        {
            "slug": step["slug"],
            "uses": step.get("uses") or step["slug"],
            "type": step.get("type", "single"),
            "depends_on": list(step.get("depends_on", ())),
            "inputs": [
                {"name": name, "source": source}
                for name, source in (step.get("inputs") or {}).items()
            ],
            "params_json": None if step.get("params") is None else json.dumps(step["params"]),
            **{key: step.get(key) for key in ("initial_tasks", *NUMBERS)},
        }
        for step in document["steps"]
    ]
    flow = {
        "workflow_slug": document["workflow_slug"],
        "description": document.get("description") or "",
        **{key: document.get(key) for key in NUMBERS},
        "steps": steps,
    }
    return {"flow": flow, "why": "as asked", "unmet": ["a wish"]}


CASES = {
    **{name: case["document"] for name, case in read_cases("valid").items()},
    **documents_of_the_demo(),
}


def test_every_valid_document_that_can_be_told_comes_back() -> None:
    told = 0
    for name, value in {**CASES, **documents_of_the_docs()}.items():
        if not isinstance(value, dict) or not isinstance(value.get("steps"), list):
            continue
        document = write_document(read_document(value)) if name in CASES else None
        answer = tell_strictly(document) if document else None
        if document is None or answer is None:
            continue
        told += 1
        functions = [step["uses"] for step in answer["flow"]["steps"]] or ["none"]
        jsonschema.validate(answer, flow_schema(strict=True, functions=functions))
        read, why, unmet = read_strict(answer)
        assert (why, unmet) == ("as asked", ["a wish"])
        for step in document["steps"]:  # the strict one always says what it calls
            step.setdefault("uses", step["slug"])
            if step.get("inputs") == {}:
                del step["inputs"]
        assert write_document(read_document(read)) == document, name
    assert told >= 15


@pytest.mark.parametrize(
    ("answer", "pointer"),
    [
        (None, ""),
        ([], ""),
        ({}, ""),
        ({"flow": None}, ""),
        ({"flow": {"steps": [{"params_json": "{"}]}}, "/steps/0/params"),
        ({"flow": {"steps": [{}, {"inputs": [{"name": "a"}, {"name": "a"}]}]}}, "/steps/1/inputs"),
    ],
)
def test_an_answer_without_a_flow_is_refused_with_its_place(answer: Any, pointer: str) -> None:
    with pytest.raises(InvalidDocument) as refusal:
        read_strict(answer)
    assert [problem.pointer for problem in refusal.value.problems] == [pointer]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "flow",
                        "steps",
                        "inputs",
                        "name",
                        "source",
                        "params_json",
                        "why",
                        "unmet",
                        "type",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_whatever_a_model_answers_is_read_or_refused(answer: Any) -> None:
    try:
        document, why, unmet = read_strict(answer)
    except InvalidDocument:
        return
    assert isinstance(document, dict)
    assert isinstance(why, str)
    assert all(isinstance(wish, str) for wish in unmet)


def test_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("flowschema", "--strict")
    assert json.loads(capsys.readouterr().out) == flow_schema(strict=True)
