"""What the editor's pages answer: parts for htmx, whole pages without it, refusals, conflicts."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from pgflow_django import drafts
from pgflow_django.models import Workflow
from tests.views.editor.conftest import HTMX, URL, Post


def text_of(response: Any) -> str:
    return str(response.content.decode())


def slugs() -> list[str]:
    return [row["slug"] for row in drafts.load("numbers").document["steps"]]


def test_an_edit_brings_every_part_of_the_page_that_it_changes(post: Post) -> None:
    response = post("add_step", uses="fetch", depends_on=["report"], selected="report")
    page = text_of(response)
    assert page.lstrip().startswith('<svg id="pgf-dag"')
    assert re.findall(r'<\w+[^>]* id="(pgf-[a-z]+)"[^>]* hx-swap-oob="', page) == [
        "pgf-bar", "pgf-panel", "pgf-live", "pgf-toasts",
        "pgf-conflict",
    ]  # fmt: skip
    assert 'id="pgf-step-fetch_2"' in page
    assert "Added step &quot;fetch_2&quot;." in page
    event = json.loads(response["HX-Trigger-After-Swap"])
    assert event == {"pgflow:edited": {"steps": ["fetch_2"]}}
    assert "hx-request" in response["Vary"].lower()
    assert "no-store" in response["Cache-Control"]


def test_without_htmx_an_edit_leads_back_to_the_page(page: Client, post: Post) -> None:
    response = post("add_step", uses="fetch", view="list", headers={})
    assert (response.status_code, response.url) == (302, f"{URL}edit/?view=list&step=fetch_2")
    assert "Added step &quot;fetch_2&quot;." in text_of(page.get(response.url))


@pytest.mark.parametrize(
    ("op", "values", "message"),
    [
        ("add_edge", {"source": "report", "target": "fetch"}, "cycle"),
        ("add_edge", {"source": "fetch", "target": "double"}, "already"),
        ("delete_step", {"step": "nothing"}, "There is no step"),
        ("rename_step", {"step": "fetch", "to": "run"}, "reserved"),
        ("rename_step", {"step": "fetch", "to": "report"}, "already"),
        ("save_step", {"step": "fetch", "timeout": "soon"}, "must be a whole number"),
        ("save_step", {"step": "fetch", "params": "{nothing}"}, "line 1, column 2"),
        ("save_step", {"step": "fetch", "params": "NaN"}, "NaN"),
        ("save_step", {"step": "fetch", "params": '{"a": 1, "a": 2}'}, "column 10"),
        ("save_step", {"step": "fetch", "params": "[" * 100_000}, "nested deeper"),
        ("set_flow", {"queue": "in_process"}, "reserved"),
        ("restore", {"seq": "99"}, "not kept"),
        ("fix", {"fix": "patch", "arguments": "[]"}, "not known"),
        ("fix", {"fix": "replace", "arguments": "{}"}, "not known"),
        ("drop_table", {}, "does not know"),
        ("", {}, "does not know"),
        ("add_step", {"version": "many"}, "which version"),
        ("add_step", {"slug": "<script>alert(1)</script>"}, "must be letters"),
    ],
)
def test_a_refusal_says_why_and_changes_nothing(
    post: Post, op: str, values: dict[str, str], message: str
) -> None:
    before = drafts.load("numbers")
    response = post(op, **values)
    assert (response.status_code, response["HX-Reswap"]) == (422, "none")
    assert message in text_of(response)
    assert "<script" not in text_of(response)
    assert 'id="pgf-dag"' not in text_of(response)
    whole = post(op, headers={}, **values)
    assert whole.status_code == 422
    assert message in text_of(whole)
    assert drafts.load("numbers") == before


def test_a_refused_value_is_told_once_beside_its_field(post: Post) -> None:
    page = text_of(post("save_step", step="fetch", timeout="0"))
    error = '<p class="pgf-field-error" id="pgf-e-timeout" hx-swap-oob="true" role="alert">'
    assert error in page
    assert page.count("timeout is 0") == 1
    several = text_of(post("save_step", step="fetch", timeout="0", max_attempts="x"))
    assert "2 fields are to be corrected" in several
    assert several.count("timeout is 0") == 1


def test_who_comes_second_gets_a_choice(post: Post, boss: User) -> None:
    seen = drafts.load("numbers").version
    ann = User.objects.create_superuser("ann")
    drafts.edit("numbers", seen, "duplicate", {"step": "fetch"}, user=ann)
    response = post("save_step", version=seen, step="report", timeout="99", selected="report")
    page = text_of(response)
    assert (response.status_code, response["HX-Reswap"]) == (409, "none")
    assert "ann has changed this flow" in page
    assert "Duplicated step" in page
    form = re.findall(r'name="(\w+)" value="([^"]*)"', page[page.index("data-version") :])
    values = {name: value for name, value in form if name != "csrfmiddlewaretoken"}
    assert values.pop("op") == "save_step"
    assert post("save_step", **values).status_code == 200
    steps = {row["slug"]: row for row in drafts.load("numbers").document["steps"]}
    assert steps["report"]["timeout"] == 99
    assert "fetch_2" in steps


@pytest.mark.parametrize("op", ["undo", "redo"])
def test_undo_is_not_offered_on_top_of_what_others_did(post: Post, op: str) -> None:
    seen = drafts.load("numbers").version
    ann = User.objects.create_superuser("ann")
    drafts.edit("numbers", seen, "duplicate", {"step": "fetch"}, user=ann)
    response = post(op, version=seen)
    page = text_of(response)
    assert response.status_code == 409
    assert "ann has changed this flow" in page
    assert "Apply mine on top" not in page


def test_a_form_of_the_panel_changes_what_differs(post: Post) -> None:
    post(
        "save_step", step="double", slug="twice", type="map", uses="", timeout="60",
        depends_on=["", "fetch"], max_attempts="", base_delay="", params='{"by": 2}',
    )  # fmt: skip
    rows = drafts.load("numbers").document["steps"]
    changed = {
        "slug": "twice", "uses": "double", "depends_on": ["fetch"], "type": "map", "timeout": 60,
        "params": {"by": 2},
    }  # fmt: skip
    assert next(row for row in rows if row["slug"] == "twice") == changed
    version = drafts.load("numbers").version
    assert post("save_step", step="twice", slug="twice", timeout="60").status_code == 200
    assert drafts.load("numbers").version == version


def test_publishing_is_told_and_logged(page: Client, post: Post) -> None:
    post("delete_step", step="report")
    values = {"version": drafts.load("numbers").version}
    response = page.post(f"{URL}publish/", values, headers=HTMX)
    assert "Published version 2." in text_of(response)
    assert Workflow.objects.get(pk="numbers").version == 2
    assert not drafts.load("numbers").has_changes
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.user.username) == ("numbers", "boss")
    assert "Published version 2." in entry.change_message


def test_a_flow_without_steps_is_not_published(page: Client, boss: User) -> None:
    draft = drafts.create("empty", user=boss)
    url = "/admin/pgflow_django/workflow/empty/publish/"
    response = page.post(url, {"version": draft.version}, headers=HTMX)
    assert (response.status_code, response["HX-Reswap"]) == (422, "none")


def test_discarding_goes_back_to_what_is_published(page: Client, post: Post, boss: User) -> None:
    post("delete_step", step="report")
    assert post("discard").status_code == 200
    assert slugs() == ["fetch", "double", "report"]
    draft = drafts.create("mine", user=boss)
    url = "/admin/pgflow_django/workflow/mine/op/"
    response = page.post(url, {"op": "discard", "version": draft.version}, headers=HTMX)
    assert response["HX-Redirect"] == "/admin/pgflow_django/workflow/"


def test_a_get_writes_nothing(page: Client, numbers: drafts.Draft) -> None:
    for name in ("edit", "canvas", "panel"):
        page.get(f"{URL}{name}/")
    assert drafts.load("numbers") == numbers


def test_flows_defined_in_code_are_read_only(page: Client, post: Post) -> None:
    Workflow.objects.filter(pk="numbers").update(origin="code")
    text = text_of(page.get(f"{URL}edit/"))
    assert "This flow is defined in code" in text
    assert "data-op-form" not in text
    assert post("delete_step", step="report").status_code == 403


def test_whatever_people_write_is_shown_as_text(page: Client, post: Post) -> None:
    evil = '"><img src=x onerror=alert(1)>{{ 7|add:7 }}</textarea><script>alert(1)</script>'
    assert post("set_flow", description=evil).status_code == 200
    assert post("save_step", step="fetch", params=json.dumps({"a": evil})).status_code == 200
    for url in (f"{URL}edit/", f"{URL}panel/", f"{URL}panel/?step=fetch", f"{URL}edit/?view=list"):
        text = text_of(page.get(url))
        assert "<img" not in text
        assert "alert(1)</script>" not in text


def test_nothing_of_a_page_is_inline(page: Client) -> None:
    for query in ("", "?step=double", "?view=list"):
        text = text_of(page.get(f"{URL}edit/{query}"))
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|hx-on|<script(?![^>]*\ssrc=)", text)


@pytest.mark.parametrize("path", ["edit/", "edit/?view=list", "canvas/", "panel/?step=s1", "op/"])
def test_the_number_of_queries_does_not_grow_with_the_flow(
    page: Client, boss: User, path: str
) -> None:
    counts = []
    for count in (3, 60):
        slug = f"flow_{count}"
        steps = [{"slug": f"s{n}", "depends_on": [f"s{n - 1}"] if n else []} for n in range(count)]
        version = drafts.create(slug, {"steps": steps}, user=boss).version
        url = f"/admin/pgflow_django/workflow/{slug}/{path}"
        with CaptureQueriesContext(connection) as queries:
            if path == "op/":
                values = {"op": "add_step", "uses": "fetch", "version": version}
                assert page.post(url, values, headers=HTMX).status_code == 200
            else:
                assert page.get(url).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_a_strange_cookie_counts_as_none(page: Client) -> None:
    page.cookies["pgf_view"] = "TB.600x900"
    assert 'data-direction="TB"' in text_of(page.get(f"{URL}canvas/"))
    for text in ("sideways.1x1", "LR.0x0", "LR.99999x1", '"><script>'):
        page.cookies["pgf_view"] = text
        assert page.get(f"{URL}canvas/").status_code == 200


@pytest.mark.parametrize(("before", "after"), [("1", "true"), ("1", "1.0"), ("[0]", "[false]")])
def test_values_that_only_python_takes_for_the_same_are_changes(
    post: Post, before: str, after: str
) -> None:
    for text in (before, after):
        assert post("save_step", step="fetch", params=text).status_code == 200
        row = drafts.load("numbers").document["steps"][0]
        assert json.dumps(row["params"]) == text
    seen = drafts.history("numbers")[0]
    assert [str(change) for change in drafts.compare("numbers", seen.seq)] == [
        f"step fetch: params {before} → {after}"
    ]
    drafts.publish("numbers", drafts.load("numbers").version, user="boss")
    assert not drafts.load("numbers").has_changes


def test_a_default_that_only_python_takes_for_one_is_refused(post: Post) -> None:
    refusal = {"fix": "set_flow", "arguments": '{"base_delay": true}'}
    assert post("fix", **refusal).status_code == 422
    assert post("fix", fix="set_flow", arguments='{"max_attempts": 3.0}').status_code == 422


def test_a_new_flow_has_no_problems_yet_and_cannot_be_published(page: Client) -> None:
    drafts.create("fresh", user="boss")
    url = URL.replace("numbers", "fresh")
    html = text_of(page.get(f"{url}edit/"))
    assert 'id="pgf-problems"' not in html
    assert "Draw the first step" in html
    assert "just now" in html  # the last edit
    version = drafts.load("fresh").version
    answer = page.post(f"{url}publish/", {"version": version}, headers=HTMX)
    assert answer.status_code == 422
    assert "has no steps" in text_of(answer)
