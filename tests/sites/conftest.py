"""Fixtures of the tests of other sites."""

from __future__ import annotations

from tests.engine.conftest import transactional_db as transactional_db
