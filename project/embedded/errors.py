"""What can go wrong with the embedded server, as one paragraph: what, where and how to fix it."""

from __future__ import annotations

import errno
import re
from pathlib import Path


class EmbeddedServerError(RuntimeError):
    """The server cannot run."""

    def __init__(self, what: str, folder: Path, fix: str) -> None:
        """Say `what` went wrong with the data `folder`, and how to `fix` it, in sentences."""
        super().__init__(
            f"The embedded PostgreSQL cannot be used: {what} Data folder: {folder}. {fix} "
            "Or set DATABASE_URL to a PostgreSQL server of your own."
        )


def disk_full(folder: Path) -> EmbeddedServerError:
    """Give the error for a full disk."""
    fix = "Free some space, or set PGFLOW_PGDATA to a folder on another disk."
    return EmbeddedServerError("the disk is full.", folder, fix)


def failed(what: str, folder: Path, details: str = "") -> EmbeddedServerError:
    """Give the error for a server or folder that is broken; `details` is PostgreSQL's own text."""
    if "No space left" in details or "Disk quota" in details:
        return disk_full(folder)
    last_line = details.strip().rpartition("\n")[2]
    reasons = re.findall(r"(?:FATAL|PANIC|error): +(.+)", details) or [last_line]
    said = f" PostgreSQL says: {'; '.join(reasons)}." if any(reasons) else ""
    fix = "Restore the folder from a copy, or delete it to begin with an empty database."
    return EmbeddedServerError(what + said, folder, fix)


def explained(error: OSError, folder: Path) -> EmbeddedServerError:
    """Give the error for what the operating system refused."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(folder)
    what = f"{error.strerror or error} ({error.filename or folder})."
    fix = "Make the folder writable for this user, or set PGFLOW_PGDATA to one that is."
    return EmbeddedServerError(what, folder, fix)
