"""The example ends well: a flow drawn, repaired, approved, run, mended and run again over MCP.

The package is that of the wheel, as a site has it; the demo site around it is the checkout's.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.project.processes import ROOT, environment
from tests.test_packaging import built, python_with, wheel

__all__ = ["built", "wheel"]
pytestmark = pytest.mark.slow

#: What the demo site is made of.
SITE = ("examples", "project", "static", "templates")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Give a folder with all of the checkout but the package."""
    folder = tmp_path / "checkout"
    for part in SITE:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "manage.py", folder)
    return folder


def test_an_agent_gets_from_a_sentence_to_the_output(
    folder: Path, wheel: Path, checkout: Path, tmp_path: Path
) -> None:
    python = python_with(wheel, tmp_path / "venv")
    done = subprocess.run(
        [python, "examples/agent_over_mcp.py"],
        cwd=checkout,
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
