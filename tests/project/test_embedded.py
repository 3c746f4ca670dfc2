"""The embedded server, with real processes: they come, go and are killed at the same time."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import psycopg
import pytest

from project import embedded
from project.embedded import accounts, cluster
from project.embedded.server import Server

ROOT = Path(__file__).resolve().parents[2]
USE = """
import sys
from project import embedded
embedded.ensure_running()
print("ready", flush=True)
sys.stdin.read()
"""
QUERY = """
import psycopg
from project import embedded
embedded.ensure_running()
settings = embedded.database_settings()
with psycopg.connect(host=settings["HOST"], user="postgres", dbname="postgres") as connection:
    connection.execute("select 1")
"""
FORK = """
import os, sys
from project import embedded
embedded.ensure_running()
if os.fork():
    sys.exit()
print("ready", flush=True)
sys.stdin.read()
"""


class User:
    """A process that uses the server until it is told to leave."""

    def __init__(self, folder: Path, script: str = USE, command: tuple[str, ...] = ()) -> None:
        self.process = subprocess.Popen(
            [*command, sys.executable, "-W", "error", "-c", script],
            cwd=ROOT,
            env=environment(folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait_ready(self) -> None:
        assert self.process.stdout is not None
        if self.process.stdout.readline() != "ready\n":
            pytest.fail(self.leave())

    def leave(self) -> str:
        """End in order; give what it wrote to stderr."""
        return self.process.communicate(timeout=60)[1]

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate(timeout=60)


def environment(folder: Path) -> dict[str, str]:
    without = ("DATABASE_URL", "DJANGO_SETTINGS_MODULE")
    inherited = {name: value for name, value in os.environ.items() if name not in without}
    return {**inherited, "PGFLOW_PGDATA": str(folder)}


def manage(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *arguments],
        check=False,
        cwd="/",
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=120,
    )


def server_of(folder: Path) -> psutil.Process | None:
    return Server(folder).process()


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def connect(folder: Path) -> psycopg.Connection[tuple[object, ...]]:
    host = str(cluster.socket_folder(folder))
    return psycopg.connect(host=host, user="postgres", dbname="postgres", autocommit=True)


@pytest.fixture
def place() -> Iterator[Path]:
    """Give a folder of the test's own, where the servers of several tests at once can be.

    Not pytest's `tmp_path`: every session that begins closes the folder above to other users, and
    root's servers run as one.
    """
    with TemporaryDirectory(prefix="pgflow-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    """Give a cluster that was made and stopped, to be copied."""
    with TemporaryDirectory(prefix="pgflow-") as place:
        user = User(Path(place) / "template")
        user.wait_ready()
        assert user.leave() == ""
        yield Path(place) / "template"


@pytest.fixture
def folder(template: Path, place: Path) -> Iterator[Path]:
    """Give a data folder of the test's own, without a server that outlives the test."""
    copy = place / "pg"
    shutil.copytree(template, copy)
    yield copy
    wait_until(lambda: server_of(copy) is None)


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


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("PG_VERSION", "\x00rubbish", "the folder is damaged: PG_VERSION is missing or unreadable"),
        ("PG_VERSION", None, "the folder is damaged: PG_VERSION is missing or unreadable"),
        ("PG_VERSION", "16\n", "made by PostgreSQL 16, and this is PostgreSQL 18. "),
        ("global/pg_control", None, "damaged: global/pg_control is missing or empty"),
        ("global/pg_control", "rubbish", "the server does not start. PostgreSQL says: "),
        ("postgresql.conf", "nonsense = 1\n", "PostgreSQL says: configuration file"),
    ],
)
def test_a_folder_that_does_not_serve_is_one_paragraph(
    folder: Path, file: str, content: str | None, message: str
) -> None:
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(content)
    result = manage(folder, "showmigrations")
    assert result.returncode == 1
    assert message in result.stderr
    assert f"Data folder: {folder}. " in result.stderr
    assert "DATABASE_URL" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_place_where_no_folder_can_be_made_is_one_paragraph(place: Path) -> None:
    (place / "file").touch()
    result = manage(place / "file" / "pg", "showmigrations")
    assert result.returncode == 1
    assert "Not a directory" in result.stderr
    assert "Make the folder writable for this user" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_full_disk_is_said_to_be_full(place: Path) -> None:
    programs = place / "bin"
    programs.mkdir()
    (programs / "initdb").write_text("#!/bin/sh\necho 'error: No space left on device' >&2\nexit 1")
    (programs / "initdb").chmod(0o755)
    place.chmod(0o755)
    folder = place / "pg"
    cluster.make_folder(folder)
    cluster.prepare(folder, cluster.program_folder())
    with pytest.raises(embedded.EmbeddedServerError, match=r"the disk is full\. Data folder: "):
        cluster.initialise(folder, programs)


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(embedded.EmbeddedServerError, match=r"pip install -r requirements\.txt"):
        embedded.program_folder()


def test_help_and_check_start_no_server(place: Path) -> None:
    for command in ("help", "check"):
        result = manage(place / "pg", command)
        assert result.returncode == 0, result.stderr
    assert not (place / "pg").exists()


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


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="root acts for other users here")


@needs_root
def test_root_runs_the_server_as_the_owner_of_the_folder(folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    accounts.give(folder, nobody)
    user = User(folder)
    user.wait_ready()
    server = server_of(folder)
    assert server is not None
    assert server.username() == "nobody"
    user.leave()
    assert {path.stat().st_uid for path in folder.rglob("*")} == {nobody.pw_uid}


@needs_root
def test_an_ordinary_user_starts_and_stops_the_server(place: Path) -> None:
    as_nobody = ("runuser", "-u", "nobody", "--")
    home = place / "home"
    home.mkdir()
    accounts.give(home, pwd.getpwnam("nobody"))
    accounts.let_pass(home)
    probe = subprocess.run([*as_nobody, sys.executable, "-c", "import psutil, django"], check=False)
    if probe.returncode:
        pytest.skip("this Python lies where only root can reach it")
    user = User(home / "pg", command=as_nobody)
    user.wait_ready()
    server = server_of(home / "pg")
    assert server is not None
    assert server.username() == "nobody"
    assert user.leave() == ""
    assert server_of(home / "pg") is None


@needs_root
def test_the_folder_of_another_user_is_refused_with_his_name(folder: Path, place: Path) -> None:
    accounts.give(folder, pwd.getpwnam("daemon"))
    accounts.let_pass(folder)
    script = """
import os
from project import embedded
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
embedded.ensure_running()
"""
    assert "the folder belongs to another user (daemon)" in User(folder, script).leave()
