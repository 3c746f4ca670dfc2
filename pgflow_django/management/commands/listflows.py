"""``manage.py listflows``: the flows that are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.utils import timezone
from rich.text import Text

from pgflow_django.cli.base import PgflowCommand
from pgflow_django.cli.overview import list_flows
from pgflow_django.cli.tables import Column, build_table
from pgflow_django.cli.terminal import style_of
from pgflow_django.cli.words import ago, one_line, plural
from pgflow_django.storage.moments import read_moment

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

_COLUMNS = (
    Column("FLOW", is_flexible=True),
    Column("STEPS", is_number=True),
    Column("VERSION", from_width=100, is_number=True),
    Column("ORIGIN", from_width=100),
    Column("ACTIVE", is_number=True),
    Column("LAST RUN"),
    Column("DESCRIPTION", from_width=60, is_flexible=True),
)


class Command(PgflowCommand):
    """Lists flows with their last runs, newest flow first."""

    help = "List the flows, newest first, with their last runs."
    epilog = """\
examples:
  manage.py listflows
  manage.py listflows --search orders --json"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        parser.add_argument(
            "--search",
            metavar="TEXT",
            default="",
            help="only flows with this in their name, description, steps or functions",
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """List them."""
        flows = list_flows(options["search"], using=self.using)
        if self.is_json:
            self.show_json(flows)
        elif flows:
            rows = [self._row(flow) for flow in flows]
            self.show(build_table(self.out, _COLUMNS, rows))
        elif options["search"]:
            count = plural(len(list_flows(using=self.using)), "flow")
            self.say(f'No flow has "{options["search"]}" in it, of {count}.')
        else:
            self.say(
                "No flows yet. Make one with flow_builder.create_flow() in Python, or import a "
                f"document: {self.command('importflow', 'flow.json')}"
            )

    def _row(self, flow: dict[str, Any]) -> list[Text | str]:
        slug = Text(flow["workflow_slug"])
        if not flow["is_active"]:
            slug.append(" (switched off)", "dim")
        return [
            slug,
            f"{flow['steps_count']:,}",
            f"{flow['version']:,}",
            flow["origin"],
            f"{flow['active_runs']:,}" if flow["active_runs"] else "",
            self._last_run(flow["last_run"]),
            Text(one_line(flow["description"]), "dim"),
        ]

    def _last_run(self, run: dict[str, Any] | None) -> Text:
        if run is None:
            return Text("never", "dim")
        when = f" {ago(read_moment(run['started_at']), timezone.now())}"
        return Text(self.out.mark(run["status"]), style_of(run["status"])).append(when, "default")
