"""Fixtures of the workers' tests."""

from __future__ import annotations

from tests.engine.conftest import transactional_db as transactional_db
