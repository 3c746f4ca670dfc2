"""What a page shows of a run as one short text: 8 characters for the run, 2 for each step.

Service layer, beside ``view``. The page sends it with each look, and gets what has become
different; nobody keeps anything for a page. Two states of a step share their characters once in
4,096 times: such a card is as it was until the step changes again, or the run ends.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from pgflow_django.choices import RunState
from pgflow_django.models import WorkflowRun
from pgflow_django.runs.view import StepView
from pgflow_django.storage.probe import Probe

_RUN, _STEP = 8, 2
_FORM = re.compile(rf"[\w-]{{{_RUN}}}(?:[\w-]{{{_STEP}}})*", re.ASCII)
#: Of a page that lacks something yet: no run has it, so that such a page is never up to date.
_LACKING = "-" * _RUN
#: For how many seconds a page that shows why nothing moves is up to date: that changes elsewhere.
WHY_HOLDS: Final = 15


@dataclass(frozen=True, slots=True)
class Digest:
    """What a page shows: of the run, and of its steps in their order."""

    run: str
    steps: tuple[str, ...]

    def __str__(self) -> str:
        return self.run + "".join(self.steps)

    def find_stale(self, fresh: Sequence[str]) -> list[int] | None:
        """The numbers of the steps that a page shows otherwise; ``None`` if it is of another run.

        ``fresh`` are the steps as they stand now.
        """
        if len(fresh) != len(self.steps):
            return None
        pairs = zip(self.steps, fresh, strict=True)
        return [number for number, (old, new) in enumerate(pairs) if old != new]

    def patch(self, fresh: Digest, lacking: Collection[int]) -> Digest:
        """That of the page which got what is ``fresh``, but for the steps of these numbers."""
        steps = list(fresh.steps)
        for number in lacking:
            steps[number] = self.steps[number]
        return Digest(_LACKING if lacking else fresh.run, tuple(steps))


def read_digest(text: str) -> Digest | None:
    """Read what a page says that it shows; ``None`` for what no page of ours says."""
    if not _FORM.fullmatch(text):
        return None
    steps = range(_RUN, len(text), _STEP)
    return Digest(text[:_RUN], tuple(text[start : start + _STEP] for start in steps))


def digest_run(run: WorkflowRun, found: Probe) -> str:
    """The characters of a run, read not later than it was looked at with ``probe``.

    While nothing of it runs, somebody looks anew from time to time why that is.
    """
    shown: list[object] = [run.status, run.round, run.ended_at, *found[:-1]]
    if not RunState(run.status).is_terminal and not found.is_running:
        shown.append(found.now // WHY_HOLDS)
    return _shorten(shown, _RUN)


def digest_step(step: StepView) -> str:
    """The characters of a step."""
    return _shorten(step, _STEP)


def _shorten(shown: object, length: int) -> str:
    return urlsafe_b64encode(sha256(repr(shown).encode()).digest())[:length].decode()
