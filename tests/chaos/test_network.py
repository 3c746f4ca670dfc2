"""Workers on hosts of their own, one of which loses its network."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import pytest

from tests.celery.processes import Worker
from tests.chaos.conftest import Tell
from tests.chaos.fleet import LEASE, Fleet, fleet
from tests.chaos.hosts import Namespace, hosts
from tests.chaos.load import LOADS, has_ended, prepared, start
from tests.chaos.rounds import ROUNDS, Rounds
from tests.engine.database import value
from tests.waiting import wait_until

#: Seconds without a network: longer than a lease.
CUT = LEASE + 1.0
#: The same, longer than a connection is kept that nothing answers on.
STALL = 30.0


def is_back(running: Worker) -> bool:
    """Whether it has a lease again; its parked loops register when they are woken."""
    leased = value(
        "select count(*) from workflow_workers where pid = %s and lease_until > now()",
        running.pid,
    )
    return bool(leased)


def test_one_of_two_hosts_is_cut_off_for_longer_than_its_lease(tmp_path: Path, tell: Tell) -> None:
    rounds = Rounds()
    with hosts(2) as (whole, other), prepared(), fleet(tmp_path, size=0) as ours:
        ours.add(**whole.options)
        victim = ours.add(**other.options)

        def cut(ours: Fleet, dice: random.Random) -> str:
            other.cut()
            timer = threading.Timer(CUT, other.mend)
            timer.start()
            timers.append(timer)
            return "network cut"

        timers: list[threading.Timer] = []
        for each in ours.workers:
            each.wait_ready(2)
        for _ in range(ROUNDS):
            rounds.play(LOADS["map"], ours, cut)
            timers.pop().join()
            wait_until(lambda: is_back(victim), "the cut off worker to be back")
    tell(f"{rounds}; by {other.kind}")


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_worker_goes_on_after_its_network_has_stalled(
    pool: str, tmp_path: Path, tell: Tell
) -> None:
    load = LOADS["map"]
    with hosts(1) as (host,), prepared(), fleet(tmp_path, size=0) as ours:
        only = ours.add(**host.options, pool=pool, LEASE_SECONDS=60)
        only.wait_ready(2 if pool == "prefork" else 1)
        runs = start(load)
        host.cut()
        mend_at = time.monotonic() + STALL
        wait_until(lambda: time.monotonic() > mend_at, patience=2 * STALL)
        assert not has_ended(runs)
        host.mend()
        mended_at = time.monotonic()
        wait_until(lambda: has_ended(runs), "the runs", patience=90)
        took = time.monotonic() - mended_at
        lines = [line for line in only.log().splitlines() if "lost the database" in line]
        assert len(lines) <= 1, lines
        # A proxy goes on answering for the network, so that nobody notices.
        assert lines or not isinstance(host, Namespace)
        assert "Traceback" not in only.log()
    tell(f"{STALL:g} s without a network, by {host.kind}; {took:.1f} s until all was done")
