"""Who comes in to MCP over HTTP, and what is refused at the door, by plain requests."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client, override_settings
from django.utils import timezone

from pgflow_django.agents.tokens import create_token, revoke_token
from pgflow_django.choices import Access
from pgflow_django.models import AgentCall, AgentToken

pytestmark = pytest.mark.django_db

PATH = "/agents/mcp/"
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}


@pytest.fixture
def ann() -> User:
    return User.objects.create_superuser("ann")


@pytest.fixture
def secret(ann: User) -> str:
    return create_token(ann, "bot", Access.PUBLISH)[1]


@pytest.fixture
def browser() -> Client:
    """A client that is no browser: nothing of sessions or CSRF helps it."""
    return Client(enforce_csrf_checks=True)


def post(client: Client, secret: str | None, body: Any = LIST, path: str = PATH) -> Any:
    """Send a message as clients of the older protocol do."""
    data = body if isinstance(body, bytes | str) else json.dumps(body)
    headers = {"Accept": "application/json, text/event-stream"}
    if secret is not None:
        headers["Authorization"] = secret
    return client.post(path, data, content_type="application/json", headers=headers)


def error_of(response: HttpResponse) -> str:
    """The code of an error, which is told as JSON."""
    assert response["Content-Type"] == "application/json"
    error = json.loads(response.content)["error"]
    assert error["message"]
    code: str = error["code"]
    return code


@pytest.mark.parametrize("path", [PATH, PATH.rstrip("/")])
def test_a_good_token_comes_in(browser: Client, secret: str, path: str) -> None:
    answer = post(browser, f"Bearer {secret}", path=path)
    assert answer.status_code == 200
    assert answer.json()["result"]["tools"]
    assert "no-store" in answer["Cache-Control"]
    assert not answer.cookies


@pytest.mark.parametrize("words", ["bearer {}", "BEARER  {} "])
def test_the_scheme_is_read_as_http_has_it(browser: Client, secret: str, words: str) -> None:
    assert post(browser, words.format(secret)).status_code == 200


@pytest.mark.parametrize(
    "words",
    [None, "", "Bearer", "Bearer ", "Bearer pgf_wrong", "{}", "Basic {}", "Token {}", "Bearer {}x"],
)
def test_without_a_good_token_there_is_401_and_nothing_else(
    browser: Client, secret: str, words: str | None
) -> None:
    answer = post(browser, None if words is None else words.format(secret))
    assert (answer.status_code, error_of(answer)) == (401, "not_signed_in")
    assert answer["WWW-Authenticate"] == "Bearer"
    assert AgentCall.objects.get().code == "not_signed_in"


@pytest.mark.parametrize("how", ["revoked", "expired", "inactive", "gone"])
def test_a_token_that_has_ended_is_told_from_a_wrong_one_by_nobody(
    browser: Client, ann: User, how: str
) -> None:
    token, secret = create_token(ann, "bot", expires_in=timedelta(days=1))
    assert post(browser, f"Bearer {secret}").status_code == 200
    if how == "revoked":
        revoke_token(token.pk)
    elif how == "expired":
        AgentToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    elif how == "inactive":
        User.objects.update(is_active=False)
    else:
        ann.delete()
    ended, wrong = post(browser, f"Bearer {secret}"), post(browser, "Bearer pgf_wrong")
    assert ended.status_code == wrong.status_code == 401
    assert ended.content == wrong.content
    clock = {"Expires"}  # the moment of the answer
    assert ended.headers.keys() == wrong.headers.keys()
    assert {k: v for k, v in ended.headers.items() if k not in clock} == {
        k: v for k, v in wrong.headers.items() if k not in clock
    }


def test_a_person_who_is_logged_in_is_no_program(ann: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ann)
    assert post(client, None).status_code == 401


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "options", "head"])
def test_only_post_is_spoken(browser: Client, secret: str, method: str) -> None:
    answer = getattr(browser, method)(PATH, headers={"Authorization": f"Bearer {secret}"})
    assert (answer.status_code, answer["Allow"]) == (405, "POST")


def test_where_programs_are_not_served_there_is_nothing(browser: Client, secret: str) -> None:
    with override_settings(PGFLOW={"AGENTS": "off"}):
        answer = post(browser, f"Bearer {secret}")
        assert (answer.status_code, error_of(answer)) == (404, "agents_off")
        assert browser.get(PATH).status_code == 404
        assert post(browser, None).status_code == 404


def test_a_large_request_is_refused_in_json_before_it_is_read(browser: Client, secret: str) -> None:
    answer = post(browser, f"Bearer {secret}", b" " * (2 * 1024 * 1024 + 1))
    assert (answer.status_code, error_of(answer)) == (413, "request_too_large")
    assert "2,097,152 bytes" in answer.json()["error"]["message"]
    with override_settings(PGFLOW={"AGENT_MAX_BYTES": 100}):
        assert post(browser, f"Bearer {secret}", b" " * 101).status_code == 413
    # Django's limit, which would answer with a page, is smaller and not asked.
    with override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=10):
        assert post(browser, f"Bearer {secret}").status_code == 200
    assert post(browser, None, b" " * (2 * 1024 * 1024 + 1)).status_code == 401


def test_a_body_of_the_largest_size_is_read(browser: Client, secret: str) -> None:
    message = json.dumps(LIST)
    padded = message + " " * (2 * 1024 * 1024 - len(message))
    assert post(browser, f"Bearer {secret}", padded).status_code == 200


@override_settings(ALLOWED_HOSTS=["only.example"])
def test_the_hosts_of_the_site_are_asked(browser: Client, secret: str) -> None:
    assert post(browser, f"Bearer {secret}").status_code == 400
    good = Client(SERVER_NAME="only.example")
    assert post(good, f"Bearer {secret}").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"[1]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 100_000),
        *(b'{"jsonrpc": "2.0", "id": 1}', b'{"jsonrpc": "2.0", "id": {}, "method": "x"}'),
        b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "\\ud800"}}',
        b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": 7}}',
        b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": []}',
        b'{"jsonrpc": "2.0", "id": 1, "method": "nothing"}',
        b'{"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": {}}',
        b'{"jsonrpc": "2.0", "method": "notifications/initialized"}',
        b'{"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}',
    ],
)
@pytest.mark.parametrize("version", ["2026-07-28", "2025-11-25", "1999-01-01", "", None])
def test_what_is_no_message_of_the_protocol_is_answered_by_it(
    browser: Client, secret: str, body: bytes, version: str | None
) -> None:
    headers = {
        "Accept": "application/json, text/event-stream",
        "Authorization": f"Bearer {secret}",
        **({} if version is None else {"MCP-Protocol-Version": version}),
    }
    answer = browser.post(PATH, body, content_type="application/json", headers=headers)
    assert answer.status_code < 500
    if answer.get("Content-Type") == "application/json" and answer.content:
        json.loads(answer.content)


@pytest.mark.parametrize("text", ["application/json", "text/html", "", "*/*"])
def test_other_headers_are_answered_by_the_protocol_too(
    browser: Client, secret: str, text: str
) -> None:
    for headers in ({"Accept": text}, {"Accept": "application/json", "Content-Type": text}):
        answer = browser.post(
            PATH,
            json.dumps(LIST),
            content_type=headers.get("Content-Type", "application/json"),
            headers={"Authorization": f"Bearer {secret}", "Accept": headers["Accept"]},
        )
        assert answer.status_code in {200, 400, 406, 415}
