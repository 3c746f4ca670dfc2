"""Fixtures for the tests of drafts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pgflow_django.registry import registry


@pytest.fixture(autouse=True)
def _registry_as_it_was() -> Iterator[None]:
    """Forget the functions that a test registers."""
    before = dict(registry._functions)
    yield
    registry._functions.clear()
    registry._functions.update(before)
