"""Values of many megabytes: pages read of them what they show."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from django.db import connection
from django.http import HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext

from pgflow_django.admin import WorkflowRunAdmin
from pgflow_django.models import WorkflowRun
from pgflow_django.runs.redaction import HIDDEN
from pgflow_django.views.payloads import SHOWN
from pgflow_django.views.stored import complete
from tests.engine.database import query
from tests.views.conftest import LogIn, address, run_flow

pytestmark = pytest.mark.django_db

MIB = 2**20
#: A text that PostgreSQL cannot pack into a few bytes, and one that it can.
RANDOM = "select string_agg(md5(n::text), '') from generate_series(1, 8 * 32768) as n"
PLAIN = "select repeat('x', 8 * 1024 * 1024)"


@pytest.fixture
def client(log_in: LogIn) -> Client:
    return log_in("boss")


def fill(run: WorkflowRun, text: str) -> None:
    """Make every output of a run large, and its error too."""
    value = f"jsonb_build_object('name', 'Ada-Lovelace', 'token', 'hush', 'contents', ({text}))"
    query(f"update workflow_step_tasks set output = {value} where run_id = %s", run.pk)
    query(f"update workflow_runs set output = {value} where id = %s", run.pk)


def read(client: Client, path: str) -> str:
    """The page; fails where reading it takes more memory than a page is worth."""
    client.get(path)
    tracemalloc.start()
    try:
        answer = client.get(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert answer.status_code == 200
    assert peak < 12 * MIB, f"{path}: {peak / MIB:.1f} MiB"
    return answer.content.decode()


@pytest.mark.parametrize("text", [RANDOM, PLAIN], ids=["random", "plain"])
def test_a_page_reads_the_beginnings_of_outputs(client: Client, flow: str, text: str) -> None:
    run = run_flow(input={"text": "y" * 900_000, "token": "t-1"})
    fill(run, text)
    for which, size in (("input", "878 KiB"), ("output", "8,192 KiB")):
        page = read(client, f"{address('workflowrun_change', run.pk)}?tab=data&which={which}")
        assert f"This is the beginning; all of it has {size}" in page
        assert len(page) < 4 * SHOWN
    part = read(client, address("workflowrun_step", run.pk) + "?step=double")
    assert part.count("&quot;Ada-Lovelace&quot;") == 3
    assert HIDDEN in part
    assert "hush" not in part
    read(client, address("workflowrun_changelist"))
    read(client, address("workflow_changelist"))
    assert "yyyy" not in read(client, address("workflow_run", flow) + "?mode=json")
    assert "Too large to show here" in read(
        client, address("workflow_panel", flow) + "?step=report"
    )
    whole = json.loads(client.get(address("workflowrun_payload", run.pk, "output")).content)
    assert (len(whole["contents"]), whole["token"]) == (8 * MIB, HIDDEN)


def test_a_page_reads_the_beginnings_of_errors(client: Client, flow: str) -> None:
    run = run_flow(input={"is_broken": True})
    text = f"({PLAIN})"
    query(
        f"update workflow_runs set error = error || jsonb_build_object('error_message', {text}, "
        f"'traceback', {text}) where id = %s", run.pk
    )  # fmt: skip
    query(f"update workflow_task_attempts set error_message = {text}, traceback = {text}")
    query(f"update workflow_run_events set message = {text}, data = to_jsonb({text})")
    page = read(client, address("workflowrun_change", run.pk))
    assert "The step fetch failed" in page
    assert "RuntimeError" in page
    for name, step in (("details", ""), ("step", "fetch")):
        assert "xxxx" in read(client, f"{address(f'workflowrun_{name}', run.pk)}?step={step}")
    assert "fetch: RuntimeError: xxx" in read(client, address("workflowrun_changelist"))


def test_the_list_counts_runs_by_their_ids_alone(client: Client, flow: str) -> None:
    run_flow()
    with CaptureQueriesContext(connection) as queries:
        client.get(address("workflowrun_changelist"))
    counts = [each["sql"] for each in queries if "COUNT(*)" in each["sql"]]
    assert len(counts) == 1
    assert "error" not in counts[0]


def test_a_queryset_of_a_site_reads_no_more(
    client: Client, flow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_flow()
    fill(run, PLAIN)
    monkeypatch.setattr(
        WorkflowRunAdmin, "get_queryset", lambda self, request: WorkflowRun.objects.all()
    )
    for path in (
        address("workflowrun_changelist"),
        address("workflowrun_change", run.pk),
        address("workflow_changelist"),
        address("workflow_run", flow),
    ):
        read(client, path)


def test_who_redacts_in_an_own_way_is_not_handed_a_part(
    client: Client, flow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_flow()
    fill(run, PLAIN)

    def redact(self: object, request: HttpRequest, run: WorkflowRun, value: object) -> object:
        return "(secret)" if isinstance(value, dict) and value.get("contents") else value

    monkeypatch.setattr(WorkflowRunAdmin, "redact_payload", redact)
    page = read(client, f"{address('workflowrun_change', run.pk)}?tab=data&which=output")
    assert "It has 8,192 KiB, which is too much for this page." in page
    panel = read(client, address("workflowrun_step", run.pk) + "?step=report")
    assert "which is too much for this page" in panel
    assert "Ada-Lovelace" not in page + panel
    whole = client.get(address("workflowrun_payload", run.pk, "output")).content
    assert json.loads(whole) == "(secret)"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ('"abc', "abc"),
        ('"a\\u00', "a"),
        ('"a\\', "a"),
        ('{"a": 1, "b": "x\\"', {"a": 1, "b": 'x"'}),
        ('{"a": {"b": [1, 23', {"a": {"b": [1]}}),
        ('{"a": [], "b', {"a": []}),
        ('{"a": [true, nul', {"a": [True]}),
        ('[{"a": "}]', [{"a": "}]"}]),
    ],
)
def test_what_was_cut_is_read_as_far_as_it_goes(text: str, value: object) -> None:
    assert json.loads(complete(text)) == value


def test_every_beginning_of_a_text_can_be_read() -> None:
    value = {"a": [1, -2.5e30, 'é"\\\n\x01'], 'b"c': {"d": [[], {}, None, True]}, "e": "x" * 9}
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        for end in range(len(text) + 1):
            json.loads(complete(text[:end]))
        assert json.loads(complete(text)) == value


def test_pages_keep_to_a_fixed_number_of_rows(client: Client, flow: str) -> None:
    run = run_flow()
    with connection.execute_wrapper(_refuse_whole_payloads):
        for name in ("change", "live", "step"):
            assert client.get(address(f"workflowrun_{name}", run.pk)).status_code == 200


def _refuse_whole_payloads(execute, sql, *args):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN202
    selected = sql.partition(" FROM ")[0]
    assert '"output",' not in selected
    assert '"input",' not in selected
    return execute(sql, *args)
