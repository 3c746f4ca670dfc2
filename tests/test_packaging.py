"""What is in the wheel and the sdist, and that the wheel works in a site of its own.

The site knows nothing of this checkout: own settings, SQLite as `default`, PostgreSQL as `flows`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from django.db import connection

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "pgflow_django"
DATABASE = "pgflow_packaging"

SETTINGS = """
import sys

# Extras are not there: they can neither be found nor imported.
sys.modules.update(dict.fromkeys(["mcp", "ninja", "pydantic_ai"]))

SECRET_KEY = "scratch"
ROOT_URLCONF = "scratch.urls"
INSTALLED_APPS = [
    "django.contrib.contenttypes", "django.contrib.auth", "django.contrib.postgres",
    "pgtrigger", "pgflow_django", "shop",
]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASE_ROUTERS = ["scratch.routers.FlowsRouter"]
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "site.sqlite3"},
    "flows": %(flows)r,
}
"""
ROUTER = """
class FlowsRouter:
    def db_for_read(self, model, **hints):
        return "flows" if model._meta.app_label == "pgflow_django" else None

    db_for_write = db_for_read

    def allow_migrate(self, db, app_label, **hints):
        return (app_label == "pgflow_django") == (db == "flows")
"""
URLS = """
from django.urls import include, path

urlpatterns = [path("agents/", include("pgflow_django.agents.urls"))]
"""
STEPS = """
from typing import TypedDict

from pgflow_django import step_function

class Number(TypedDict):
    number: int

@step_function("shop.double", effects="none")
def double(input: Number) -> int:
    return input["number"] * 2
