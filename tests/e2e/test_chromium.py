"""Whether the browser's tests can run at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.conftest import CHROMIUM


def test_there_is_a_chromium() -> None:
    if not Path(CHROMIUM).exists() and not os.environ.get("CI"):
        pytest.skip(
            f"no Chromium at {CHROMIUM} (PGFLOW_CHROMIUM): the browser's tests are left out"
        )
    assert Path(CHROMIUM).exists()
