"""``--database``: every command works on another alias, and on nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections

from pgflow_django import drafts, executor
from tests.commands.calling import call
from tests.commands.test_parts import OURS
from tests.storage.conftest import alias


@pytest.fixture
def other() -> Iterator[str]:
    """An alias that leads to the same database, while ``default`` is out of bounds."""

    def refuse(_: Callable[..., Any], sql: str, *__: Any) -> None:
        raise AssertionError(f"this went to the alias default: {sql}")

    settings = {
        "NAME": connection.settings_dict["NAME"],
        "OPTIONS": connection.settings_dict["OPTIONS"],
    }
    with alias("other", **settings), connections["default"].execute_wrapper(refuse):
        yield "other"


@pytest.fixture
def runs(doubles: str) -> dict[str, str]:
    """Runs that wait and that have ended, made before ``default`` is out of bounds."""
    waiting, cancelled, again = (str(run.id) for run in executor.start_flows(doubles, [{}] * 3))
    executor.cancel_run(cancelled)
    executor.cancel_run(again)
    return {"waiting": waiting, "cancelled": cancelled, "again": again}


def propose(prompt: str, registry: Any, document: Any) -> dict[str, Any]:
    """What stands in for a language model."""
    return {"workflow_slug": "proposed", "steps": [{"slug": "joined", "uses": "pgflow.join"}]}


def test_every_command_works_on_another_alias(
    runs: dict[str, str], other: str, tmp_path: Path, settings: Any
) -> None:
    settings.PGFLOW = {"AI_BACKEND": f"{__name__}.propose"}
    document = tmp_path / "flow.json"
    arguments: dict[str, tuple[str, ...]] = {
        "agentguide": (),
        "agenttoken": ("list",),
        "listflows": ("--search", "doub"),
        "flowschema": ("--functions", "pgflow.join"),
        "generateflow": ("Double it",),
        "listfunctions": (),
        "listruns": (),
        "showflow": ("doubles",),
        "showrun": (runs["cancelled"],),
        "explainrun": (runs["cancelled"],),
        "simulateflow": ("doubles",),
        "exportflow": ("doubles", "--output", str(document)),
        "checkflow": (str(document),),
        "importflow": (str(document),),
        "runflow": ("doubles", "--diagram", str(tmp_path / "flow.svg")),
        "pauserun": (runs["waiting"],),
        "resumerun": (runs["waiting"],),
        "rerun": (runs["waiting"],),
        "skipstep": (runs["again"], "double"),
        "completestep": (runs["waiting"], "double", "--output", "[]"),
        "cancelrun": (runs["waiting"],),
        "retryrun": (runs["cancelled"], "--here"),
        "listworkers": (),
        "publishflow": ("drawn",),
        "pruneruns": ("--older-than", "0s"),
    }
    # Users are where the router sends them: mcp acts for one of these.
    assert sorted([*arguments, "mcp"]) == OURS
    drafts.create("drawn", {"steps": [{"slug": "double"}]}, user="ann", using=other)
    for name, words in arguments.items():
        answer = call(name, *words, "--database", other)
        assert answer.status == 0, (name, answer)


def test_advice_names_the_alias(runs: dict[str, str], other: str) -> None:
    answer = call("retryrun", runs["again"], database=other)
    assert answer.stderr == (
        f"How it goes on: python manage.py showrun {runs['again']} --database other\n"
    )


def test_an_alias_that_is_not_there_is_refused() -> None:
    answer = call("listruns", "--database", "elsewhere")
    assert answer.status != 0
    assert "argument --database: invalid choice: 'elsewhere'" in answer.stderr
