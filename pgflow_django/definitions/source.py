"""A JSON document that was read from text, and where in the text each part of it stands."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from functools import cached_property
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, NamedTuple

from pgflow_django.definitions.rules import show
from pgflow_django.jsonvalue import MAX_DEPTH, text_fault

#: Python reads integers of so many digits, whatever limit it was given.
_MANY_DIGITS = 640
_SPACE = re.compile(r"[ \t\n\r]*")
_decode = json.JSONDecoder().raw_decode
#: What matters of a JSON text: strings (with a colon: keys), brackets, no JSON, numbers.
_TOKEN = re.compile(
    r'("(?:[^"\\]|\\.)*")([ \t\n\r]*:)?|[\[\]{}]|NaN|-?Infinity'
    r"|(-?[0-9][0-9.]*(?:[eE][-+]?[0-9]+)?)"
)


@dataclass(frozen=True)
class Source:
    """The text of a JSON document and its value."""

    text: str
    value: Any

    @cached_property
    def _members(self) -> dict[int, dict[str, int]]:
        """What has been looked at: where the members of the object or array at a place begin."""
        return {}

    def find_line(self, pointer: str) -> int:
        """The line, from 1, of what a JSON Pointer names, or of as much of it as there is."""
        position = _skip(self.text, 0)
        for token in pointer.split("/")[1:]:
            if position not in self._members:
                self._members[position] = _find_members(self.text, position)
            found = self._members[position].get(token.replace("~1", "/").replace("~0", "~"))
            if found is None:
                break
            position = found
        return self.text.count("\n", 0, position) + 1


class TextFault(NamedTuple):
    """Where a text is no JSON that we take, and why, as the end of a sentence."""

    position: int
    reason: str
    is_too_deep: bool = False


def find_fault(text: str) -> TextFault | None:
    """The first fault of a text that Python reads as JSON; else ``None``.

    These are keys that stand twice in an object, NaN, infinities and what Python reads as one, more
    than 64 levels, characters that PostgreSQL can't store; and, which Python does not read,
    integers of too many digits.
    """
    keys: list[set[str]] = []
    for token in _TOKEN.finditer(text):
        string, colon, number = token.groups()
        if token[0] in {"[", "{"}:
            keys.append(set())
            if len(keys) > MAX_DEPTH:
                reason = f"this is nested deeper than {MAX_DEPTH} levels"
                return TextFault(token.start(), reason, is_too_deep=True)
        elif token[0] in {"]", "}"}:
            keys.pop()
        elif number:
            if fault := _number_fault(number):
                return TextFault(token.start(), fault)
        elif string is None:
            return TextFault(token.start(), f"{token[0]} is not a JSON value")
        elif ("\\u" in string or colon) and (fault := _string_fault(string, colon, keys)):
            return TextFault(token.start(), fault)
    return None


def find_place(text: str, position: int) -> tuple[int, int]:
    """The line and the column of a position, both from 1."""
    return text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)


def _number_fault(number: str) -> str | None:
    """What keeps Python from reading a number as it is written."""
    if not number.lstrip("-").isdecimal():
        return "this number is too large" if math.isinf(float(number)) else None
    try:
        if len(number) > _MANY_DIGITS:
            int(number)
    except ValueError:
        return "this is an integer of too many digits; use text"
    return None


def _string_fault(string: str, colon: str | None, keys: list[set[str]]) -> str | None:
    value = json.loads(string)
    if fault := text_fault(value):
        return f"this {fault}"
    if not colon:
        return None
    if value in keys[-1]:
        return f"this object has the key {show(value)} already"
    keys[-1].add(value)
    return None


def _skip(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _find_members(text: str, position: int) -> dict[str, int]:
    """Where each member or element of the object or array at ``position`` begins, if it is one."""
    opening = text[position : position + 1]
    if opening not in {"{", "["}:
        return {}
    found: dict[str, int] = {}
    index = 0
    position = _skip(text, position + 1)
    while text[position] not in "}]":
        key = str(index)
        if opening == "{":
            key, position = scanstring(text, position + 1)
            position = _skip(text, _skip(text, position) + 1)
        found[key] = position  # of members with one key, the last one counts
        _, position = _decode(text, position)
        position = _skip(text, position)
        if text[position] == ",":
            position = _skip(text, position + 1)
        index += 1
    return found
