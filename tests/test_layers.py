"""Imports go downwards through five layers, read from the source with `ast`.

    4 adapters   what Django or a person calls: commands, checks, the app itself
    3 services   the public API and what runs steps
    2 gateways   engine (SQL functions) and registry (step functions), which don't know each other;
                 contracts (of step functions)
    1 storage    models, SQL, migration operations, what a database says
    0 pure       no ORM, no SQL, no service

A module imports its own layer and those below. `TYPE_CHECKING` blocks and imports inside functions
count everywhere; only for circles those for types do not, since nothing runs around them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import pgflow_django

PACKAGE = Path(pgflow_django.__file__).parent
NAME = PACKAGE.name
TABLE = PACKAGE.parent / "docs" / "architecture.md"

#: Modules and packages; what lies in a package belongs to its layer. The package itself is on top.
LAYERS: dict[str, str] = {
    "pure": "choices conf definitions drawing exceptions jsonvalue",
    "storage": "migrations models operations sql storage",
    "gateways": "contracts engine registry signals",
    "services": "async_twins context drafts executor flow_builder flows logs runs steps worker",
    "adapters": (
        f"{NAME} admin agents apps celery celery_worker checks cli management tasks templatetags "
        "views"
    ),
}
ORDER = list(LAYERS)
LAYER = {module: layer for layer, modules in LAYERS.items() for module in modules.split()}
#: Who must not import whom, though they are of one layer: pages know nothing of the lists that lead
#: to them, and SQL functions nothing of step functions.
STRANGERS = {("engine", "registry"), ("registry", "engine"), ("views", "admin"), ("cli", "views")}
#: What a pure module may take from Django: settings, words, conditions; nothing that needs models.
PURE_DJANGO = {
    *("django.conf", "django.core.signals", "django.dispatch", "django.utils.translation"),
    *("django.db.models", "django.db.models.functions", "django.db.models.lookups"),
}
#: Modules whose SQL may name the schemas `pgflow` and `pgmq`.
SQL_LAYERS = {"storage"}
SQL_MODULES = {"engine"}
SQL_TEXT = re.compile(
    r"\b(select|from|join|into|update|function|perform|call)\s[^;]*?\b(pgflow|pgmq)\."
    r"|\b(pgflow|pgmq)\.\w+\s*\("
)
#: Modules that know Celery.
CELERY_MODULES = {"celery", "celery_worker", "tasks"}
CELERY = {"celery", "kombu", "billiard"}
FOREIGN = {"celery", "kombu", "billiard", "project", "tests", "bench"}

#: What only some sites have installed: adapters know it, and import it when they are called.
EXTRAS = {"mcp", "ninja", "pydantic_ai"}

Sources = dict[str, str]
Finder = Callable[[Sources], list[str]]


def read_package() -> Sources:
    """The source of every module by its name within the package; "" is the package itself."""
    sources = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        sources[name] = path.read_text(encoding="utf-8")
    return sources


SOURCES = read_package()


def top_of(module: str) -> str:
    """The name at the top of the package below which a module lies."""
    return module.partition(".")[0] or NAME


def layer_of(module: str) -> str:
    """The layer of a module, which is that of the package it lies in."""
    top = top_of(module)
    if top not in LAYER:
        raise LookupError(f"{module} belongs to no layer: add it to LAYERS")
    return LAYER[top]


@cache
def parse(source: str) -> ast.Module:
    return ast.parse(source)


def imports_of(source: str, module: str, *, for_types: bool = True) -> Iterator[str]:
    """Full names of what a module imports, inside functions too; ``for_types``: those as well."""
    for node in walk(parse(source), for_types=for_types):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: import by full names"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def walk(node: ast.AST, *, for_types: bool) -> Iterator[ast.AST]:
    """A tree's nodes, those of ``if TYPE_CHECKING`` only where they are asked for."""
    yield node
    for child in ast.iter_child_nodes(node):
        is_for_types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        if for_types or not is_for_types:
            yield from walk(child, for_types=for_types)


