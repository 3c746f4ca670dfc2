"""How hard the tests look that could look for ever."""

from __future__ import annotations

import os

#: `PGFLOW_TEST_EFFORT=20` makes twenty times as many random flows and seeds.
EFFORT = int(os.environ.get("PGFLOW_TEST_EFFORT", "1"))
