"""Imports go downwards through five layers, read from the source with `ast`.

    4 adapters   what Django or a person calls: commands, checks, the app itself
    3 services   the public API and what runs steps
    2 gateways   engine (SQL functions) and registry (step functions), which don't know each other
    1 storage    models, SQL, migration operations, what a database says
    0 pure       no ORM, no SQL, no service

A module imports its own layer and those below. `TYPE_CHECKING` blocks count; imports inside
functions count as well, except for cycles.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import pgflow_django

PACKAGE = Path(pgflow_django.__file__).parent
NAME = PACKAGE.name

#: Modules and packages; what lies in a package belongs to its layer. The package itself is on top.
LAYERS: dict[str, str] = {
    "pure": (
        "choices conf definition edits exceptions graph jsonvalue options problems sqlstates ui"
    ),
    "storage": "database definition_store diagnosis migrations models operations sql",
    "gateways": "engine registry signals",
    "services": (
        "async_twins code_flows context delivery document drafts executor flow_builder flows logs "
        "running starting status waiting worker workers"
    ),
    "adapters": f"{NAME} admin apps celery celery_worker checks cli management tasks views",
}
ORDER = list(LAYERS)
LAYER = {module: layer for layer, modules in LAYERS.items() for module in modules.split()}
#: What a pure module may take from Django: settings and words, nothing that needs models.
PURE_DJANGO = {"django.conf", "django.db.models", "django.utils.translation"}
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

Sources = dict[str, str]


def read_package() -> Sources:
    """The source of every module by its name within the package; "" is the package itself."""
    sources = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        sources[name] = path.read_text(encoding="utf-8")
    return sources


SOURCES = read_package()


def layer_of(module: str) -> str:
    """The layer of a module, which is that of the package it lies in."""
    top = module.partition(".")[0] or NAME
    if top not in LAYER:
        raise LookupError(f"{module} belongs to no layer: add it to LAYERS")
    return LAYER[top]


@cache
def parse(source: str) -> ast.Module:
    return ast.parse(source)


def imports_of(source: str, module: str, *, also_late: bool = True) -> Iterator[str]:
    """Full names of what a module imports; `also_late`: inside functions and for types too."""
    tree = parse(source)
    for node in ast.walk(tree) if also_late else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: import by full names"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(source: str, module: str, known: Sources, *, also_late: bool = True) -> set[str]:
    """The modules of the package that a module imports."""
    found = set()
    for name in imports_of(source, module, also_late=also_late):
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


def test_imports_go_downwards_only() -> None:
    assert upward_imports(SOURCES) == []


def test_the_gateways_do_not_know_each_other() -> None:
    for module, other in (("engine", "registry"), ("registry", "engine")):
        assert other not in ours(SOURCES[module], module, SOURCES)


def test_no_module_imports_itself_around_a_corner() -> None:
    graph = {
        module: ours(source, module, SOURCES, also_late=False) - {""}
        for module, source in SOURCES.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"modules import one another: {' -> '.join(error.args[1])}")


def test_only_the_worker_knows_celery_and_nothing_the_demo_site_or_the_tests() -> None:
    assert foreign_imports(SOURCES) == []


def test_pure_modules_take_only_settings_and_words_from_django() -> None:
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
        if module.partition(".")[0] in {"ui", "graph", "jsonvalue", "exceptions"}
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


@pytest.mark.parametrize(
    ("module", "source", "finder"),
    [
        ("graph", "from pgflow_django.engine import sweep", upward_imports),
        ("models.runtime", "def f():\n    from pgflow_django import executor", upward_imports),
        ("engine", "import pgflow_django.worker.pool", upward_imports),
        ("flows", "if TYPE_CHECKING:\n    from pgflow_django.cli import base", upward_imports),
        ("worker.pool", "from celery import shared_task", foreign_imports),
        ("apps", "import project.rows", foreign_imports),
        ("executor", "sql = 'select pgflow.sweep()'", sql_outside),
        ("checks", "sql = 'select count(*) from pgmq.meta'", sql_outside),
    ],
)
def test_a_breach_is_found(module: str, source: str, finder: object) -> None:
    assert callable(finder)
    assert len(finder({**dict.fromkeys(SOURCES, ""), module: source})) == 1
