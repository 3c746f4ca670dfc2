"""What the admin's pages ask of its hooks: each of them once, and about what is there."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin import site
from django.contrib.auth.models import Permission, User
from django.http import HttpRequest
from django.test import RequestFactory

from pgflow_django import drafts
from pgflow_django.admin import WorkflowAdmin
from pgflow_django.models import Workflow
from pgflow_django.views.page import Page
from tests.views.conftest import LogIn, address

pytestmark = pytest.mark.django_db


def test_an_edit_asks_for_its_permission_once(
    flow: str, log_in: LogIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def watch(hook: str) -> None:
        original = getattr(WorkflowAdmin, hook)

        def ask(self: WorkflowAdmin, request: HttpRequest, obj: Any = None) -> bool:
            asked.append(hook)
            return bool(original(self, request, obj))

        monkeypatch.setattr(WorkflowAdmin, hook, ask)

    for hook in ("has_view_permission", "has_change_permission", "has_publish_permission"):
        watch(hook)
    client = log_in("boss")
    data = {"op": "add_step", "slug": "more", "version": drafts.load("numbers").version}
    answer = client.post(address("workflow_op", "numbers"), data, headers={"HX-Request": "true"})
    assert answer.status_code == 200, answer.content
    assert len(asked) == len(set(asked)), asked


def test_an_answer_is_never_that_about_an_object_that_is_gone(
    rf: RequestFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        WorkflowAdmin, "has_change_permission", lambda self, request, flow: flow.pk == "mine"
    )
    page = Page(rf.get("/"), site.get_model_admin(Workflow))
    for number in range(100):  # each takes the place of the one before it
        slug = "mine" if number % 2 else "theirs"
        assert page.may("change", Workflow(workflow_slug=slug)) is (slug == "mine")


def test_the_users_of_these_tests_have_no_more_than_they_say(log_in: LogIn) -> None:
    log_in("may", "view_workflow")
    found = Permission.objects.filter(user=User.objects.get(username="may"))
    assert [each.codename for each in found] == ["view_workflow"]
