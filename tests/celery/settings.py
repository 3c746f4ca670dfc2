"""Settings of the workers that tests start: the test's database, and ``PGFLOW`` as it wants it."""

from __future__ import annotations

import json
import os
from typing import Any

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES as DATABASES

DATABASES["default"].update(json.loads(os.environ["WORKER_TEST_DATABASE"]))
PGFLOW: dict[str, Any] = json.loads(os.environ["WORKER_TEST_PGFLOW"])
