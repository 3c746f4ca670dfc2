"""The markup that templates share."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.template import Context, Template

import pgflow_django
from pgflow_django.choices import RunState
from pgflow_django.views.pieces import class_of, name_statuses

TEMPLATES = Path(pgflow_django.__file__).parent / "templates" / "pgflow_django"


def render(text: str, **context: Any) -> str:
    return Template("{% load pgflow %}" + text).render(Context(context))


def test_every_icon_that_a_template_asks_for_is_in_the_sprite() -> None:
    sprite = (TEMPLATES / "editor/_sprite.html").read_text()
    drawn = set(re.findall(r'id="pgf-i-(\w+)"', render(sprite)))
    asked = {
        name
        for path in TEMPLATES.rglob("*.html")
        for name in re.findall(r'{% icon "(\w+)" %}', path.read_text())
    }
    assert asked
    statuses = {*name_statuses(), *map(class_of, RunState.values)}
    assert asked | statuses <= drawn


def test_what_a_docstring_quotes_is_code_and_the_rest_is_text() -> None:
    html = render("{{ doc|quoting }}", doc="Sends `a<b` and ``c``, not `d & `.")
    assert html == "Sends <code>a&lt;b</code> and <code>c</code>, not <code>d &amp; </code>."
    assert render("{{ doc|quoting }}", doc="a ` b") == "a ` b"


@pytest.mark.parametrize(
    ("tag", "context", "expected"),
    [
        ('"undo"', {"view": "list"}, {"version": "7", "view": "list", "op": "undo"}),
        ('"undo" view="diagram"', {"view": "list"}, {"view": "diagram"}),
        ('"restore" seq=3', {}, {"version": "7", "seq": "3", "op": "restore"}),
        ("version=8", {"view": "list"}, {"version": "8", "view": "list"}),
        ("step=step", {"step": '"><b>'}, {"version": "7", "step": "&quot;&gt;&lt;b&gt;"}),
    ],
)
def test_a_form_says_what_it_is_about_and_upon_which_version(
    tag: str, context: dict[str, Any], expected: dict[str, str]
) -> None:
    draft = SimpleNamespace(version=7)
    html = render(f"{{% operation_fields {tag} %}}", draft=draft, **context)
    found = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', html))
    assert found | expected == found
    assert len(found) == html.count("<input")
    assert ("op" in found) == ("op" in expected or '"undo"' in tag)
