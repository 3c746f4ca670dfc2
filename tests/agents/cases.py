"""The corpus: broken documents with what is wrong with each, and valid ones.

A case has ``about``, ``document`` and ``problems`` (codes and pointers). Where anything can be
fixed without asking, ``repaired`` is what was meant, and ``left`` are the problems that this has.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from project.flows import DEMO_FLOWS
from tests.documentation import PAGES, read_blocks

Case = dict[str, Any]

FOLDER = Path(__file__).parent / "corpus"


def read_cases(kind: str) -> dict[str, Case]:
    """The cases of a kind (``broken``, ``valid``) by their names."""
    return {
        f"{path.stem}: {case['about']}": case
        for path in sorted((FOLDER / kind).glob("*.json"))
        for case in json.loads(path.read_text(encoding="utf-8"))
    }


def documents_of_the_docs() -> dict[str, Any]:
    """The documents that stand in README and docs."""
    blocks = [block for page in PAGES for block in read_blocks(page) if block.language == "json"]
    found = {str(block): json.loads(block.text) for block in blocks}
    return {place: value for place, value in found.items() if "steps" in value}


def documents_of_the_demo() -> dict[str, Any]:
    """The demo's flows, as they are exported."""
    return {flow["workflow_slug"]: flow for flow in DEMO_FLOWS}
