"""What people note about a step: written in the panel, shown there, on its card and in the list."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from pgflow_django import drafts, executor, flow_builder
from pgflow_django.registry import registry
from tests.views.editor.conftest import HTMX, URL, Post, make_user

NOTE = "Asks the shop for <b>today's</b> orders.\n\nMind the time zone."
RUN = "/admin/pgflow_django/workflowrun/"


def text_of(response: Any) -> str:
    assert response.status_code == 200
    return str(response.content.decode())


def description() -> str | None:
    found: str | None = drafts.load("numbers").document["steps"][0].get("description")
    return found


def tooltip(page: str, slug: str = "fetch") -> list[str]:
    """The lines that are shown while the pointer is on a card."""
    found = re.search(rf'id="pgf-step-{slug}"[^>]*><title>(.*?)</title>', page, re.DOTALL)
    return unescape(found[1]).split("\n") if found else []


@pytest.mark.parametrize("headers", [HTMX, {}], ids=["script", "no script"])
def test_it_is_written_in_the_panel(page: Client, post: Post, headers: dict[str, str]) -> None:
    field = re.search(
        r'<textarea[^>]* id="pgf-f-description"[^>]*>',
        text_of(page.get(f"{URL}panel/?step=fetch", headers=HTMX)),
    )
    assert field
    assert 'maxlength="2000"' in field[0]
    as_browsers_send_it = NOTE.replace("\n", "\r\n")
    answer = post("save_step", headers=headers, step="fetch", description=as_browsers_send_it)
    assert answer.status_code == (200 if headers else 302)
    assert description() == NOTE
    panel = text_of(page.get(f"{URL}edit/?step=fetch"))
    assert "Asks the shop for &lt;b&gt;today&#x27;s&lt;/b&gt; orders." in panel
    post("save_step", headers=headers, step="fetch", description="")
    assert description() is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\0b", "the character \\u0000"),
        ("x" * 2_001, "2,001 characters, but may have at most 2,000"),
    ],
)
def test_what_cannot_be_kept_is_refused(post: Post, text: str, message: str) -> None:
    answer = post("save_step", step="fetch", description=text)
    assert answer.status_code == 422
    assert message in unescape(answer.content.decode())
    assert description() is None


def test_it_stands_on_the_card_and_in_the_list(page: Client, post: Post) -> None:
    post("update_step", step="fetch", description=NOTE)
    lines = ["Asks the shop for <b>today's</b> orders.", "Mind the time zone."]
    assert tooltip(text_of(page.get(f"{URL}canvas/")))[-2:] == lines
    assert "Mind the time zone." in text_of(page.get(f"{URL}edit/?view=list"))
    drawing = text_of(page.get(f"{URL}diagram.svg"))
    assert "Mind the time zone.</title>" in drawing
    post("update_step", step="fetch", description="long " * 400)
    assert tooltip(text_of(page.get(f"{URL}canvas/")))[-1].endswith("long…")
    assert len(tooltip(text_of(page.get(f"{URL}canvas/")))[-1]) <= 300


def test_cards_of_large_flows_have_it_too(page: Client) -> None:
    steps = [{"slug": f"step_{number}"} for number in range(201)]
    drafts.create("large", {"steps": [*steps, {"slug": "noted", "description": NOTE}]}, user="ada")
    drawing = text_of(page.get(URL.replace("numbers", "large") + "canvas/"))
    assert tooltip(drawing, "noted")[-1] == "Mind the time zone."
    assert drawing.count("<title>") == 1


def test_readers_see_it_apart_from_what_the_function_says(post: Post, client: Client) -> None:
    def fetch(input: Any) -> None:
        """Read whatever address it is given."""

    registry.unregister("fetch")
    registry.register(fetch)
    post("update_step", step="fetch", description=NOTE)
    viewer = make_user("viewer")
    assert viewer
    client.force_login(viewer)
    panel = text_of(client.get(f"{URL}panel/?step=fetch")).split('id="pgf-as-json"')[0]
    assert "<textarea" not in panel
    assert panel.count("Mind the time zone.") == 1
    assert '<p class="pgf-help" dir="auto">Read whatever address it is given.</p>' in panel
    assert panel.index("Mind the time zone.") < panel.index("Read whatever address")
    assert "Read whatever address" not in "".join(tooltip(text_of(client.get(f"{URL}canvas/"))))


def test_a_run_shows_that_of_its_version(page: Client, post: Post) -> None:
    post("update_step", step="fetch", description=NOTE)
    drafts.publish("numbers", drafts.load("numbers").version, user="ada")
    run = executor.start_flow("numbers")
    post("update_step", step="fetch", description="Something else.")
    drafts.publish("numbers", drafts.load("numbers").version, user="ada")
    assert flow_builder.export_flow("numbers")["steps"][0]["description"] == "Something else."
    assert tooltip(text_of(page.get(f"{RUN}{run.pk}/change/")))[-1] == "Mind the time zone."
    panel = text_of(page.get(f"{RUN}{run.pk}/step/?step=fetch"))
    assert "orders.<br><br>Mind the time zone.</p>" in panel
    found = text_of(page.get(f"{RUN}{run.pk}/find/?find=time zone", headers=HTMX))
    assert "fetch: 1 of 1" in found
