"""What a database that can't serve us says, in words that tell what to run.

Storage layer: imports only Django and the exceptions.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db import Error, OperationalError, connections

from pgflow_django.exceptions import DatabaseNotReady

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Objects that our migrations make; what else is undefined is the caller's own mistake.
_OURS = re.compile(r"\b(pgflow|pgmq|workflows?)(\b|_)", re.IGNORECASE)

#: undefined table, function, column, type and schema
_UNDEFINED = frozenset({"42P01", "42883", "42703", "42704", "3F000"})
_READ_ONLY = "25006"
_FORBIDDEN = "42501"
_OUT_OF_SPACE = frozenset({"53100", "58030"})
#: connection exceptions, too many connections, and a server that starts or stops
_NO_CONNECTION = re.compile(r"08...|53300|57P0[1235]")


@contextmanager
def database_errors(using: str) -> Iterator[None]:
    """Turn what only an operator can mend into ``DatabaseNotReady``; let all else pass.

    Runs no query and, until something goes wrong, no code of its own.
    """
    try:
        yield
    except Error as error:
        message = explain(error, using)
        if message is None:
            raise
        raise DatabaseNotReady(message) from error


def explain(error: Error, using: str) -> str | None:
    """What is wrong with the database of this alias, where, and what to run; or ``None``."""
    cause = error.__cause__ or error
    sqlstate: str | None = getattr(cause, "sqlstate", None)
    reason = _reason(cause)
    if not isinstance(error, OperationalError) and sqlstate is None:
        return None
    if not hasattr(cause, "sqlstate"):
        # Not the driver's: whoever starts the server (the demo site) knows better than we do.
        return f"No connection to {place(using)}: {cause}"
    if sqlstate is None:
        return _no_connection(reason, using)
    if _NO_CONNECTION.fullmatch(sqlstate):
        return _no_connection(reason, using)
    if sqlstate == _READ_ONLY:
        return (
            f"The {place(using)} is read-only: {reason}. Flows need to write: point the alias at "
            "the primary server, or switch default_transaction_read_only off."
        )
    if sqlstate in _OUT_OF_SPACE:
        return (
            f"The server of the {place(using)} can't write to its disk: {reason}. "
            "Free some space there, then try again; what was committed is safe."
        )
    if not _OURS.search(reason):
        return None
    if sqlstate in _UNDEFINED:
        return (
            f"The {place(using)} lacks what pgflow_django's migrations install: {reason}. "
            f"Run `{migrate_command(using)}`; if that has nothing to do, "
            f"`{doctor_command(using)} --repair` puts back what was removed by hand."
        )
    if sqlstate == _FORBIDDEN:
        return (
            f"The role may not use what pgflow_django installed in the {place(using)}: {reason}. "
            "Connect as the role that ran the migrations, or let that role grant the rights."
        )
    return None


def place(using: str) -> str:
    """Where an alias points, as messages say it; never with the password."""
    settings = connections[using].settings_dict
    options = settings.get("OPTIONS") or {}
    host = settings.get("HOST") or options.get("host")
    if not host:
        where = f"service {options['service']}" if options.get("service") else "local socket"
    elif str(host).startswith("/"):
        where = f"socket in {host}"
    else:
        where = f"host {host}:{settings.get('PORT') or 5432}"
    user = settings.get("USER") or options.get("user")
    as_user = f', user "{user}"' if user else ""
    return f'database "{settings.get("NAME") or ""}" (alias "{using}", {where}{as_user})'


def migrate_command(using: str) -> str:
    """The command that applies the migrations to this alias."""
    return "python manage.py migrate" + _database_option(using)


def doctor_command(using: str) -> str:
    """The command that looks at the database of this alias."""
    return "python manage.py pgflow_doctor" + _database_option(using)


def _database_option(using: str) -> str:
    return "" if using == "default" else f" --database {using}"


def _no_connection(reason: str, using: str) -> str:
    name = connections[using].settings_dict.get("NAME") or ""
    setting = f'DATABASES["{using}"]'
    if f'database "{name}" does not exist' in reason:
        remedy = f"Create it (`createdb {name}`), then run `{migrate_command(using)}`."
    elif re.search(r"authentication|password|\brole\b|pg_hba", reason):
        remedy = f"Correct USER and PASSWORD of {setting} (in the demo site: DATABASE_URL)."
    elif re.search(r"too many|remaining connection slots", reason):
        remedy = "Close connections, or raise max_connections of the server."
    else:
        remedy = (
            f"Start the server or correct {setting} (in the demo site: DATABASE_URL; with that "
            "unset, `make demo` brings a server of its own)."
        )
    return f"No connection to {place(using)}: {reason}. {remedy}"


def _reason(error: BaseException) -> str:
    """The server's or libpq's own words, on one line and without the way that led to them."""
    diagnosis = getattr(getattr(error, "diag", None), "message_primary", None)
    line = diagnosis or next(
        (line for line in str(error).splitlines() if "failed: " in line),
        next(iter(str(error).splitlines()), ""),
    )
    return re.sub(r"^.*failed: (FATAL:\s*)?", "", line).strip().rstrip(".")
