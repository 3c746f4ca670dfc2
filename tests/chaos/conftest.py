"""Fixtures, and a line of summary for each case."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.chaos import load
from tests.chaos.server import OwnServer, own_server
from tests.engine.conftest import transactional_db as transactional_db

_summary: list[str] = []

Tell = Callable[[str], None]


@pytest.fixture
def prepared(transactional_db: None) -> Iterator[None]:
    """See ``load.prepared``."""
    with load.prepared():
        yield


@pytest.fixture
def server(transactional_db: None) -> Iterator[OwnServer]:
    """A server for this test alone, prepared like the other."""
    with own_server() as ours, load.prepared():
        yield ours


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
