"""Fixtures of the tests of other sites."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.engine.conftest import transactional_db as transactional_db
from tests.storage.conftest import migrated_template as migrated_template
from tests.storage.conftest import server as server


@pytest.fixture
def boss(transactional_db: None) -> Iterator[Client]:
    """Give the browser of somebody who may do everything."""
    user = User.objects.create_superuser("boss")
    client = Client()
    client.force_login(user)
    yield client
    user.delete()
