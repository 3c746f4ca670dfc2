"""A flow in the editor, and the people who may do more or less with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.http import HttpResponse
from django.test import Client

from pgflow_django import drafts
from pgflow_django.registry import registry

STEPS: list[dict[str, Any]] = [
    {"slug": "fetch"},
    {"slug": "double", "depends_on": ["fetch"], "type": "map"},
    {"slug": "report", "depends_on": ["double"]},
]
URL = "/admin/pgflow_django/workflow/numbers/"
HTMX = {"HX-Request": "true"}

Post = Callable[..., Any]

#: Permissions by kind of user; ``None``: not logged in, ``["*"]``: a superuser.
KINDS: dict[str, list[str] | None] = {
    "anonymous": None,
    "staff": [],
    "viewer": ["view_workflow"],
    "editor": ["view_workflow", "change_workflow"],
    "publisher": ["view_workflow", "change_workflow", "publish_workflow"],
    "boss": ["*"],
}


def make_user(kind: str) -> User | None:
    """Make a user of one of the kinds."""
    permissions = KINDS[kind]
    if permissions is None:
        return None
    user = User.objects.create_user(kind, is_staff=True, is_superuser=permissions == ["*"])
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return user


@pytest.fixture(autouse=True)
def functions(db: None) -> Any:
    """Register the functions that the flow uses."""
    names = [step["slug"] for step in STEPS]
    for name in names:
        registry.unregister(name)
        registry.register(lambda input: input, name)
    yield
    for name in names:
        registry.unregister(name)


@pytest.fixture
def boss() -> User:
    """Give a superuser."""
    user = make_user("boss")
    assert user
    return user


@pytest.fixture
def numbers(boss: User) -> drafts.Draft:
    """Make the flow, and publish it."""
    draft = drafts.create("numbers", {"steps": STEPS}, user=boss)
    drafts.publish("numbers", draft.version, user=boss)
    return drafts.load("numbers")


@pytest.fixture
def page(client: Client, boss: User, numbers: drafts.Draft) -> Client:
    """Give a client whose user may do everything."""
    client.force_login(boss)
    return client


@pytest.fixture
def post(page: Client) -> Post:
    """Post an operation as the page does: ``post("add_step", uses="fetch")``."""

    def post_one(op: str, *, headers: dict[str, str] = HTMX, **values: Any) -> HttpResponse:
        values.setdefault("version", drafts.load("numbers").version)
        return page.post(f"{URL}op/", {"op": op, **values}, headers=headers)  # type: ignore[return-value]

    return post_one
