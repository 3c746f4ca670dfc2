"""``generateflow``, asked of a scripted server."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings

from pgflow_django import drafts
from pgflow_django.models import AgentUsage, WorkflowDraft
from tests.agents.scripted import Script, serve, strict_answer, strict_step
from tests.agents.test_generating import RIGHT, WRONG
from tests.commands.calling import Answer, call
from tests.views.conftest import make_user

pytestmark = pytest.mark.django_db

WISH = "Add the numbers up"


@pytest.fixture
def script() -> Iterator[Script]:
    with serve(RIGHT) as script, override_settings(PGFLOW={"AI_BASE_URL": script.url}):
        yield script


def generate(*arguments: str, **options: Any) -> Answer:
    return call("generateflow", *arguments, model="gpt-5", **options)


def test_it_prints_the_document_and_stores_nothing(script: Script) -> None:
    answer = generate(WISH)
    assert answer.status == 0, answer.stderr
    assert [step["slug"] for step in answer.json["steps"]] == ["read", "total"]
    assert "As asked." in answer.stderr
    assert not WorkflowDraft.objects.exists()
    assert script.asked[0]["model"] == "gpt-5"


def test_what_no_function_can_do_is_told(script: Script) -> None:
    script.answers[:] = [strict_answer(strict_step("read", "gen.read"), unmet=["a fax"])]
    assert "No function can do: a fax" in generate(WISH).stderr


def test_it_tells_all_as_json(script: Script) -> None:
    answer = generate(WISH, json=True)
    assert answer.stderr == ""
    assert set(answer.json) == {
        *("document", "problems", "why", "unmet", "changes", "attempts", "usage"),
        *("model", "prompt_sha256", "draft"),
    }
    assert (answer.json["attempts"], answer.json["draft"]) == (1, None)


def test_it_reads_standard_input(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("Fourty-two wishes"))
    assert generate("-").status == 0
    assert "Fourty-two wishes" in json.dumps(script.asked[0]["messages"])


def test_it_saves_a_draft_for_a_user(script: Script) -> None:
    make_user("ann", ())
    answer = generate(WISH, save=True, user="ann", json=True)
    assert answer.json["draft"] == {"slug": "adding", "version": 1}
    draft = drafts.load("adding")
    assert (draft.edited_by, draft.provenance and draft.provenance["via"]) == ("ann", "generate")
    assert AgentUsage.objects.get(kind="generations").count == 1


def test_a_flow_that_is_there_is_changed(script: Script) -> None:
    make_user("ann", ())
    drafts.create("numbers", {"steps": [{"slug": "gen_read", "uses": "gen.read"}]}, user="ben")
    answer = generate(WISH, slug="numbers", save=True, user="ann", json=True)
    assert answer.json["draft"]["slug"] == "numbers"
    assert {"change": "added", "step": "total", "option": None} in answer.json["changes"]
    assert "gen_read" in json.dumps(script.asked[0]["messages"])
    assert [step["slug"] for step in drafts.load("numbers").document["steps"]] == ["read", "total"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--save"], "bad_usage"),
        (["--user", "nobody"], "bad_usage"),
        (["--slug", "no slug"], "invalid_workflow_slug"),
    ],
)
def test_bad_usage(script: Script, arguments: list[str], code: str) -> None:
    answer = call("generateflow", WISH, "--model", "gpt-5", "--json", *arguments)
    assert (answer.status, answer.json["error"]["code"]) == (2, code)
    assert not script.asked


def test_a_failure_is_told_with_its_code_and_problems(script: Script) -> None:
    script.answers[:] = [WRONG]
    answer = generate(WISH, json=True)
    assert (answer.status, answer.json["error"]["code"]) == (2, "generation_failed")
    assert answer.json["error"]["problems"][0]["code"] == "missing_dependencies"
    assert not WorkflowDraft.objects.exists()
