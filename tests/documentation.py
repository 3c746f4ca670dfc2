"""Reads README and docs, and runs the code that stands in them."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from asgiref.sync import async_to_sync
from django.core.management import call_command, get_commands, load_command_class
from django.core.management.base import CommandError

from pgflow_django.models import WorkflowRun
from tests.commands.calling import nothing_to_read

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]

#: Languages of code blocks, and what becomes of them: see test_docs.py.
LANGUAGES = {"python", "console", "json", "sql", "mermaid", "text"}
#: Programs that are not ours to try.
OTHER_PROGRAMS = {"git", "cd", "createdb", "celery", "curl"}

_BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_VALUE = re.compile(r"  # -> (?P<value>.+)$")
_LINK = re.compile(r"!?\[[^]]*\]\((?P<target>[^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A code block and where it stands."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        """Its place, for messages."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def read_blocks(page: Path) -> list[Block]:
    """The code blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, found["language"], found["text"])
        for found in _BLOCK.finditer(text)
    ]


def read_sections(page: Path) -> dict[str, str]:
    """The text below each heading, up to the next one, by the heading's text."""
    parts = re.split(r"^#+ (.+)$", _BLOCK.sub(_indent, page.read_text("utf-8")), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _indent(found: re.Match[str]) -> str:
    """A block whose comments can't be taken for headings."""
    return re.sub(r"^", "    ", found[0], flags=re.MULTILINE)


def read_links(page: Path) -> list[str]:
    """Where the links and pictures of a page lead to."""
    return _LINK.findall(_BLOCK.sub("", page.read_text(encoding="utf-8")))


def read_anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in read_sections(page))
    return {anchor.replace(" ", "-") for anchor in words}


def read_rows(page: Path) -> Iterator[list[str]]:
    """The rows of the tables of a page, without heads; cells without their backquotes."""
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith("| `"):
            # A | within backquotes is part of the code.
            cells = re.findall(r"\|\s*((?:`[^`]*`|[^|`])*)", line)
            yield [cell.strip() for cell in cells][:-1]


def run_python(block: Block, namespace: dict[str, Any]) -> None:
    """Run a block; a line ``value  # -> literal`` must have that value.

    ``await`` stands for what async code does; it runs here.
    """
    lines = block.text.splitlines()
    for node in ast.parse(block.text).body:
        line = lines[(node.end_lineno or 0) - 1]
        found = _VALUE.search(line)
        is_value = isinstance(node, ast.Expr)
        tree: Any = ast.Expression(node.value) if isinstance(node, ast.Expr) else _module(node)
        ast.increment_lineno(tree, block.line)
        mode = "eval" if is_value else "exec"
        code = compile(
            tree, str(block), mode, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
        )
        value = eval(code, namespace)  # noqa: S307 - our own documentation
        if hasattr(value, "__await__"):
            value = _wait_for(value)
        if found:
            value = value if is_value else namespace[_target(node)]
            expected = eval(found["value"], namespace)  # noqa: S307
            assert value == expected, f"{block}: {line} gave {value!r}"


def _module(node: ast.stmt) -> ast.Module:
    return ast.Module([node], type_ignores=[])


def _target(node: ast.stmt) -> str:
    assert isinstance(node, ast.Assign), "only an expression or an assignment has a value"
    assert isinstance(node.targets[0], ast.Name)
    return node.targets[0].id


def _wait_for(awaitable: Any) -> Any:
    async def wait() -> Any:
        return await awaitable

    return async_to_sync(wait)()


def read_commands(block: Block) -> Iterator[tuple[list[str], int]]:
    """The commands of a console block, as words, with the exit status that the line announces."""
    for line in block.text.replace("\\\n", " ").splitlines():
        if line.startswith("$ "):
            command, _, comment = line.removeprefix("$ ").partition("  # ")
            status = re.match(r"exit status (\d+)", comment)
            yield shlex.split(command), int(status[1]) if status else 0


def find_manage_command(words: list[str]) -> list[str] | None:
    """What stands behind ``manage.py``, if anything does."""
    for position, word in enumerate(words[:2]):
        if Path(word).name == "manage.py":
            return words[position + 1 :]
    return None


def parse_manage_command(words: list[str]) -> None:
    """Raise ``CommandError`` where there is no such command, or its options are others."""
    name, *arguments = words
    application = get_commands()[name]
    assert isinstance(application, str)
    command = load_command_class(application, name)
    command.create_parser("manage.py", name).parse_args(arguments)


def run_manage_command(words: list[str]) -> tuple[int, str]:
    """Run a command; its exit status and what it printed on stdout.

    ``RUN`` stands for the run that was started last; ``> FILE`` keeps what was printed.
    """
    file = None
    if ">" in words:
        words, file = words[: words.index(">")], words[words.index(">") + 1]
    if "RUN" in words:
        newest = str(WorkflowRun.objects.order_by("-id").values_list("id", flat=True)[0])
        words = [newest if word == "RUN" else word for word in words]
    printed, status = StringIO(), 0
    try:
        with nothing_to_read():
            call_command(*words, stdout=printed, stderr=StringIO())
    except CommandError as error:
        status = error.returncode
    except SystemExit as error:
        status = int(error.code or 0)
    if file:
        Path(file).write_text(printed.getvalue(), encoding="utf-8")
    return status, printed.getvalue()
