"""``agenttoken``: made and told once, listed, revoked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from pgflow_django.agents.tokens import find_token
from pgflow_django.models import AgentToken
from tests.commands.calling import call


@pytest.fixture(autouse=True)
def ann(transactional_db: None) -> Iterator[None]:
    User.objects.create_user("ann")
    yield
    User.objects.all().delete()


def test_one_is_made_told_once_and_good() -> None:
    answer = call("agenttoken", "create", "ann", "--name", "etl bot", "--access", "run")
    secret = answer.stdout.strip()
    found = find_token(secret)
    assert found is not None
    assert (found[0].name, found[0].access, found[1].username) == ("etl bot", "run", "ann")
    assert "told once" in answer.stderr
    assert secret not in call("agenttoken", "list").stdout


def test_as_json_it_says_all() -> None:
    arguments = ("create", "ann", "--name", "bot", "--flows", "etl_", "--expires-in", "90d")
    made = json.loads(call("agenttoken", *arguments, json=True).stdout)
    token = AgentToken.objects.get()
    days = (token.expires_at - timezone.now()).days if token.expires_at else 0
    assert days in {89, 90}
    assert find_token(made.pop("token")) is not None
    (listed,) = json.loads(call("agenttoken", "list", "ann", json=True).stdout)
    assert made == {**listed, "last_used_at": None}
    assert (made["id"], made["user"], made["access"]) == (token.pk, "ann", "read")
    assert (made["flows_prefix"], made["state"]) == ("etl_", "good")


def test_the_list_says_how_each_stands() -> None:
    assert call("agenttoken", "list").stderr.startswith("No tokens. Make one: ")
    bob = User.objects.create_user("bob")
    for user, name in (("ann", "good"), ("ann", "old"), ("ann", "ended"), ("bob", "lost")):
        call("agenttoken", "create", user, "--name", name)
    AgentToken.objects.filter(name="old").update(expires_at=timezone.now())
    number = AgentToken.objects.get(name="ended").pk
    assert call("agenttoken", "revoke", str(number)).status == 0
    bob.delete()
    head, *lines = call("agenttoken", "list").stdout.splitlines()
    assert head.split() == ["ID", "NAME", "USER", "ACCESS", "FLOWS", "CREATED", "USED", "STATE"]
    assert [line.split()[1] for line in lines] == ["lost", "ended", "old", "good"]
    states = ["without its user", "revoked", "expired", "good"]
    assert all(line.endswith(state) for line, state in zip(lines, states, strict=True))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("creat",), 'create, list, revoke, but not "creat". Did you mean "create"?'),
        (("create",), "A token needs a user and a name: python manage.py agenttoken create"),
        (("create", "ann"), "A token needs a user and a name"),
        (("create", "bob", "--name", "x"), 'There is no user "bob".'),
        (("create", "ann", "--name", "x", "--access", "root"), "not 'root'"),
        (("create", "ann", "--name", "x", "--access", ""), "not ''"),
        (("list", ""), 'There is no user "".'),
        (("create", "ann", "--name", "x", "--expires-in", "soon"), "--expires-in is 'soon'"),
        (("create", "ann", "--name", "x", "--expires-in", "0s"), "3,650 days"),
        (("create", "ann", "--name", "x", "--flows", "a b"), "letters, digits, underscores"),
        (("list", "bob"), 'There is no user "bob".'),
        (("revoke",), "The number of the token is None"),
        (("revoke", "x"), "The number of the token is 'x'"),
        (("revoke", "77"), "There is no token 77."),
    ],
)
def test_what_makes_no_sense_is_said(arguments: tuple[str, ...], told: str) -> None:
    answer: Any = call("agenttoken", *arguments)
    assert answer.status == 2
    assert told in answer.stderr
    assert not AgentToken.objects.exists()
