"""``{% load pgflow %}``: markup that many templates share."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag
def icon(name: str) -> SafeString:
    """An icon of the sprite, beside or in place of words that say the same."""
    return format_html('<svg class="pgf-i" aria-hidden="true"><use href="#pgf-i-{}"/></svg>', name)


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
