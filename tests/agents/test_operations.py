"""What programs do, each through the one door: drawn, checked, handed in, run, explained."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings

from pgflow_django import drafts, executor, step_function
from pgflow_django.agents.access import Principal
from pgflow_django.agents.operations import OPERATIONS
from pgflow_django.agents.performing import Answer, list_operations, perform
from pgflow_django.choices import Access
from pgflow_django.exceptions import PermanentFailure
from pgflow_django.models import AgentCall, Workflow, WorkflowRevision, WorkflowRun
from tests.agents.test_access import principal

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _writing() -> Any:
    with override_settings(PGFLOW={"AGENTS": "write"}):
        yield


@step_function("ops.read", effects="reads", tags=["ops"])
def read(input: dict[str, Any]) -> list[int]:
    """Read numbers.

    As many as there are.
    """
    return [1, 2, 3]


@step_function("ops.total", effects="none", tags=["ops"])
def total(input: dict[str, Any]) -> int:
    """Add numbers up."""
    return sum(input["read"])


@step_function("ops.fail", effects="none")
def fail(input: dict[str, Any]) -> int:
    """Fail for good."""
    raise PermanentFailure("no")


STEPS = [
    {"slug": "read", "uses": "ops.read"},
    {"slug": "total", "uses": "ops.total", "depends_on": ["read"]},
]
DOCUMENT = {"workflow_slug": "adding", "steps": STEPS}


def ask(who: Principal, name: str, **arguments: Any) -> Any:
    """What an operation gives, which must be done."""
    answer = perform(who, name, arguments)
    assert not answer.is_error, answer.value
    return answer.value


def refused(who: Principal, name: str, **arguments: Any) -> tuple[int, str]:
    """The status and the code of a refusal."""
    answer = perform(who, name, arguments)
    assert answer.is_error
    return answer.status, answer.value["error"]["code"]


def published(who: Principal, document: dict[str, Any] = DOCUMENT) -> str:
    """The slug of a flow that a program has drawn, and a person published."""
    saved = ask(who, "save_flow", document=document)
    ask(who, "publish_flow", slug=saved["slug"], version=saved["version"])
    drafts.publish(saved["slug"], saved["version"], user="ann")
    slug: str = saved["slug"]
    return slug


def test_functions_are_found_by_words_and_by_names() -> None:
    found = ask(principal(), "search_step_functions", query="ops total add")
    assert found["functions"][0] == {
        "name": "ops.total",
        "summary": "Add numbers up.",
        "effects": "none",
        "tags": ["ops"],
        "map_only": False,
        "served": False,
    }
    names = ["ops.read", "nobody"]
    full = ask(principal("editor"), "search_step_functions", names=names, detail="full")
    assert [one["name"] for one in full["functions"]] == ["ops.read"]
    assert full["functions"][0]["doc"].endswith("As many as there are.")
    policy = {"FUNCTIONS": ["ops.r*"]}
    with override_settings(PGFLOW={"AGENTS": "write", "AGENT_POLICY": policy}):
        found = ask(principal("viewer"), "search_step_functions", query="ops", limit=100)
    assert [one["name"] for one in found["functions"]] == ["ops.read"]


def test_a_flow_is_drawn_handed_in_and_approved_by_a_person() -> None:
    who = principal("editor", Access.AUTHOR, via="mcp", client="c 1")
    saved = ask(who, "save_flow", document=DOCUMENT, note="as asked", model="m-1")
    assert (saved["version"], saved["problems"]) == (1, [])
    assert ["added", "read", None] in [list(change.values())[:3] for change in saved["changes"]]
    handed = ask(who, "publish_flow", slug="adding", version=1, note="please")
    assert handed["status"] == "waiting_for_approval"
    assert handed["url"].endswith("/adding/review/")
    shown = ask(who, "get_flow", slug="adding")
    assert (shown["submitted"], shown["document"]["steps"][0]["slug"]) == (True, "read")
    assert shown["provenance"] == {
        "by": "editor",
        "via": "mcp",
        "token": "bot",
        "client": "c 1",
        "model": "m-1",
        "prompt_sha256": "",
        "note": "as asked",
    }
    drafts.send_back("adding", 1, user="ann", note="name it better")
    assert ask(who, "get_flow", slug="adding")["note"] == "name it better"
    ask(who, "publish_flow", slug="adding", version=1)
    drafts.publish("adding", 1, user="ann")
    flow = Workflow.objects.get(pk="adding")
    assert (flow.origin, flow.created_by) == ("agent", "editor")
    assert ask(who, "get_flow", slug="adding", which="published")["published_version"] == 1


def test_a_token_publishes_only_where_the_site_lets_it() -> None:
    who = principal("editor", Access.PUBLISH)
    version = ask(who, "save_flow", document=DOCUMENT)["version"]
    with override_settings(PGFLOW={"AGENTS": "write", "AGENT_POLICY": {"APPROVAL": "none"}}):
        author = Principal(who.user, Access.AUTHOR, "bot")
        assert ask(author, "publish_flow", slug="adding", version=version)["status"] != "published"
        done = ask(who, "publish_flow", slug="adding", version=version)
    assert (done["status"], done["published_version"]) == ("published", 1)


def test_edits_are_done_together_or_not_at_all() -> None:
    who = principal("editor", Access.AUTHOR)
    ask(who, "save_flow", document=DOCUMENT)
    rename = {"op": "rename_step", "arguments": {"step": "read", "to": "fetch"}}
    wrong = {"op": "delete_step", "arguments": {"step": "nobody"}}
    assert refused(who, "patch_flow", slug="adding", version=1, edits=[rename, wrong])[0] == 422
    assert drafts.load("adding").version == 1
    done = ask(who, "patch_flow", slug="adding", version=1, edits=[rename])
    assert drafts.load("adding").document["steps"][1]["depends_on"] == ["fetch"]
    assert done["version"] == 2
    patch = [{"op": "add", "path": "/description", "value": "Adds."}]
    assert ask(who, "patch_flow", slug="adding", version=2, patch=patch)["version"] == 3
    conflict = perform(who, "patch_flow", {"slug": "adding", "version": 1, "patch": patch})
    assert (conflict.status, conflict.value["error"]["code"]) == (409, "draft_conflict")
    assert conflict.value["error"]["changes"]
    assert refused(who, "patch_flow", slug="adding", version=3) == (422, "invalid_arguments")
    undo = [{"op": "undo", "arguments": {}}]
    told = refused(who, "patch_flow", slug="adding", version=3, edits=undo)
    assert told == (422, "unknown_operation")
    newest = WorkflowRevision.objects.latest("seq")
    assert newest.provenance is not None
    assert newest.provenance["token"] == "bot"


def test_a_document_is_checked_under_the_policy_and_repaired() -> None:
    broken = {**DOCUMENT, "max_attempts": 50, "steps": [{"slug": "a", "uses": "ops.reed"}]}
    found = ask(principal(), "validate_flow", document=broken)
    assert not found["valid"]
    assert {problem["code"] for problem in found["problems"]} == {
        "unknown_function",
        "attempts_not_allowed",
    }
    renamed = {"workflow_slug": "adding", "nodes": STEPS}
    patch = ask(principal("editor"), "validate_flow", document=renamed)["repair"]["patch"]
    assert patch


def test_a_run_is_started_waited_for_and_explained() -> None:
    who = principal("editor", Access.OPERATE, via="http")
    slug = published(who)
    run = ask(who, "start_run", slug=slug, input={}, key="once")
    assert ask(who, "start_run", slug=slug, key="once")["run_id"] == run["run_id"]
    stored = WorkflowRun.objects.get(pk=run["run_id"])
    assert (stored.started_by, stored.via) == ("editor", "http")
    executor.drain(timeout=30)
    done = ask(who, "get_run", run_id=run["run_id"], wait_seconds=5, payload=True)
    assert (done["status"], done["percentage"], done["output"]) == ("completed", 100, {"total": 6})
    assert [step["slug"] for step in done["steps"]] == ["read", "total"]
    assert ask(who, "explain_run", run_id=run["run_id"])["status"] == "completed"
    assert ask(who, "list_runs", slug=slug)["runs"][0]["id"] == run["run_id"]
    flows = ask(who, "list_flows")["flows"]
    assert flows[0]["last_run"] == {"id": run["run_id"], "status": "completed"}


def test_a_failed_run_names_the_tools_that_help() -> None:
    who = principal("editor", Access.OPERATE)
    slug = published(who, {"workflow_slug": "bad", "steps": [{"slug": "a", "uses": "ops.fail"}]})
    run = ask(who, "start_run", slug=slug)["run_id"]
    executor.drain(timeout=30)
    told = ask(who, "explain_run", run_id=run)
    assert (told["status"], told["cause"]["code"]) == ("failed", "step_failed")
    assert told["next"][0]["tool"] == "retry_run"
    assert told["next"][0]["arguments"] == {"run_id": run}
    assert ask(who, "retry_run", run_id=run)["status"] == "started"
    assert ask(who, "cancel_run", run_id=run, reason="enough")["status"] == "cancelled"


def test_a_trial_asks_for_consent_and_takes_outputs() -> None:
    who = principal("editor", Access.RUN)
    ask(who, "save_flow", document=DOCUMENT)
    run = ask(who, "start_trial", slug="adding", outputs={"read": [4, 5]})
    executor.drain(timeout=30)
    assert ask(who, "get_run", run_id=run["run_id"], payload=True)["output"] == {"total": 9}
    assert ask(who, "start_trial", document=DOCUMENT)["status"] == "started"


def test_simulating_and_comparing() -> None:
    who = principal("editor", Access.AUTHOR)
    ask(who, "save_flow", document=DOCUMENT)
    assert ask(who, "simulate_flow", slug="adding")["waves"] == [["read"], ["total"]]
    assert ask(who, "simulate_flow", document=DOCUMENT, input={})["ok"]
    assert refused(who, "simulate_flow") == (422, "invalid_arguments")
    other = {**DOCUMENT, "description": "Adds."}
    changes = ask(who, "diff_flow", slug="adding", document=other)
    assert changes["text"] == 'flow: description "" → "Adds."'
    assert ask(who, "get_flow_schema")["schema"]["$id"] == "urn:pgflow:flow:1"


@pytest.mark.parametrize(
    ("name", "arguments", "status", "code"),
    [
        ("get_flow", {"slug": "nobody"}, 404, "workflow_not_found"),
        ("get_flow", {"slog": "nobody"}, 422, "invalid_arguments"),
        ("get_flow", {}, 422, "invalid_arguments"),
        ("get_run", {"run_id": "01a20556-1b45-72f6-86b0-9e2c837ad66f"}, 404, "run_not_found"),
        ("get_run", {"run_id": "no"}, 422, "invalid_arguments"),
        ("serch_step_functions", {}, 422, "unknown_operation"),
        ("save_flow", {"document": {"steps": []}}, 422, "invalid_workflow_slug"),
        ("list_runs", {"cursor": "no"}, 422, "invalid_arguments"),
        ("list_flows", {"limit": 0}, 422, "invalid_arguments"),
        ("start_run", {"slug": "nobody"}, 404, "workflow_not_found"),
    ],
)
def test_what_is_wrong_is_told(name: str, arguments: Any, status: int, code: str) -> None:
    answer = perform(principal(), name, arguments)
    assert (answer.status, answer.value["error"]["code"]) == (status, code)
    call = AgentCall.objects.latest("id")
    assert (call.operation, call.code, call.token) == (name, code, "bot")


def test_a_wrong_argument_says_what_was_meant() -> None:
    error = perform(principal(), "get_flow", {"slog": "x"}).value["error"]
    assert any(problem["suggestions"] == ["slug"] for problem in error["problems"])


@pytest.mark.parametrize(
    "text",
    [
        "a\u202eb",
        "a\u0007b",
        "a\U000e0041b",
        "a\u2066b",
        "a\U000e0100b",
        "a\ufe00\ufe01b",
        "a\u3164b",
    ],
)
def test_what_people_can_t_see_is_refused(text: str) -> None:
    who = principal("editor", Access.AUTHOR)
    document = {**DOCUMENT, "description": text}
    assert refused(who, "save_flow", document=document) == (422, "invalid_text")
    ask(who, "save_flow", document=DOCUMENT)
    patch = [{"op": "add", "path": "/description", "value": text}]
    assert refused(who, "patch_flow", slug="adding", version=1, patch=patch)[1] == "invalid_text"
    assert drafts.load("adding").version == 1
    assert refused(who, "publish_flow", slug="adding", version=1, note=text)[1] == "invalid_text"


def test_a_site_that_lets_programs_read_lets_them_do_nothing_else() -> None:
    who = principal("boss")
    with override_settings(PGFLOW={"AGENTS": "read"}):
        assert all(operation.is_read_only for operation in list_operations(who))
        assert refused(who, "save_flow", document=DOCUMENT) == (403, "access_denied")
    assert [each.name for each in list_operations(who)] == list(OPERATIONS)
    assert {each.name for each in list_operations(principal("viewer"))} == {
        name for name, operation in OPERATIONS.items() if operation.is_read_only
    }


def test_what_is_no_json_is_refused_and_in_the_log_too() -> None:
    deep: Any = []
    for _ in range(2000):
        deep = [deep]
    who = principal()
    for value in (float("inf"), deep, "\ud800", object()):
        assert refused(who, "validate_flow", document={"a": value})[0] == 422
        assert AgentCall.objects.latest("id").code


def test_signs_of_all_languages_are_taken() -> None:
    words = "naïve, 日本語, עברית, العربية, हिन्दी, 葛\U000e0100城"
    text = f"{words}\n\t👩\u200d👩\u200d👧 ❤\ufe0f 1\ufe0f\u20e3"
    ask(principal("editor"), "save_flow", document={**DOCUMENT, "description": text}, note=text)


def test_who_may_not_see_a_run_starts_none() -> None:
    who = principal("editor", Access.RUN)
    slug = published(who)
    permissions = who.user.user_permissions
    permissions.remove(*permissions.filter(codename="view_workflowrun"))
    who = Principal(type(who.user).objects.get(pk=who.user.pk), Access.RUN, "bot")
    assert refused(who, "start_run", slug=slug) == (404, "run_not_found")
    assert not WorkflowRun.objects.exists()


def test_an_answer_of_a_fault_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("secret")

    monkeypatch.setattr("pgflow_django.agents.operations.runs.executor.cancel_run", broken)
    who = principal("editor", Access.OPERATE)
    run = ask(who, "start_run", slug=published(who))["run_id"]
    answer: Answer = perform(who, "cancel_run", {"run_id": run})
    assert answer.status == 500
    assert "secret" not in str(answer.value)
