"""The example ends well: a flow drawn, repaired, approved, run, mended and run again over MCP."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project.processes import ROOT, environment

pytestmark = pytest.mark.slow


def test_an_agent_gets_from_a_sentence_to_the_output(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "examples/agent_over_mcp.py"],
        cwd=ROOT,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    said = done.stdout
    assert done.returncode == 0, said + done.stderr
    tools = re.findall(r"^ agent: (\w+) {", said, re.MULTILINE)
    assert tools[:2] == ["search_step_functions", "save_flow"]
    assert tools.count("patch_flow") == 2
    assert tools.count("publish_flow") == said.count("has published version") == 2
    assert {"start_trial", "start_run", "get_run", "explain_run"} <= set(tools)
    assert '"code": "unknown_function"' in said
    assert "step_timeout" in said
    assert said.splitlines()[-1].startswith(" agent: the labels: ['order 1000'")
