"""README and docs: their code runs, their links lead somewhere, and nothing public is left out."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import tomllib
import unittest
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin import site
from django.contrib.auth.models import User
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand
from django.db import connection
from django.test import override_settings

import pgflow_django
from pgflow_django import choices
from pgflow_django.checks import check_settings
from pgflow_django.conf import Defaults
from pgflow_django.flow_builder import validate_flow
from pgflow_django.registry import registry
from pgflow_django.runs.why.reason import URGENCY, Reason
from pgflow_django.sql import FUNCTIONS
from project import flows
from project.models import Airport
from tests import documentation as documents
from tests.agents.scripted import serve, strict_answer, strict_step
from tests.documentation import DOCS, PAGES, ROOT, Block
from tests.engine.database import clean
from tests.error_codes import SOURCES, known_codes

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
MODELS = apps.get_app_config("pgflow_django").get_models
COMMANDS = sorted(name for name, app in get_commands().items() if app == "pgflow_django")

by_page = pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])


@pytest.fixture
def transactional_db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Let pages commit, as those of the engine's tests do; pytest-django knows the name."""
    before = dict(registry._functions)
    with django_db_blocker.unblock():
        clean()
        yield
        clean()
        Airport.objects.all().delete()
        User.objects.all().delete()
    registry._functions.clear()
    registry._functions.update(before)


# -- code blocks -------------------------------------------------------------------------------


@by_page
def test_every_block_is_in_a_language_that_is_tried(page: Path) -> None:
    for block in documents.read_blocks(page):
        assert block.language in documents.LANGUAGES, block
    assert page.read_text(encoding="utf-8").count("```") == 2 * len(documents.read_blocks(page))


