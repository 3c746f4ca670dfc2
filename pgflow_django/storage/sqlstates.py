"""What to do about an error of the database, told by its SQLSTATE: the one table.

Pure: knows errors by their ``sqlstate`` and the names of their classes only, Django's and the
driver's alike. https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Final


class Remedy(Enum):
    """What helps against an error of the database."""

    #: The connection is gone, or none can be had: connect anew, and try again.
    RECONNECT = "reconnect"
    #: Somebody was in the way; nothing has changed: try again.
    TRY_AGAIN = "try again"
    #: The server lacks room: wait, and try again.
    WAIT = "wait"
    #: The moment's fault, or that of what is asked: try a few times, then it is the latter.
    DOUBT = "doubt"
    #: Somebody has to change the server, the role or the migrations first.
    OPERATOR = "operator"
    #: The same statement would be refused again.
    NONE = "none"


#: The first row that matches counts; ``.`` stands for any character.
_ROWS: Final = [
    ("", Remedy.RECONNECT),  # the driver's own word: there is no connection, or it broke
    ("08...", Remedy.RECONNECT),  # connection exceptions
    ("57P0[1235]", Remedy.RECONNECT),  # the server stops, starts, or ends the session
    ("25P0[34]", Remedy.RECONNECT),  # the session was ended: it had done nothing for too long
    ("53300", Remedy.RECONNECT),  # too many connections
    ("28...", Remedy.RECONNECT),  # a password that is being changed
    ("3D000", Remedy.RECONNECT),  # the database is not there (yet)
    ("40001|40P01", Remedy.TRY_AGAIN),  # serialisation failure, deadlock
    ("55P03|55006", Remedy.TRY_AGAIN),  # a lock was not to be had in time
    ("53200", Remedy.DOUBT),  # out of memory
    ("57014", Remedy.DOUBT),  # cancelled: by hand, or by statement_timeout
    ("53...|58030", Remedy.WAIT),  # out of resources, above all of disk; I/O errors
    ("25006", Remedy.OPERATOR),  # read-only
    ("42501", Remedy.OPERATOR),  # forbidden
    ("42P01|42883|42703|42704|3F000", Remedy.OPERATOR),  # what migrations make is missing
]
_TABLE: Final = [(re.compile(pattern), remedy) for pattern, remedy in _ROWS]


def remedy_of(error: BaseException) -> Remedy | None:
    """What helps against an error; ``None`` where it is none of the database's."""
    for link in _causes(error):
        state = getattr(link, "sqlstate", "missing")
        if state != "missing":
            return _look_up(state, link)
    return Remedy.RECONNECT if _is_connection_error(error) else None


def sqlstate_of(error: BaseException) -> str | None:
    """The SQLSTATE of an error, or of what caused it."""
    found = (getattr(link, "sqlstate", None) for link in _causes(error))
    return next((state for state in found if state is not None), None)


def _look_up(state: str | None, error: BaseException) -> Remedy:
    if state is None and not _is_connection_error(error):
        return Remedy.NONE  # the driver refuses what it was given
    rows = (remedy for pattern, remedy in _TABLE if pattern.fullmatch(state or ""))
    return next(rows, Remedy.NONE)


def _is_connection_error(error: BaseException) -> bool:
    """Without a state, these are what Django and the driver raise where a connection is lost."""
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool(names & {"OperationalError", "InterfaceError"})


def _causes(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__
