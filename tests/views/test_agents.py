"""Programs in the admin: their tokens, the log of their calls, and how one is connected."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from django.utils import timezone

from pgflow_django.admin import AgentCallAdmin, AgentTokenAdmin
from pgflow_django.agents.tokens import PREFIX, create_token, find_token
from pgflow_django.models import AgentCall, AgentToken
from tests.views.conftest import LogIn, address, make_flow

pytestmark = pytest.mark.django_db

TOKENS = ("view_agenttoken", "add_agenttoken", "change_agenttoken")
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def ann(log_in: LogIn) -> Client:
    return log_in("ann", "view_workflow", "view_agentcall", *TOKENS)


def text_of(answer: Any) -> str:
    return " ".join(unescape(answer.content.decode()).split())


def make(client: Client, **answers: Any) -> Any:
    data = {"name": "etl-bot", "access": "author", "flows_prefix": "", "days": "30", **answers}
    return client.post(address("agenttoken_add"), data)


def secret_of(answer: Any) -> str:
    found = re.findall(rf'value="({PREFIX}[^"]+)"', answer.content.decode())
    assert len(found) == 1
    return str(found[0])


# ---- tokens ----


def test_a_token_is_shown_once(ann: Client) -> None:
    answer = make(ann, flows_prefix="etl_")
    secret = secret_of(answer)
    assert "no-store" in answer["Cache-Control"]
    found = find_token(secret)
    assert found is not None
    token, user = found
    assert (user.username, token.name, token.access) == ("ann", "etl-bot", "author")
    assert token.flows_prefix == "etl_"
    assert token.expires_at is not None
    assert token.expires_at > timezone.now() + timedelta(days=29)
    listed = text_of(ann.get(address("agenttoken_changelist")))
    for text in ("etl-bot", "author", "etl_*", "good", address("agenttoken_revoke", token.pk)):
        assert text in listed, text
    for page in (listed, text_of(ann.get(address("agenttoken_revoke", token.pk)))):
        assert secret not in page
        assert token.token_hash not in page
    assert secret not in str(list(LogEntry.objects.values_list("change_message", "object_repr")))


def test_empty_days_are_no_end(ann: Client) -> None:
    make(ann, days="")
    assert AgentToken.objects.get().expires_at is None


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("name", "", "1 to 100 characters"),
        ("name", "x" * 101, "1 to 100 characters"),
        ("name", "a\nb", "control characters"),
        ("name", "a\0b", "control characters"),
        ("access", "root", "not 'root'"),
        ("access", "", "one of read"),
        ("flows_prefix", "etl-", "letters, digits, underscores"),
        ("days", "soon", "Days are a whole number"),
        ("days", "-1", "Days are a whole number"),
        ("days", "0", "up to 3,650 days"),
        ("days", "99999", "up to 3,650 days"),
    ],
)
def test_what_is_refused_says_why_and_keeps_the_answers(
    ann: Client, field: str, value: str, told: str
) -> None:
    answers = {"name": "my-agent", "flows_prefix": "mine_", field: value}
    answer = make(ann, **answers)
    assert answer.status_code == 422
    page = text_of(answer)
    assert told in page
    kept = {"name": "my-agent", "flows_prefix": "mine_"}
    for name, text in kept.items():
        assert name == field or f'value="{text}"' in page
    assert not AgentToken.objects.exists()


def test_everybody_has_his_own_and_a_superuser_all(ann: Client, log_in: LogIn) -> None:
    ben, boss = log_in("ben", *TOKENS), log_in("boss")
    make(ann, name="of-ann", user="ben")
    make(ben, name="of-ben")
    assert AgentToken.objects.get(name="of-ann").user_key == str(
        User.objects.get(username="ann").pk
    )
    lists = [text_of(each.get(address("agenttoken_changelist"))) for each in (ann, ben, boss)]
    assert ["of-ann" in page for page in lists] == [True, False, True]
    assert ["of-ben" in page for page in lists] == [False, True, True]
    other = address("agenttoken_revoke", AgentToken.objects.get(name="of-ben").pk)
    assert [each.get(other).status_code for each in (ann, ben, boss)] == [404, 200, 200]
    assert ann.post(other).status_code == 404
    assert AgentToken.objects.get(name="of-ben").revoked_at is None


def test_a_superuser_makes_tokens_for_others(ann: Client, log_in: LogIn) -> None:
    boss = log_in("boss")
    found = find_token(secret_of(make(boss, user="ann")))
    assert found is not None
    assert found[1].username == "ann"
    for name in ("nobody", "\0"):
        answer = make(boss, user=name)
        assert answer.status_code == 422
        assert "There is no user" in text_of(answer)
    assert 'name="user"' not in text_of(ann.get(address("agenttoken_add")))


def test_a_revoked_token_is_good_for_nothing(ann: Client) -> None:
    secret = secret_of(make(ann))
    token = AgentToken.objects.get()
    path = address("agenttoken_revoke", token.pk)
    assert "ann will be refused" in text_of(ann.get(path))
    assert find_token(secret) is not None
    for _ in range(2):
        assert ann.post(path)["Location"] == address("agenttoken_changelist")
    assert find_token(secret) is None
    assert LogEntry.objects.filter(change_message__contains="Revoked").count() == 1
    assert "It is revoked already." in text_of(ann.get(path))
    assert "revoked" in text_of(ann.get(address("agenttoken_changelist")))


def test_states_of_tokens(log_in: LogIn) -> None:
    gone = User.objects.create_user("gone", is_active=False)
    create_token(gone, "inactive")
    token, _ = create_token(gone, "late", expires_in=timedelta(days=1))
    AgentToken.objects.filter(pk=token.pk).update(expires_at=timezone.now() - timedelta(days=1))
    AgentToken.objects.create(user_key="no number", name="strange", token_hash="x")
    page = text_of(log_in("boss").get(address("agenttoken_changelist")))
    for text in ("without its user", "expired", "no number", "gone"):
        assert text in page, text


def test_who_may_not_has_no_door(log_in: LogIn, ann: Client) -> None:
    make(ann)
    sees = log_in("sees", "view_agenttoken")
    assert sees.get(address("agenttoken_changelist")).status_code == 200
    assert address("agenttoken_add") not in text_of(sees.get(address("agenttoken_changelist")))
    assert make(sees).status_code == 403
    bare = log_in("bare")
    for name in ("agenttoken_changelist", "agentcall_changelist"):
        assert bare.get(address(name)).status_code == 403
    assert make(bare).status_code == 404
    assert (
        log_in("boss", enforce_csrf_checks=True).post(address("agenttoken_add")).status_code == 403
    )
    assert AgentToken.objects.count() == 1


def test_a_number_that_is_none_of_a_row_is_not_found(ann: Client) -> None:
    for number in ("0", "9" * 30):
        path = f"{address('agenttoken_changelist')}{number}/revoke/"
        assert ann.get(path).status_code == 404


def test_names_of_tokens_are_escaped(ann: Client) -> None:
    answer = make(ann, name=HOSTILE)
    pages = [answer, ann.get(address("agenttoken_changelist"))]
    pages += [ann.get(address("agenttoken_revoke", AgentToken.objects.get().pk))]
    for page in pages:
        assert HOSTILE not in page.content.decode()
        assert HOSTILE in text_of(page)


# ---- calls ----


@pytest.fixture
def calls(db: None) -> list[AgentCall]:
    run_id = uuid4()
    rows = [
        AgentCall(user="ann", token="etl-bot", via="mcp", client=HOSTILE, operation="get_flow"),
        AgentCall(user="ann", operation="start_run", workflow_slug="numbers", run_id=run_id),
        AgentCall(user="ben", operation="save_flow", workflow_slug="plan", code="access_denied"),
        AgentCall(operation="get_flow", code="unauthenticated", workflow_slug=HOSTILE),
    ]
    return AgentCall.objects.bulk_create(rows)


def operations(client: Client, query: str = "") -> list[str]:
    page = client.get(address("agentcall_changelist") + query).content.decode()
    assert HOSTILE not in page
    return re.findall(r'class="field-operation[^"]*">(\w+)<', page)


def test_the_log_is_found_by_user_operation_code_flow_and_run(
    log_in: LogIn, calls: list[AgentCall]
) -> None:
    boss = log_in("boss")
    assert operations(boss) == ["get_flow", "save_flow", "start_run", "get_flow"]
    assert operations(boss, "?for=ben") == ["save_flow"]
    assert operations(boss, "?asked=get_flow") == ["get_flow", "get_flow"]
    assert operations(boss, "?why=access_denied") == ["save_flow"]
    assert operations(boss, "?q=numbers") == ["start_run"]
    assert operations(boss, f"?q={calls[1].run_id}") == ["start_run"]
    for query in ("?q=%00", "?for=%00", "?q=nothing"):
        assert operations(boss, query) == []
    page = text_of(boss.get(address("agentcall_changelist")))
    assert address("workflow_edit", "numbers") in page
    assert address("workflowrun_change", calls[1].run_id) in page


def test_who_is_no_superuser_sees_what_was_asked_for_him(
    ann: Client, calls: list[AgentCall]
) -> None:
    assert operations(ann) == ["start_run", "get_flow"]
    page = text_of(ann.get(address("agentcall_changelist")))
    for text in ("access_denied", "plan", "ben"):
        assert text not in page


def test_nobody_changes_the_log(log_in: LogIn, calls: list[AgentCall]) -> None:
    boss = log_in("boss")
    data = {"action": "delete_selected", "_selected_action": [str(calls[0].pk)], "post": "yes"}
    boss.post(address("agentcall_changelist"), data)
    assert AgentCall.objects.count() == 4


def test_a_long_log_takes_few_queries(log_in: LogIn, django_assert_max_num_queries: Any) -> None:
    AgentCall.objects.bulk_create(AgentCall(user="ann", operation="get_flow") for _ in range(60))
    user = User.objects.create_user("one")
    for number in range(20):
        create_token(user, f"bot-{number}")
    boss = log_in("boss")
    for name in ("agentcall_changelist", "agenttoken_changelist"):
        with django_assert_max_num_queries(14):
            assert boss.get(address(name)).status_code == 200


# ---- another site ----


def test_other_sites_narrow_them(rf: RequestFactory, log_in: LogIn) -> None:
    class NoTokens(AgentTokenAdmin):
        def has_add_permission(self, request: Any) -> bool:
            return False

    site = admin.AdminSite(name="team")
    site.register(AgentToken, NoTokens)
    site.register(AgentCall, AgentCallAdmin)
    log_in("boss")
    request = rf.get("/")
    request.user = User.objects.get(username="boss")
    assert not site.get_model_admin(AgentToken).has_add_permission(request)
    assert site.get_model_admin(AgentCall).has_view_permission(request)


# ---- connecting ----


def test_connecting_says_what_a_program_needs(ann: Client) -> None:
    page = ann.get(address("workflow_connect"))
    text = text_of(page)
    assert address("agenttoken_add") in text
    for word in ("Claude Code", "Cursor", "VS Code", "120 calls a minute", "50 steps"):
        assert word in text, word
    assert "changes nothing" in text or "change nothing" in text
    found = re.findall("<pre[^>]*>([^<]*)</pre>", page.content.decode())
    blocks = [unescape(each) for each in found]
    read = [json.loads(each) for each in blocks if each.startswith("{")]
    assert len(read) == 3
    assert read[-1]["mcpServers"]["pgflow"]["args"][-3:] == ["mcp", "--user", "ann"]
    assert address("workflow_connect") in text_of(ann.get(address("workflow_changelist")))
    assert address("workflow_connect") in text_of(ann.get(address("agenttoken_changelist")))


def test_it_says_what_this_user_may(log_in: LogIn, settings: Any) -> None:
    policy = {"EFFECTS": ["none"], "APPROVAL": "other_person", "FUNCTIONS": ["csv.*"]}
    settings.PGFLOW = {"AGENTS": "write", "AGENT_POLICY": policy}
    viewer, boss = (
        text_of(log_in(each).get(address("workflow_connect"))) for each in ("viewer", "boss")
    )
    assert viewer.count(">yes<") == 2
    assert boss.count(">yes<") == 11
    assert "You may not make tokens here" in viewer
    assert "agenttoken create viewer" in viewer
    for text in ("not by its own user", "csv.*", "write drafts and start runs"):
        assert text in boss
    settings.PGFLOW = {"AGENTS": "off"}
    assert "do nothing" in text_of(log_in("boss").get(address("workflow_connect")))


def test_the_list_of_flows_leads_there(log_in: LogIn, steps: None) -> None:
    make_flow()
    page = text_of(log_in("viewer").get(address("workflow_changelist")))
    assert address("workflow_connect") in page
