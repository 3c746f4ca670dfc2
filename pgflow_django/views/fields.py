"""Fields of forms: one kind of field for the options of flows and steps and for a run's input.

``pgflow_django/_field.html`` draws a field.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from django.forms.utils import flatatt
from django.utils.translation import gettext as _

from pgflow_django import jsonvalue
from pgflow_django.definitions.source import find_fault, find_place

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.utils.safestring import SafeString

    from pgflow_django.definitions.options import Option
    from pgflow_django.definitions.rules import Control, Kind

#: Bytes of a JSON text that a page takes; larger ones are for programs.
MAX_BYTES = 1024 * 1024

#: Digits of other scripts, and numbers that no column holds, are refused as they were typed.
_WHOLE_NUMBER = re.compile("-?[0-9]{1,18}")
#: Kinds whose values stand in their control as they are.
_PLAIN = {"name", "text", "string", "date", "radio"}
#: Kinds with an ``<input>`` of their own, and its type.
_INPUTS = {
    "name": "text",
    "string": "text",
    "date": "date",
    "integer": "number",
    "number": "number",
    "boolean": "checkbox",
}
#: Kinds of several lines, and how many are shown.
_LINES = {"text": 3, "json": 4, "list": 4}
_CODE = {"json", "list"}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the values that a field offers."""

    value: str
    word: str
    is_chosen: bool = False
    note: str = ""


@dataclass(slots=True)
class Field:
    """One field: what it asks for, what is written into it, and what is wrong with that.

    The ``caption`` is its label with what must be known to fill it in. ``fallback`` is what holds
    while it is empty, ``hint`` what stands there if nothing does.
    ``read`` makes a value of its text, or raises ``ValueError``.
    """

    name: str
    control: Control
    label: str
    id: str
    caption: str = ""
    text: str = ""
    help: str = ""
    about: str = ""
    error: str = ""
    fallback: str = ""
    hint: str = ""
    is_required: bool = False
    choices: list[Choice] = field(default_factory=list)
    read: Callable[[str], Any] = str

    def __post_init__(self) -> None:
        self.caption = self.caption or self.label

    @property
    def kind(self) -> Kind:
        """What its control looks like."""
        return self.control.kind

    @property
    def is_short(self) -> bool:
        """Whether two of them stand side by side."""
        return self.kind in {"integer", "name"}

    @property
    def is_long(self) -> bool:
        """Whether the control has several lines."""
        return self.kind in _LINES

    @property
    def is_code(self) -> bool:
        """Whether what stands in it is for machines."""
        return self.kind in _CODE

    @property
    def is_input(self) -> bool:
        """Whether its control is an ``<input>``."""
        return self.kind in _INPUTS

    @property
    def shown(self) -> str:
        """What readers see who can't change it."""
        if self.kind == "radio":
            return next((choice.word for choice in self.choices if choice.is_chosen), self.text)
        return self.text or self.fallback

    @property
    def attributes(self) -> SafeString:
        """The attributes of its control."""
        control, text = self.control, self.text
        is_box = self.kind == "boolean"
        return flatatt(
            {
                "type": _INPUTS.get(self.kind),
                "class": "pgf-code" if self.is_code else None,
                "id": f"pgf-f-{self.id}",
                "name": self.name,
                "value": ("true" if is_box else text) if self.is_input else None,
                "checked": is_box and text == "true",
                "rows": _LINES.get(self.kind),
                "min": control.low,
                "max": control.high,
                "step": "any" if self.kind == "number" else None,
                "maxlength": control.max_length,
                "placeholder": self.fallback or self.hint or None,
                "autocomplete": "off" if _INPUTS.get(self.kind) == "text" else None,
                "spellcheck": "false" if self.is_code or self.kind == "name" else None,
                **self._described_by(),
            }
        )

    @property
    def described_by(self) -> SafeString:
        """The attributes that lead from a control to what is said about it."""
        return flatatt(self._described_by())

    def _described_by(self) -> dict[str, str | None]:
        help_id = f" pgf-h-{self.id}" if self.help else ""
        return {
            "aria-describedby": f"pgf-e-{self.id}{help_id}",
            "aria-invalid": "true" if self.error else None,
        }

    def choose(self, value: str) -> None:
        """Let this value be the chosen one."""
        self.text = value
        self.choices = [replace(each, is_chosen=each.value == value) for each in self.choices]


def id_of(name: str) -> str:
    """The end of the id of a control whose name may be any text."""
    return quote(name, safe="").replace("%", ".")


def make_option_field(option: Option, value: Any, fallback: Any = None) -> Field:
    """The field of an option; ``fallback`` is what holds where the value is ``None``."""
    control, label = option.rule.control(), str(option.label or option.name)
    caption = f"{label}, {control.unit}" if control.unit else label
    return Field(
        option.key,
        control,
        label,
        option.key,
        caption=f"{label} (JSON)" if control.kind == "json" else caption,
        text=to_text(control.kind, value),
        about=str(option.about),
        fallback=to_text(control.kind, fallback),
        hint=str(option.hint),
        choices=[Choice(word, word, word == value) for word in control.words],
    )


def to_text(kind: Kind, value: Any) -> str:
    """A value as it stands in a control."""
    if value is None:
        return ""
    if kind in _PLAIN and isinstance(value, str):
        return value
    if kind == "list" and isinstance(value, list):
        lines = [item if isinstance(item, str) else json.dumps(item) for item in value]
        return "\n".join(lines)
    return json.dumps(value, ensure_ascii=False, indent=2 if kind == "json" else None)


def read_option(option: Option, text: str) -> Any:
    """The value that a text means for an option; an empty one stands for the default.

    Raises ``ValueError`` for JSON that is none. Other bad values pass as they are: the operation
    refuses them and says why.
    """
    kind = option.rule.control().kind
    if kind == "integer":
        number = text.strip()
        if not number:
            return option.default
        return int(number) if _WHOLE_NUMBER.fullmatch(number) else number
    if kind == "json":
        return read_json(text) if text.strip() else None
    text = text.replace("\r\n", "\n")
    return text if text or option.default == "" else option.default


def read_json(text: str) -> Any:
    """The value of a JSON text; ``ValueError`` says what is wrong, with line and column."""
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise ValueError(_("This is larger than %(size)s KiB.") % {"size": MAX_BYTES // 1024})
    value = None
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        place = {"line": error.lineno, "column": error.colno, "problem": error.msg}
        raise ValueError(
            _("This is not JSON: line %(line)s, column %(column)s: %(problem)s") % place
        ) from None
    except (RecursionError, ValueError):
        pass  # too deep, or an integer of too many digits: find_fault says where
    if fault := find_fault(text):
        line, column = find_place(text, fault[0])
        place = {"line": line, "column": column, "problem": fault[1]}
        raise ValueError(_("Line %(line)s, column %(column)s: %(problem)s.") % place)
    if problem := jsonvalue.find_problem(value):
        raise ValueError(_("This can't be stored as JSON: %(problem)s") % {"problem": problem})
    return value
