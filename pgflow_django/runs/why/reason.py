"""A reason why a run stands as it does: what every page, command and tool says of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

#: Codes of reasons, the most urgent first.
URGENCY = (
    *("failed", "cancelled", "completed"),
    *("paused", "no_worker", "no_function", "caller", "lost"),
    *("retrying", "busy", "delayed", "running", "blocked"),
)
#: How ``fix`` is offered in a sentence.
_OFFERS = {
    "no_worker": "Start one",
    "no_function": (
        "Is its code deployed there? A worker started anew has what it imports"
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason why a run stands as it does.

    ``code`` is one of ``URGENCY``; ``message`` says it to a person. ``fix`` is a command that
    helps, ``action`` the name of what a page offers a button for: ``resume``, ``retry_now`` (of the
    first of ``steps``), ``retry``, ``see_workers``; either is empty where there is none. ``steps``,
    ``queues`` and ``functions`` are those concerned. It has been so ``since``, and will be
    ``until``, as far as that is known.
    """

    code: str
    message: str
    fix: str = ""
    action: str = ""
    steps: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None

    @property
    def needs_help(self) -> bool:
        """Whether nothing will move until somebody does something."""
        return self.code in {"paused", "no_worker", "no_function"}

    @property
    def advice(self) -> str:
        """The message, with what to do about it where nothing moves by itself."""
        offer = _OFFERS.get(self.code)
        return f"{self.message}. {offer}: {self.fix}" if offer and self.fix else self.message
