"""Whom the embedded server runs as, and what this user must be able to reach.

PostgreSQL refuses to run as root. So root runs it as somebody else, who needs to own the data
folder, to pass through the folders above it, and to read the programs.
"""

from __future__ import annotations

import os
import pwd
from contextlib import suppress
from pathlib import Path

from project.embedded.errors import EmbeddedServerError


def server_account(folder: Path) -> pwd.struct_passwd | None:
    """Choose whom the server of `folder` runs as: None is this process's own user.

    Root works for the folder's owner, so that this user can go on without root; else for the
    owner of the folder around it, else for the system's `postgres` or `nobody`.
    """
    if os.geteuid() != 0:
        return None
    for candidate in (folder, folder.parent):
        with suppress(KeyError, FileNotFoundError):
            owner = candidate.stat().st_uid
            if owner != 0:
                return pwd.getpwuid(owner)
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    what = "PostgreSQL does not run as root, and there is no user `postgres` or `nobody`."
    raise EmbeddedServerError(what, folder, "Run as an ordinary user.")


def user_name(uid: int) -> str:
    """Give the user's name, or the number of one without a name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def give(folder: Path, account: pwd.struct_passwd) -> None:
    """Make the account the owner of a folder and of all that is in it, the folder itself last."""
    for path in (*folder.rglob("*"), folder):
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


def let_pass(path: Path) -> None:
    """Let other users pass through the folders above `path`: pass, not list."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & 0o001:
            folder.chmod(mode | 0o001)


def let_run(programs: Path) -> None:
    """Let other users read and run the programs, which a strict umask keeps from them."""
    let_pass(programs)
    if (programs / "postgres").stat().st_mode & 0o005 == 0o005:
        return
    for path in (programs.parent, *programs.parent.rglob("*")):
        mode = path.stat().st_mode
        path.chmod(mode | (0o005 if mode & 0o100 else 0o004))
