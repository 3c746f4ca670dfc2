"""Data folders of the embedded server: broken, full, out of reach, and of other users."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from project import embedded
from project.embedded import accounts, cluster
from tests.project.processes import User, manage, server_of

#: Each starts servers of its own, and processes that use them.
pytestmark = pytest.mark.slow


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
