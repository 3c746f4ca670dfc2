"""What CONTRIBUTING.md promises about sizes: limits for what is read in one piece.

The aim is lower: 300 lines for a file, 40 for a function. Between the two a reason is needed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import pgflow_django

PACKAGE = Path(pgflow_django.__file__).parent

#: Lines of a file, by the end of its name.
FILE_LINES = {".py": 400, ".js": 400}
#: Characters of a line, by the end of the file's name; ruff counts those of Python.
WIDTH = {".html": 120, ".js": 100}
#: Lines of a function, from ``def`` to its last one.
FUNCTION_LINES = 60
#: Modules that a newcomer meets at the top of the package.
MODULES_AT_THE_TOP = 20
#: Folders of what is frozen, and of what others have written.
LEFT_OUT = {"migrations", "vendor"}


def files(suffix: str) -> list[Path]:
    """The files of the package with this ending that people read."""
    return [
        path
        for path in sorted(PACKAGE.rglob(f"*{suffix}"))
        if not LEFT_OUT & {*path.relative_to(PACKAGE).parts}
    ]


def functions(source: str) -> Iterator[tuple[str, int]]:
    """Name and number of lines of each function, also of those inside others."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


@pytest.mark.parametrize(("suffix", "limit"), FILE_LINES.items())
def test_no_file_is_too_long(suffix: str, limit: int) -> None:
    lines = {path: len(path.read_text("utf-8").splitlines()) for path in files(suffix)}
    assert lines
    assert {str(path): count for path, count in lines.items() if count > limit} == {}


@pytest.mark.parametrize(("suffix", "limit"), WIDTH.items())
def test_no_line_is_too_wide(suffix: str, limit: int) -> None:
    wide = {
        path.name
        for path in files(suffix)
        for line in path.read_text("utf-8").splitlines()
        if len(line) > limit
    }
    assert wide == set()


def test_no_function_is_too_long() -> None:
    found = [
        (str(path), name, count)
        for path in files(".py")
        for name, count in functions(path.read_text("utf-8"))
        if count > FUNCTION_LINES
    ]
    assert found == []


def test_a_long_function_is_found() -> None:
    source = "class A:\n    async def b():\n        def c():\n            pass\n" + "\n" * 60
    assert dict(functions(f"{source}        return c\n")) == {"b": 64, "c": 2}


def test_the_top_of_the_package_is_clear() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= MODULES_AT_THE_TOP


def test_the_limits_are_those_that_are_promised() -> None:
    promised = (PACKAGE.parent / "CONTRIBUTING.md").read_text("utf-8")
    for count, what in [
        (FILE_LINES[".py"], "lines"),
        (FUNCTION_LINES, "lines"),
        (WIDTH[".html"], "characters"),
        (WIDTH[".js"], "characters"),
        (MODULES_AT_THE_TOP, "modules"),
    ]:
        assert f"{count} {what}" in promised
