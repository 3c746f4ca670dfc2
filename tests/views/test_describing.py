"""Flows in words: the page that asks a model, draws what it proposes, and applies that."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client, override_settings

from pgflow_django import drafts, step_function
from pgflow_django.models import AgentCall, Workflow, WorkflowDraft, WorkflowRun
from pgflow_django.registry import registry
from tests.agents.scripted import REFUSE, SILENCE, Script, serve, strict_answer, strict_step
from tests.views.conftest import CHANGES, LogIn, address

pytestmark = pytest.mark.django_db

MAY = (*CHANGES, "use_ai")


@pytest.fixture(autouse=True)
def functions() -> Iterator[None]:
    """Register what the models of this module combine."""

    @step_function("words.read", effects="reads")
    def read(input: dict[str, Any]) -> list[int]:
        """Read numbers."""
        return [1, 2, 3]

    @step_function("words.total", effects="none")
    def total(input: dict[str, Any]) -> int:
        """Add numbers up."""
        return sum(input["read"])

    yield
    for name in ("words.read", "words.total"):
        registry.unregister(name)


READ = strict_step("read", "words.read")
TOTAL = strict_step("total", "words.total", "read")
BOTH = strict_answer(READ, TOTAL)
WRONG = strict_answer(strict_step("read", "words.nobody"))


@pytest.fixture
def ann(log_in: LogIn) -> Client:
    """Give who may do everything with flows, and describe them."""
    return log_in("ann", *MAY)


@pytest.fixture
def sums() -> str:
    """Give a draft of one step."""
    step = {"slug": "read", "uses": "words.read", "description": "A note"}
    document = {"workflow_slug": "sums", "description": "Mine", "steps": [step]}
    return drafts.create("sums", document, user="ann").slug


def site(script: Script, **more: Any) -> override_settings:
    return override_settings(PGFLOW={"AI_MODEL": "gpt-5", "AI_BASE_URL": script.url, **more})


def find_offer(response: Any) -> str:
    found = re.search(r'name="offer" value="([^"]+)"', response.text)
    assert found, response.text
    return unescape(found[1])


def ask(client: Client, url: str, prompt: str = "Add up", status: int = 200, **more: str) -> Any:
    response = client.post(url, {"prompt": prompt, **more})
    assert response.status_code == status, response.text
    return response


def test_a_proposal_is_drawn_and_applied_as_one_edit(ann: Client, sums: str) -> None:
    url = address("workflow_describe", sums)
    with serve(BOTH) as script, site(script):
        shown = ask(ann, url)
        assert "pgf-ghosts" in shown.text
        assert "As asked." in shown.text
        assert "Add up" in shown.text
        assert drafts.load(sums).version == 1
        applied = ann.post(url, {"offer": find_offer(shown), "apply": ""})
    assert applied["Location"] == address("workflow_edit", sums)
    draft = drafts.load(sums)
    assert [step["slug"] for step in draft.document["steps"]] == ["read", "total"]
    # What no model says is kept.
    assert draft.document["steps"][0]["description"] == "A note"
    made = drafts.history(sums)[0].provenance or {}
    assert (made["by"], made["via"], made["model"]) == ("ann", "generate", "gpt-5")
    assert LogEntry.objects.filter(object_id=sums).exists()
    assert not Workflow.objects.filter(pk=sums).exists()
    assert not WorkflowRun.objects.exists()
    undone = drafts.edit(sums, draft.version, "undo", {}, user="ann").draft
    assert [step["slug"] for step in undone.document["steps"]] == ["read"]


def test_the_model_sees_the_draft_and_what_it_proposed_before(ann: Client, sums: str) -> None:
    url = address("workflow_describe", sums)
    other = strict_answer(READ, strict_step("sum", "words.total", "read"))
    with serve(BOTH, other) as script, site(script):
        first = ask(ann, url)
        refined = ask(ann, url, "Call it <b>sum</b>", offer=find_offer(first))
        applied = ann.post(url, {"offer": find_offer(refined), "apply": ""})
    assert applied.status_code == 302
    assert "Add up" in refined.text
    assert "Call it &lt;b&gt;sum&lt;/b&gt;" in refined.text
    assert "total" not in str(script.asked[0]["messages"][-1])
    assert "total" in str(script.asked[1]["messages"][-1])
    assert [step["slug"] for step in drafts.load(sums).document["steps"]] == ["read", "sum"]
    assert len(drafts.history(sums)) == 2


def test_discarding_leaves_only_the_log(ann: Client, sums: str) -> None:
    with serve(BOTH) as script, site(script):
        shown = ask(ann, address("workflow_describe", sums))
    assert f'href="{address("workflow_edit", sums)}"' in shown.text
    assert len(drafts.history(sums)) == 1
    call = AgentCall.objects.get()
    assert (call.operation, call.code) == ("generate_flow", "")


def test_a_new_flow_gets_its_name_from_the_user(ann: Client) -> None:
    url = address("workflow_describe_new")
    drafts.create("adding", user="bob")
    with serve(BOTH) as script, site(script):
        shown = ask(ann, url)
        assert 'value="adding"' in shown.text
        offer = find_offer(shown)
        taken = ann.post(url, {"offer": offer, "apply": "", "name": "adding"})
        assert taken.status_code == 422
        assert "adding" in taken.text
        assert 'aria-invalid="true"' in taken.text
        wrong = ann.post(url, {"offer": offer, "apply": "", "name": "no name"})
        assert wrong.status_code == 422
        assert 'value="no name"' in wrong.text
        made = ann.post(url, {"offer": find_offer(wrong), "apply": "", "name": "mine"})
    assert made["Location"] == address("workflow_edit", "mine")
    assert drafts.load("mine").document["workflow_slug"] == "mine"
    assert (drafts.history("mine")[0].provenance or {})["model"] == "gpt-5"


def test_an_empty_draft_keeps_what_it_says_of_itself(ann: Client) -> None:
    document = {"workflow_slug": "bare", "steps": [], "input_schema": {"type": "object"}}
    drafts.create("bare", document, user="ann")
    url = address("workflow_describe", "bare")
    with serve(BOTH) as script, site(script):
        ann.post(url, {"offer": find_offer(ask(ann, url)), "apply": ""})
    made = drafts.load("bare").document
    assert made["input_schema"] == {"type": "object"}
    assert len(made["steps"]) == 2


def test_somebody_was_faster(ann: Client, sums: str) -> None:
    url = address("workflow_describe", sums)
    with serve(BOTH) as script, site(script):
        offer = find_offer(ask(ann, url))
        drafts.edit(sums, 1, "set_flow", {"description": "Theirs"}, user="bob")
        late = ann.post(url, {"offer": offer, "apply": ""})
        assert late.status_code == 409
        assert "Theirs" in late.text
        assert drafts.load(sums).version == 2
        done = ann.post(url, {"offer": find_offer(late), "apply": ""})
    assert done.status_code == 302
    assert drafts.load(sums).version == 3


def test_somebody_was_faster_than_a_refinement(ann: Client, sums: str) -> None:
    url = address("workflow_describe", sums)
    with serve(BOTH) as script, site(script):
        first = find_offer(ask(ann, url))
        drafts.edit(sums, 1, "set_flow", {"description": "Theirs"}, user="bob")
        refined = find_offer(ask(ann, url, "Once more", offer=first))
        assert ann.post(url, {"offer": refined, "apply": ""}).status_code == 409
    assert drafts.load(sums).document["description"] == "Theirs"


def test_wishes_that_no_function_fulfils_name_the_nearest(ann: Client, sums: str) -> None:
    answer = strict_answer(READ, TOTAL, unmet=["add numbers up by <i>fax</i>"])
    with serve(answer) as script, site(script):
        shown = ask(ann, address("workflow_describe", sums))
    assert "add numbers up by &lt;i&gt;fax" in shown.text
    assert "<code>words.total</code>" in shown.text


def test_a_model_that_gets_nothing_right(ann: Client, sums: str) -> None:
    with serve(WRONG) as script, site(script):
        shown = ask(ann, address("workflow_describe", sums), "Do it", status=422)
    assert "words.nobody" in shown.text
    assert ">Do it</textarea>" in shown.text
    assert drafts.load(sums).version == 1


@pytest.mark.parametrize("answer", [REFUSE, 500, 401])
def test_a_model_that_gives_no_answer(ann: Client, sums: str, answer: Any) -> None:
    with serve(answer) as script, site(script):
        shown = ask(ann, address("workflow_describe", sums), "Do it", status=422)
    assert 'role="alert"' in shown.text
    assert ">Do it</textarea>" in shown.text


def test_a_refinement_that_fails_keeps_the_proposal(ann: Client, sums: str) -> None:
    url = address("workflow_describe", sums)
    with serve(BOTH, REFUSE) as script, site(script):
        offer = find_offer(ask(ann, url))
        failed = ask(ann, url, "Now cook", status=422, offer=offer)
        assert ">Now cook</textarea>" in failed.text
        assert ann.post(url, {"offer": find_offer(failed), "apply": ""}).status_code == 302


def test_a_quota(ann: Client, sums: str) -> None:
    policy = {"GENERATIONS_PER_DAY": 1}
    with serve(BOTH) as script, site(script, AGENT_POLICY=policy):
        ask(ann, address("workflow_describe", sums))
        ask(ann, address("workflow_describe", sums), status=429)
    assert len(script.asked) == 1


@pytest.mark.parametrize("prompt", ["", " \n", "x" * 20_001])
def test_a_prompt_that_can_not_be_asked(ann: Client, sums: str, prompt: str) -> None:
    with serve(SILENCE) as script, site(script):
        ask(ann, address("workflow_describe", sums), prompt, status=422)
    assert script.asked == []


def test_without_a_model_the_page_says_how_to_name_one(ann: Client, sums: str) -> None:
    for url in (address("workflow_describe", sums), address("workflow_describe_new")):
        shown = ann.get(url)
        assert shown.status_code == 200
        assert "AI_MODEL" in shown.text
        assert "<textarea" not in shown.text
        ask(ann, url, status=422)


def test_a_draft_that_can_not_be_read_is_mended_first(ann: Client) -> None:
    steps = [{"slug": "read", "uses": "words.read"}]
    drafts.create("broken", {"workflow_slug": "broken", "steps": steps}, user="ann")
    draft = WorkflowDraft.objects.get(pk="broken")
    draft.document["steps"][0]["depends_on"] = ["nobody"]
    draft.save()
    with serve(BOTH) as script, site(script):
        shown = ask(ann, address("workflow_describe", "broken"), status=422)
    assert "nobody" in shown.text
    assert script.asked == []


def test_nobody_applies_what_was_not_proposed_to_them(
    ann: Client, sums: str, log_in: LogIn
) -> None:
    url = address("workflow_describe", sums)
    with serve(BOTH) as script, site(script):
        offer = find_offer(ask(ann, url))
        bob = log_in("bob", *MAY)
        assert bob.post(url, {"offer": offer, "apply": ""}).status_code == 403
        assert ann.post(url, {"offer": f"{offer}x", "apply": ""}).status_code == 422
        assert ann.post(url, {"apply": "", "prompt": ""}).status_code == 422
    assert drafts.load(sums).version == 1


def test_an_offer_for_one_flow_changes_no_other(ann: Client, sums: str) -> None:
    drafts.create("other", {"workflow_slug": "other", "steps": [{"slug": "a"}]}, user="ann")
    with serve(BOTH) as script, site(script):
        offer = find_offer(ask(ann, address("workflow_describe", sums)))
        taken = ann.post(address("workflow_describe", "other"), {"offer": offer, "apply": ""})
    assert taken.status_code == 422
    assert drafts.load("other").version == 1


@pytest.mark.parametrize(
    ("codenames", "flow", "new"),
    [
        (MAY, 200, 200),
        (CHANGES, 403, 403),
        (("view_workflow", "use_ai"), 403, 403),
        (("view_workflow", "use_ai", "add_workflow"), 403, 200),
        (("view_workflow", "use_ai", "change_workflow"), 200, 403),
        (("use_ai",), 404, 404),
    ],
)
def test_who_may(sums: str, log_in: LogIn, codenames: tuple[str, ...], flow: int, new: int) -> None:
    client = log_in("someone", *codenames)
    pages = {"workflow_describe": ([sums], flow), "workflow_describe_new": ([], new)}
    for name, (arguments, expected) in pages.items():
        url = address(name, *arguments)
        assert client.get(url).status_code == expected
        refused = client.post(url, {"prompt": "x"}).status_code
        assert refused == (422 if expected == 200 else expected)
    if flow == 200 or "view_workflow" in codenames:
        is_offered = 'id="pgf-describe"' in client.get(address("workflow_edit", sums)).text
        assert is_offered == (flow == 200)
    listed = client.get(address("workflow_changelist")).text
    assert (address("workflow_describe_new") in listed) == (new == 200)


def test_a_flow_of_code_is_not_described(ann: Client, flow: str) -> None:
    Workflow.objects.filter(pk=flow).update(origin="code")
    assert ann.get(address("workflow_describe", flow)).status_code == 403


def test_a_backend_of_the_site(ann: Client, sums: str) -> None:
    name = "tests.views.test_describing.answer_always"
    with override_settings(PGFLOW={"AI_BACKEND": name}):
        shown = ask(ann, address("workflow_describe", sums))
    assert name in shown.text
    assert WorkflowDraft.objects.get(pk=sums).version == 1


def answer_always(prompt: str, known: Any, current: Any) -> Any:
    """Answer as ``AI_BACKEND`` would."""
    step = {"slug": "total", "uses": "words.total", "depends_on": ["read"]}
    return {**current, "steps": [*current["steps"], step]}
