"""The page that tries a draft, what a trial's own page says, and what the editor shows of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date
from typing import Any, TypedDict

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from pgflow_django import Example, drafts, executor, step_function
from pgflow_django.models import Workflow, WorkflowRun
from pgflow_django.registry import registry
from tests.views.conftest import LogIn, address, make_flow, run_flow

pytestmark = pytest.mark.django_db

STEPS = [
    {"slug": "fetch", "uses": "try.fetch"},
    {"slug": "double", "uses": "try.double", "type": "map", "depends_on": ["fetch"]},
    {"slug": "report", "uses": "try.report", "depends_on": ["double"]},
]


class Day(TypedDict):
    when: date


@pytest.fixture(autouse=True)
def functions() -> Iterator[None]:
    before = dict(registry._functions)

    @step_function("try.fetch", effects="reads", examples=[Example(output=[8, 9])])
    def fetch(input: dict[str, Any]) -> list[int]:
        return [1, 2, 3]

    @step_function("try.double", effects="none")
    def double(input: dict[str, Any]) -> int:
        return int(input["item"]) * 2

    @step_function("try.report", effects="writes")
    def report(input: dict[str, Any]) -> dict[str, Any]:
        if input["run"].get("is_broken"):
            raise RuntimeError("<b>no numbers</b> today")
        return {"sum": sum(input["double"]), "api_key": "k-123"}

    yield
    registry._functions.clear()
    registry._functions.update(before)


@pytest.fixture
def client(log_in: LogIn) -> Client:
    return log_in("boss")


@pytest.fixture
def draft(db: None) -> str:
    drafts.create("sums", {"steps": STEPS}, user="boss")
    return "sums"


def page_of(client: Client, slug: str, query: str = "") -> str:
    response = client.get(address("workflow_try", slug) + query)
    assert response.status_code == 200
    return response.content.decode()


def post(client: Client, slug: str, **data: str) -> Any:
    return client.post(address("workflow_try", slug), {"mode": "json", "input": "{}", **data})


def text_of(page: str, step: str) -> str:
    found = re.search(rf'<textarea[^>]*name="given-{step}"[^>]*>(.*?)</textarea>', page, re.DOTALL)
    assert found
    return found[1].replace("&quot;", '"')


def test_a_draft_that_was_never_published_is_tried(client: Client, draft: str) -> None:
    page = page_of(client, draft)
    assert "<code>try.report</code> writes data" in page
    assert "<code>try.fetch</code>" not in page  # it changes nothing
    response = post(client, draft, allow_effects="true")
    run = WorkflowRun.objects.get()
    assert response["Location"] == address("workflowrun_change", run.pk)
    assert run.is_trial
    assert not Workflow.objects.exists()
    executor.drain()
    shown = client.get(response["Location"]).content.decode()
    assert ">Trial</span>" in shown
    assert "Back to the draft" in shown
    assert f"{address('workflow_try', draft)}?from={run.pk}" in shown
    words = re.sub(r"<[^>]*>", " ", shown)  # without the tokens, in which any two letters may stand
    assert not re.search(r"\bv0\b", words)
    noted = LogEntry.objects.get(object_id=str(run.pk))
    assert "Tried." in str(noted.get_change_message())


def test_without_the_box_nothing_starts_and_what_was_written_stays(
    client: Client, draft: str
) -> None:
    response = post(client, draft, **{"given-fetch": "[4]", "input": '{"a": 1}'})
    page = response.content.decode()
    assert response.status_code == 422
    assert "report (try.report)" in page
    assert text_of(page, "fetch") == "[4]"
    assert "{&quot;a&quot;: 1}" in page
    assert not WorkflowRun.objects.exists()


def test_an_output_is_given_and_it_ends_before_what_writes(client: Client, draft: str) -> None:
    post(client, draft, until="double", **{"given-fetch": "[4, 5]"})
    executor.drain()
    run = WorkflowRun.objects.get()
    assert run.output == {"double": [8, 10]}
    panel = client.get(address("workflowrun_step", run.pk), {"step": "fetch"}).content.decode()
    assert "given" in panel


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"given-fetch": "[1,"}, "JSON"),
        ({"given-fetch": '{"no": "list"}'}, "try.fetch"),
        ({"given-double": "7"}, "list"),
        ({"until": "nothing"}, "nothing"),
        ({"input": "{"}, "JSON"),
        ({"input": f'{{"n": {"1" * 5001}}}'}, "column 7: this is an integer of too many digits"),
        ({"given-double": f"[{'1' * 5001}]"}, "column 2: this is an integer of too many digits"),
        ({"given-fetch": "[" * 5000 + "]" * 5000}, "deep"),
    ],
)
def test_what_is_wrong_is_said(
    client: Client, draft: str, data: dict[str, str], words: str
) -> None:
    response = post(client, draft, allow_effects="true", **data)
    assert response.status_code == 422
    assert words in response.content.decode()
    assert not WorkflowRun.objects.exists()


def test_a_draft_with_errors_can_not_be_started(client: Client) -> None:
    drafts.create("wrong", {"steps": [{"slug": "a", "uses": "try.fetch"}]}, user="boss")
    drafts.create("empty", user="boss")
    assert "no steps yet" in page_of(client, "empty")
    response = post(client, "empty")
    assert response.status_code == 422
    assert not WorkflowRun.objects.exists()


def test_one_step_is_tried_with_what_an_example_gives(client: Client, draft: str) -> None:
    page = page_of(client, draft, "?step=double")
    assert "<option selected>double</option>" in page
    assert json.loads(text_of(page, "fetch")) == [8, 9]
    assert "From an example of its function." in page
    assert text_of(page, "report") == ""
    assert json.loads(text_of(page_of(client, draft, "?step=report"), "double")) == [0]


@pytest.mark.parametrize(
    ("declared", "step_type"),
    [
        (Day, "single"),
        (Day, "map"),
        ({"type": "array", "minItems": 2, "items": {"type": "integer", "minimum": 1}}, "single"),
        ({"properties": {"n": {"minimum": 1}, "s": {"minLength": 2}}}, "single"),
    ],
)
def test_what_is_made_up_can_be_posted_as_it_stands(
    client: Client, declared: Any, step_type: str
) -> None:
    step_function("try.made", effects="reads", output=declared)(lambda input: None)
    made = {"slug": "made", "uses": "try.made", "type": step_type}
    last = {"slug": "last", "uses": "try.double", "depends_on": ["made"]}
    drafts.create("flow", {"steps": [made, last]}, user="boss")
    page = page_of(client, "flow", "?step=last")
    assert "Made up from what its function declares." in page
    text = text_of(page, "made")
    assert post(client, "flow", until="last", **{"given-made": text}).status_code == 302


def test_what_can_not_be_made_up_is_left_empty(client: Client) -> None:
    step_function("try.made", output={"type": "string", "pattern": "^a$"})(lambda input: None)
    steps: list[Any] = [
        {"slug": "made", "uses": "try.made"},
        {"slug": "join", "uses": "pgflow.join"},
    ]
    steps.append({"slug": "five", "uses": "pgflow.given", "params": {"value": [5]}})
    last = {"slug": "last", "uses": "try.double", "depends_on": ["made", "join", "five"]}
    drafts.create("flow", {"steps": [*steps, last]}, user="boss")
    page = page_of(client, "flow", "?step=last")
    assert "Nothing is known of it: write what it would return." in page
    assert [text_of(page, slug) for slug in ("made", "join")] == ["", ""]
    assert json.loads(text_of(page, "five")) == [5]
    assert "Computed from its params." in page


def test_one_step_is_tried_with_what_the_newest_run_gave(client: Client, draft: str) -> None:
    executor.start_trial(draft, allow_effects=True)
    executor.drain()
    page = page_of(client, draft, "?step=report")
    assert json.loads(text_of(page, "double")) == [2, 4, 6]
    assert "From the newest run: its first 3 tasks at most." in page
    executor.start_trial(draft, outputs={"double": [7] * 9}, allow_effects=True)
    executor.drain()
    assert json.loads(text_of(page_of(client, draft, "?step=report"), "double")) == [7] * 9


def test_what_is_nobodys_business_is_not_given_on(client: Client, log_in: LogIn) -> None:
    after = {"slug": "after", "uses": "try.double", "depends_on": ["report"]}
    drafts.create("sums", {"steps": [*STEPS, after]}, user="boss")
    executor.start_trial("sums", until="report", allow_effects=True)
    executor.drain()
    page = page_of(client, "sums", "?step=after")
    assert "k-123" not in page
    assert json.loads(text_of(page, "report")) == {"sum": 12}
    runner = log_in("runner", "view_workflow", "change_workflow", "run_workflow", "add_workflow")
    assert "12" not in text_of(page_of(runner, "sums", "?step=after"), "report")


def test_who_may_not_run_may_not_try(log_in: LogIn, draft: str) -> None:
    for name, status in (("viewer", 403), ("bare", 404)):
        client = log_in(name)
        assert client.get(address("workflow_try", "numbers")).status_code == 404
        if not Workflow.objects.exists():
            make_flow("numbers")
        assert client.get(address("workflow_try", "numbers")).status_code == status
        assert post(client, "numbers").status_code == status
    assert not WorkflowRun.objects.exists()
    edit = log_in("viewer").get(address("workflow_edit", "numbers")).content.decode()
    assert 'id="pgf-try"' not in edit


def test_the_editor_shows_the_last_trial_on_its_cards(client: Client, draft: str) -> None:
    edit = address("workflow_edit", draft)
    assert 'id="pgf-trial"' not in client.get(edit).content.decode()
    run = executor.start_trial(draft, {"is_broken": True}, allow_effects=True)
    executor.drain()
    executor.start_trial(draft, {"is_broken": True}, allow_effects=True)
    query = WorkflowRun.objects.order_by("-id")
    executor.cancel_run(query[0].pk)
    page = client.get(edit, {"step": "report"}).content.decode()
    assert "pgf-cancelled" in page
    WorkflowRun.objects.filter(pk=query[0].pk).delete()
    page = client.get(edit, {"step": "report"}).content.decode()
    assert 'id="pgf-trial"' in page
    assert f'href="{address("workflowrun_change", run.pk)}"' in page
    assert re.search(r'class="pgf-node pgf-single pgf-completed[^"]*" [^>]*data-slug="fetch"', page)
    assert re.search(r'class="pgf-node pgf-single pgf-failed[^"]*" [^>]*data-slug="report"', page)
    assert "RuntimeError: &lt;b&gt;no numbers&lt;/b&gt; today" in page
    assert f"{address('workflow_try', draft)}?step=report" in page
    listed = client.get(edit, {"view": "list", "step": "double"}).content.decode()
    assert "Its output in the last trial" in listed
    viewer_page = client.get(edit, {"view": "list"}).content.decode()
    assert viewer_page.count("pgf-pill pgf-failed") >= 1


def fields_of(page: str) -> dict[str, str]:
    """The hidden fields of the form that a page shows."""
    form = page[page.index("data-once") :]
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))


def test_a_double_click_starts_one_trial(client: Client, draft: str) -> None:
    sent = {**fields_of(page_of(client, draft)), "allow_effects": "true"}
    first, second = post(client, draft, **sent), post(client, draft, **sent)
    run = WorkflowRun.objects.get()
    assert first["Location"] == second["Location"] == address("workflowrun_change", run.pk)
    assert "admin-trial-" not in client.get(first["Location"]).content.decode()
    again = {**fields_of(page_of(client, draft)), "allow_effects": "true"}
    assert post(client, draft, **again)["Location"] != first["Location"]


def test_who_consents_has_seen_what_is_called(client: Client, draft: str) -> None:
    sent = {**fields_of(page_of(client, draft)), "allow_effects": "true", "given-fetch": "[4]"}
    more = {"slug": "again", "uses": "try.report", "depends_on": ["double"]}
    drafts.edit(draft, drafts.load(draft).version, "add_step", more, user="ann")
    answer = post(client, draft, **sent)
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "The draft was changed by ann since this page was drawn" in page
    assert text_of(page, "fetch") == "[4]"
    assert not WorkflowRun.objects.exists()
    shown = {**sent, **fields_of(page)}
    assert post(client, draft, **shown).status_code == 302


def test_what_is_given_for_a_step_that_is_gone_is_refused(client: Client, draft: str) -> None:
    answer = post(client, draft, allow_effects="true", **{"given-gone": "[4]", "given-none": " "})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "there is no such step" in page
    assert text_of(page, "gone") == "[4]"
    assert 'name="given-none"' not in page
    assert "<option>gone" not in page
    assert not WorkflowRun.objects.exists()


def test_outputs_that_a_page_of_many_steps_sent_are_given(client: Client, draft: str) -> None:
    wrong = post(client, draft, outputs="[[1, 2]]").content.decode()
    assert "This must be an object" in wrong
    assert "[[1, 2]]" in wrong
    assert post(client, draft, outputs='{"report": 1}').status_code == 302
    executor.drain()
    assert executor.get_run_status(WorkflowRun.objects.get().pk).result() == {"report": 1}


@pytest.mark.parametrize("view", ["diagram", "list"])
def test_while_a_trial_runs_the_editor_follows_it(client: Client, draft: str, view: str) -> None:
    executor.start_trial(draft, allow_effects=True)
    page = client.get(address("workflow_edit", draft), {"view": view}).content.decode()
    followed = re.search(r"""data-follow\s+hx-get="([^"]+)"\s+hx-vals='([^']+)'""", page)
    assert followed
    url, asked = followed[1], json.loads(followed[2])
    assert client.get(url, asked).status_code == 204
    executor.drain()
    answer = client.get(url, {**asked, "step": "report"})
    shown = answer.content.decode()
    assert answer.status_code == 200
    assert "The trial has ended: completed" in shown
    assert "data-follow" not in shown
    assert "Its output in the last trial" in shown
    assert ('id="pgf-row-report"' if view == "list" else 'id="pgf-step-report"') in shown
    outdated = client.get(url, {**asked, "version": asked["version"] + 1})
    assert (outdated.status_code, outdated.content) == (286, b"")
    assert outdated["HX-Reswap"] == "none"
    WorkflowRun.objects.all().delete()
    assert 'id="pgf-trial"' not in client.get(url, asked).content.decode()


