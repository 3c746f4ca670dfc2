"""The embedded server, with real processes: they come, go and are killed at the same time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from project import embedded
from project.embedded import cluster
from tests.project.processes import (
    FORK,
    QUERY,
    ROOT,
    User,
    environment,
    manage,
    server_of,
    wait_until,
)

#: Each starts servers of its own, and processes that use them.
pytestmark = pytest.mark.slow


def connect(folder: Path) -> psycopg.Connection[tuple[object, ...]]:
    host = str(cluster.socket_folder(folder))
    return psycopg.connect(host=host, user="postgres", dbname="postgres", autocommit=True)


def test_processes_that_start_at_the_same_instant_share_one_new_server(place: Path) -> None:
    folder = place / "pg"
    users = [User(folder) for _ in range(5)]
    for user in users:
        user.wait_ready()
    server = server_of(folder)
    assert server is not None
    with connect(folder) as connection:
        names = ("fsync", "synchronous_commit", "full_page_writes", "max_connections")
        values = [connection.execute(f"show {name}").fetchone() for name in names]
    assert values == [("on",), ("on",), ("on",), ("200",)]
    for user in users[:-1]:
        assert user.leave() == ""
    assert server.is_running()
    assert users[-1].leave() == ""
    assert server_of(folder) is None


def test_a_killed_user_does_not_count(folder: Path) -> None:
    users = [User(folder) for _ in range(2)]
    for user in users:
        user.wait_ready()
    users[0].kill()
    server = server_of(folder)
    assert server is not None
    users[1].leave()
    assert server_of(folder) is None


def test_the_keeper_stops_the_server_when_the_last_user_is_killed(folder: Path) -> None:
    user = User(folder)
    user.wait_ready()
    server = server_of(folder)
    assert server is not None
    user.kill()
    wait_until(lambda: server_of(folder) is None)


def test_a_user_that_comes_while_the_keeper_stops_the_server_gets_a_server(folder: Path) -> None:
    for _ in range(5):
        user = User(folder)
        user.wait_ready()
        user.kill()
        follower = User(folder, QUERY)
        assert follower.leave() == ""


def test_a_forked_child_keeps_the_server_after_its_parent_has_left(folder: Path) -> None:
    parent = User(folder, FORK)
    parent.wait_ready()
    assert parent.process.wait(timeout=60) == 0
    server = server_of(folder)
    assert server is not None
    parent.leave()
    wait_until(lambda: server_of(folder) is None)


def test_ctrl_c_in_the_terminal_reaches_the_user_and_not_the_server(folder: Path) -> None:
    user = User(folder)
    user.wait_ready()
    server = server_of(folder)
    assert server is not None
    assert os.getsid(server.pid) != os.getsid(user.process.pid)
    os.killpg(user.process.pid, signal.SIGINT)
    assert "KeyboardInterrupt" in user.leave()
    assert server_of(folder) is None


def test_short_users_that_come_and_go_always_find_a_server(folder: Path) -> None:
    with ThreadPoolExecutor(6) as pool:
        errors = list(pool.map(lambda _: User(folder, QUERY).leave(), range(30)))
    assert errors == [""] * 30
    assert server_of(folder) is None


def test_a_number_that_another_process_has_now_is_not_taken_for_the_server(folder: Path) -> None:
    lines = [str(os.getpid()), str(folder), "1", "5432", str(folder), "", "1 1", "ready"]
    (folder / "postmaster.pid").write_text("\n".join(lines))
    assert User(folder, QUERY).leave() == ""


def test_a_server_that_was_killed_starts_again_with_the_next_connection(folder: Path) -> None:
    try:
        embedded.ensure_running(folder)
        server = server_of(folder)
        assert server is not None
        server.kill()
        wait_until(lambda: server_of(folder) is None)
        embedded.ensure_running(folder)
        with connect(folder) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
    finally:
        embedded.leave(folder)
    assert server_of(folder) is None


def test_processes_that_start_at_the_same_instant_share_a_folder_that_was_copied(
    folder: Path,
) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, os.geteuid(), os.getegid())
    users = [User(folder, QUERY) for _ in range(5)]
    assert [user.leave() for user in users] == [""] * 5


def test_an_interrupted_initdb_is_begun_again(place: Path) -> None:
    folder = place / "pg"
    (folder / cluster.UNFINISHED / "base").mkdir(parents=True)
    (folder / "global").mkdir()
    assert User(folder, QUERY).leave() == ""


def test_a_path_too_long_for_a_socket_gets_a_short_one_that_goes_away(place: Path) -> None:
    folder = place / ("long, and with commas" * 4) / "pg"
    assert User(folder, QUERY).leave() == ""
    sockets = cluster.socket_folder(folder)
    assert sockets != folder
    assert not sockets.exists()


def test_help_and_check_start_no_server(place: Path) -> None:
    for command in ("help", "check"):
        result = manage(place / "pg", command)
        assert result.returncode == 0, result.stderr
    assert not (place / "pg").exists()


@pytest.mark.parametrize(
    "url",
    ["garbage", "mysql://user@host/name", "postgresql://u:p@host:port/name", "sqlite://:memory:"],
)
@pytest.mark.parametrize("command", ["migrate", "listflows", "check"])
def test_a_wrong_database_url_is_told_in_one_line(place: Path, url: str, command: str) -> None:
    result = manage(place / "pg", command, DATABASE_URL=url)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(
        "DATABASE_URL is not the URL of a PostgreSQL database, such as postgresql://"
    )


def test_with_database_url_nothing_of_it_is_imported(place: Path) -> None:
    script = """
import sys, django
django.setup()
from django.db import connection
assert connection.settings_dict["HOST"] == "db.example"
assert connection.settings_dict["ENGINE"] == "django.db.backends.postgresql"
print(sorted(name for name in sys.modules if "embedded" in name or "pixeltable" in name))
"""
    environ = {
        **environment(place / "pg"),
        "DATABASE_URL": "postgres://user:secret@db.example/site",
        "DJANGO_SETTINGS_MODULE": "project.settings",
    }
    command = [sys.executable, "-W", "error", "-c", script]
    output = subprocess.check_output(command, cwd=ROOT, env=environ, text=True)
    assert output == "[]\n"
