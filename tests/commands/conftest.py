"""Fixtures of the commands' tests: a clean database that commits, and flows to run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from tests.engine.building import build
from tests.engine.database import clean


@pytest.fixture(autouse=True)
def transactional_db(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Let the test commit, since the threads and processes of commands must see what it does."""
    with django_db_blocker.unblock():
        clean()
        yield
        assert not connection.in_atomic_block
        clean()


@pytest.fixture
def doubles() -> str:
    """A flow with a map step: numbers, each doubled, summed up."""
    return build(
        "doubles",
        {"numbers": [], "double*": ["numbers"], "total": ["double"]},
        options={name: {"uses": f"tests.{name}"} for name in ("numbers", "double", "total")},
    )


@pytest.fixture
def failing() -> str:
    """A flow whose second of three steps fails twice, for good."""
    return build(
        "failing",
        {"numbers": [], "fail": ["numbers"], "after": ["fail"]},
        options={
            "numbers": {"uses": "tests.numbers"},
            "fail": {"uses": "tests.fail", "max_attempts": 2},
            "after": {"uses": "tests.numbers"},
        },
    )