@by_page
def test_the_blocks_of_a_page_run_one_after_another(
    page: Path, transactional_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo's flow is there, and a superuser ann; the folder is empty."""
    monkeypatch.chdir(tmp_path)
    flows.install()
    User.objects.create_superuser("ann")
    namespace: dict[str, Any] = {"__name__": f"docs.{page.stem}"}
    with asked_by(page, monkeypatch):
        for block in documents.read_blocks(page):
            if block.language in TRIALS:
                TRIALS[block.language](block, namespace)
    for value in namespace.values():
        if isinstance(value, type) and issubclass(value, unittest.TestCase):
            try_test_case(value)


#: What the pages that ask a model are answered, one after another.
_EXTRACT = strict_step("extract_csv", "etl.extract_csv")
_VALIDATE = strict_step(
    *("validate_rows", "etl.validate_row", "extract_csv"),
    type="map",
    inputs=[{"name": "row", "source": "item"}],
)
_LOAD = strict_step("load_db", "etl.load_rows", "validate_rows")
_VALID = [{"name": "rows", "source": "validate_rows"}]
_ALL = {"depends_on": ["extract_csv"], "inputs": [{"name": "rows", "source": "extract_csv"}]}
ANSWERS: dict[str, list[Any]] = {
    "patterns": [
        # A dependency that is not there: it comes back, and is mended.
        strict_answer(_EXTRACT, {**_LOAD, "inputs": _VALID}, slug="claude_etl"),
        strict_answer(
            *(_EXTRACT, _VALIDATE, {**_LOAD, "inputs": _VALID}),
            slug="claude_etl",
            unmet=["fax a summary"],
        ),
        "Kiel: one airport.",
        "Kiel has one airport.",
        strict_answer(_EXTRACT, {**_LOAD, **_ALL}, slug="ab_test_b"),
    ]
}


@contextmanager
def asked_by(page: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a page ask a model that was told what to answer; it asks for just that."""
    if page.stem not in ANSWERS:
        yield
        return
    before = dict(site._registry)
    with serve(*ANSWERS[page.stem]) as script:
        monkeypatch.setenv("OPENAI_BASE_URL", script.url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")
        with override_settings(PGFLOW={"AI_MODEL": "openai-chat:gpt-5"}):
            yield
    site._registry.clear()
    site._registry.update(before)
    assert script.faults == []
    assert len(script.asked) == len(script.answers)


@pytest.mark.parametrize("text", ["1 + 1  # -> 3\n", "a = [1]  # -> [2]\n", "await b()  # -> 2\n"])
def test_a_wrong_value_is_found(text: str) -> None:
    async def b() -> int:
        return 1

    with pytest.raises(AssertionError, match=r"test_docs.py:7: .* gave "):
        documents.run_python(Block(Path(__file__), 7, "python", text), {"b": b})


def try_test_case(case: type[unittest.TestCase]) -> None:
    """Run the tests of a class that a page defines, not of one that it imports."""
    if case.__module__.startswith("docs."):
        outcome = unittest.defaultTestLoader.loadTestsFromTestCase(case).run(unittest.TestResult())
        assert outcome.testsRun
        assert outcome.wasSuccessful(), outcome.failures + outcome.errors


def try_python(block: Block, namespace: dict[str, Any]) -> None:
    documents.run_python(block, namespace)
    if "PGFLOW = " in block.text:
        with override_settings(PGFLOW=namespace["PGFLOW"]):
            assert check_settings() == [], block


def try_json(block: Block, _: dict[str, Any]) -> None:
    document = json.loads(block.text)
    if "steps" in document:
        assert [p for p in validate_flow(document) if p.severity == "error"] == [], block


def try_sql(block: Block, _: dict[str, Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(block.text, None)


def try_console(block: Block, _: dict[str, Any]) -> None:
    """Our own commands are run, those of others only parsed; and those of no concern are known."""
    for words, status in documents.read_commands(block):
        managed = documents.find_manage_command(words)
        if managed and managed[0] in {*COMMANDS, "demo"}:
            found, printed = documents.run_manage_command(managed)
            assert found == status, f"{block}: {' '.join(words)} gave {found}: {printed}"
        elif managed:
            documents.parse_manage_command(managed)
        elif words[0] == "make":
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), block
        elif words[:2] == ["pip", "install"]:
            check_requirement(words[-1])
        elif words[0].endswith("python"):
            assert importlib.util.find_spec(words[2]), block
        else:
            assert words[0] in documents.OTHER_PROGRAMS, block


TRIALS: dict[str, Callable[[Block, dict[str, Any]], None]] = {
    "python": try_python,
    "json": try_json,
    "sql": try_sql,
    "console": try_console,
}


def check_requirement(requirement: str) -> None:
    name, _, extra = requirement.strip("]").partition("[")
    assert Path(name).name == PROJECT["name"]
    assert not extra or extra in PROJECT["optional-dependencies"]


# -- links, sizes, versions --------------------------------------------------------------------


@by_page
def test_no_link_is_dead(page: Path) -> None:
    for link in documents.read_links(page):
        if re.match(r"https?://", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            assert anchor in documents.read_anchors(target), f"{page.name}: {link}"


def test_every_page_is_reachable_from_the_index() -> None:
    linked = {link.partition("#")[0] for link in documents.read_links(DOCS / "index.md")}
    assert {page.name for page in DOCS.glob("*.md")} - {"index.md"} <= linked


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_the_changelog_ends_with_this_version() -> None:
    headings = re.findall(
        r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
    )
    assert headings[:2] == ["Unreleased", pgflow_django.__version__]


def test_the_readme_names_the_versions_that_the_package_declares() -> None:
    rows = dict(
        re.findall(
            r"^\| (\w+) +\| (.+?) +\|", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE
        )
    )
    for product, prefix in (
        ("Python", "Programming Language :: Python :: "),
        ("Django", "Framework :: Django :: "),
    ):
        declared = [
            line.removeprefix(prefix) for line in PROJECT["classifiers"] if line.startswith(prefix)
        ]
        assert re.findall(r"\d+\.\d+", rows[product])[: len(declared)] == declared


# -- nothing public is left out ----------------------------------------------------------------


def test_every_public_name_is_documented() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for module in (pgflow_django, pgflow_django.executor, pgflow_django.flow_builder):
        for name in module.__all__:
            if name != "workflow_not_found":
                assert re.search(rf"\b{name}\b", text), name


def test_every_setting_is_documented_with_its_type_and_default() -> None:
    rows = {cells[0].strip("`"): cells[1:] for cells in documents.read_rows(DOCS / "settings.md")}
    kinds = {field.name: field.type for field in fields(Defaults)}
    known = asdict(Defaults())
    assert {name for name in rows if name.isupper()} >= known.keys()
    for name, value in known.items():
        kind, default = (cell.strip("`").replace("\\|", "|") for cell in rows[name][:2])
        assert (kind, ast.literal_eval(default)) == (kinds[name], value), name


def options_of(name: str) -> set[str]:
    """The options that a command has beside those of every Django command."""
    application = get_commands()[name]
    assert isinstance(application, str)
    command = load_command_class(application, name)
    usual = BaseCommand().create_parser("manage.py", "any")
    ours = command.create_parser("manage.py", name)
    return set(ours._option_string_actions) - set(usual._option_string_actions)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented_with_its_options(name: str) -> None:
    section = documents.read_sections(DOCS / "commands.md")[name]
    assert re.search(rf"manage\.py {name}\b", section), "an example"
    for option in options_of(name) - {"--json", "--database"}:
        assert re.search(rf"`{option}\b", section), option


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str) -> None:
    application = get_commands()[name]
    assert isinstance(application, str)
    text = load_command_class(application, name).create_parser("manage.py", name).format_help()
    assert re.search(rf"manage\.py {name} ?", text.partition("options:")[2])


def test_every_check_is_documented_and_no_other() -> None:
    known = set(re.findall(r"\bpgflow\.[EW]\d{3}", "".join(SOURCES.values())))
    documented = {cells[0].strip("`") for cells in documents.read_rows(DOCS / "checks.md")}
    assert documented == known


def test_every_code_is_documented_and_no_other() -> None:
    documented = [cells[0].strip("`") for cells in documents.read_rows(DOCS / "errors.md")]
    assert len(documented) == len(set(documented))
    assert set(documented) == known_codes()


def test_every_code_and_key_of_reasons_is_documented_and_no_other() -> None:
    codes = [cells[0].strip("`") for cells in documents.read_rows(DOCS / "monitoring.md")]
    assert sorted(codes) == sorted(URGENCY)
    keys = [field.name for field in fields(Reason)]
    section = documents.read_sections(DOCS / "agents.md")["Reasons"]
    rows = re.findall(r"^\| (`.+?) \|", section, re.MULTILINE)
    assert re.findall(r"`(\w+)`", " ".join(rows)) == keys
    examples = [block.text for block in documents.read_blocks(DOCS / "agents.md")]
    (example,) = (json.loads(text) for text in examples if '"retrying"' in text)
    assert [list(reason) for reason in example["reasons"]] == [keys]


@pytest.mark.parametrize(
    ("heading", "transitions"),
    [
        ("States of a run", choices.RUN_TRANSITIONS),
        ("States of a step", choices.STEP_TRANSITIONS),
    ],
)
def test_the_state_diagrams_have_the_transitions_that_are_allowed(
    heading: str, transitions: list[tuple[str, str]]
) -> None:
    section = documents.read_sections(DOCS / "concepts.md")[heading]
    assert sorted(re.findall(r"(\w+) --> (\w+)", section)) == sorted(transitions)


def test_every_table_and_column_is_documented() -> None:
    sections = documents.read_sections(DOCS / "sql.md")
    for model in MODELS():
        section = sections[model._meta.db_table]
        for field in model._meta.concrete_fields:
            assert f"`{field.column}`" in section, f"{model._meta.db_table}.{field.column}"
        for rule in (*model._meta.constraints, *getattr(model._meta, "triggers", ())):
            assert f"`{rule.name}`" in section, f"{model._meta.db_table}: {rule.name}"


def test_every_sql_function_is_documented() -> None:
    rows = {cells[0].strip("`").partition("(")[0] for cells in documents.read_rows(DOCS / "sql.md")}
    assert {f"pgflow.{name}" for name in FUNCTIONS if not name.startswith("_")} <= rows
