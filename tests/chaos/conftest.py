"""Fixtures, and a line of summary for each case."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from tests.chaos import load
from tests.engine.conftest import transactional_db as transactional_db

#: `PGFLOW_CHAOS_ROUNDS=100` goes on for longer.
ROUNDS = int(os.environ.get("PGFLOW_CHAOS_ROUNDS", "20"))
_summary: list[str] = []

Tell = Callable[[str], None]


@pytest.fixture
def prepared(transactional_db: None) -> Iterator[None]:
    """See ``load.prepared``."""
    with load.prepared():
        yield


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Tell:
    """Add a line to the summary at the end."""
    return lambda text: _summary.append(f"{request.node.name}: {text}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the summary."""
    if _summary:
        terminalreporter.section("chaos")
        for line in _summary:
            terminalreporter.line(line)
