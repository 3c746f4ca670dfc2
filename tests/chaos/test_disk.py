"""The disk under a table is full for a while."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.chaos.conftest import Tell
from tests.chaos.fleet import fleet
from tests.chaos.load import LOADS, check, has_ended, start
from tests.chaos.server import OwnServer
from tests.engine.database import query
from tests.waiting import wait_until


@contextmanager
def small_disk(server: OwnServer) -> Iterator[Path]:
    """A disk of some megabytes that the server may write to; skips where none can be had."""
    place = server.make_place("disk")
    mount = [shutil.which("mount") or "mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a full disk needs a small one, and only root may mount that")
    try:
        server.give(place)
        yield place
    finally:
        # The server still has files open there; it goes when that ends.
        subprocess.run([shutil.which("umount") or "umount", "--lazy", str(place)], check=True)


def fill(file: Path) -> None:
    """Write until nothing fits."""
    with pytest.raises(OSError, match="No space left"), file.open("wb", buffering=0) as ballast:
        while True:
            ballast.write(b"\0" * 4096)


def test_workers_go_on_when_there_is_room_again(
    server: OwnServer, tmp_path: Path, tell: Tell
) -> None:
    load = LOADS["map"]
    with small_disk(server) as disk, fleet(tmp_path, size=0) as ours:
        query(f"create tablespace small location '{disk}'")
        query("alter table workflow_step_tasks set tablespace small")
        ballast = disk / "ballast"
        runs = start(load)
        fill(ballast)
        running = ours.add()
        running.wait_logged("No space left on device")
        assert not has_ended(runs)
        ballast.unlink()
        wait_until(lambda: has_ended(runs), "the runs", patience=60)
        check(load, runs)
        log = running.log()
        told = log.count("lost the database")
        assert "the database is back" in log
        assert "Traceback" not in log
        query("alter table workflow_step_tasks set tablespace pg_default")
    tell(f"told {told} times; nothing lost")
