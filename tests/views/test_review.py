"""The page on which a draft that was handed in is looked at, published or returned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.html import escape

from pgflow_django import drafts, step_function
from pgflow_django.agents.tokens import create_token
from pgflow_django.models import Workflow
from pgflow_django.registry import registry
from tests.views.conftest import SEES, LogIn, address, make_flow

pytestmark = pytest.mark.django_db

PUBLISHES = (*SEES, "change_workflow", "publish_workflow", "run_workflow")
#: Texts that would do something if they were not escaped.
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "</textarea><script>alert(1)</script>",
    "{% csrf_token %}{{ request }}",
    "<!-- --><b>bold</b>",
)
MADE = {
    "by": "ann",
    "via": "mcp",
    "token": "etl-bot",
    "client": "some-client/1.0",
    "model": "some-model",
    "prompt_sha256": "0123456789abcdef" * 4,
}
STEPS: list[dict[str, Any]] = [
    {"slug": "fetch"},
    {"slug": "mail", "uses": "tests.mail", "depends_on": ["fetch"]},
    {"slug": "lost", "uses": "tests.lost", "depends_on": ["fetch"]},
]


@pytest.fixture(autouse=True)
def mail(steps: None) -> Iterator[None]:
    @step_function("tests.mail", effects="external")
    def mail(input: Any) -> None:
        """Send what was fetched."""

    yield
    registry.unregister("tests.mail")


@pytest.fixture
def boss(log_in: LogIn) -> Client:
    return log_in("publisher", *PUBLISHES)


@pytest.fixture
def plan() -> str:
    """Give a draft that a program of ann's has made and handed in."""
    drafts.create("plan", {"steps": STEPS}, user="ann", provenance=MADE)
    drafts.hand_in("plan", 1, user="ann", note="Sends mail.\nPlease.")
    return "plan"


def see(client: Client, slug: str = "plan") -> str:
    answer = client.get(address("workflow_review", slug))
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def send(client: Client, name: str, slug: str = "plan", **data: Any) -> Any:
    data = {"version": drafts.load(slug).version, "note": "", **data}
    return client.post(address(f"workflow_{name}", slug), data)


def test_it_says_who_made_what_and_what_it_would_do(boss: Client, plan: str) -> None:
    page = see(boss)
    for text in (
        *("ann has handed this in", "Sends mail. Please.", "etl-bot", "some-client/1.0"),
        *("some-model", "as the program says", "0123456789ab", "A new flow", "MCP"),
        *("acts outside: mail, payments", "does not say what it changes", "not registered"),
        *("tests.mail", "Send what was fetched.", "What would happen", "3 tasks"),
    ):
        assert text in page, text
    # What acts outside comes before what does not say what it does.
    functions = page[page.index('id="pgf-functions-h"') :]
    assert functions.index("tests.mail") < functions.index("tests.lost")
    assert address("workflow_approve", plan) in page
    assert 'name="note"' in page


def test_it_shows_what_changes_of_a_flow_that_is_there(boss: Client) -> None:
    make_flow("numbers")
    version = drafts.edit("numbers", 0, "delete_step", {"step": "report"}, user="ann").draft.version
    drafts.hand_in("numbers", version, user="ann")
    page = see(boss, "numbers")
    assert "What it changes" in page
    assert "removed" in page
    assert "People only" in page
    assert "policy for programs" not in page


def test_it_is_found_from_the_list_and_from_the_editor(boss: Client, plan: str) -> None:
    link = f'href="{address("workflow_review", plan)}"'
    assert link in boss.get(address("workflow_changelist")).content.decode()
    assert link in boss.get(address("workflow_edit", plan)).content.decode()


def test_publishing_ends_it(boss: Client, plan: str) -> None:
    registry.register(lambda input: None, "tests.lost")
    try:
        answer = send(boss, "approve")
    finally:
        registry.unregister("tests.lost")
    assert answer["Location"] == address("workflow_edit", plan)
    assert Workflow.objects.get(pk=plan).origin == "agent"
    page = see(boss)
    assert "There is nothing to review" in page
    assert address("workflow_approve", plan) not in page


def test_returning_takes_a_note(boss: Client, plan: str, log_in: LogIn) -> None:
    long = send(boss, "review_return", note="z" * 2001)
    assert long.status_code == 422
    assert "z" * 2001 in long.content.decode()
    assert send(boss, "review_return", note="Describe\r\nit")["Location"]
    returned = drafts.load(plan).returned
    assert returned is not None
    assert (returned.by, returned.note) == ("publisher", "Describe\nit")
    assert "publisher has returned this" in see(log_in("viewer"))


