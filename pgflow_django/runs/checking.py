"""The inputs of runs against the schema of their flow, which a process reads once.

Service layer, below ``executor``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from pgflow_django import jsonvalue
from pgflow_django.conf import settings
from pgflow_django.definitions.problems import Problem
from pgflow_django.definitions.schema_values import Checker
from pgflow_django.definitions.schemas import NoSchemaError
from pgflow_django.engine import InputNotChecked
from pgflow_django.exceptions import InvalidInput, WorkflowConflict

#: Schemas that are kept; flows come and go.
_MAX_KEPT = 1_000
#: Schemas that one start may meet.
_MAX_CHANGES = 20


@dataclass(frozen=True, slots=True)
class _Schema:
    """A flow's schema as it was seen last; ``checker`` is ``None`` where it is none."""

    digest: str
    checker: Checker | None


_known: dict[tuple[str, str], _Schema] = {}


def encode_input(slug: str, value: Any) -> str:
    """The input of a run of this flow as JSON; raises ``InvalidInput`` for what is none."""
    return jsonvalue.encode(
        value,
        subject=f'The input of flow "{slug}"',
        not_json=InvalidInput,
        too_large=partial(InvalidInput, code="input_too_large"),
        limit=settings.MAX_INPUT_BYTES,
    )


def refuse_misfit(slug: str, schema: Any, text: str) -> None:
    """Raise ``InvalidInput`` (``invalid_input``) for an input that does not fit this schema."""
    if found := _problems(_Schema("", Checker(schema)), [text]):
        raise _refusal(slug, found, is_one=True)


def start_checked(
    slug: str, texts: Sequence[str], start: Callable[[str], list[UUID]], *, using: str
) -> list[UUID]:
    """Call ``start`` with the digest of the schema that the inputs fit.

    The database says where that is not the flow's: a flow without one costs nothing, and one whose
    schema this process knows no further statement. Raises ``InvalidInput`` (``invalid_input``).
    """
    schema = _known.get((using, slug))
    digest = ""
    if schema is not None and not _problems(schema, texts):
        digest = schema.digest
    for _ in range(_MAX_CHANGES):
        try:
            return start(digest)
        except InputNotChecked as error:
            schema = _read(error)
            if len(_known) >= _MAX_KEPT:
                _known.clear()
            _known[using, slug] = schema
        # Outside of "except": the database has nothing to do with what is wrong.
        if found := _problems(schema, texts):
            raise _refusal(slug, found, is_one=len(texts) == 1)
        digest = schema.digest
    raise WorkflowConflict(f'the input_schema of flow "{slug}" changes all the time')


def _read(error: InputNotChecked) -> _Schema:
    try:
        return _Schema(error.digest, Checker(json.loads(error.schema_json)))
    except NoSchemaError:  # from before schemas were checked: a system check tells of it
        return _Schema(error.digest, None)


def _problems(schema: _Schema, texts: Sequence[str]) -> list[tuple[int, list[Problem]]]:
    """The first input that does not fit, by its position, with what is wrong with it."""
    if schema.checker is None:
        return []
    for number, text in enumerate(texts):
        if faults := schema.checker.faults(json.loads(text)):
            return [
                (
                    number,
                    [Problem("invalid_input", fault.pointer, fault.message) for fault in faults],
                )
            ]
    return []


def _refusal(slug: str, found: list[tuple[int, list[Problem]]], *, is_one: bool) -> InvalidInput:
    ((number, problems),) = found
    which = "its input" if is_one else f"input {number}"
    places = "; ".join(f"{one.pointer or 'the whole'}: {one.message}" for one in problems)
    error = InvalidInput(
        f'flow "{slug}" was not started: {which} doesn\'t fit its input_schema. {places}'
    )
    error.problems = problems
    return error
