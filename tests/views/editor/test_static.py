"""What the pages load: small, pinned, and of our own or with its licence."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import override_settings

import pgflow_django
from pgflow_django import drafts
from tests.views.conftest import LogIn, address

STATIC = Path(pgflow_django.__file__).parent / "static" / "pgflow_django"
IDIOMORPH = "5811b9a7eda14878b7dab4378bf60432e1bb6f11fcfb970cc26540642650181e"
PLAIN = "django.contrib.staticfiles.storage.StaticFilesStorage"
HASHING = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
#: Of all scripts of ours that the editor loads.
MOST_BYTES = 14_600
SUBJECTS = ["view", "selection", "keys", "pointers", "server"]


def read_scripts(page: str) -> list[str]:
    """The addresses of the scripts of our own that a page loads, in their order."""
    return re.findall(r'<script src="/static/(pgflow_django/dag/[^"]+)" type="module">', page)


def open_editor(log_in: LogIn) -> str:
    """The editor's page, of a flow without steps."""
    drafts.create("small", user="boss")
    return log_in("boss").get(address("workflow_edit", "small")).content.decode()


@pytest.fixture
def page(log_in: LogIn) -> str:
    return open_editor(log_in)


def test_the_editor_loads_each_script_by_a_tag_of_its_own_in_their_order(page: str) -> None:
    assert read_scripts(page) == [f"pgflow_django/dag/{subject}.js" for subject in SUBJECTS]


def test_the_scripts_are_small_on_the_wire(page: str) -> None:
    scripts = [STATIC.parent / name for name in read_scripts(page)]
    assert sum(len(gzip.compress(script.read_bytes(), 9)) for script in scripts) <= MOST_BYTES


@pytest.mark.parametrize("backend", [PLAIN, HASHING])
def test_every_script_is_found_under_the_name_that_the_page_asks_for(
    log_in: LogIn, tmp_path: Path, backend: str
) -> None:
    storages = {**settings.STORAGES, "staticfiles": {"BACKEND": backend}}
    with override_settings(STATIC_ROOT=tmp_path, STORAGES=storages):
        call_command("collectstatic", interactive=False, verbosity=0)
        scripts = read_scripts(open_editor(log_in))
    assert len(scripts) == len(SUBJECTS)
    for name, subject in zip(scripts, SUBJECTS, strict=True):
        assert re.fullmatch(rf"{subject}(\.[0-9a-f]{{12}})?\.js", Path(name).name)
        assert (Path(name).stem != subject) == (backend == HASHING)
        assert (tmp_path / name).read_bytes() == (STATIC / f"dag/{subject}.js").read_bytes()


def test_no_script_imports_another_by_a_name_without_its_hash() -> None:
    for script in (STATIC / "dag").glob("*.js"):
        assert not re.search(r"^\s*(import|export)\b|\bimport\(", script.read_text(), re.MULTILINE)


def test_the_vendored_file_is_the_published_one_with_its_licence() -> None:
    vendored = STATIC / "vendor" / "idiomorph-ext-0.8.0.min.js"
    assert hashlib.sha256(vendored.read_bytes()).hexdigest() == IDIOMORPH
    assert "Zero-Clause BSD" in (STATIC / "vendor" / "idiomorph-LICENSE.txt").read_text()


def test_no_script_of_ours_writes_html_or_needs_eval() -> None:
    for script in (*STATIC.glob("*.js"), *STATIC.glob("dag/*.js")):
        for word in (".innerHTML", ".outerHTML", "insertAdjacentHTML", "eval(", "new Function"):
            assert word not in script.read_text()
