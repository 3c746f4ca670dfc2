"""Settings of the workers that tests start: the test's database, and ``PGFLOW`` as it wants it."""

from __future__ import annotations

import json
import os

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES as DATABASES

DATABASES["default"].update(json.loads(os.environ["WORKER_TEST_DATABASE"]))
PGFLOW = json.loads(os.environ["WORKER_TEST_PGFLOW"])
