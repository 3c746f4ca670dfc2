"""Freezes the current SQL for a migration: ``python -m pgflow_django.sql freeze 0002``.

Copies every file that differs from what the earlier migrations left. A function that is gone from
the source gets an empty file, which ``InstallFunctions`` takes as its removal. Freezing again
replaces what was frozen under the same number, as long as no later migration has frozen anything.
A migration of that number that is there already, say one of ``makemigrations``, gets the operation.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from typing import TYPE_CHECKING

from pgflow_django.sql import FROZEN, SOURCE, frozen_before

if TYPE_CHECKING:
    from pathlib import Path


def freeze(number: str, *, source: Path = SOURCE, root: Path = FROZEN) -> list[str]:
    """Write ``root/number`` anew and give the names of the files in it."""
    if not re.fullmatch(r"\d{4}", number):
        raise ValueError(f"{number!r} is not the number of a migration: four digits, as in 0002")
    root.mkdir(parents=True, exist_ok=True)
    later = sorted(folder.name for folder in root.iterdir() if folder.name > number)
    if later:
        raise ValueError(f"{number} is history, since {later[-1]} builds on it")
    shutil.rmtree(root / number, ignore_errors=True)
    current = {_name(path, source): path.read_text("utf-8") for path in source.rglob("*.sql")}
    past = {_name(path, folder) for folder in root.iterdir() for path in folder.rglob("*.sql")}
    written = []
    for name in sorted(current.keys() | past):
        text = current.get(name, "")
        if text != frozen_before(number, name, root=root):
            (root / number / name).parent.mkdir(parents=True, exist_ok=True)
            (root / number / name).write_text(text, "utf-8")
            written.append(name)
    return written


def add_operation(number: str, *, folder: Path = FROZEN.parent) -> str | None:
    """Let the migration of that number install its SQL; its file, where that was to be written."""
    operation = f'operations.InstallFunctions("{number}")'
    for path in folder.glob(f"{number}_*.py"):
        text = path.read_text("utf-8")
        head, is_made, rest = text.partition("\nclass Migration(")
        body, end, _ = rest.rpartition("    ]\n")
        if operation in text or not is_made or not end:
            return None
        head = f"{head.rstrip()}\n\nfrom pgflow_django import operations\n\n"
        path.write_text(f"{head}{is_made}{body}        {operation},\n{end}", "utf-8")
        return path.name
    return None


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m pgflow_django.sql", description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("freeze", help="copy what changed into migrations/sql/NUMBER")
    command.add_argument("number", metavar="NUMBER", help="number of the migration, as in 0002")
    number = parser.parse_args().number
    try:
        names = freeze(number)
        migration = add_operation(number) if names else None
    except ValueError as error:
        parser.error(str(error))
    sys.stdout.write("".join(f"migrations/sql/{number}/{name}\n" for name in names))
    if migration:
        sys.stdout.write(f"migrations/{migration}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
