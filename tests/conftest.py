"""What holds for every test."""

from __future__ import annotations

import gc
import os
import signal
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

#: They take minutes: `make test-chaos` asks for them.
collect_ignore = [] if os.environ.get("PGFLOW_CHAOS") else ["chaos"]

# What an example takes says how busy the machine is. Examples are the same each time, unless
# `PGFLOW_TEST_EFFORT` asks for more of them: then they are new ones.
settings.register_profile(
    "untimed",
    deadline=None,
    derandomize="PGFLOW_TEST_EFFORT" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("untimed")


def pytest_configure() -> None:
    """Let processes that tests start be interrupted.

    In the background of a script, or under ``nohup``, signals are ignored, and whoever is started
    there inherits that; a handler, or the default, is not inherited as ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def pytest_xdist_auto_num_workers() -> int:
    """One more process than there are processors: one of them mostly waits, see below."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the tests that wait for workers of their own to one process, beside all others.

    They take half as long as the rest, on the clock and not of a processor, and two at once would
    slow each other's workers down.
    """
    folder = Path(__file__).parent / "celery"
    for item in items:
        if item.path.is_relative_to(folder):
            item.add_marker(pytest.mark.xdist_group("workers"))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Spare the garbage collector what was imported, which stays: an eighth of the suite's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
