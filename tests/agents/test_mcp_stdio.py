"""``manage.py mcp``: the same tools over stdin and stdout, for a client that starts the command."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import override_settings
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters

from pgflow_django.agents.operations import OPERATIONS
from pgflow_django.models import AgentCall, WorkflowRevision
from tests.agents.speaking import VERSIONS, Agent
from tests.commands.calling import PATIENCE, call, command_line, environment
from tests.views.conftest import make_user

pytestmark = pytest.mark.django_db(transaction=True)

WRITING = "tests.agents.writing_settings"
DOCUMENT = {"workflow_slug": "joined", "steps": [{"slug": "first", "uses": "pgflow.join"}]}
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}


@pytest.fixture(autouse=True)
def _ann() -> None:
    make_user("ann", ("*",))


def agent(version: str, *words: str, **variables: str) -> Agent:
    """A client that starts the command with these words."""
    command, *arguments = command_line("mcp", "--user", "ann", *words)
    env = environment(**variables)
    return Agent(StdioServerParameters(command=command, args=arguments, env=env), version=version)


def start() -> subprocess.Popen[str]:
    """The command in a process that is spoken to by hand."""
    return subprocess.Popen(
        command_line("mcp", "--user", "ann"),
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_it_only_looks_unless_it_is_asked_to_write(version: str) -> None:
    async def look(client: Client) -> Any:
        tools = (await client.list_tools()).tools
        return tools, await client.call_tool("save_flow", {"document": DOCUMENT})

    tools, refused = agent(version, DJANGO_SETTINGS_MODULE=WRITING).speak(look)
    assert {tool.name for tool in tools} == {
        name for name, one in OPERATIONS.items() if one.is_read_only
    }
    assert refused.is_error
    assert refused.structured_content["error"]["code"] == "access_denied"
    site_reads = agent(version, "--access", "publish")
    assert site_reads.refused("save_flow", document=DOCUMENT)["code"] == "access_denied"


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_it_writes_where_both_allow_it(version: str) -> None:
    async def write(client: Client) -> Any:
        saved = await client.call_tool("save_flow", {"document": DOCUMENT})
        wrong = await client.call_tool("save_flow", {"dokument": {}})
        return saved, wrong, await client.call_tool("nothing", {})

    words = ("--access", "author", "--model", "m-7")
    writer = agent(version, *words, DJANGO_SETTINGS_MODULE=WRITING)
    saved, wrong, unknown = writer.speak(write)
    assert saved.structured_content["version"] == 1
    assert wrong.structured_content["error"]["code"] == "invalid_arguments"
    assert unknown.structured_content["error"]["code"] == "unknown_operation"
    provenance = WorkflowRevision.objects.get().provenance
    assert provenance is not None
    assert {**provenance, "client": ""} == {
        "by": "ann",
        "via": "stdio",
        "token": "",
        "client": "",
        "model": "m-7",
        "prompt_sha256": "",
    }
    assert provenance["client"]
    assert set(AgentCall.objects.values_list("via", flat=True)) == {"stdio"}


@pytest.mark.slow
def test_nothing_but_the_protocol_is_on_stdout_and_it_ends_with_stdin() -> None:
    env = environment(DJANGO_SETTINGS_MODULE=WRITING)
    process = subprocess.Popen(
        command_line("mcp", "--user", "ann"),
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    stdout, stderr = process.communicate(f"{json.dumps(HELLO)}\nno JSON\n", timeout=PATIENCE)
    assert process.returncode == 0, stderr
    answers = [json.loads(line) for line in stdout.splitlines()]
    assert answers[0]["result"]["serverInfo"]["name"] == "pgflow"
    assert "Traceback" not in stderr


@pytest.mark.slow
def test_a_reader_that_has_gone_ends_it_too() -> None:
    process = start()
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    process.stdin.write(f"{json.dumps(HELLO)}\n")
    process.stdin.close()
    assert process.wait(PATIENCE) in {0, 141}
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()


@pytest.mark.slow
def test_an_interrupted_one_ends_at_once() -> None:
    process = start()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{json.dumps(HELLO)}\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["id"] == 1
    process.send_signal(2)
    process.wait(PATIENCE)
    process.communicate()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--user", "nobody"), 'There is no user "nobody".'),
        (("--user", "ann", "--access", "all"), "--access is one of read, author, run"),
        (("--user", "old"), 'The user "old" is inactive.'),
    ],
)
def test_what_makes_no_sense_is_refused(words: tuple[str, ...], told: str) -> None:
    User.objects.create_user("old", is_active=False)
    answer = call("mcp", *words)
    assert (answer.status, answer.stdout) == (2, "")
    assert told in answer.stderr


def test_a_site_without_programs_has_none_here_either() -> None:
    with override_settings(PGFLOW={"AGENTS": "off"}):
        answer = call("mcp", "--user", "ann")
    assert answer.status == 2
    assert 'PGFLOW["AGENTS"] is "off"' in answer.stderr
