"""What a database that can't serve us says, in words that tell what to run.

Storage layer: imports only Django, the models and pure modules.
"""

from __future__ import annotations

import os
import re
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

from django.conf import settings
from django.db import DatabaseError, Error, OperationalError, connections, router, transaction

from pgflow_django.exceptions import DatabaseNotReady
from pgflow_django.models import Workflow
from pgflow_django.storage.sqlstates import Remedy, remedy_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

P = ParamSpec("P")
T = TypeVar("T")

#: Objects that our migrations make; what else is undefined is the caller's own mistake.
_OURS = re.compile(r"\b(pgflow|pgmq|workflows?)(\b|_)", re.IGNORECASE)

_READ_ONLY = "25006"
_FORBIDDEN = "42501"
_OUT_OF_SPACE = frozenset({"53100", "58030"})

_MAX_TRIES = 5


class Trouble(NamedTuple):
    """What is wrong, and how to fix it."""

    what: str
    fix: str


def retried(call: Callable[[], T], using: str, *, also: tuple[type[Exception], ...] = ()) -> T:
    """Call what does all or nothing; again where the server refuses it because of others.

    Up to five times, and not inside ``atomic()``: there the whole transaction is lost, and only
    who began it can do it again. ``also`` are errors that the same call may not raise again.
    """
    refusals: tuple[type[Exception], ...] = (DatabaseError, *also)
    for _ in range(_MAX_TRIES - 1):
        try:
            return call()
        except refusals as error:
            is_refused = remedy_of(error) is Remedy.TRY_AGAIN
            if connections[using].in_atomic_block or not (is_refused or isinstance(error, also)):
                raise
    return call()


def transact(call: Callable[[], T], using: str, *, also: tuple[type[Exception], ...] = ()) -> T:
    """Call in a transaction of its own, ``retried``, or as a part of the caller's."""

    def call_in_transaction() -> T:
        with transaction.atomic(using=using):
            return call()

    return retried(call_in_transaction, using, also=also)


class database_errors:  # noqa: N801 - a context manager, used like a function
    """Turn what only an operator can fix into ``DatabaseNotReady``; let all else pass.

    Runs no query and, until something goes wrong, no code of its own. (A class, since it is
    entered on the hot path: a generator takes four times as long.)
    """

    __slots__ = ("_using",)

    def __init__(self, using: str) -> None:
        self._using = using

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, Error) and (trouble := explain(error, self._using)) is not None:
            raise DatabaseNotReady(" ".join(trouble)) from error


