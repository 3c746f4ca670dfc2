"""Tokens: told once, good for as long as they say, and dead with their user."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from pgflow_django.agents.tokens import (
    LONGEST,
    create_token,
    find_token,
    list_tokens,
    revoke_token,
)
from pgflow_django.choices import Access
from pgflow_django.exceptions import InvalidInput
from pgflow_django.models import AgentToken

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann() -> User:
    return User.objects.create_user("ann")


def test_a_token_is_found_by_its_text_and_nowhere_stored(ann: User) -> None:
    token, secret = create_token(ann, "etl-bot", Access.AUTHOR, flows_prefix="etl_")
    assert secret.startswith("pgf_")
    assert len(secret) >= 4 + 43
    found = find_token(secret)
    assert found is not None
    assert (found[0].pk, found[1]) == (token.pk, ann)
    assert secret not in str(AgentToken.objects.values())
    assert (found[0].access, found[0].flows_prefix) == ("author", "etl_")


@pytest.mark.parametrize(
    "text", ["", "pgf_", "pgf_x", "Bearer", "pgf_\ud800", "pgf_\0", "x" * 9000]
)
def test_what_is_no_token_finds_none(ann: User, text: str) -> None:
    create_token(ann, "bot")
    assert find_token(text) is None


def test_one_that_is_over_finds_none(ann: User) -> None:
    gone, secret = create_token(ann, "gone")
    short, short_secret = create_token(ann, "short", expires_in=timedelta(days=1))
    _, kept = create_token(ann, "kept", expires_in=timedelta(days=1))
    assert revoke_token(gone.pk) is not None
    ended = AgentToken.objects.get(pk=gone.pk).revoked_at
    assert revoke_token(gone.pk) is not None
    assert AgentToken.objects.get(pk=gone.pk).revoked_at == ended
    AgentToken.objects.filter(pk=short.pk).update(expires_at=timezone.now())
    assert find_token(secret) is None
    assert find_token(short_secret) is None
    assert find_token(kept) is not None
    assert revoke_token(short.pk + 1000) is None


def test_the_tokens_of_an_inactive_user_are_dead_and_live_again_with_him(ann: User) -> None:
    _, secret = create_token(ann, "bot")
    User.objects.update(is_active=False)
    assert find_token(secret) is None
    User.objects.update(is_active=True)
    assert find_token(secret) is not None
    ann.delete()
    assert find_token(secret) is None
    assert AgentToken.objects.count() == 1


def test_the_last_use_is_written_once_a_minute(ann: User) -> None:
    token, secret = create_token(ann, "bot")
    assert token.last_used_at is None
    find_token(secret)
    first = AgentToken.objects.get().last_used_at
    find_token(secret)
    assert first is not None
    assert AgentToken.objects.get().last_used_at == first
    AgentToken.objects.update(last_used_at=first - timedelta(minutes=2))
    find_token(secret)
    last = AgentToken.objects.get().last_used_at
    assert last is not None
    assert last >= first


def test_they_are_listed_newest_first(ann: User) -> None:
    bob = User.objects.create_user("bob")
    for user, name in ((ann, "one"), (bob, "two"), (ann, "three")):
        create_token(user, name)
    assert [token.name for token in list_tokens()] == ["three", "two", "one"]
    assert [token.name for token in list_tokens(ann)] == ["three", "one"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"name": ""}, "1 to 100 characters"),
        ({"name": " "}, "1 to 100 characters"),
        ({"name": "x" * 101}, "1 to 100 characters"),
        ({"name": "a\nb"}, "control characters"),
        ({"name": "a\0b"}, "control characters"),
        ({"name": "a\u202eb"}, "control characters"),
        ({"name": None}, "1 to 100 characters"),
        ({"access": "admin"}, "read, author, run, operate, publish, not 'admin'"),
        ({"access": None}, "read, author"),
        ({"flows_prefix": "etl-"}, "letters, digits, underscores"),
        ({"flows_prefix": "a" * 200}, "letters, digits, underscores"),
        ({"flows_prefix": None}, "letters, digits, underscores"),
        ({"expires_in": timedelta()}, "3,650 days"),
        ({"expires_in": timedelta(days=-1)}, "3,650 days"),
        ({"expires_in": LONGEST + timedelta(days=1)}, "3,650 days"),
    ],
)
def test_what_can_be_no_token_is_refused(ann: User, given: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidInput, match=told) as refused:
        create_token(ann, **{"name": "bot", **given})
    assert refused.value.code == "invalid_token"
    assert not AgentToken.objects.exists()
