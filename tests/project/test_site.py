"""The demo site's own pages, with its own settings for templates and URLs."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.test import Client, override_settings

from project import settings


@pytest.fixture(autouse=True)
def site() -> object:
    with override_settings(
        ROOT_URLCONF="project.urls",
        TEMPLATES=settings.TEMPLATES,
        STATICFILES_DIRS=settings.STATICFILES_DIRS,
    ):
        yield


def test_the_landing_page_says_how_to_run_the_flow(client: Client) -> None:
    response = client.get("/")
    assert response.status_code == 200
    assert "make demo" in response.content.decode()


def test_a_wrong_address_gets_the_sites_own_page(client: Client) -> None:
    response = client.get("/nowhere")
    assert response.status_code == 404
    assert "This address leads nowhere" in response.content.decode()
    assert "script-src" in response["Content-Security-Policy"]


@override_settings(DEBUG=True)
def test_djangos_page_for_developers_is_not_under_the_policy(client: Client) -> None:
    assert "Content-Security-Policy" not in client.get("/nowhere").headers
    assert "Content-Security-Policy" in client.get("/").headers


@pytest.mark.parametrize("path", ["/", "/nowhere", "/admin/login/"])
def test_every_page_has_the_sites_icon(client: Client, path: str) -> None:
    assert 'rel="icon" href="/static/project/icon.svg"' in client.get(path).content.decode()
    assert client.get("/favicon.ico")["Location"] == "/static/project/icon.svg"
    assert finders.find("project/icon.svg")


@pytest.mark.django_db
def test_the_admin_wears_the_sites_brand_and_shows_airports(client: Client) -> None:
    client.force_login(User.objects.create_superuser("boss"))
    response = client.get("/admin/project/airport/")
    assert response.status_code == 200
    assert "pgflow demo" in response.content.decode()


@pytest.mark.parametrize("path", ["/", "/nowhere", "/admin/login/"])
def test_pages_have_no_inline_style_or_script_of_the_sites(client: Client, path: str) -> None:
    page = client.get(path).content.decode()
    assert 'href="/static/project/site.css"' in page
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", page)
    assert finders.find("project/site.css")
