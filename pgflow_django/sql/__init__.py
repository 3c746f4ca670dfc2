"""The engine's SQL: its current source, and the frozen copies that migrations install.

``functions/<name>.sql`` holds the one function ``pgflow.<name>``, with its body between dollar
quotes; the other files hold what functions need (types, foreign keys, …). Edit them in place, then
``python -m pgflow_django.sql freeze 0002`` copies what changed to ``migrations/sql/0002/``.

Functions have no order: they are created without a look into their bodies (PL/pgSQL never looks,
``language sql`` is told not to), so each may call any other. Only the types that a signature names
must be there before.

Storage layer: the standard library alone.
"""

from __future__ import annotations

import re
from pathlib import Path

SOURCE = Path(__file__).parent
FROZEN = SOURCE.parent / "migrations" / "sql"

#: Names of all functions, in the order in which they are installed.
FUNCTIONS: tuple[str, ...] = tuple(sorted(path.stem for path in SOURCE.glob("functions/*.sql")))

_BODY = re.compile(r"(?P<quote>\$\w*\$)(?P<body>.*?)(?P=quote)", re.DOTALL)
_SIGNATURE = re.compile(r"\bfunction\s.*?(?=\s+language\s)", re.DOTALL | re.IGNORECASE)


def read_sql(name: str) -> str:
    """Give the current source of the function ``pgflow.<name>``."""
    return (SOURCE / "functions" / f"{name}.sql").read_text(encoding="utf-8")


def frozen_sql(number: str, name: str) -> str:
    """Give a frozen file of a migration that is no function: ``frozen_sql("0001", "types")``."""
    return (FROZEN / number / f"{name}.sql").read_text(encoding="utf-8")


def frozen_functions(number: str, *, root: Path = FROZEN) -> dict[str, str]:
    """Give the functions that a migration changes; the text of one that it removes is empty."""
    files = sorted((root / number / "functions").glob("*.sql"))
    return {path.stem: path.read_text(encoding="utf-8") for path in files}


def frozen_before(number: str, path: str, *, root: Path = FROZEN) -> str:
    """Give a file as the migrations before this one left it; empty where there was none."""
    versions = [file for file in root.glob(f"*/{path}") if _number(file, root) < number]
    latest = max(versions, key=lambda file: _number(file, root), default=None)
    return latest.read_text(encoding="utf-8") if latest else ""


def _number(file: Path, root: Path) -> str:
    return file.relative_to(root).parts[0]


def body(text: str) -> str:
    """Give the body of a function's source, as PostgreSQL keeps it in ``pg_proc.prosrc``."""
    match = _BODY.search(text)
    return match["body"] if match else ""


def signature(text: str) -> str:
    """Give what stands before ``language``: where it differs, a function is another function."""
    match = _SIGNATURE.search(re.sub(r"--.*", "", text))
    return " ".join(match[0].split()) if match else ""
