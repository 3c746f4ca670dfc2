"""The demo site's settings, in databases of their own and without the debugging."""

from __future__ import annotations

import os

from project.settings import *  # noqa: F403
from project.settings import DATABASES as SITE_DATABASES

#: With DEBUG, Django keeps the text of every query.
DEBUG = False
LOGGING_CONFIG = None

SITE_NAME = str(SITE_DATABASES["default"]["NAME"])
NAME = os.environ.get("PGFLOW_BENCH_DATABASE") or f"{SITE_NAME}_bench"

#: Finished tasks in the tables of the growth workload (W5): one database each.
LEVELS = (0, 100_000, 1_000_000)
DATABASES = {
    "default": {**SITE_DATABASES["default"], "NAME": NAME},
    **{
        f"level_{level}": {**SITE_DATABASES["default"], "NAME": f"{NAME}_{level}"}
        for level in LEVELS
    },
}
