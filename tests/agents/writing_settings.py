"""Settings of a site where programs write, and that logs all it does to stdout."""

from __future__ import annotations

from tests.settings import *  # noqa: F403 - a settings module
from tests.settings import PGFLOW as PGFLOW

PGFLOW["AGENTS"] = "write"
LOGGING = {
    "version": 1,
    "handlers": {"out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout"}},
    "root": {"handlers": ["out"], "level": "DEBUG"},
}
