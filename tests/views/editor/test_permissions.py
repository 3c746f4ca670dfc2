"""Who may do what on the editor's pages, whatever the method."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from pgflow_django import drafts
from tests.views.editor.conftest import HTMX, KINDS, URL, make_user

LOOK = ["edit", "find", "canvas", "panel"]
CHANGE = ["op", "publish", "presence"]
SEEN = {"viewer", "editor", "publisher", "boss"}


def expect_status(kind: str, name: str) -> int:
    """The status that a POST (for pages to look at: a GET) gets."""
    if kind == "anonymous":
        return 302
    if kind not in SEEN:
        return 404
    allowed = {
        "op": {"editor", "publisher", "boss"},
        "presence": {"editor", "publisher", "boss"},
        "publish": {"publisher", "boss"},
    }
    return 200 if kind in allowed.get(name, SEEN) else 403


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest, numbers: drafts.Draft, client: Client) -> str:
    user = User.objects.filter(username=request.param).first() or make_user(request.param)
    if user:
        client.force_login(user)
    return str(request.param)


@pytest.mark.parametrize("name", LOOK)
def test_pages_are_for_those_who_may_see_the_flow(client: Client, kind: str, name: str) -> None:
    assert client.get(f"{URL}{name}/").status_code == expect_status(kind, name)


@pytest.mark.parametrize("name", CHANGE)
def test_changes_are_for_those_who_may_make_them(client: Client, kind: str, name: str) -> None:
    version = drafts.load("numbers").version
    before = drafts.load("numbers").document
    values = {"op": "add_step", "slug": "new", "version": version}
    response = client.post(f"{URL}{name}/", values, headers=HTMX if kind != "anonymous" else {})
    assert response.status_code == expect_status(kind, name)
    is_changed = drafts.load("numbers").document != before
    assert is_changed == (name == "op" and response.status_code == 200)


@pytest.mark.parametrize("name", CHANGE)
def test_nothing_is_changed_by_a_get(client: Client, kind: str, name: str) -> None:
    assert client.get(f"{URL}{name}/").status_code == (302 if kind == "anonymous" else 405)


@pytest.mark.parametrize("name", CHANGE)
def test_nothing_is_changed_from_another_site(numbers: drafts.Draft, boss: User, name: str) -> None:
    stranger = Client(enforce_csrf_checks=True)
    stranger.force_login(boss)
    values = {"op": "add_step", "slug": "new", "version": numbers.version}
    assert stranger.post(f"{URL}{name}/", values).status_code == 403


def test_an_unknown_flow_is_not_found(page: Client) -> None:
    for name in LOOK:
        assert page.get(f"/admin/pgflow_django/workflow/nothing/{name}/").status_code == 404
