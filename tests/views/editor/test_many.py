"""Several steps in the editor: what their panel shows, and forms that change or paste them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.test import Client

from pgflow_django import drafts
from tests.views.editor.conftest import HTMX, URL, Post

ALL = "fetch double report"


def text_of(response: Any) -> str:
    return str(response.content.decode())


def rows() -> dict[str, dict[str, Any]]:
    return {row["slug"]: row for row in drafts.load("numbers").document["steps"]}


def selected(response: Any) -> list[str]:
    """The steps that the page goes on with."""
    event = json.loads(response["HX-Trigger-After-Swap"])
    steps: list[str] = event["pgflow:edited"]["steps"]
    return steps


def field(page: str, name: str) -> str:
    """The control of an option."""
    match = re.search(rf'<input[^>]* name="{name}"[^>]*>', page)
    assert match
    return match[0]


def as_json(page: str) -> Any:
    """What the page offers to copy."""
    match = re.search(r'id="pgf-json"[^>]*>([^<]*)<', page)
    assert match
    return json.loads(match[1].replace("&quot;", '"'))


@pytest.mark.parametrize("path", ["panel/?step=fetch&step=report", "panel/?step=fetch+report"])
def test_several_steps_share_a_panel(page: Client, post: Post, path: str) -> None:
    post("update_step", step="fetch report", queue="slow")
    post("update_step", step="fetch", max_attempts="7")
    shown = text_of(page.get(URL + path))
    assert "<h2>2 steps</h2>" in shown
    assert "2 steps selected" in shown
    assert 'value="slow"' in field(shown, "queue")
    assert 'value=""' in field(shown, "max_attempts")
    assert 'placeholder="various"' in field(shown, "max_attempts")
    assert [row["slug"] for row in as_json(shown)["steps"]] == ["fetch", "report"]
    assert as_json(shown)["steps"][1] == {
        "slug": "report",
        "depends_on": ["double"],
        "queue": "slow",
    }


def test_very_many_names_come_in_a_body(page: Client) -> None:
    values = {"step": f"{ALL} {ALL}", "view": "list"}
    assert "<h2>3 steps</h2>" in text_of(page.post(f"{URL}panel/", values, headers=HTMX))


def test_of_steps_that_are_gone_the_panel_shows_nothing_but_that(page: Client) -> None:
    assert "<h2>fetch</h2>" in text_of(page.get(f"{URL}panel/?step=fetch&step=gone"))
    assert "<h2>gone, gone2</h2>" in text_of(page.get(f"{URL}panel/?step=gone+gone2"))


def test_what_several_get_is_one_edit(post: Post) -> None:
    before = drafts.load("numbers").document
    response = post("update_step", step=ALL, max_attempts="9", selected=ALL)
    assert {row["max_attempts"] for row in rows().values()} == {9}
    assert selected(response) == ALL.split()
    assert "<h2>3 steps</h2>" in text_of(response)
    post("update_step", step=ALL, max_attempts="")
    assert drafts.load("numbers").document == before
    post("undo")
    assert {row["max_attempts"] for row in rows().values()} == {9}
    post("undo")
    assert drafts.load("numbers").document == before


def test_a_refused_value_for_several_is_told_beside_its_field(post: Post) -> None:
    response = post(
        "update_step", step="fetch report", queue="Not a queue", selected="fetch report"
    )
    assert response.status_code == 422
    assert 'id="pgf-e-queue" hx-swap-oob="true"' in text_of(response)
    assert "queue" not in rows()["fetch"]


def test_several_are_deleted_and_duplicated(post: Post) -> None:
    response = post("duplicate", step="fetch double", selected="fetch double")
    assert selected(response) == ["fetch_2", "double_2"]
    assert rows()["double_2"]["depends_on"] == ["fetch_2"]
    response = post("delete_step", step="fetch_2 double_2", selected="fetch_2 double_2")
    assert (list(rows()), selected(response)) == (ALL.split(), [])


def test_pasted_steps_go_behind_the_selected_one(post: Post) -> None:
    text = json.dumps({"steps": [{"slug": "double", "depends_on": ["fetch"], "type": "map"}]})
    response = post("paste", text=text, selected="report")
    assert selected(response) == ["double_2"]
    assert rows()["double_2"] == {
        "slug": "double_2",
        "uses": "double",
        "type": "map",
        "depends_on": ["report"],
    }


@pytest.mark.parametrize("where", ["double", "double_2", "", ALL, "gone"])
def test_a_copy_goes_beside_what_it_is_a_copy_of(post: Post, where: str) -> None:
    post("duplicate", step="double")
    text = json.dumps([{"slug": "double", "depends_on": ["fetch"], "type": "map"}])
    post("paste", text=text, selected=where)
    assert rows()["double_3"]["depends_on"] == ["fetch"]


def test_a_function_that_nobody_knows_is_pasted_and_told(post: Post) -> None:
    page = text_of(post("paste", text='{"slug": "load", "uses": "shop.load"}'))
    assert rows()["load"]["uses"] == "shop.load"
    assert "no function &quot;shop.load&quot; is registered" in page


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no steps in this"),
        ("Dear Ann,", "line 1, column 1"),
        ('{"steps": [{"slug": "a", "slug": "b"}]}', "column 26"),
        ("[" * 100_000, "nested deeper"),
        ('"fetch"', "no steps in this"),
        ('{"steps": [{"slug": "1st"}]}', "must be letters"),
        ('{"steps": [{"slug": "a", "colour": 1}]}', "no key &quot;colour&quot;"),
        ('{"slug": "a", "depends_on": [[]]}', "must hold step names"),
        ('{"slug": "<script>"}', "must be letters"),
    ],
)
def test_what_can_not_be_pasted_is_refused_and_kept(post: Post, text: str, message: str) -> None:
    before = drafts.load("numbers")
    response = post("paste", text=text)
    assert (response.status_code, response["HX-Reswap"]) == (422, "none")
    assert message in text_of(response)
    assert 'id="pgf-e-text" hx-swap-oob="true"' in text_of(response)
    whole = post("paste", text=text, headers={})
    assert whole.status_code == 422
    assert message in text_of(whole)
    assert "<script>" not in text_of(whole)
    if 0 < len(text) < 100:
        kept = re.search(r'id="pgf-f-text"[^>]*>([^<]*)</textarea>', text_of(whole))
        assert kept
        assert kept[1].replace("&quot;", '"').replace("&lt;", "<").replace("&gt;", ">") == text
    assert drafts.load("numbers") == before


def test_without_scripts_ticked_steps_are_gone_on_with(page: Client, post: Post) -> None:
    shown = text_of(page.get(f"{URL}edit/?view=list&step=fetch&step=report"))
    ticked = re.findall(r'value="(\w+)"\s+form="pgf-ticked"[^>]*\bchecked', shown)
    assert ticked == ["fetch", "report"]
    assert "<h2>2 steps</h2>" in shown
    response = post("delete_step", step="fetch report", view="list", headers={})
    assert response.status_code == 302
    assert list(rows()) == ["double"]
    response = post("paste", text='[{"slug": "fetch"}, {"slug": "a"}]', view="list", headers={})
    assert "<h2>2 steps</h2>" in text_of(page.get(response.url))


def test_who_may_only_look_can_copy(client: Client, numbers: drafts.Draft) -> None:
    from tests.views.editor.conftest import make_user

    viewer = make_user("viewer")
    assert viewer
    client.force_login(viewer)
    for steps in ("fetch", ALL):
        page = text_of(client.get(f"{URL}panel/", {"step": steps}))
        assert len(as_json(page)["steps"]) == len(steps.split())
        assert "data-op-form" not in page
    assert "pgf-as-json" not in text_of(client.get(f"{URL}panel/"))
