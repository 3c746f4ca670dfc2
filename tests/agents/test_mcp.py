"""MCP over HTTP, spoken by the SDK's own client with a server of several threads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import override_settings
from mcp_types import TextContent
from pytest_django.live_server_helper import LiveServer

from pgflow_django import drafts, executor
from pgflow_django.agents.operations import OPERATIONS
from pgflow_django.agents.tokens import create_token
from pgflow_django.choices import Access
from pgflow_django.models import AgentCall, WorkflowRevision, WorkflowRun
from tests.agents.speaking import VERSIONS, Agent
from tests.views.conftest import USERS, make_flow, make_user, steps
from tests.waiting import wait_until

__all__ = ["steps"]
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("steps"),
    pytest.mark.parametrize("version", VERSIONS),
]

STEPS = [
    {"slug": "fetch"},
    {"slug": "double", "depends_on": ["fetch"], "type": "map"},
    {"slug": "report", "depends_on": ["double"]},
]
DOCUMENT = {"workflow_slug": "numbers", "max_attempts": 1, "steps": STEPS}


@pytest.fixture(autouse=True)
def _writing() -> Iterator[None]:
    with override_settings(PGFLOW={"AGENTS": "write"}):
        yield


def sign_in(
    server: LiveServer, version: str, user: str = "boss", access: str = Access.PUBLISH
) -> Agent:
    """An agent with a token of that user."""
    codenames = USERS[user]
    assert codenames is not None
    person = User.objects.filter(username=user).first() or make_user(user, codenames)
    _, secret = create_token(person, "bot", access)
    return Agent(f"{server.url}/agents/mcp/", secret, version)


def test_the_list_has_every_operation_in_few_bytes(live_server: LiveServer, version: str) -> None:
    tools = sign_in(live_server, version).list_tools()
    assert [tool.name for tool in tools] == list(OPERATIONS)
    assert len(tools) <= 18
    listed = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools]
    assert len(json.dumps(listed, separators=(",", ":"))) <= 20_000
    for tool in tools:
        operation = OPERATIONS[tool.name]
        assert tool.description
        assert tool.output_schema
        assert tool.input_schema["additionalProperties"] is False
        assert '"$ref"' not in json.dumps([tool.input_schema, tool.output_schema])
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint == operation.is_read_only
        assert tool.annotations.destructive_hint == operation.is_destructive


def test_from_a_sentence_to_an_explained_run(live_server: LiveServer, version: str) -> None:
    agent = sign_in(live_server, version, "editor", Access.OPERATE)
    found = agent.get("search_step_functions", query="number")
    assert {"fetch", "double"} <= {one["name"] for one in found["functions"]}
    assert agent.get("get_flow_schema")["schema"]["type"] == "object"
    wrong = {**DOCUMENT, "steps": [{"slug": "fetch", "uses": "fetsch"}, *STEPS[1:]]}
    (problem,) = agent.get("validate_flow", document=wrong)["problems"]
    assert (problem["code"], problem["pointer"]) == ("unknown_function", "/steps/0/uses")
    saved = agent.get("save_flow", document=DOCUMENT, model="m-1")
    patch = [{"op": "add", "path": "/description", "value": "Add up."}]
    version_ = agent.get("patch_flow", slug="numbers", version=saved["version"], patch=patch)
    assert agent.get("simulate_flow", slug="numbers")["waves"][0] == ["fetch"]
    handed = agent.get("publish_flow", slug="numbers", version=version_["version"])
    assert handed["status"] == "waiting_for_approval"
    assert handed["url"].startswith(live_server.url)
    drafts.publish("numbers", version_["version"], user="boss")
    assert agent.get("diff_flow", slug="numbers")["changes"] == []
    assert agent.get("list_flows")["flows"][0]["slug"] == "numbers"
    document = agent.get("get_flow", slug="numbers", which="published")["document"]
    assert document["description"] == "Add up."
    trial = agent.get("start_trial", slug="numbers", allow_effects=True)
    broken = agent.get("start_run", slug="numbers", input={"is_broken": True})
    waiting = agent.get("start_run", slug="numbers")
    paused = agent.get("control_run", run_id=waiting["run_id"], action="pause")
    assert (paused["status"], paused["did"]) == ("paused", True)
    assert agent.get("cancel_run", run_id=waiting["run_id"])["status"] == "cancelled"
    executor.drain()
    assert agent.get("get_run", run_id=trial["run_id"])["status"] == "completed"
    explained = agent.get("explain_run", run_id=broken["run_id"])
    assert "no numbers" in explained["headline"]
    assert agent.get("retry_run", run_id=broken["run_id"])["status"] == "started"
    assert len(agent.get("list_runs", slug="numbers")["runs"]) >= 2
    called = set(AgentCall.objects.values_list("operation", flat=True))
    assert called == OPERATIONS.keys()
    assert set(AgentCall.objects.values_list("via", flat=True)) == {"mcp"}
    assert WorkflowRun.objects.get(pk=broken["run_id"]).via == "mcp"
    provenance = WorkflowRevision.objects.order_by("pk")[0].provenance
    assert provenance is not None
    assert (provenance["token"], provenance["model"]) == ("bot", "m-1")


def test_errors_are_results_that_a_model_reads(live_server: LiveServer, version: str) -> None:
    agent = sign_in(live_server, version)
    unknown = agent.refused("get_flw", slug="x")
    assert (unknown["code"], "get_flow" in unknown["message"]) == ("unknown_operation", True)
    wrong = agent.refused("get_flow", slugg="x")
    assert wrong["code"] == "invalid_arguments"
    assert {"/slug", "/slugg"} == {problem["pointer"] for problem in wrong["problems"]}
    for arguments in ({}, {"slug": None}, {"slug": 7}, {"slug": ["x"]}, {"slug": "x" * 500}):
        assert agent.refused("get_flow", **arguments)["code"] == "invalid_arguments"
    assert agent.refused("get_flow", slug="nothing")["code"] == "workflow_not_found"
    assert agent.refused("get_run", run_id="no-id")["code"] == "invalid_arguments"
    result = agent.call("get_flow", slug="nothing")
    (text,) = result.content
    assert isinstance(text, TextContent)
    assert json.loads(text.text) == result.structured_content


def test_what_a_token_may_not_do_is_not_listed_and_not_done(
    live_server: LiveServer, version: str
) -> None:
    make_flow("numbers")
    reader = sign_in(live_server, version, access=Access.READ)
    readable = {name for name, one in OPERATIONS.items() if one.is_read_only}
    assert {tool.name for tool in reader.list_tools()} == readable
    assert reader.refused("start_run", slug="numbers")["code"] == "access_denied"
    bare = sign_in(live_server, version, "bare")
    assert not {"start_run", "save_flow"} & {tool.name for tool in bare.list_tools()}
    assert bare.refused("get_flow", slug="numbers")["code"] in {
        "workflow_not_found",
        "access_denied",
    }
    with override_settings(PGFLOW={"AGENTS": "read"}):
        boss = sign_in(live_server, version)
        assert {tool.name for tool in boss.list_tools()} == readable
        assert boss.refused("start_run", slug="numbers")["code"] == "access_denied"
    assert not WorkflowRun.objects.exists()


@pytest.mark.parametrize("is_atomic", [False, True])
def test_several_threads_at_once_and_no_connection_is_left(
    live_server: LiveServer, version: str, is_atomic: bool
) -> None:
    make_flow("numbers")
    agent = sign_in(live_server, version)

    def count() -> int:
        with connection.cursor() as cursor:
            cursor.execute(
                "select count(*) from pg_stat_activity where datname = current_database()"
            )
            return int(cursor.fetchone()[0])

    before = count()
    # What Django's handler reads where it makes the view.
    connection.settings_dict["ATOMIC_REQUESTS"] = is_atomic
    try:
        with ThreadPoolExecutor(4) as pool:
            calls = [pool.submit(agent.get, "start_run", slug="numbers") for _ in range(8)]
            runs = {call.result()["run_id"] for call in calls}
            refusals = [pool.submit(agent.refused, "get_flow", slug="none") for _ in range(4)]
            assert {call.result()["code"] for call in refusals} == {"workflow_not_found"}
    finally:
        connection.settings_dict["ATOMIC_REQUESTS"] = False
    assert len(runs) == WorkflowRun.objects.count() == 8
    # A refusal rolls nothing back: it is in the log.
    assert AgentCall.objects.filter(code="workflow_not_found").count() == 4
    wait_until(lambda: count() <= before, "connections that are closed")


def test_half_a_letter_breaks_no_answer(live_server: LiveServer, version: str) -> None:
    agent = sign_in(live_server, version)
    name: Any = "ä\u2028\x00\U0001f600"
    assert agent.refused(name)["code"] == "unknown_operation"
    assert agent.refused("validate_flow", document={"workflow_slug": name})["code"]