def uses_database(function: Callable[P, T]) -> Callable[P, T]:
    """Let a public function raise ``DatabaseNotReady``, as ``database_errors`` does.

    The alias is its argument ``using``, or the one that the router gives.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except Error:
            # The alias is asked for only where it is needed.
            with database_errors(str(kwargs.get("using") or router.db_for_write(Workflow))):
                raise

    return call


def explain(error: Error, using: str) -> Trouble | None:
    """Say what is wrong with the database of this alias, if it is that which raised the error."""
    cause = error.__cause__ or error
    sqlstate: str | None = getattr(cause, "sqlstate", None)
    if not isinstance(error, OperationalError) and sqlstate is None:
        return None
    if not hasattr(cause, "sqlstate"):
        # Not the driver's: whoever starts the server (the demo site) knows better than we do.
        return Trouble(f"No connection to the {place(using)}.", str(cause))
    reason = _reason(cause)
    remedy = remedy_of(error)
    if remedy is Remedy.RECONNECT:
        return Trouble(f"No connection to the {place(using)}: {reason}.", _connect(reason, using))
    if sqlstate == _READ_ONLY:
        return Trouble(
            f"The {place(using)} is read-only: {reason}.",
            "Point the alias at the primary server, or switch default_transaction_read_only off.",
        )
    if sqlstate in _OUT_OF_SPACE:
        return Trouble(
            f"The server of the {place(using)} can't write to its disk: {reason}.",
            "Free some space there, then try again; what was committed is safe.",
        )
    is_ours = remedy is Remedy.OPERATOR and _OURS.search(reason)
    return _explain_ours(sqlstate, reason, using) if is_ours else None


def _explain_ours(sqlstate: str | None, reason: str, using: str) -> Trouble:
    if sqlstate == _FORBIDDEN:
        return Trouble(
            f"The role may not use what pgflow_django installed in the {place(using)}: {reason}.",
            "Connect as the role that ran the migrations, or let that role grant the rights: "
            f"`{doctor_command(using)}` names them.",
        )
    return Trouble(
        f"The {place(using)} lacks what pgflow_django's migrations install: {reason}.",
        f"Run `{migrate_command(using)}`; if that has nothing to do, "
        f"`{doctor_command(using)} --repair` puts back what was removed by hand.",
    )


def place(using: str) -> str:
    """Say where an alias points, as messages do; never with the password."""
    connection = connections[using]
    settings = connection.settings_dict
    details = [f'alias "{using}"']
    if connection.vendor == "postgresql":
        options = settings.get("OPTIONS") or {}
        details.append(_where(settings.get("HOST") or options.get("host"), settings))
        user = settings.get("USER") or options.get("user")
        details.extend([f'user "{user}"'] if user else [])
    return f'database "{settings.get("NAME") or ""}" ({", ".join(details)})'


def _where(host: Any, settings: dict[str, Any]) -> str:
    service = (settings.get("OPTIONS") or {}).get("service")
    if not host:
        return f"service {service}" if service else "local socket"
    if str(host).startswith("/"):
        return f"socket in {host}"
    return f"host {host}:{settings.get('PORT') or 5432}"


def migrate_command(using: str) -> str:
    """The command that applies the migrations to this alias."""
    return manage_command("migrate", using=using)


def doctor_command(using: str) -> str:
    """The command that looks at the database of this alias."""
    return manage_command("pgflow_doctor", using=using)


def manage_command(*words: object, using: str) -> str:
    """The line that calls a command, on this alias."""
    return " ".join(["python manage.py", *map(str, words)]) + _database_option(using)


def worker_command(queues: Sequence[str] = ()) -> str:
    """The command that starts a Celery worker, for these queues or for all.

    Celery apps lie beside the settings, as in the tutorials of both; who has it elsewhere knows.
    """
    # Overridden settings (in tests) don't know the module.
    module = getattr(settings, "SETTINGS_MODULE", None) or os.environ.get(
        "DJANGO_SETTINGS_MODULE", "project.settings"
    )
    command = f"celery -A {module.partition('.')[0]} worker"
    if set(queues) <= {"default"}:
        return command
    return f"{command} --pgflow-queues {','.join(queues)}"


def _database_option(using: str) -> str:
    return "" if using == "default" else f" --database {using}"


def _connect(reason: str, using: str) -> str:
    """Say how to get a connection. The server's words may be in any language, so know little."""
    name = connections[using].settings_dict.get("NAME") or ""
    setting = f'DATABASES["{using}"]'
    if f'database "{name}" does not exist' in reason:
        return f"Create it (`createdb {name}`), then run `{migrate_command(using)}`."
    if re.search(r"authentication|password|\brole\b|pg_hba", reason):
        return f"Correct USER and PASSWORD of {setting} (in the demo site: DATABASE_URL)."
    if re.search(r"too many|connection slots", reason):
        return "Close connections, or raise max_connections of the server."
    return (
        f"Start the server or correct {setting} (in the demo site: DATABASE_URL; with that unset, "
        "`make demo` brings a server of its own)."
    )


def _reason(error: BaseException) -> str:
    """The server's or libpq's own words, on one line and without the way that led to them."""
    diagnosis = getattr(getattr(error, "diag", None), "message_primary", None)
    line = diagnosis or next(
        (line for line in str(error).splitlines() if "failed: " in line),
        next(iter(str(error).splitlines()), ""),
    )
    return re.sub(r"^.*failed: (FATAL:\s*)?", "", line).strip().rstrip(".")
