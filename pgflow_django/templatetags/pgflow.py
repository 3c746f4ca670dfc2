"""``{% load pgflow %}``: markup that many templates share."""

from __future__ import annotations

import re
from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from pgflow_django.drawing.theme import ICONS
from pgflow_django.views import pieces

register = template.Library()


@register.simple_tag
def icon(name: str) -> SafeString:
    """An icon of the sprite, beside or in place of words that say the same."""
    return format_html('<svg class="pgf-i" aria-hidden="true"><use href="#pgf-i-{}"/></svg>', name)


@register.simple_tag
def drawn_icons() -> SafeString:
    """The icons that drawings have, for the sprite: of both types of steps and of each status."""
    return format_html_join(
        "",
        '<symbol id="pgf-i-{}" viewBox="-10 -10 20 20"><path d="{}"/></symbol>',
        ICONS.items(),
    )


register.simple_tag(pieces.show_pill, name="pill")
register.filter("ago", pieces.show_time)


@register.filter
def quoting(text: str) -> SafeString:
    """What a docstring has between backticks, as code."""
    parts = enumerate(re.split(r"`+([^`]+)`+", text))
    marked = (format_html("<code>{}</code>", part) if n % 2 else part for n, part in parts)
    return format_html_join("", "{}", ((part,) for part in marked))


@register.simple_tag(takes_context=True)
def operation_fields(context: template.Context, op: str = "", **values: Any) -> SafeString:
    """The hidden fields of a form that sends an operation, with what it is about in ``values``.

    Version and view are those of the page, unless they are given. A form that names its operation
    elsewhere, in a button or for the script, gives no ``op``.
    """
    fields = {"version": values.pop("version", "") or context["draft"].version}
    if "view" in context:
        fields["view"] = context["view"]
    fields |= {**values, **({"op": op} if op else {})}
    return format_html_join("", '<input type="hidden" name="{}" value="{}">', fields.items())
