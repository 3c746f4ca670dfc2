"""The smaller document that language models are held to by their providers, and back from it.

Structured output has limits (https://platform.openai.com/docs/guides/structured-outputs and its
like at Anthropic and Gemini): every key is required, nothing else is allowed, few keys may be null,
there are no bounds. So what is free in a flow travels as a list of pairs or as JSON text, and
bounds stand in descriptions; ``validate_flow`` sees to them. Pure: no ORM.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

from pgflow_django import jsonvalue
from pgflow_django.definitions import bounds
from pgflow_django.definitions.options import FLOW_KEYS, STEP_KEYS, Option
from pgflow_django.definitions.problems import Problem
from pgflow_django.definitions.rules import show
from pgflow_django.exceptions import InvalidDocument

Schema = dict[str, Any]

#: The options that a model may set; what else a flow has, people set.
_OF_FLOW: Final = ("max_attempts", "timeout")
_OF_STEP: Final = ("initial_tasks", "max_attempts", "timeout")


class StrictAnswer(NamedTuple):
    """What a model gave: a flow document, why it is so, and what no function can do."""

    document: Any
    why: str
    unmet: list[str]


def strict_schema(functions: Collection[str]) -> Schema:
    """The schema of an answer whose steps call ``functions``."""
    step = _closed(
        slug=_text("the name of the step, another one for each: letters, digits, underscores"),
        uses={"type": "string", "enum": [*functions], "description": _about(STEP_KEYS["uses"])},
        type={
            "type": "string",
            "enum": ["single", "map"],
            "description": _about(STEP_KEYS["type"]),
        },
        depends_on=_list(_text("slug of a step"), "the steps whose outputs it waits for"),
        inputs=_list(
            _closed(
                name=_text("a key that the function reads"),
                source=_text("a dependency, item, index or run, then a JSON Pointer: check/rows"),
            ),
            "where the keys that its function reads come from",
        ),
        params_json={
            "type": ["string", "null"],
            "description": "the function's params, as the text of a JSON value",
        },
        **{key: _number(STEP_KEYS[key]) for key in _OF_STEP},
    )
    flow = _closed(
        workflow_slug=_text("the name of the flow: letters, digits, underscores"),
        description=_text(_about(FLOW_KEYS["description"])),
        **{key: _number(FLOW_KEYS[key]) for key in _OF_FLOW},
        steps=_list(step, "the steps, in any order"),
    )
    return _closed(
        flow=flow,
        why=_text("in a few sentences, why the flow is so"),
        unmet=_list(_text("one wish"), "what was asked for and no function can do"),
    )


def _closed(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }


def _text(about: str) -> Schema:
    return {"type": "string", "description": about}


def _list(items: Schema, about: str) -> Schema:
    return {"type": "array", "items": items, "description": about}


def _number(option: Option) -> Schema:
    return {"type": ["integer", "null"], "description": _about(option)}


def _about(option: Option) -> str:
    """What an option is for, with the bounds that the schema may not have."""
    about = f"{option.about} ({option.unit})" if option.unit else str(option.about)
    return f"{about}; {option.rule.describe()}"


def read_strict(value: Any) -> StrictAnswer:
    """The flow document of a model's answer, with why it is so, and what it could not do.

    Takes anything; what is left out, or null, is as it is by default. What is of a wrong shape
    inside the flow stays in the document, for ``validate_flow`` to tell of.

    Raises ``InvalidDocument`` where there is no flow in it, for params that are no JSON, and for
    inputs that name a key twice.
    """
    reading = bounds.read(value)
    if reading.problem is not None:
        raise _invalid([reading.problem])
    answer = reading.value
    if not isinstance(answer, dict) or not isinstance(answer.get("flow"), dict):
        text = f"The answer is {show(answer)}, but must be an object with the flow under flow."
        raise _invalid([Problem("invalid_document", "", text)])
    problems: list[Problem] = []
    document = _drop_empty(answer["flow"], ("description",))
    if isinstance(rows := document.get("steps"), list):
        document["steps"] = [_read_step(row, index, problems) for index, row in enumerate(rows)]
    if problems:
        raise _invalid(problems)
    why, unmet = answer.get("why"), answer.get("unmet")
    texts = [text for text in unmet if isinstance(text, str)] if isinstance(unmet, list) else []
    return StrictAnswer(document, why if isinstance(why, str) else "", texts)


def _read_step(row: Any, index: int, problems: list[Problem]) -> Any:
    if not isinstance(row, dict):
        return row
    step = _drop_empty(row, ("depends_on", "inputs", "params_json"))
    pointer = f"/steps/{index}"
    if step.get("type") == "single":
        del step["type"]
    if isinstance(text := step.get("params_json"), str):
        del step["params_json"]
        try:
            step["params"] = json.loads(text)
        except (ValueError, RecursionError):
            said = f"The params_json of a step is {show(text)}, but must be the text of JSON."
            problems.append(Problem("invalid_params", f"{pointer}/params", said))
    if isinstance(pairs := step.get("inputs"), list):
        step["inputs"] = _read_inputs(pairs, f"{pointer}/inputs", problems)
    return step


def _read_inputs(pairs: list[Any], pointer: str, problems: list[Problem]) -> Any:
    """The inputs as an object; as they are, where they are no pairs."""
    inputs: dict[str, Any] = {}
    for pair in pairs:
        if not isinstance(pair, dict) or not isinstance(pair.get("name"), str):
            return pairs
        name = pair["name"]
        if name in inputs:
            said = f"The inputs of a step name {show(name)} twice."
            problems.append(Problem("invalid_inputs", pointer, said))
        inputs[name] = pair.get("source")
    return inputs


def _drop_empty(holder: Mapping[str, Any], may_be_empty: tuple[str, ...]) -> dict[str, Any]:
    """Without nulls, which say that there is nothing, and without what is empty of those named."""
    return {
        key: value
        for key, value in holder.items()
        if value is not None and not (key in may_be_empty and value in ("", []))
    }


def _invalid(problems: list[Problem]) -> InvalidDocument:
    message = jsonvalue.cut(" ".join(problem.message for problem in problems), 1000)
    return InvalidDocument(message, problems=problems)
