"""``manage.py listruns``: what has run, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils import timezone
from rich.text import Text

from pgflow_django.choices import RunState
from pgflow_django.cli.base import PgflowCommand
from pgflow_django.cli.options import read_count, read_words
from pgflow_django.cli.overview import list_runs
from pgflow_django.cli.tables import Column, build_table
from pgflow_django.cli.terminal import style_of
from pgflow_django.cli.words import ago, duration, name_starter, one_line
from pgflow_django.models import Workflow
from pgflow_django.runs.status import describe_error
from pgflow_django.storage.definitions import is_draft, workflow_not_found

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

_COLUMNS = (
    Column("RUN"),
    Column("STATUS"),
    Column("FLOW", is_flexible=True),
    Column("STEPS", from_width=100, is_number=True),
    Column("STARTED"),
    Column("TOOK", from_width=90, is_number=True),
    Column("BY", from_width=140, is_flexible=True),
    Column("ERROR", from_width=120, is_flexible=True),
)


class Command(PgflowCommand):
    """Lists runs, newest first."""

    help = "List runs, newest first. --json leaves out inputs and outputs, which showrun has."
    epilog = """\
examples:
  manage.py listruns
  manage.py listruns --flow airports_etl --status failed,cancelled --limit 100
  manage.py listruns --trials"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        parser.add_argument("--flow", metavar="FLOW", help="only runs of this flow")
        parser.add_argument(
            "--status",
            metavar="STATUS[,STATUS]",
            help=f"only runs that are {', '.join(RunState.values)}",
        )
        parser.add_argument(
            "--trials", action="store_true", help="trials of drafts, which are left out otherwise"
        )
        parser.add_argument(
            "--limit", metavar="N", default=20, help="at most so many runs (default: 20)"
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """List them."""
        limit = read_count(options["limit"], "--limit")
        statuses = read_words(options["status"], "--status", RunState.values)
        flow = options["flow"]
        # One more than is shown says whether there are more.
        trials = options["trials"]
        runs = list_runs(
            flow=flow, statuses=statuses, limit=limit + 1, using=self.using, trials=trials
        )
        if not runs:
            self._require_flow(flow, trials=trials)
        if self.is_json:
            self.show_json(runs[:limit])
            return
        if not runs:
            self._say_none(flow, statuses, trials=trials)
            return
        self.show(build_table(self.out, _COLUMNS, [self._row(run) for run in runs[:limit]]))
        if len(runs) > limit:
            self.say(f"There are more: --limit {limit * 5} shows up to {limit * 5:,}.")

    def _require_flow(self, flow: str | None, *, trials: bool) -> None:
        if flow is None or Workflow.objects.using(self.using).filter(workflow_slug=flow).exists():
            return
        if not (trials and is_draft(flow, using=self.using)):
            raise workflow_not_found(flow, using=self.using)

    def _say_none(self, flow: str | None, statuses: list[str], *, trials: bool) -> None:
        of_flow = f' of flow "{flow}"' if flow else ""
        what = "trial" if trials else "run"
        if statuses:
            self.say(f"No {what}{of_flow} is {' or '.join(statuses)}.")
        elif trials:
            start = self.command("runflow", flow or "FLOW", "--draft")
            self.say(f"No trials{of_flow}. Try a draft: {start}")
        else:
            start = self.command("runflow", flow or "FLOW")
            self.say(f"No runs{of_flow} yet. Start one: {start}")

    def _row(self, run: dict[str, Any]) -> list[Text | str]:
        now = timezone.now()
        end = run["ended_at"] or now
        return [
            str(run["id"]),
            Text(self.out.mark(run["status"]), style_of(run["status"])),
            run["workflow_slug"],
            f"{run['steps_done']:,}/{run['steps_count']:,}",
            ago(run["started_at"], now),
            duration((end - run["started_at"]).total_seconds()),
            one_line(name_starter(run["started_by"], run["via"])),
            Text(one_line(describe_error(run["error"])), "red") if run["error"] else "",
        ]
