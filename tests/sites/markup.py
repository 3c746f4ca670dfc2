"""What machines read of a page: attributes, values of fields, JSON. And its forms, filled in."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from html.parser import HTMLParser

#: Attributes that people read, in their language.
_FOR_PEOPLE = re.compile(
    r"title|alt|placeholder|lang|dir|aria-(label|description|roledescription|valuetext)"
    r"|data-(label|confirm|ended|text-.*)"
)
#: Attributes with what is another thing in every answer.
_CHANGING = {"hx-headers", "data-state", "data-now"}
_CHANGING_FIELDS = {"csrfmiddlewaretoken", "token", "confirm"}
#: Elements whose text machines read.
_TEXTS = {"textarea", "script", "style", "option", "pre", "code"}
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?")

Pairs = Iterable[tuple[str, str | None]]


class _Machine(HTMLParser):
    """Collects what a program could read of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: Pairs) -> None:
        if tag in _TEXTS:
            self._inside.append(tag)
        if tag == "link":  # stylesheets: the admin has others for other directions
            return
        values = {name: value or "" for name, value in attrs}
        skips_value = values.get("name") in _CHANGING_FIELDS or values.get("type") == "submit"
        for name, value in values.items():
            is_left_out = _FOR_PEOPLE.fullmatch(name) or name in _CHANGING
            if not is_left_out and not (skips_value and name == "value"):
                self.found.append(f"<{tag} {name}={' '.join(value.split())}>")

    handle_startendtag = handle_starttag

    def handle_endtag(self, tag: str) -> None:
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if self._inside and self._inside[-1] != "option" and data.strip():
            self.found.append(f"<{self._inside[-1]}> {' '.join(data.split())}")


def machine_view(text: str) -> list[str]:
    """What programs read of a page, piece by piece."""
    parser = _Machine()
    parser.feed(text)
    return parser.found


@dataclass
class Form:
    """A form as a browser would send it."""

    attributes: dict[str, str]
    fields: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, value: str) -> None:
        """Fill in one more field."""
        self.fields.setdefault(name, []).append(value)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._form: Form | None = None
        self._text: tuple[str, list[str]] | None = None
        self._select: tuple[str, list[str]] | None = None

    def handle_starttag(self, tag: str, attrs: Pairs) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(values)
            self.forms.append(self._form)
        elif self._form is None or "disabled" in values:
            return
        elif tag == "input" and values.get("name"):
            self._add_input(self._form, values)
        elif tag == "textarea":
            self._text = values["name"], []
        elif tag == "select":
            self._select = values["name"], []
        elif tag == "option" and self._select is not None:
            chosen = self._select[1]
            if "selected" in values or not chosen:
                chosen[:] = [values.get("value", "")]

    handle_startendtag = handle_starttag

    def _add_input(self, form: Form, values: dict[str, str]) -> None:
        kind, value = values.get("type", "text"), values.get("value", "")
        if kind in {"checkbox", "radio"}:
            if "checked" in values:
                form.add(values["name"], values.get("value", "on"))
        elif kind == "number":  # a browser takes what is no number for nothing
            form.add(values["name"], value if _NUMBER.fullmatch(value) else "")
        elif kind != "file":
            form.add(values["name"], value)

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text[1].append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        if self._form is None:
            return
        if tag == "textarea" and self._text is not None:
            name, parts = self._text
            self._form.add(name, "".join(parts).removeprefix("\n"))
            self._text = None
        elif tag == "select" and self._select is not None:
            name, chosen = self._select
            self._form.add(name, *(chosen or [""]))
            self._select = None


def read_forms(text: str) -> list[Form]:
    """The forms of a page."""
    parser = _Forms()
    parser.feed(text)
    return parser.forms