"""
RUN = """
import json
import django
django.setup()
import pgflow_django
from pgflow_django import executor, flow_builder
flow_builder.create_flow("scratch", using="flows")
flow_builder.add_step("scratch", "numbers", using="flows")
flow_builder.add_step(
    "scratch", "double", ["numbers"], step_type="map", function="shop.double",
    inputs={"number": "item"}, using="flows",
)
flow_builder.add_step("scratch", "total", ["double"], using="flows")
functions = {
    "numbers": lambda input: list(range(input["count"])),
    "total": lambda input: sum(input["double"]),
}
output = executor.execute_dynamic("scratch", {"count": 5}, functions, using="flows")
by_router = executor.execute_dynamic("scratch", {"count": 3}, functions)
print(json.dumps([pgflow_django.__file__, output, by_router]))
"""
CALL = """
import json
import django
django.setup()
from django.test import Client
paths = ["mcp/", "api/v1/flows", "api/v1/openapi.json"]
answers = [Client().post(f"/agents/{path}") for path in paths]
print(json.dumps([[answer.status_code, answer.json()["error"]] for answer in answers]))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = ("build", "--no-isolation", "--outdir", str(folder), str(ROOT))
    run(sys.executable, "-m", *command, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    return next(built.glob("pgflow_django-*.whl"))


def run(*command: str, cwd: Path, **environment: str) -> str:
    result = subprocess.run(
        command,
        check=False,
        cwd=cwd,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **environment},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def files_of_the_package() -> set[str]:
    files = (path.relative_to(ROOT) for path in PACKAGE.rglob("*") if path.is_file())
    return {
        file.as_posix()
        for file in files
        if not any(part == "__pycache__" or part.startswith(".") for part in file.parts)
    }


def test_the_wheel_holds_the_whole_package_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    metadata = {name for name in names if PurePosixPath(name).parts[0].endswith(".dist-info")}
    assert names - metadata == files_of_the_package()
    assert {PurePosixPath(name).name for name in metadata} == {
        "METADATA",
        "WHEEL",
        "RECORD",
        "LICENSE",
    }
    assert "pgflow_django/py.typed" in names
    assert any(name.endswith(".sql") for name in names)


def test_the_sdist_holds_the_package_and_what_builds_it(built: Path) -> None:
    with tarfile.open(next(built.glob("pgflow_django-*.tar.gz"))) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    around = {"pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "PKG-INFO", ".gitignore"}
    assert names - around == files_of_the_package()
    assert around - names <= {".gitignore"}


def test_the_wheel_asks_for_few_packages_and_no_test_tools(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    metadata = next(name for name in archive.namelist() if name.endswith("/METADATA"))
    lines = archive.read(metadata).decode().splitlines()
    required = {line.removeprefix("Requires-Dist: ") for line in lines if "Requires-Dist" in line}
    names = {re.split("[<>=]", line)[0] for line in required if "extra ==" not in line}
    assert names == {
        "celery",
        "django",
        "django-htmx",
        "django-pgtrigger",
        "jsonschema",
        "pgmq",
        "psycopg",
        "pydantic",
        "rich",
    }


@pytest.fixture
def flows_database(django_db_blocker: Any, django_db_setup: None) -> Iterator[dict[str, Any]]:
    """Give the settings of an empty database on the server of the tests."""
    with django_db_blocker.unblock():
        with connection._nodb_cursor() as cursor:
            cursor.execute(f"drop database if exists {DATABASE}")
            cursor.execute(f"create database {DATABASE}")
        settings = {
            key: connection.settings_dict[key] for key in ("USER", "PASSWORD", "HOST", "PORT")
        }
        yield {**settings, "ENGINE": "django.db.backends.postgresql", "NAME": DATABASE}
        with connection._nodb_cursor() as cursor:
            cursor.execute(f"drop database {DATABASE} with (force)")


def scratch_site(folder: Path, database: dict[str, Any]) -> None:
    for package in ("scratch", "shop"):
        (folder / package).mkdir()
        (folder / package / "__init__.py").touch()
    (folder / "scratch" / "settings.py").write_text(SETTINGS % {"flows": database})
    (folder / "scratch" / "routers.py").write_text(ROUTER)
    (folder / "scratch" / "urls.py").write_text(URLS)
    (folder / "shop" / "steps.py").write_text(STEPS)


def python_with(wheel: Path, folder: Path) -> str:
    """Make an environment with the wheel in it, before the packages of the running Python."""
    run(sys.executable, "-m", "venv", "--without-pip", str(folder), cwd=folder.parent)
    python = str(folder / "bin" / "python")
    install = ("install", "--quiet", "--no-deps", "--no-index", str(wheel))
    run(sys.executable, "-m", "pip", "--python", python, *install, cwd=folder.parent)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = folder / "lib" / version / "site-packages"
    (packages / "running.pth").write_text(sysconfig.get_path("purelib"))
    return python


def test_the_wheel_works_in_a_site_with_an_alias_of_its_own(
    wheel: Path, tmp_path: Path, flows_database: dict[str, Any]
) -> None:
    python = python_with(wheel, tmp_path / "venv")
    site = tmp_path / "site"
    site.mkdir()
    scratch_site(site, flows_database)
    environment = {"DJANGO_SETTINGS_MODULE": "scratch.settings", "PYTHONPATH": str(site)}
    for alias in ("default", "flows"):
        command = ("-m", "django", "migrate", "--verbosity", "0", "--database", alias)
        run(python, "-W", "error", *command, cwd=site, **environment)
    checked = run(python, "-m", "django", "check", "--database", "flows", cwd=site, **environment)
    assert "no issues" in checked
    place, output, by_router = json.loads(
        run(python, "-W", "error", "-c", RUN, cwd=site, **environment)
    )
    assert Path(place).is_relative_to(tmp_path / "venv")
    assert output == {"total": 20}
    assert by_router == {"total": 6}
    answers = json.loads(run(python, "-c", CALL, cwd=site, **environment))
    for extra, (status, error) in zip(("mcp", "api", "api"), answers, strict=True):
        assert (status, error["code"]) == (404, "not_installed")
        assert f"pgflow_django[{extra}]" in error["message"]
