"""Stored inputs and outputs, of which a page reads no more than it shows.

The database cuts them: a run can have outputs of gigabytes, and each reader's process would hold
them all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import F, Func, QuerySet, TextField
from django.db.models.functions import Left
from django.http import HttpRequest

from pgflow_django.runs.view import SHOWN_TEXT
from pgflow_django.views.payloads import SHOWN, Payload, judges_by_keys, name_size, show

if TYPE_CHECKING:
    from pgflow_django.models import WorkflowRun

#: The parts of a JSON text. A string that the cut has ended has no second quote.
_PART = re.compile(r'"(?:[^"\\]|\\(?:u[0-9a-fA-F]{4}|[^u]))*("?)|[\[\]{}:,]|[^\s"\[\]{}:,]+')
_CLOSING = {"{": "}", "[": "]"}


class _Beginning(Func):
    """The size of a JSON column's text in bytes, and its first characters."""

    template = (
        "(select array[octet_length(whole.text)::text, left(whole.text, %(limit)s)] from "
        "(select (%(expressions)s)::text as text offset 0) as whole)"  # written out once
    )
    output_field = ArrayField(TextField())


@dataclass(frozen=True, slots=True)
class Stored:
    """A JSON value as it is stored, or the beginning of one that is too large."""

    text: str
    size: int
    limit: int

    @property
    def is_whole(self) -> bool:
        """Whether this is all of it."""
        return len(self.text) <= self.limit

    def read(self) -> Any:
        """The value; of a large one what is whole of it, and the beginning of its last text."""
        return json.loads(self.text if self.is_whole else complete(self.text[: self.limit]))


def load(
    rows: QuerySet[Any], key: str, column: str | Func[Any], limit: int = SHOWN
) -> dict[Any, Stored]:
    """The beginnings of a JSON column by the key of their rows; rows without a value left out.

    In place of a column, an expression for a part of one.
    """
    value = F(column) if isinstance(column, str) else column
    found = rows.values_list(key, _Beginning(value, limit=int(limit) + 1))
    return {row: Stored(cut[1], int(cut[0]), limit) for row, cut in found if cut[1] is not None}


def show_stored(request: HttpRequest, admin: Any, run: WorkflowRun, stored: Stored) -> Payload:
    """Return a run's value as its reader may see it.

    A large one is not even begun where a site redacts in its own way: it may judge a value by a
    part that is further down.
    """
    if not (stored.is_whole or judges_by_keys(admin.redact_payload)):
        return Payload("", is_cut=True, size=name_size(stored.size))
    shown = show(admin.redact_payload(request, run, stored.read()))
    if stored.is_whole:
        return shown
    return Payload(shown.text, is_cut=True, size=name_size(stored.size))


def load_cut(rows: QuerySet[Any], *texts: str) -> list[Any]:
    """The rows with the beginnings of these texts, which nobody bounds: messages, tracebacks."""
    cut = {f"cut_{name}": Left(name, SHOWN_TEXT) for name in texts}
    found = list(rows.annotate(**cut).defer(*texts))
    for row in found:
        for name in texts:
            setattr(row, name, getattr(row, f"cut_{name}"))
    return found


def complete(text: str) -> str:
    """A JSON text that is the beginning of ``text``, which was cut: brackets are closed again."""
    end, tail = 0, "null"
    for position, closing in _find_ends(text):
        end, tail = position, closing
    return text[:end] + tail


def _find_ends(text: str) -> Iterator[tuple[int, str]]:
    """Where a value could end, and what would have to follow."""
    open_brackets: list[str] = []
    before = ""
    for part in _PART.finditer(text):
        token = part[0]
        is_key = bool(open_brackets) and open_brackets[-1] == "}" and before in {"{", ","}
        if token in _CLOSING:
            open_brackets.append(_CLOSING[token])
        elif token in {"]", "}"}:
            open_brackets.pop()
        is_string = token.startswith('"')
        # A number or a word at the very end may go on.
        is_value = token not in {":", ","} and not is_key and (is_string or part.end() < len(text))
        if is_value or token in {"[", "{", "]", "}"}:
            quote = '"' if is_string and not part[1] else ""
            yield part.end(), quote + "".join(reversed(open_brackets))
        before = token
