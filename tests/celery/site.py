"""The demo site's Celery app with tasks of its own, and a broker that needs no server.

Through files, since a broker in memory is reached by its own process only.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from project.celery import app

app.conf.update(json.loads(os.environ.get("WORKER_TEST_BROKER", "{}")))
if folder := os.environ.get("WORKER_TEST_BROKER_FOLDER"):
    app.conf.broker_url = "filesystem://"
    app.conf.broker_transport_options = {
        "data_folder_in": folder,
        "data_folder_out": folder,
        "control_folder": folder,
        "polling_interval": 0.02,
    }


@app.task(name="site.touch", ignore_result=True)  # type: ignore[untyped-decorator]
def touch(path: str) -> None:
    """Make a file."""
    Path(path).touch()


@app.task(name="site.hold", ignore_result=True)  # type: ignore[untyped-decorator]
def hold(mark: str, gate: str) -> None:
    """Make the file ``mark``, then wait for the file ``gate``."""
    Path(mark).touch()
    while not Path(gate).exists():
        time.sleep(0.005)
