"""What the parent of a pool says of children that it had to kill, where its connection is cut."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psycopg
import pytest
from django.db import connection

from pgflow_django import executor
from pgflow_django.celery_worker.board import WORKING, Board
from pgflow_django.celery_worker.process_crew import BoardCrew
from pgflow_django.exceptions import DatabaseNotReady
from pgflow_django.models import WorkflowTaskAttempt
from tests.engine.building import build
from tests.engine.workers import HandWorker

pytestmark = pytest.mark.django_db(transaction=True)


def cut_connection() -> None:
    """End the session of this thread's connection, from another one."""
    parameters = connection.get_connection_params()
    for name in ("cursor_factory", "context", "server_side_binding"):
        parameters.pop(name, None)
    with psycopg.connect(**parameters, autocommit=True) as axe:
        axe.execute("select pg_terminate_backend(%s)", [connection.connection.info.backend_pid])


def test_a_killed_child_s_timeout_is_told_though_the_connection_was_cut() -> None:
    build("flow", {"a": []}, max_attempts=1)
    run = executor.start_flow("flow", {})
    worker = HandWorker()
    (task,) = worker.claim()
    board = Board(1)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        board.set_owner(0, child.pid, worker.id)
        board.set_state(0, WORKING)
        board.task_begins(0, task, time.monotonic(), time.monotonic())
        crew = BoardCrew(board, using="default", kill=lambda pid: os.kill(pid, signal.SIGKILL))
        assert crew.watch() == [0]
    cut_connection()
    with pytest.raises(DatabaseNotReady):
        crew.tell_database()
    connection.close()
    crew.tell_database()
    assert executor.get_run_status(run.id).status == "failed"
    assert WorkflowTaskAttempt.objects.get().code == "step_timeout"
