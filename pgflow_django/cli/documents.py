"""Flow documents that commands read, and the problems in them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pgflow_django.cli.inputs import TooDeep, parse, read_file, read_stdin
from pgflow_django.cli.words import one_line, plural
from pgflow_django.definitions.answers import MAX_TOLD, choose_first
from pgflow_django.definitions.bounds import MAX_BYTES, too_deep, too_large
from pgflow_django.definitions.source import Source
from pgflow_django.exceptions import InvalidDocument

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pgflow_django.definitions.problems import Problem


def read_source(name: str, command: str, prompt: Callable[[str], None]) -> Source:
    """The document in a file, or (``-``) on standard input, for which a person is prompted.

    Raises ``InvalidInput`` for what is no JSON, ``InvalidDocument`` for what is too large or deep.
    """
    if name == "-":
        text, subject = read_stdin(prompt), "Standard input"
    else:
        text, subject = read_file(name, command), f'The file "{name}"'
    if len(text) > MAX_BYTES:
        problem = too_large(MAX_BYTES)
        raise InvalidDocument(problem.message, code=problem.code, problems=[problem])
    try:
        return Source(text, parse(text, subject))
    except TooDeep as error:
        problem = replace(too_deep(), message=error.message)
        raise InvalidDocument(error.message, code=problem.code, problems=[problem]) from None


def list_problems(problems: Sequence[Problem], source: Source | None = None) -> list[str]:
    """Lines about the first problems, with those of the text that they were found in."""
    lines = []
    for problem in choose_first(problems):
        where = f", line {source.find_line(problem.pointer):,}" if source else ""
        pointer = f" ({problem.pointer})" if problem.pointer else ""
        lines.append(one_line(f"{problem.severity}{where}{pointer}: {problem.message}"))
    if len(problems) > MAX_TOLD:
        lines.append(f"and {plural(len(problems) - MAX_TOLD, 'more problem')}")
    return lines
