"""Fixtures of the embedded server's tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.project.processes import User, server_of, wait_until


@pytest.fixture
def place() -> Iterator[Path]:
    """Give a folder of the test's own, where the servers of several tests at once can be.

    Not pytest's `tmp_path`: every session that begins closes the folder above to other users, and
    root's servers run as one.
    """
    with TemporaryDirectory(prefix="pgflow-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    """Give a cluster that was made and stopped, to be copied."""
    with TemporaryDirectory(prefix="pgflow-") as place:
        user = User(Path(place) / "template")
        user.wait_ready()
        assert user.leave() == ""
        yield Path(place) / "template"


@pytest.fixture
def folder(template: Path, place: Path) -> Iterator[Path]:
    """Give a data folder of the test's own, without a server that outlives the test."""
    copy = place / "pg"
    shutil.copytree(template, copy)
    yield copy
    wait_until(lambda: server_of(copy) is None)
