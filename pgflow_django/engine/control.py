"""The SQL functions by which people act upon a run: each locks its row, and says what it found.

They give the run's status before, ``None`` where there is no such run. ``by`` says who acts, in
free text; with the reason it stands in the event that the act leaves.
"""

from __future__ import annotations

from uuid import UUID

from pgflow_django.engine.calling import call_telling


def cancel_run(run: UUID, reason: str, *, using: str, by: str = "") -> str | None:
    """Cancel a run that has not ended."""
    return call_telling("select pgflow.cancel_run(%s, %s, %s)", [run, reason, by], using)


def pause_run(run: UUID, reason: str, *, using: str, by: str = "") -> str | None:
    """Pause a run that is started."""
    return call_telling("select pgflow.pause_run(%s, %s, %s)", [run, reason, by], using)


def resume_run(run: UUID, reason: str, *, using: str, by: str = "") -> str | None:
    """Let a run go on that is paused."""
    return call_telling("select pgflow.resume_run(%s, %s, %s)", [run, reason, by], using)


def retry_run(run: UUID, owner: int | None, *, using: str) -> str | None:
    """Take up a run again that has failed or was cancelled."""
    return call_telling("select pgflow.retry_run(%s, %s)", [run, owner], using)
