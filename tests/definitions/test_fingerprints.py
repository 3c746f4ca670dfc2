"""Fingerprints of flows in code: the same from one release to the next, while the flow is."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pgflow_django.choices import Origin
from pgflow_django.definitions.options import FLOW_OPTIONS, STEP_OPTIONS, Option
from pgflow_django.definitions.rules import WholeNumber
from pgflow_django.definitions.shape import Document, fingerprint, read_document
from pgflow_django.flows import CodeFlow, sync_code_flow
from pgflow_django.models import Workflow
from pgflow_django.storage import definitions as store

PLAIN: Document = {"workflow_slug": "plain", "steps": [{"slug": "only"}]}
CHAIN: Document = {
    "workflow_slug": "chain",
    "max_attempts": 3,
    "steps": [
        {"slug": "fetch", "uses": "chain.fetch"},
        {"slug": "each", "type": "map", "depends_on": ["fetch"], "timeout": 60},
        {"slug": "sum", "depends_on": ["each"], "start_delay": 0},
    ],
}
FULL: Document = {
    "workflow_slug": "full",
    "max_attempts": 5,
    "timeout": 90,
    "base_delay": 2,
    "queue": "gpu",
    "description": "Alle Größen, 毎晩",
    "input_schema": {"type": "object", "required": ["day"]},
    "steps": [
        {"slug": "b", "type": "map", "initial_tasks": 7, "max_attempts": 1, "base_delay": 9},
        {"slug": "a", "start_delay": 4, "params": {"x": [1, True, None, 1.5]}, "queue": "cpu"},
        {"slug": "c", "depends_on": ["b", "a"], "timeout": 1},
    ],
}
DOCUMENTS = (PLAIN, CHAIN, FULL)
#: As the first release computed them. They stay: another value would give flows another version.
STORED = {
    "plain": "b9eda935616fc44eb25c3357e51aade4f4e22f8e5591f1649c280f4d44380cbf",
    "chain": "8ec56c676789f2ac46ebb54acfc30b69a66abb3adcad016aa85dd77dfdb512c2",
    "full": "a4ccffb64f705ea091a302b33607e4ce41cd75daad173868a2991cae40058a79",
}

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=list(STORED))


@pytest.fixture
def later_release(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be an option more of flows and of steps, as a later release may have it."""
    option = Option("patience", WholeNumber(0, 9), 5)
    monkeypatch.setitem(FLOW_OPTIONS, option.name, option)
    monkeypatch.setitem(STEP_OPTIONS, option.name, option)


def change_first_step(document: Document, **options: Any) -> Document:
    first, *others = document["steps"]
    return {**document, "steps": [{**first, **options}, *others]}


@each_document
def test_a_fingerprint_is_that_of_the_first_release(document: Document) -> None:
    assert fingerprint(document) == STORED[document["workflow_slug"]]


@each_document
def test_an_option_that_a_release_adds_changes_no_fingerprint(
    later_release: None, document: Document
) -> None:
    assert fingerprint(document) == STORED[document["workflow_slug"]]
    assert fingerprint({**document, "patience": 5}) == STORED[document["workflow_slug"]]
    assert fingerprint(change_first_step(document, patience=5)) == fingerprint(document)


def test_an_added_option_counts_where_a_flow_uses_it(later_release: None) -> None:
    documents = [
        CHAIN,
        {**CHAIN, "patience": 6},
        change_first_step(CHAIN, patience=6),
        change_first_step(CHAIN, patience=7),
    ]
    assert len({fingerprint(document) for document in documents}) == len(documents)


@pytest.mark.django_db
@each_document
def test_a_flow_that_an_earlier_release_has_stored_is_left_alone(document: Document) -> None:
    slug = document["workflow_slug"]
    definition = read_document(document)
    store.save_definition(
        definition, "default", origin=Origin.CODE, replace=False, fingerprint=STORED[slug]
    )
    before = Workflow.objects.values().get()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        sync_code_flow(CodeFlow(slug, document, {}, fingerprint(document)))
    assert len(queries) == 1
    assert Workflow.objects.values().get() == before
