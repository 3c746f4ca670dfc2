"""Whatever the broker, flows run: none of their work travels through it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgflow_django import executor
from tests.celery import flows
from tests.celery.brokers import BROKERS, Broker
from tests.celery.processes import worker
from tests.waiting import wait_until

#: The client of pgmq warns of its own history.
pytestmark = pytest.mark.filterwarnings("ignore:list_queues:UserWarning")


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    """Every broker in turn."""
    folder = tmp_path / "broker"
    folder.mkdir()
    with BROKERS[request.param](folder) as broker:
        yield broker


@pytest.mark.slow
def test_a_worker_lives_and_dies_with_every_broker(broker: Broker, tmp_path: Path) -> None:
    slug = flows.mapped()
    with worker(tmp_path, app="tests.celery.site", broker=broker.variables) as running:
        before = running.wait_ready(2).children()
        runs = executor.start_flows(slug, [{"count": count} for count in (0, 1, 300)])
        outputs = [executor.wait(run.id, timeout=30) for run in runs]
        assert outputs == [{"total": n * (n - 1)} for n in (0, 1, 300)]
        os.kill(min(before), signal.SIGKILL)
        wait_until(
            lambda: len(running.children()) == 2 and min(before) not in running.children(),
            "another child",
        )
        again = executor.start_flow(slug, {"count": 3})
        assert executor.wait(again.id, timeout=30) == {"total": 6}
        assert running.stop() == 0


@pytest.mark.slow
def test_celery_tasks_and_remote_control_work_beside_flows(broker: Broker, tmp_path: Path) -> None:
    if broker.url.startswith("memory"):
        pytest.skip("a broker in memory is reached by its own process only")
    slug = flows.mapped()
    with worker(tmp_path, app="tests.celery.site", broker=broker.variables) as running:
        running.wait_ready(2)
        with broker.sender() as app:
            for number in range(5):
                app.send_task("site.touch", [str(tmp_path / f"touched{number}")])
            wait_until(lambda: len(list(tmp_path.glob("touched*"))) == 5, "the Celery tasks")
            running.wait_ready(2)
            run = executor.start_flow(slug, {"count": 100})
            assert executor.wait(run.id, timeout=30) == {"total": 9900}
            if broker.has_answers:
                active = app.control.inspect([running.name], timeout=10).active()[running.name]
                assert [task["name"] for task in active] == ["pgflow_django.consume"] * 2
        assert running.stop() == 0
