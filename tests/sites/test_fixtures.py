"""``dumpdata``, ``loaddata`` and ``serialized_rollback``, of definitions and of everything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from pgflow_django import drafts, executor, flow_builder
from pgflow_django.models import Workflow, WorkflowRun, WorkflowStep, WorkflowVersion
from tests.engine.database import clean
from tests.sites import sample

DEFINITIONS = [
    f"pgflow_django.{name}" for name in ("workflow", "workflowstep", "workflowstepdependency")
]
ALL = ["pgflow_django"]


@pytest.fixture(autouse=True)
def _flows(transactional_db: None) -> None:
    sample.make()
    flow_builder.create_flow_from_spec(
        {
            "workflow_slug": "nothing",
            "queue": "gpu",
            "steps": [
                {"slug": "one", "uses": "site_nothing"},
                {"slug": "two", "uses": "site_nothing", "depends_on": ["one"]},
            ],
        }
    )
    executor.execute_dynamic("nothing", None, {"one": lambda input: None, "two": lambda _: None})


def dump(path: Path, labels: list[str]) -> Any:
    call_command("dumpdata", *labels, output=str(path), verbosity=0)
    # Django writes a time 300 microseconds past a second as ".000Z", what is read from that as "Z".
    return json.loads(path.read_text().replace(".000Z", "Z"))


def load(path: Path) -> None:
    call_command("loaddata", str(path), verbosity=0)


@pytest.mark.parametrize("labels", [DEFINITIONS, ALL], ids=["definitions", "all"])
def test_a_dump_is_loaded_into_an_empty_database(labels: list[str], tmp_path: Path) -> None:
    before = dump(tmp_path / "before.json", labels)
    assert len({row["model"] for row in before}) >= len(labels)
    clean()
    load(tmp_path / "before.json")
    assert dump(tmp_path / "after.json", labels) == before
    load(tmp_path / "before.json")
    assert dump(tmp_path / "again.json", labels) == before
    run = executor.start_flow("nothing", None)
    assert executor.get_run_status(run.pk).total_steps == 2


@pytest.mark.parametrize("labels", [DEFINITIONS, ALL], ids=["definitions", "all"])
def test_a_dump_is_loaded_over_the_rows_that_it_is_of(labels: list[str], tmp_path: Path) -> None:
    before = dump(tmp_path / "before.json", labels)
    load(tmp_path / "before.json")
    assert dump(tmp_path / "after.json", labels) == before


def test_a_dump_is_loaded_over_what_was_changed_since(tmp_path: Path) -> None:
    document, version = flow_builder.export_flow("numbers"), version_of("numbers")
    dump(tmp_path / "before.json", DEFINITIONS)
    Workflow.objects.filter(pk="numbers").update(timeout=7)
    WorkflowStep.objects.filter(workflow_slug="numbers", step_slug="first").update(timeout=8)
    executor.start_flow("numbers", {})
    load(tmp_path / "before.json")
    assert flow_builder.export_flow("numbers") == document
    assert version_of("numbers") > version + 1  # runs are pinned to those
    run = executor.start_flow("numbers", {})
    assert WorkflowVersion.objects.get(id=run.version_id).version == version_of("numbers")


def version_of(slug: str) -> int:
    return Workflow.objects.get(pk=slug).version


def test_a_dump_that_makes_a_cycle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "before.json"
    rows = dump(path, DEFINITIONS)
    clean()
    edge = next(row for row in rows if row["model"].endswith("dependency"))
    fields = edge["fields"]
    back = {**fields, "dep_slug": fields["step_slug"], "step_slug": fields["dep_slug"]}
    path.write_text(json.dumps([*rows, {"model": edge["model"], "fields": back}]))
    with pytest.raises(Exception, match=r"has a cycle|dependencies"):
        load(path)
    assert not Workflow.objects.exists()


def test_what_django_keeps_for_tests_comes_back() -> None:
    runs = set(WorkflowRun.objects.values_list("id", "status"))
    document, draft = flow_builder.export_flow("numbers"), drafts.load("numbers")
    kept = connection.creation.serialize_db_to_string()
    connection.creation.deserialize_db_from_string(kept)
    clean()
    connection.creation.deserialize_db_from_string(kept)
    assert set(WorkflowRun.objects.values_list("id", "status")) == runs
    assert flow_builder.export_flow("numbers") == document
    assert drafts.load("numbers").document == draft.document
    failed = next(run for run, status in runs if status == "failed")
    assert executor.get_run_status(failed).error is not None
