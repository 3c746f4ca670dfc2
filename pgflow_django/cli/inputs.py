"""JSON that a person passes to a command: as text, as ``@file``, or on standard input."""

from __future__ import annotations

import json
import sys
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgflow_django.definitions.source import find_fault, find_place
from pgflow_django.exceptions import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

#: Characters of a line that are shown around an error.
_SHOWN = 72
_PROMPT = "Reading JSON from the terminal; end it with Ctrl-D on a line of its own."


class TooDeep(InvalidInput):
    """JSON that has too many levels."""


def read_argument(value: Any, option: str, tell: Callable[[str], None]) -> Any:
    """The value of an option that takes JSON, ``@file`` or ``-`` (standard input).

    Raises ``InvalidInput`` that shows the place of the error. Anything but text is given back as
    it is: ``call_command(..., input={"n": 1})``.
    """
    if not isinstance(value, str):
        return value
    if value == "-":
        return parse(read_stdin(tell), f"{option} (standard input)")
    if value == "@":
        raise InvalidInput(f"{option} @ needs the name of a file: {option} @input.json")
    if value.startswith("@"):
        return parse(read_file(value[1:], option), f"{option} {value}")
    return parse(_restore(value, option), option, hint=_hint(value, option))


def read_outputs(name: str | None, option: str, tell: Callable[[str], None]) -> dict[str, Any]:
    """What steps gave, by their names, from a JSON file, or ``-``; nothing where none is named."""
    if name is None:
        return {}
    text = read_stdin(tell) if name == "-" else read_file(name, option)
    outputs = parse(text, f"{option} {name}")
    if not isinstance(outputs, dict):
        raise InvalidInput(f"{option} must be an object: steps with their outputs.")
    return outputs


def _restore(text: str, option: str) -> str:
    """An argument of the command line as UTF-8, whatever the locale made of its bytes."""
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise InvalidInput(f"{option} is not UTF-8.") from None
    return decode(data, option)


def read_stdin(tell: Callable[[str], None]) -> str:
    """All of standard input, which must be UTF-8; ``tell`` is how to prompt a person for it."""
    if sys.stdin.isatty():
        tell(_PROMPT)
    buffer = getattr(sys.stdin, "buffer", None)
    return sys.stdin.read() if buffer is None else decode(buffer.read(), "Standard input")


def read_file(name: str, option: str) -> str:
    """The text of a file; raises ``InvalidInput`` that says why it can't be read."""
    if not name:
        raise InvalidInput(f"{option} needs the name of a file.")
    try:
        data = Path(name).expanduser().read_bytes()
    except FileNotFoundError:
        raise InvalidInput(f'{option}: there is no file "{name}".') from None
    except IsADirectoryError:
        raise InvalidInput(f'{option}: "{name}" is a folder.') from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidInput(f'{option}: can\'t read "{name}": {reason}.') from None
    return decode(data, f'The file "{name}"')


def decode(data: bytes, subject: str) -> str:
    """Text of UTF-8, with or without the mark that Windows puts before it."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise InvalidInput(
            f"{subject} is not UTF-8: byte 0x{data[error.start]:02x} at line {line:,}, "
            f"column {column:,}."
        ) from None


def parse(text: str, subject: str, hint: str = "") -> Any:
    """The value of JSON text; raises ``InvalidInput`` with line, column, and the line itself."""
    if not text.strip():
        raise InvalidInput(f"{subject} is empty, which is not JSON; the empty object is {{}}.")
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise _point_out(subject, text, error.pos, error.msg, hint) from None
    except RecursionError:
        raise TooDeep(f"{subject} is nested too deeply.") from None
    except ValueError:
        value = None  # an integer of too many digits: find_fault says where
    if fault := find_fault(text):
        refusal = _point_out(subject, text, fault.position, fault.reason)
        raise TooDeep(refusal.message) if fault.is_too_deep else refusal
    return value


def _point_out(subject: str, text: str, position: int, reason: str, hint: str = "") -> InvalidInput:
    line, column = find_place(text, position)
    place = f"line {line:,}, column {column:,}: {reason}"
    return InvalidInput(f"{subject} is not valid JSON: {place}\n{point_at(text, position)}{hint}")


def point_at(text: str, position: int) -> str:
    """The line around a position, indented, with a caret below the place."""
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    line = text[start : end if end >= 0 else len(text)].rstrip("\r")
    column = position - start
    first = max(0, min(column - _SHOWN // 2, len(line) - _SHOWN))
    cut = _printable(line[first : first + _SHOWN])
    before = _printable(line[first:column])
    left, right = "…" * (first > 0), "…" * (first + _SHOWN < len(line))
    indent = " " * (len(left) + sum(map(_columns, before)))
    return f"    {left}{cut}{right}\n    {indent}^"


def _printable(text: str) -> str:
    """Text of one line, without what would move the caret away or steer the terminal."""
    return "".join(
        " " if character == "\t" else character if character.isprintable() else "�"
        for character in text
    )


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _hint(text: str, option: str) -> str:
    """What was probably meant, where somebody typed what looks like JSON."""
    if len(text) < 1000 and text.endswith(".json"):
        return f"\nTo read a file, put @ before its name: {option} @{text}"
    if text.lstrip()[:1] in {"{", "["} and '"' not in text:
        return f"""\nJSON texts stand in double quotes: {option} '{{"key": "value"}}'"""
    return ""