def ours(source: str, module: str, known: Sources, *, for_types: bool = True) -> set[str]:
    """The modules of the package that a module imports."""
    found = set()
    for name in imports_of(source, module, for_types=for_types):
        if name == NAME or name.startswith(f"{NAME}."):
            inner = name.removeprefix(NAME).lstrip(".")
            found.add(inner if inner in known else inner.rpartition(".")[0])
    return found - {module}


def upward_imports(sources: Sources) -> list[str]:
    """Every import of a higher layer, as `module -> imported`."""
    return [
        f"{module} ({layer_of(module)}) -> {imported} ({layer_of(imported)})"
        for module, source in sources.items()
        for imported in sorted(ours(source, module, sources))
        if ORDER.index(layer_of(imported)) > ORDER.index(layer_of(module))
    ]


def allowed_in(module: str) -> set[str]:
    """What of the foreign packages a module may know after all."""
    return CELERY if module.partition(".")[0] in CELERY_MODULES else set()


def foreign_imports(sources: Sources) -> list[str]:
    """Every import of something that the package must not know."""
    return [
        f"{module} -> {name}"
        for module, source in sources.items()
        for name in imports_of(source, module)
        if name.partition(".")[0] in FOREIGN - allowed_in(module)
    ]


def extras_outside(sources: Sources) -> list[str]:
    """Every import of an extra below the adapters, or while a module is itself imported."""
    return [
        f"{module} -> {name}"
        for module, source in sources.items()
        for name in (
            early_imports(source) if layer_of(module) == "adapters" else imports_of(source, module)
        )
        if name.partition(".")[0] in EXTRAS
    ]


