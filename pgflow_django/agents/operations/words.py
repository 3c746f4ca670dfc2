"""Texts and lists of operations: what programs may write, and how much they are told."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from pgflow_django import jsonvalue
from pgflow_django.agents.policy import policy
from pgflow_django.definitions.answers import tell
from pgflow_django.exceptions import InvalidInput
from pgflow_django.flow_builder import validate_flow
from pgflow_django.views.page import find_address

if TYPE_CHECKING:
    from pgflow_django.agents.access import Principal

#: Bytes of JSON of an answer's longest list.
LIST_BYTES: Final = 25 * 1024
#: Bytes of JSON for the problems of a draft, beside its document.
_PROBLEM_BYTES: Final = 12 * 1024
#: What separates lines, and joins letters: of the rest of their kinds nothing is to be seen.
_HARMLESS: Final = frozenset("\n\t\u200c\u200d")
#: Letters and marks by their kind of which there is nothing to be seen.
_UNSEEN: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")


def refuse_hidden(text: str, what: str, pointer: str = "") -> None:
    """Raise ``InvalidInput`` (``invalid_text``) for control characters and the like.

    People read what programs write before they approve it: nothing in it may be invisible, or turn
    the direction of text.
    """
    for before, letter in pairwise(f" {text}"):
        if _is_hidden(letter, before):
            error = InvalidInput(
                f"{what} has the character U+{ord(letter):04X}, which can't be seen, or turns the "
                "direction of text: remove it.",
                code="invalid_text",
            )
            error.problems = [{"pointer": pointer, "message": str(error)}]
            raise error


def _is_hidden(letter: str, before: str) -> bool:
    if letter in _UNSEEN or unicodedata.category(letter) in {"Cc", "Cf", "Co", "Cs"}:
        return letter not in _HARMLESS
    # What chooses between shapes of a sign stands behind it: rows of these hide whole sentences.
    if "\ufe00" <= letter <= "\ufe0f":
        return unicodedata.category(before) in {"Mn", "Zs"}
    return "\U000e0100" <= letter <= "\U000e01ef" and unicodedata.category(before) != "Lo"


def refuse_hidden_in(document: Mapping[str, Any]) -> None:
    """The same for the names and notes of a document, of its flow and of its steps."""
    for pointer, text in _find_texts(document):
        refuse_hidden(text, f"{pointer} of the document", pointer)


def _find_texts(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    steps = document.get("steps")
    rows = steps if isinstance(steps, list) else []
    holders = [("", document), *((f"/steps/{index}", row) for index, row in enumerate(rows))]
    for pointer, holder in holders:
        if not isinstance(holder, Mapping):
            continue
        for key in ("workflow_slug", "slug", "description", "uses"):
            if isinstance(value := holder.get(key), str):
                yield f"{pointer}/{key}", value


def require_one(document: Any, slug: str) -> None:
    """Raise ``InvalidInput`` unless either a document is given or a flow is named."""
    if (document is None) == (not slug):
        raise InvalidInput("Give either a document or a slug.", code="invalid_arguments")


def tell_problems(document: Any) -> list[dict[str, Any]]:
    """What keeps a document from being published for a program, as far as it can be told."""
    told: list[dict[str, Any]] = tell(validate_flow(document, policy=policy()), _PROBLEM_BYTES)[
        "problems"
    ]
    return told


def fit(rows: Sequence[Any], size: int = LIST_BYTES) -> tuple[list[Any], int]:
    """The first rows, which take at most so many bytes of JSON, and how many more there are."""
    fitting = []
    for row in rows:
        size -= len(jsonvalue.dump(row).encode("utf-8", "surrogatepass"))
        if size < 0:
            break
        fitting.append(row)
    return fitting, len(rows) - len(fitting)


def link(principal: Principal, page: str, *names: Any) -> str:
    """The address of a page of the admin, for a person."""
    return principal.base_url + find_address(principal.admin, page, *names)
