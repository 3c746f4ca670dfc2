"""The pages on which a run is mended, in both themes; ``test_with_workers`` mends some."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from django.contrib.auth.models import User

from pgflow_django import executor, flow_builder
from pgflow_django.models import WorkflowRun
from pgflow_django.registry import registry
from tests.e2e.conftest import DESK, PHONE, OpenPage
from tests.e2e.test_crawl import FIND_FAULTS, find_with_axe

RUNS = "/admin/pgflow_django/workflowrun/"
STEPS: list[dict[str, Any]] = [
    {"slug": "pick"},
    {"slug": "pack", "depends_on": ["pick"], "type": "map"},
    {"slug": "send", "depends_on": ["pack"]},
]


def pick(input: Any) -> list[int]:
    """Give the orders."""
    return [1, 2, 3]


def pack(input: Any) -> str:
    """Pack one."""
    if input["item"] == 2:
        raise LookupError("nothing left of order 2")
    return f"parcel {input['item']}"


def send(input: Any) -> str:
    """Send all that were packed."""
    return ", ".join(input["pack"])


@pytest.fixture
def run(transactional_db: None) -> Iterator[WorkflowRun]:
    """Give a run that failed at the second order."""
    for function in (pick, pack, send):
        registry.unregister(function.__name__)
        registry.register(function)
    flow_builder.create_flow_from_spec({"workflow_slug": "shop", "max_attempts": 1, "steps": STEPS})
    started = executor.start_flow("shop", {"day": "Monday"})
    executor.drain()
    yield WorkflowRun.objects.get(pk=started.pk)
    for function in (pick, pack, send):
        registry.unregister(function.__name__)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", ["desk", "phone"])
@pytest.mark.parametrize("place", ["change/?step=pack", "task/pack/1/", "decide/pack/"])
def test_it_is_whole_and_axe_finds_nothing(
    open_page: OpenPage,
    boss: User,
    run: WorkflowRun,
    theme: Literal["light", "dark"],
    width: str,
    place: str,
) -> None:
    size = DESK if width == "desk" else PHONE
    page = open_page(f"{RUNS}{run.pk}/{place}", boss, viewport=size, color_scheme=theme)
    if folder := os.environ.get("PGFLOW_PICTURES"):
        name = f"acting_{place.split('/', maxsplit=1)[0]}_{width}_{theme}.png"
        page.screenshot(path=Path(folder) / name, full_page=True)
    assert page.evaluate(FIND_FAULTS) == []
    assert find_with_axe(page, None) == []
