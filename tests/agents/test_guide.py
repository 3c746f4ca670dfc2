"""What agents read before their first call: fresh, small, and true."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from pgflow_django.agents.guiding import FILES, FOLDER, MAX_BYTES, write_guide
from pgflow_django.agents.operations import OPERATIONS
from pgflow_django.choices import Access
from pgflow_django.registry import registry
from tests.agents.test_access import principal
from tests.agents.test_operations import ask
from tests.commands.calling import call

COMMAND = "python manage.py agentguide --plain --output pgflow_django/agents/guide"


@pytest.mark.parametrize("kind", FILES)
def test_the_guide_of_the_package_is_fresh(kind: str) -> None:
    stored = (FOLDER / FILES[kind]).read_text(encoding="utf-8")
    assert stored == write_guide(kind), f"run {COMMAND}"
    assert len(stored.encode()) <= MAX_BYTES
    assert all(f"`{name}`" in stored for name in OPERATIONS)


@pytest.mark.django_db
@pytest.mark.parametrize("kind", FILES)
def test_every_block_can_be_done_as_it_stands(kind: str) -> None:
    names = ("csv.read", "csv.check", "csv.load")
    for name in names:
        registry.register(lambda input: input, name)
    try:
        with override_settings(PGFLOW={"AGENTS": "write"}):
            who = principal("editor", Access.AUTHOR)
            text = (FOLDER / FILES[kind]).read_text(encoding="utf-8")
            blocks = map(json.loads, re.findall(r"```json\n(.*?)\n```", text, re.DOTALL))
            answers: list[Any] = [ask(who, one["tool"], **one["arguments"]) for one in blocks]
    finally:
        for name in names:
            registry.unregister(name)
    assert "csv.read" in [one["name"] for one in answers[0]["functions"]]
    assert answers[1]["problems"] == answers[2]["problems"] == []
    assert answers[-1]["status"] == "waiting_for_approval"


def test_the_site_s_own_names_its_functions() -> None:
    registry.register(_give, "guided.give")
    try:
        shown = call("agentguide").stdout
        with override_settings(PGFLOW={"AGENT_POLICY": {"FUNCTIONS": ["other.*"]}}):
            narrowed = call("agentguide").stdout
    finally:
        registry.unregister("guided.give")
    assert "* `guided.give` (unknown): Give a thing.\n" in shown
    assert "guided.give" not in narrowed
    assert "look, and change nothing" in shown


def _give(input: Any) -> int:
    """Give a thing."""
    return 1


def test_files_are_written_where_they_are_asked_for(tmp_path: Path) -> None:
    answer = call("agentguide", "--output", str(tmp_path / "new"), json=True)
    files = json.loads(answer.stdout)["files"]
    assert [Path(file).name for file in files] == list(FILES.values())
    assert all(Path(file).read_text(encoding="utf-8").count("## This site") for file in files)
    call("agentguide", "--format", "skill", "--output", str(tmp_path / "one"))
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["SKILL.md"]
    (tmp_path / "file").write_text("")
    refused = call("agentguide", "--output", str(tmp_path / "file"))
    assert refused.status == 2
    assert "--output can't be written" in refused.stderr
