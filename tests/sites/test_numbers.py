"""Numbers that programs read are written as programs write them, whatever people are used to."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client, override_settings

from pgflow_django import drafts
from tests.sites import sample
from tests.sites.markup import machine_view, read_forms
from tests.sites.visiting import PLAIN
from tests.views.conftest import address

LANGUAGES = ("en", "fr", "de")


def test_programs_read_the_same_numbers_in_every_language(boss: Client, settings: Any) -> None:
    runs = sample.make()
    stale = {"op": "add_step", "slug": "more", "version": "1"}
    asked: list[tuple[str, dict[str, str] | None]] = [
        (address("workflow_edit", "numbers"), None),
        (address("workflow_edit", "numbers") + "?step=first", None),
        (address("workflow_run", "numbers"), None),
        (address("workflow_op", "numbers"), stale),
        (address("workflowrun_change", runs["failed"]), None),
        (address("workflowrun_step", runs["failed"]) + "?step=first", None),
        (address("workflowworker_changelist"), None),
    ]
    for path, data in asked:
        with override_settings(**PLAIN):
            plain = machine_view(ask(boss, path, data))
        for language in LANGUAGES:
            with override_settings(USE_THOUSAND_SEPARATOR=True, LANGUAGE_CODE=language):
                assert machine_view(ask(boss, path, data)) == plain, (language, path)


def ask(client: Client, path: str, data: dict[str, str] | None) -> str:
    htmx = {"HX-Request": "true"}
    answer = client.get(path) if data is None else client.post(path, data, headers=htmx)
    assert answer.status_code in {200, 409}
    return answer.content.decode()


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_field_that_is_saved_changes_no_other(boss: Client, settings: Any, language: str) -> None:
    settings.USE_THOUSAND_SEPARATOR, settings.LANGUAGE_CODE = True, language
    sample.register()
    sample.make_flow("numbers")
    version = drafts.load("numbers").version
    drafts.edit("numbers", version, "set_flow", {"description": "Numbers"}, user="ann")
    sample.run_sql("update workflow_drafts set version = version + 1500")
    before = drafts.load("numbers").document
    page = ask(boss, address("workflow_edit", "numbers"), None)
    (form,) = (each for each in read_forms(page) if each.attributes.get("id") == "pgf-flow-form")
    data = {**form.fields, "op": form.attributes["data-op"], "description": "More"}
    assert boss.post(address("workflow_op", "numbers"), data).status_code == 302
    assert drafts.load("numbers").document == {**before, "description": "More"}