def test_who_only_looks_has_no_buttons(plan: str, log_in: LogIn) -> None:
    viewer = log_in("viewer")
    page = see(viewer)
    assert "etl-bot" in page
    assert address("workflow_approve", plan) not in page
    assert address("workflow_review_return", plan) not in page
    for name in ("approve", "review_return"):
        assert send(viewer, name).status_code == 403
    assert drafts.load(plan).handed_in is not None


def test_a_draft_that_was_edited_meanwhile_says_so_and_keeps_the_note(
    boss: Client, plan: str
) -> None:
    edit = {"step": "fetch", "max_attempts": 7}
    drafts.edit(plan, 1, "update_step", edit, user="bob")
    for name in ("approve", "review_return"):
        answer = send(boss, name, version=1, note="my own words")
        page = " ".join(answer.content.decode().split())
        assert answer.status_code == 409
        assert "bob edited it last" in page
        assert address("workflow_approve", plan) not in page
    assert "my own words" in page
    drafts.hand_in(plan, 2, user="bob")
    answer = send(boss, "review_return", version=1, note="my own words")
    page = answer.content.decode()
    assert answer.status_code == 409
    assert "my own words</textarea>" in page
    assert address("workflow_approve", plan) in page
    assert drafts.load(plan).handed_in is not None
    assert not Workflow.objects.exists()


def test_what_was_not_handed_in_is_not_published_here(boss: Client) -> None:
    drafts.create("plan", {"steps": [{"slug": "fetch"}]}, user="ann")
    assert "Nobody has handed this draft in" in see(boss)
    assert send(boss, "approve").status_code == 409
    make_flow("numbers")
    assert "There is nothing to review" in see(boss, "numbers")
    assert send(boss, "approve", "numbers", version=0).status_code == 409
    assert send(boss, "approve", "numbers", version="x").status_code == 409
    assert list(Workflow.objects.values_list("version", flat=True)) == [1]


def test_an_empty_draft_has_a_page(boss: Client) -> None:
    drafts.create("plan", user="ann")
    assert "It has no steps." in see(boss)


def test_the_policy_for_programs_is_told(boss: Client, settings: Any) -> None:
    settings.PGFLOW = {"AGENT_POLICY": {"MAX_STEPS": 2, "EFFECTS": ["none", "unknown"]}}
    made = [{"slug": "fetch"}, {"slug": "mail", "uses": "tests.mail"}, {"slug": "report"}]
    drafts.create("plan", {"steps": made}, user="ann", provenance=MADE)
    drafts.hand_in("plan", 1, user="ann")
    page = see(boss)
    assert "policy for programs does not allow this" in page
    assert "at most 2 steps by the policy" in page
    assert "effects of tests.mail are external" in page
    assert send(boss, "approve").status_code == 302


@pytest.mark.parametrize("text", HOSTILE)
def test_everything_that_is_shown_is_escaped(boss: Client, text: str) -> None:
    made = {**dict.fromkeys(MADE, text)}
    document = {"description": text, "steps": [{"slug": "fetch", "description": text}]}
    drafts.create("plan", document, user=text, provenance=made)
    drafts.hand_in("plan", 1, user=text, note=text)
    page = boss.get(address("workflow_review", "plan")).content.decode()
    refused = send(boss, "review_return", version=7, note=text).content.decode()
    for shown in (page, refused):
        assert shown.count(escape(text)) >= 6
        assert text not in shown.replace(escape(text), "")


def test_a_token_opens_nothing_in_the_admin(plan: str, db: None) -> None:
    _, secret = create_token(User.objects.create_superuser("root"), "bot", "publish")
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    for name in ("review", "edit"):
        assert "/login/" in client.get(address(f"workflow_{name}", plan))["Location"]
    for name in ("approve", "review_return", "publish", "return"):
        assert "/login/" in send(client, name)["Location"]
    assert drafts.load(plan).handed_in is not None
    assert not Workflow.objects.exists()


def test_csrf_is_asked_for(plan: str, log_in: LogIn) -> None:
    client = log_in("boss", enforce_csrf_checks=True)
    for name in ("approve", "review_return"):
        assert send(client, name).status_code == 403
    assert drafts.load(plan).handed_in is not None
