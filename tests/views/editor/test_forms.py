"""Whole forms: all of one is stored or nothing, what was typed stays, each field has its error."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from pgflow_django import drafts
from tests.views.editor.conftest import HTMX, URL, Post

PLAIN: dict[str, str] = {}


def text_of(response: Any) -> str:
    return unescape(response.content.decode())


def error_of(page: str, field: str) -> str:
    """What stands beside a field."""
    found = re.search(rf'<p class="pgf-field-error" id="pgf-e-{field}"[^>]*>([^<]*)</p>', page)
    assert found, field
    return found[1].strip()


def value_of(page: str, name: str) -> str:
    """What stands in a field of one line."""
    found = re.search(rf'<input[^>]* name="{name}"[^>]* value="([^"]*)"', page)
    assert found, name
    return found[1]


def test_a_form_with_bad_fields_stores_nothing_and_keeps_what_was_typed(post: Post) -> None:
    before = drafts.load("numbers")
    page = text_of(
        post(
            "save_step", headers=PLAIN, step="double", slug="bad name", timeout="77", type="single",
            max_attempts="many", start_delay="-1", params="{no", queue="slow",
            depends_on=["", "report"],
        )
    )  # fmt: skip
    assert drafts.load("numbers") == before
    assert value_of(page, "slug") == "bad name"
    assert value_of(page, "timeout") == "77"
    assert value_of(page, "max_attempts") == "many"
    assert value_of(page, "queue") == "slow"
    assert "{no</textarea>" in page
    assert re.search(r'value="single"\s+checked', page)
    assert re.search(r'value="report" checked', page)
    assert "must be letters" in error_of(page, "slug")
    assert "must be a whole number" in error_of(page, "max_attempts")
    assert "must be a whole number" in error_of(page, "start_delay")
    assert "line 1, column 2" in error_of(page, "params")
    assert error_of(page, "timeout") == ""
    assert "Nothing is saved" in page
    assert re.search(r'id="pgf-more-fields"\s+open', page)


def test_a_loop_is_told_beside_what_the_step_waits_for(post: Post) -> None:
    values = {"step": "fetch", "slug": "fetch", "timeout": "9", "depends_on": ["", "report"]}
    page = text_of(post("save_step", headers=PLAIN, **values))
    assert "cycle" in error_of(page, "depends_on")
    assert value_of(page, "timeout") == "9"


def test_the_form_of_the_flow_is_stored_as_a_whole_or_not_at_all(post: Post) -> None:
    before = drafts.load("numbers")
    values = {"description": "New", "timeout": "soon", "queue": "Not This", "input_schema": "[1]"}
    page = text_of(post("save_flow", headers=PLAIN, **values))
    assert drafts.load("numbers") == before
    assert "New</textarea>" in page
    assert value_of(page, "timeout") == "soon"
    for field in ("timeout", "queue", "input_schema"):
        assert "must be" in error_of(page, field)


def test_one_form_is_one_change(post: Post) -> None:
    before = drafts.load("numbers").document
    values = {"slug": "twice", "timeout": "9", "max_attempts": "2", "uses": "double"}
    post("save_step", headers=PLAIN, step="double", **values)
    steps = {row["slug"]: row for row in drafts.load("numbers").document["steps"]}
    assert steps["twice"]["timeout"] == 9
    assert steps["report"]["depends_on"] == ["twice"]
    assert len(drafts.history("numbers")) == 2
    post("undo")
    assert drafts.load("numbers").document == before


def test_a_new_step_that_is_refused_stays_in_its_form(post: Post) -> None:
    values = {"slug": "1st", "uses": "double", "type": "map", "depends_on": "fetch"}
    page = text_of(post("add_step", headers=PLAIN, view="list", **values))
    form = page[page.index('id="pgf-add-form"') :]
    assert value_of(form, "slug") == "1st"
    for chosen in ("double", "map", "fetch"):
        assert re.search(rf'<option value="{chosen}" selected>', form)
    assert "must be letters" in error_of(page, "add-slug")
    part = text_of(post("add_step", view="list", **values))
    assert "must be letters" in error_of(part, "add-slug")


def test_an_answer_names_no_field_that_its_page_lacks(post: Post) -> None:
    for op, values in (
        ("add_edge", {"source": "report", "target": "fetch"}),
        ("rename_step", {"step": "fetch", "to": "1st"}),
        ("add_step", {"slug": "1st"}),
        ("restore", {"seq": "99"}),
        ("delete_step", {"step": "gone"}),
        ("save_step", {"step": "gone", "timeout": "9"}),
    ):
        assert "pgf-e-" not in text_of(post(op, **values)), op


def test_only_a_whole_page_has_buttons_for_those_without_javascript(
    page: Client, post: Post
) -> None:
    for query in ("", "?step=fetch"):
        assert "<noscript>" in text_of(page.get(f"{URL}edit/{query}"))
        assert "<noscript>" not in text_of(page.get(f"{URL}panel/{query}", headers=HTMX))
    assert "<noscript>" not in text_of(post("save_step", step="fetch", timeout="9"))


def test_a_step_that_is_gone_is_told(page: Client, post: Post) -> None:
    post("rename_step", step="fetch", to="get")
    for url in (f"{URL}panel/?step=fetch", f"{URL}edit/?step=fetch"):
        text = text_of(page.get(url))
        assert "There is no step fetch any more" in text
        assert ">The flow</h2>" not in text


@pytest.mark.parametrize("who", ["boss", "ann"])
def test_what_others_did_to_the_step_itself_is_told(post: Post, who: str) -> None:
    seen = drafts.load("numbers").version
    user = User.objects.filter(username=who).first() or User.objects.create_superuser(who)
    drafts.edit("numbers", seen, "rename_step", {"step": "fetch", "to": "get"}, user=user)
    response = post("save_step", version=seen, step="fetch", timeout="soon")
    page = text_of(response)
    assert response.status_code == 409
    told = "You have changed" if who == "boss" else "ann has changed"
    assert told in page
    assert "There is no step fetch any more" in page
    assert "Apply mine on top" not in page
    response = post("save_step", version=seen, step="report", timeout="9")
    assert "Apply mine on top" in text_of(response)
