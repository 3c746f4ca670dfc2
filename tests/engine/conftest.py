"""Fixtures of the engine's tests: a clean database that commits, doors, step functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from django.db import connection, connections
from django.test import SimpleTestCase

from pgflow_django.registry import StepFunction, registry
from tests.engine.database import clean
from tests.engine.doors import DOORS, Door

Register = Callable[[Mapping[str, StepFunction]], None]


@pytest.fixture(autouse=True)
def transactional_db(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: Any
) -> Iterator[None]:
    """Let the test commit, since other threads and processes must see what it does.

    In place of pytest-django's fixture of this name, which spends 0.2 s on a TRUNCATE.
    """
    if request.cls is not None and issubclass(request.cls, SimpleTestCase):
        yield
        return
    with django_db_blocker.unblock():
        clean()
        yield
        assert not connection.in_atomic_block
        clean()


@pytest.fixture
def register() -> Iterator[Register]:
    """Register step functions for the length of a test: ``register({"fetch": fetch})``."""
    names: set[str] = set()

    def register_all(functions: Mapping[str, StepFunction]) -> None:
        for name, function in functions.items():
            names.add(name)
            registry.unregister(name)
            registry.register(function, name)

    yield register_all
    for name in names:
        registry.unregister(name)


@pytest.fixture(params=sorted(DOORS))
def door(request: pytest.FixtureRequest) -> Door:
    """Every way in which steps run in this process; see ``doors``."""
    return DOORS[request.param]()


@pytest.fixture
def other() -> Iterator[str]:
    """A second alias, of the same database."""
    connections.settings["other"] = {**connections.settings["default"]}
    yield "other"
    connections["other"].close()
    del connections["other"]
    del connections.settings["other"]


@pytest.fixture
def atomic() -> Iterator[Callable[[Callable[..., Any]], None]]:
    """Register step functions, one in the place of another, as the atomic step "a"."""

    def register(function: Callable[..., Any]) -> None:
        registry.unregister("a")
        registry.register(function, "a", atomic=True)

    yield register
    registry.unregister("a")