def early_imports(source: str) -> Iterator[str]:
    """Full names of what is imported when a module is, not inside functions or for types."""
    late = {
        inner
        for node in ast.walk(parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
    }
    for node in walk(parse(source), for_types=False):
        if node in late:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


def forbidden_neighbours(sources: Sources) -> list[str]:
    """Every import between neighbours of one layer of which one must not know the other."""
    return [
        f"{module} -> {imported}"
        for module, source in sources.items()
        for imported in sorted(ours(source, module, sources))
        if (top_of(module), top_of(imported)) in STRANGERS
    ]


def circles(sources: Sources) -> list[str]:
    """A circle of modules that import one another, if there is one; as a list of its names.

    A package and its own modules may: its ``__init__`` collects what it gives away.
    """
    graph = {
        module: {
            imported
            for imported in ours(source, module, sources, for_types=False) - {""}
            if not module.startswith(f"{imported}.")
        }
        for module, source in sources.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [" -> ".join(error.args[1])]
    return []


def sql_outside(sources: Sources) -> list[str]:
    """Texts of SQL about our schemas in modules that must leave them to the engine."""
    return [
        f"{module}:{node.lineno} {node.value!r}"
        for module, source in sources.items()
        if layer_of(module) not in SQL_LAYERS and module.partition(".")[0] not in SQL_MODULES
        for node in ast.walk(parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if SQL_TEXT.search(node.value)
    ]


def test_every_module_belongs_to_a_layer() -> None:
    for module in SOURCES:
        layer_of(module)


def test_every_entry_of_a_layer_is_a_module() -> None:
    assert LAYER.keys() == {module.partition(".")[0] or NAME for module in SOURCES}


def test_the_table_in_the_docs_has_the_same_layers() -> None:
    rows = re.findall(rf"^\| ({'|'.join(ORDER)}) \|(.*?)\|", TABLE.read_text("utf-8"), re.MULTILINE)
    told = [(layer, re.findall(r"`(\w+)`", modules)) for layer, modules in rows]
    assert told == [(layer, LAYERS[layer].split()) for layer in reversed(ORDER)]


def test_imports_go_downwards_only() -> None:
    assert upward_imports(SOURCES) == []


def test_strangers_do_not_know_each_other() -> None:
    assert forbidden_neighbours(SOURCES) == []


def test_no_module_imports_itself_around_a_corner() -> None:
    assert circles(SOURCES) == []


def test_only_the_worker_knows_celery_and_nothing_the_demo_site_or_the_tests() -> None:
    assert foreign_imports(SOURCES) == []


def test_extras_are_imported_by_adapters_only_and_when_they_are_called() -> None:
    assert extras_outside(SOURCES) == []


def test_pure_modules_take_only_settings_words_and_conditions_from_django() -> None:
    found = {
        f"{module} -> {name}"
        for module, source in SOURCES.items()
        if layer_of(module) == "pure"
        for name in imports_of(source, module)
        if name.startswith("django.") and name.rpartition(".")[0] not in PURE_DJANGO
    }
    assert found == set()


def test_the_drawing_and_the_graph_need_no_django_at_all() -> None:
    found = {
        f"{module} -> {name}"
        for module, source in SOURCES.items()
        if {module, top_of(module)} & {"drawing", "definitions.graph", "jsonvalue", "exceptions"}
        for name in imports_of(source, module)
        if name.startswith("django")
    }
    assert found == set()


def test_only_the_engine_and_the_storage_layer_speak_sql_about_our_schemas() -> None:
    assert sql_outside(SOURCES) == []


def test_migrations_import_only_operations_and_what_fields_need() -> None:
    allowed = {"operations", "models", "models.definitions"}
    found = {
        imported
        for module, source in SOURCES.items()
        if re.match(r"migrations\.\d", module)
        for imported in ours(source, module, SOURCES)
    }
    assert found <= allowed


LATE = "def f():\n    "
FOR_TYPES = "if TYPE_CHECKING:\n    "


@pytest.mark.parametrize(
    ("module", "source", "finder"),
    [
        ("definitions.graph", "from pgflow_django.engine import sweep", upward_imports),
        ("definitions.graph", "import pgflow_django.engine.tasks", upward_imports),
        ("models.runtime", f"{LATE}from pgflow_django import executor", upward_imports),
        ("engine", "import pgflow_django.worker.pool", upward_imports),
        ("engine.tasks", "from pgflow_django.worker import pool", upward_imports),
        ("flows", f"{FOR_TYPES}from pgflow_django.cli import base", upward_imports),
        ("engine.tasks", "from pgflow_django import registry", forbidden_neighbours),
        ("engine", f"{LATE}from pgflow_django.registry import registry", forbidden_neighbours),
        ("registry", f"{FOR_TYPES}from pgflow_django.engine import tasks", forbidden_neighbours),
        (
            "views.runs.start",
            f"{LATE}from pgflow_django.admin.flows import x",
            forbidden_neighbours,
        ),
        ("views.htmx", f"{FOR_TYPES}import pgflow_django.admin.own", forbidden_neighbours),
        ("cli.runs", "from pgflow_django.views import pieces", forbidden_neighbours),
        ("worker.pool", "from celery import shared_task", foreign_imports),
        ("apps", "import project.rows", foreign_imports),
        ("executor", f"{LATE}import pydantic_ai", extras_outside),
        ("drafts.editing", f"{FOR_TYPES}from mcp import types", extras_outside),
        ("checks", "import pydantic_ai", extras_outside),
        (
            "agents.policy",
            "try:\n    from ninja import Router\nfinally:\n    x = 1",
            extras_outside,
        ),
        ("agents.policy", "class A:\n    from mcp.server import Server", extras_outside),
        ("executor", "sql = 'select pgflow.sweep()'", sql_outside),
        ("checks", "sql = 'select count(*) from pgmq.meta'", sql_outside),
    ],
)
def test_a_breach_is_found(
    module: str, source: str, finder: Callable[[Sources], list[str]]
) -> None:
    assert module in SOURCES
    assert len(finder({**dict.fromkeys(SOURCES, ""), module: source})) == 1


@pytest.mark.parametrize("late", ["", LATE])
@pytest.mark.parametrize(
    "around",
    [
        ("flow_builder", "executor"),
        ("views.urls", "views.runs.start"),
        ("worker.pool", "worker.lane"),
    ],
)
def test_a_circle_is_found(around: tuple[str, str], late: str) -> None:
    one, other = around
    back = f"{late}from {NAME}.{one} import x"
    breach = {one: f"from {NAME} import {other}" if "." not in other else f"import {NAME}.{other}"}
    assert len(circles({**dict.fromkeys(SOURCES, ""), **breach, other: back})) == 1
    assert not circles({**dict.fromkeys(SOURCES, ""), **breach, other: f"{FOR_TYPES}import {one}"})
