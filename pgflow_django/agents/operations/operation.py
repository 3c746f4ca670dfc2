"""What an operation is: one row of the table from which tools, endpoints and docs are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pgflow_django.choices import Access

if TYPE_CHECKING:
    from pgflow_django.agents.access import Principal
    from pgflow_django.agents.operations.shapes import Arguments, Result

Method = Literal["GET", "POST", "PUT", "PATCH"]


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that programs do.

    ``call`` gets who calls, the arguments, and the alias of the database. ``access`` is what its
    token needs, ``action`` the key of ``access.ASKS`` that its user must be allowed. Over HTTP it
    is ``method`` and ``path``; names in braces are arguments.
    """

    call: Callable[[Principal, Any, str], Any]
    arguments: type[Arguments]
    result: type[Result]
    access: Access
    action: str
    method: Method
    path: str
    is_destructive: bool = False
    is_idempotent: bool = False

    @property
    def name(self) -> str:
        """What the tool is called."""
        return self.call.__name__

    @property
    def summary(self) -> str:
        """What it does, for who decides whether to use it."""
        return " ".join((self.call.__doc__ or "").split())

    @property
    def is_read_only(self) -> bool:
        """Whether nothing is changed by it."""
        return self.access is Access.READ
