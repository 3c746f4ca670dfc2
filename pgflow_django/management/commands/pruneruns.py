"""``manage.py pruneruns``: delete old runs."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from pgflow_django.cli.base import PgflowCommand
from pgflow_django.cli.options import read_age, read_count, read_words
from pgflow_django.cli.pruning import (
    ENDED,
    count_calls,
    count_prunable,
    prune,
    prune_calls,
    show_progress,
)
from pgflow_django.cli.words import clock, plural
from pgflow_django.conf import TRIAL_DAYS_LIMIT, settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.core.management.base import CommandParser


class Command(PgflowCommand):
    """Deletes runs that ended long ago, with all their rows."""

    help = """\
Delete runs that ended long ago, with their steps, tasks, attempts and events, and the versions
of flows that only they used. Trials of drafts go after PGFLOW["TRIAL_DAYS"] (7) at the latest.
What programs asked for so long ago goes from their log. Runs that have not ended are never
touched. Safe to interrupt, and to run from cron."""
    epilog = """\
examples:
  manage.py pruneruns --older-than 30d --dry-run
  manage.py pruneruns --older-than 12h --status completed,cancelled"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        parser.add_argument(
            "--older-than",
            metavar="AGE",
            required=True,
            help="delete what ended longer ago than this: 30d, 12h, 1d12h (w, d, h, m, s)",
        )
        parser.add_argument(
            "--status",
            metavar="STATUS[,STATUS]",
            help=f"only runs that are {', '.join(ENDED)} (default: all of these)",
        )
        parser.add_argument("--dry-run", action="store_true", help="count them, delete nothing")
        parser.add_argument(
            "--batch-size",
            metavar="N",
            default=10_000,
            help="rows to delete in one transaction (default: 10,000)",
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Count, then delete."""
        age = read_age(options["older_than"], "--older-than")
        statuses = read_words(options["status"], "--status", ENDED) or list(ENDED)
        batch = read_count(options["batch_size"], "--batch-size")
        now = timezone.now()
        before = now - age
        trial_days = min(settings.TRIAL_DAYS, TRIAL_DAYS_LIMIT)
        trials_before = max(before, now - timedelta(days=trial_days))
        counts = count_prunable(before, statuses, trials_before=trials_before, using=self.using)
        total = sum(counts.values())
        parts = ", ".join(f"{count:,} {status}" for status, count in counts.items())
        found = f"{plural(total, 'run')} that ended before {clock(before)}"
        found += f", trials before {clock(trials_before)}" if trials_before > before else ""
        found += f" ({parts})" if parts else ""
        calls = count_calls(before, using=self.using)
        deleted = deleted_calls = 0
        if options["dry_run"]:
            self._tell(f"Would delete {found}.")
            self._tell_calls(f"Would delete {plural(calls, 'call')} of programs.", calls)
        else:
            if total:
                self.say(f"Deleting {found} …")
            delete = partial(prune, before, statuses, trials_before=trials_before, batch=batch)
            deleted = self._prune(delete, total)
            self._tell(f"Deleted {plural(deleted, 'run')}.")
            deleted_calls = prune_calls(before, batch=batch, using=self.using)
            self._tell_calls(f"Deleted {plural(deleted_calls, 'call')} of programs.", deleted_calls)
        if self.is_json:
            self.show_json(
                {
                    "before": before,
                    "trials_before": trials_before,
                    "found": counts,
                    "deleted": deleted,
                    "found_calls": calls,
                    "deleted_calls": deleted_calls,
                    "dry_run": options["dry_run"],
                }
            )

    def _prune(self, delete: Callable[..., int], total: int) -> int:
        if self.is_json or not self.options["verbosity"]:
            return delete(using=self.using)
        with show_progress(self.err, total) as show:
            return delete(using=self.using, on_batch=show)

    def _tell_calls(self, text: str, count: int) -> None:
        if count:
            self._tell(text)

    def _tell(self, text: str) -> None:
        if not self.is_json:
            self.stdout.write(text)
