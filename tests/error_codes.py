"""Finds every code that an error, a problem or a run's error can have, in the source itself."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pgflow_django
from pgflow_django.definitions.options import FLOW_OPTIONS, STEP_OPTIONS
from pgflow_django.exceptions import PgflowError

PACKAGE = Path(pgflow_django.__file__).parent
SOURCES = {
    path: path.read_text(encoding="utf-8")
    for suffix in ("py", "sql")
    for path in sorted(PACKAGE.rglob(f"*.{suffix}"))
    if "migrations" not in path.relative_to(PACKAGE).parts
}


def known_codes() -> set[str]:
    """All codes: defaults of exceptions, those of options, and whatever Python and SQL write."""
    codes = {found.default_code for found in _exceptions()}
    codes |= {option.code for option in (*FLOW_OPTIONS.values(), *STEP_OPTIONS.values())}
    for path, source in SOURCES.items():
        if path.suffix == ".sql":
            codes.update(re.findall(r"(?:'code', |_refuse\()'(\w+)'", source))
            continue
        for node in ast.walk(ast.parse(source)):
            codes.update(
                value.value
                for value in _values(node)
                if isinstance(value, ast.Constant) and isinstance(value.value, str)
            )
    return codes - {""}


def _exceptions() -> set[type[PgflowError]]:
    for module in pkgutil.walk_packages(pgflow_django.__path__, "pgflow_django."):
        if not module.name.endswith("__main__") and ".migrations." not in module.name:
            importlib.import_module(module.name)
    found: set[type[PgflowError]] = set()
    waiting: list[type[PgflowError]] = [PgflowError]
    while waiting:
        error = waiting.pop()
        waiting += error.__subclasses__()
        if error.__module__.startswith("pgflow_django"):
            found.add(error)
    return found


def _values(node: ast.AST) -> Iterator[ast.expr | None]:
    """What a node says about codes: ``code=…``, ``Problem(…)``, ``{"code": …}``, a default."""
    if isinstance(node, ast.Call):
        yield from (keyword.value for keyword in node.keywords if keyword.arg == "code")
        if isinstance(node.func, ast.Name) and node.func.id == "Problem":
            yield from node.args[:1]
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value == "code":
                yield value
    elif isinstance(node, ast.FunctionDef):
        names = [argument.arg for argument in node.args.kwonlyargs]
        for name, default in zip(names, node.args.kw_defaults, strict=True):
            if name == "code":
                yield default