def test_a_step_that_does_something_else_by_now_has_no_state(client: Client, draft: str) -> None:
    executor.start_trial(draft, allow_effects=True)
    executor.drain()
    loaded = drafts.load(draft)
    changed = {"step": "fetch", "uses": "try.double"}
    drafts.edit(draft, loaded.version, "update_step", changed, user="boss")
    page = client.get(address("workflow_edit", draft)).content.decode()
    assert not re.search(r'pgf-completed[^>]*data-slug="fetch"', page)
    assert re.search(r'pgf-completed[^>]*data-slug="report"', page)


def test_lists_and_rates_leave_trials_out(client: Client, steps: None) -> None:
    make_flow("numbers")
    executor.start_trial("numbers", {"is_broken": True}, allow_effects=True)
    executor.drain()
    runs = address("workflowrun_changelist")
    assert "No runs yet" in client.get(runs).content.decode()
    flows = client.get(address("workflow_changelist")).content.decode()
    assert "no run has ended" in flows
    real, tried = run_flow("numbers"), WorkflowRun.objects.get(version=0)

    def rows(query: dict[str, str]) -> set[str]:
        page = client.get(runs, query).content.decode()
        return {str(run) for run in (real.pk, tried.pk) if str(run) in page}

    assert rows({}) == {str(real.pk)}
    assert rows({"trials": "only"}) == {str(tried.pk)}
    assert rows({"trials": "with"}) == {str(real.pk), str(tried.pk)}
    assert rows({"q": str(tried.pk)}) == {str(tried.pk)}
    assert "100 %" in client.get(address("workflow_changelist")).content.decode()


def test_a_flow_of_many_steps_takes_outputs_as_one_object(client: Client) -> None:
    many = [{"slug": f"s{n}", "uses": "try.double"} for n in range(70)]
    drafts.create("many", {"steps": many}, user="boss")
    assert 'name="outputs"' in page_of(client, "many")
    outputs = {f"s{n}": n for n in range(70)}
    response = post(client, "many", outputs=json.dumps(outputs))
    assert response.status_code == 302
    executor.drain()
    assert WorkflowRun.objects.get().output == outputs
    assert "object" in post(client, "many", outputs="[1]").content.decode()
