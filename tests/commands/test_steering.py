"""What step functions and documents say steers no terminal."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pgflow_django import drafts, executor, flow_builder, step_function
from pgflow_django.models import WorkflowRun
from pgflow_django.registry import registry
from tests.commands.calling import Answer, call
from tests.engine.building import build

#: Colours, their one-character form, text from right to left, a bell, a title, lines.
HOSTILE = "\x1b[31mred\x9b32m\u202egreen\x07\x1b]0;title\x07\u2028\u2066x\u200f\x7f\r\n\tend"

#: Classes of characters that turn the direction of text.
_TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@pytest.fixture(autouse=True)
def functions() -> Iterator[None]:
    before = dict(registry._functions)

    @step_function("steer.fail")
    def fail(input: dict[str, Any]) -> None:
        raise ValueError(HOSTILE)

    @step_function("steer.give")
    def give(input: dict[str, Any]) -> Any:
        return {HOSTILE: HOSTILE}

    yield
    registry._functions.clear()
    registry._functions.update(before)


def look(answer: Answer) -> str:
    """What was printed, in which no character steers a terminal."""
    told = answer.stdout + answer.stderr
    steering = {
        f"U+{ord(one):04X}"
        for one in told
        if unicodedata.category(one) in {"Cc", "Zl", "Zp"} and one not in "\n\t"
    }
    steering |= {f"U+{ord(one):04X}" for one in told if unicodedata.bidirectional(one) in _TURNS}
    assert not steering, steering
    return told


def test_errors_and_tracebacks_of_steps_do_not(doubles: str) -> None:
    build("flow", {"a": []}, options={"a": {"uses": "steer.fail", "max_attempts": 2}})
    told = look(call("runflow", "flow", input=json.dumps({HOSTILE: HOSTILE})))
    assert "red" in told
    run = str(WorkflowRun.objects.get().pk)
    for name in ("showrun", "explainrun"):
        shown = look(call(name, run))
        assert "Traceback (most recent call last):\n" in shown
        assert "\n    raise ValueError(HOSTILE)\n" in shown
        assert "[31mred" in shown
        look(call(name, run, json=True))
    for name, options in (("listruns", {}), ("listruns", {"json": True}), ("retryrun", {})):
        look(call(name, *([run] if name == "retryrun" else []), **options))
    look(call("cancelrun", run, reason=HOSTILE))
    assert "red" in look(call("explainrun", run))
    assert "red" in look(call("showrun", run))


def test_values_do_not_and_json_has_them_whole() -> None:
    build("flow", {"a": []}, options={"a": {"uses": "steer.give"}})
    value = {HOSTILE: HOSTILE}
    ran = call("runflow", "flow", input=json.dumps(value))
    assert look(ran)
    assert ran.json == {"a": value}
    run = str(WorkflowRun.objects.get().pk)
    look(call("showrun", run))
    shown = call("showrun", run, json=True)
    assert look(shown)
    assert (shown.json["input"], shown.json["output"]) == (value, {"a": value})


def test_what_is_simulated_does_not(tmp_path: Path) -> None:
    build("flow", {"a": []})
    outputs = tmp_path / "outputs.json"
    outputs.write_text(json.dumps({"a": HOSTILE}))
    assert "red" in look(call("simulateflow", "flow", outputs=str(outputs)))
    simulated = call("simulateflow", "flow", outputs=str(outputs), json=True)
    assert look(simulated)
    assert simulated.json["output"] == {"a": HOSTILE}


def test_documents_do_not(tmp_path: Path) -> None:
    step = {"slug": "a", "uses": "steer.give", "params": HOSTILE, "description": HOSTILE}
    flow_builder.create_flow_from_spec(
        {"workflow_slug": "flow", "description": HOSTILE, "steps": [step]}
    )
    for name in ("showflow", "exportflow"):
        assert "red" in look(call(name, "flow"))
    look(call("listflows"))
    look(call("exportflow", "flow", format="python"))
    look(call("exportflow", "flow", format="svg"))
    exported = json.loads(call("exportflow", "flow").stdout)
    assert exported["steps"][0]["params"] == HOSTILE
    wrong = tmp_path / "flow.json"
    wrong.write_text(
        json.dumps(
            {
                "workflow_slug": "flow",
                HOSTILE: 1,
                "steps": [{**step, "depends_on": [HOSTILE], "inputs": {"x": HOSTILE}}],
            }
        )
    )
    for name in ("checkflow", "importflow", "simulateflow"):
        for options in ({}, {"json": True}):
            look(call(name, str(wrong), **options))
    changed = {"workflow_slug": "flow", "description": f"{HOSTILE}!", "steps": [step]}
    wrong.write_text(json.dumps(changed))
    assert "change" in look(call("importflow", str(wrong), dry_run=True, replace=True))


def test_what_is_refused_is_said_without(tmp_path: Path) -> None:
    build("flow", {"a": []}, input_schema={"properties": {"n": {"enum": [HOSTILE]}}})
    look(call("runflow", "flow", input=json.dumps({"n": HOSTILE + "!"})))
    look(call("runflow", HOSTILE))
    look(call("runflow", "flow", input='{"a": "' + HOSTILE))
    given = tmp_path / "given.json"
    given.write_text(json.dumps({HOSTILE: HOSTILE}))
    look(call("runflow", "flow", draft=True, given=str(given), until=HOSTILE))
    look(call("simulateflow", "flow", outputs=str(given)))
    drafts.create("draft", {"steps": [{"slug": "a"}], "description": HOSTILE}, user=HOSTILE)
    look(call("publishflow", "draft", user=HOSTILE))


def test_workers_do_not(django_user_model: Any) -> None:
    django_user_model.objects.create(username="ann")
    look(call("agenttoken", "create", "ann", "--name", f"bot {HOSTILE[1:9]}"))
    look(call("agenttoken", "list"))
    executor.drain()
    look(call("listworkers"))
