"""The pages in other sites than ours: a stock admin, other paths, two admins, django-unfold."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client, override_settings

from pgflow_django import drafts
from pgflow_django.models import WorkflowRun
from tests.engine.database import clean
from tests.views.conftest import make_flow, run_flow

ROOT = Path(__file__).parents[2]
OUR_OWN = {"project.policy.StrictPolicy", "django_htmx.middleware.HtmxMiddleware"}
#: What ``startproject`` writes.
STOCK = [name for name in settings.MIDDLEWARE if name not in OUR_OWN]
_DATABASE = ("NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS")


def list_pages(run: WorkflowRun, root: str = "/admin/") -> list[str]:
    """The addresses of every page that is looked at."""
    flow = f"{root}pgflow_django/workflow/{run.workflow_slug}/"
    flows, runs = f"{root}pgflow_django/workflow/", f"{root}pgflow_django/workflowrun/"
    return [
        flows,
        f"{flows}new/",
        f"{flows}import/",
        f"{flow}edit/",
        f"{flow}edit/?view=list&step=double",
        f"{flow}run/",
        f"{flow}import/",
        f"{flow}history/",
        runs,
        f"{runs}{run.pk}/change/",
    ]


@pytest.fixture
def run(flow: str) -> WorkflowRun:
    """Give a run that has ended, of a flow with a draft."""
    User.objects.create_superuser("boss")
    version = drafts.load(flow).version
    drafts.edit(flow, version, "set_flow", {"description": "once more"}, user=_boss())
    return run_flow(flow)


def _boss() -> User:
    return User.objects.get(username="boss")


def _log_in() -> Client:
    client = Client()
    client.force_login(_boss())
    return client


def find_links(text: str) -> set[str]:
    """Where links, forms and htmx lead within the site."""
    found = re.findall(r'\b(?:href|action|hx-get|hx-post|data-[a-z]+-url)="(/[^"]*)"', text)
    return {link for link in found if not link.startswith(("/static/", "//"))}


@pytest.mark.django_db
@override_settings(MIDDLEWARE=STOCK)
def test_the_pages_need_no_middleware_of_ours(run: WorkflowRun) -> None:
    client = _log_in()
    assert {page: client.get(page).status_code for page in list_pages(run)} == dict.fromkeys(
        list_pages(run), 200
    )
    flow = f"/admin/pgflow_django/workflow/{run.workflow_slug}/"
    values = {"op": "add_step", "slug": "more", "version": drafts.load("numbers").version}
    answer = client.post(f"{flow}op/", values, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    assert "more" in [step["slug"] for step in drafts.load("numbers").document["steps"]]


@pytest.mark.django_db
@pytest.mark.parametrize("root", ["/back/stage/", "/office/"])
@override_settings(ROOT_URLCONF="tests.views.other_urls")
def test_links_stay_in_the_admin_that_one_is_in(run: WorkflowRun, root: str) -> None:
    client = _log_in()
    for page in list_pages(run, root):
        answer = client.get(page)
        assert answer.status_code == 200, page
        strays = {link for link in find_links(answer.content.decode()) if link != "/"}
        assert {link for link in strays if not link.startswith(root)} == set(), page


@pytest.mark.django_db
@override_settings(ROOT_URLCONF="tests.views.other_urls")
def test_redirects_and_the_login_stay_in_the_admin_too(run: WorkflowRun) -> None:
    flow, runs = "/office/pgflow_django/workflow/", "/office/pgflow_django/workflowrun/"
    client = _log_in()
    started = client.post(f"{flow}numbers/run/", {"mode": "json", "input": "{}"})
    assert started["Location"].startswith(runs)
    assert client.get(f"{flow}numbers/change/")["Location"] == f"{flow}numbers/edit/"
    drawn = client.post(f"{flow}new/", {"name": "another"})
    assert drawn["Location"].startswith(f"{flow}another/edit/")
    stranger = Client().get(f"{flow}numbers/edit/")
    assert stranger["Location"].startswith("/office/login/")
    ended = Client().get(f"{runs}{run.pk}/live/", headers={"HX-Request": "true"})
    assert ended["HX-Redirect"].startswith("/office/login/")


@pytest.fixture
def committed(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Let the test commit, since another process must see what it does."""
    with django_db_blocker.unblock():
        clean()
        yield
        clean()
        User.objects.all().delete()


def test_the_pages_work_under_unfold(committed: None, steps: None) -> None:
    pytest.importorskip("unfold")
    User.objects.create_superuser("boss")
    run = run_flow(make_flow())
    pages = list_pages(run)
    database = {key: connection.settings_dict[key] for key in _DATABASE}
    connection.close()
    done = subprocess.run(
        [sys.executable, "-m", "tests.views.visit_unfold", *pages],
        cwd=ROOT,
        env={**os.environ, "SITE_TEST_DATABASE": json.dumps(database)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert {page: answers[page][0] for page in pages} == dict.fromkeys(pages, 200)
    for page in pages:
        assert "/static/unfold/" in answers[page][1], page  # it is Unfold's page
        assert "pgflow_django/pgflow.css" in answers[page][1], page  # with our parts
        assert 'id="nav-sidebar-inner"' in answers[page][1], page  # and its only menu
    trail = answers[f"/admin/pgflow_django/workflowrun/{run.pk}/change/"][1].partition("</h1>")[0]
    assert 'href="/admin/pgflow_django/workflowrun/"' in trail.rpartition("<h1")[2]
