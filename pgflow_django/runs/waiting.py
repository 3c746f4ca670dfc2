"""What a run that has not ended waits for: the first of the reasons why nothing moves in it.

Service layer, below ``status``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pgflow_django.runs.why.reason import Reason

#: Told of single steps while others run, too: these do not come by themselves.
_ALWAYS = {"paused", "no_worker", "no_function"}
_WHERE_NOTHING_MOVES = {"caller", "lost", "retrying", "busy", "delayed"}
#: ``delayed`` has always been both of these.
_NAMES = {"retrying": "delayed"}


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a run waits for.

    ``reason`` is ``paused``, ``caller`` (the process that executes it), ``no_worker`` (for a
    queue), ``no_function`` (no worker of the queue has it), ``lost`` (its worker is gone),
    ``delayed`` (until ``until``: a retry, or a delayed start) or ``busy`` (every worker that could
    run it is at something else).
    ``message`` says it to a person, with what to do. ``steps``, ``queues`` and ``functions`` are
    those concerned.
    """

    reason: str
    message: str
    steps: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    until: datetime | None = None

    @property
    def needs_help(self) -> bool:
        """Whether nothing will move until somebody does something."""
        return self.reason in _ALWAYS


def find_waiting(reasons: Iterable[Reason], *, is_moving: bool) -> Waiting | None:
    """Why nothing moves, of reasons in order; ``None`` where something does, or will at once."""
    telling = _ALWAYS if is_moving else _ALWAYS | _WHERE_NOTHING_MOVES
    first = next((reason for reason in reasons if reason.code in telling), None)
    if first is None:
        return None
    return Waiting(
        _NAMES.get(first.code, first.code),
        first.advice,
        first.steps,
        first.queues,
        first.functions,
        first.until,
    )
