"""An explanation of a run, as ``explainrun`` prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from pgflow_django.cli.report import fact
from pgflow_django.cli.terminal import style_of
from pgflow_django.cli.words import clock, duration, one_line, plain, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pgflow_django.cli.terminal import Terminal
    from pgflow_django.runs.explanation import Attempt, Cause, Explanation
    from pgflow_django.runs.why.reason import Reason


def describe(terminal: Terminal, found: Explanation) -> Iterator[Text]:
    """All of it for a person."""
    mark = Text(terminal.mark(found.status), style_of(found.status))
    yield Text.assemble(mark, f"  {found.flow}  ", (str(found.run_id), "bold"))
    yield Text(f"  {one_line(found.headline)}", "bold")
    if found.is_trial:
        yield fact("version", "trial of a draft")
    yield from describe_reasons(found.reasons)
    if found.cause is not None:
        yield from _describe_cause(found.cause)
    for attempt in found.attempts:
        yield _describe_attempt(attempt)
    if found.attempts_total > len(found.attempts):
        yield fact("attempts", f"{found.attempts_total:,} in all; showrun shows more")
    if found.cancelled:
        more = found.cancelled_total - len(found.cancelled)
        yield fact("not done", ", ".join(found.cancelled) + (f" and {more:,} more" if more else ""))
    for slow in found.slowest:
        yield fact("took", f"{duration(slow.seconds)}, step {slow.step}")
    yield from _compare(found)
    for action in found.next:
        yield fact("next", action.command, "green").append(f"  {action.why}".rstrip(), "green")


def describe_reasons(reasons: Sequence[Reason]) -> Iterator[Text]:
    """Why a run stands as it does, the most urgent first, each with what helps."""
    for reason in reasons:
        yield fact("why", reason.message, "yellow" if reason.needs_help else "")
        if reason.fix:
            yield fact("", reason.fix, "green")


def _describe_cause(cause: Cause) -> Iterator[Text]:
    if cause.function:
        yield fact("function", cause.function)
    if cause.worker:
        yield fact("worker", cause.worker)
    if cause.input_keys:
        yield fact("input", f"had {', '.join(cause.input_keys)}")
    for problem in cause.problems:
        place = problem["pointer"] or "the whole"
        yield fact("place", f"{place}: {problem['message']}", "red")
    if cause.traceback:
        yield Text(plain(cause.traceback), "dim")


def _describe_attempt(attempt: Attempt) -> Text:
    then = f", next try {clock(attempt.retry_at)[11:]}" if attempt.retry_at else ""
    who = f"{attempt.step}[{attempt.task_index}]" if attempt.task_index else attempt.step
    text = f"{attempt.attempt:,} of {who} at {clock(attempt.ended_at)[11:]}{then}: "
    return fact("attempt", f"{text}{attempt.error_type}: {attempt.message}")


def _compare(found: Explanation) -> Iterator[Text]:
    if same := found.same_error:
        yield fact(
            "before", f"{plural(same.runs, 'run')} with the same error since {clock(same.first)}"
        )
    if changed := found.changed_since_success:
        count = plural(changed.changes_total, "change")
        yield fact("changed", f"{count} since version {changed.version:,}, which completed")
        for change in changed.changes:
            yield fact("", change)
