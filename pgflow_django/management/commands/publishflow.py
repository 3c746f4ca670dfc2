"""``manage.py publishflow``: make a flow's draft the version that new runs get."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgflow_django import drafts
from pgflow_django.cli.base import PgflowCommand
from pgflow_django.cli.words import plural

if TYPE_CHECKING:
    from django.core.management.base import CommandParser


class Command(PgflowCommand):
    """Publishes what was drawn in the admin."""

    help = """\
Publish a flow's draft, as it was drawn in the admin: all new runs get it. Runs in flight go on with
the version that they started with."""
    epilog = """\
examples:
  manage.py publishflow orders
  manage.py publishflow orders --user ann --json"""

    def add_arguments(self, parser: CommandParser) -> None:
        """Define the options."""
        parser.add_argument("slug", metavar="FLOW", help="the flow")
        parser.add_argument("--user", metavar="NAME", default="", help="who publishes it")
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Publish it, unless it is published as it is."""
        slug = options["slug"]
        draft = drafts.load(slug, using=self.using)
        version, active_runs = draft.published_version, 0
        if draft.has_changes:
            done = drafts.publish(slug, draft.version, user=options["user"], using=self.using)
            version, active_runs = done.workflow.version, done.active_runs
        if self.is_json:
            action = "published" if draft.has_changes else "unchanged"
            facts = {"action": action, "version": version, "active_runs": active_runs}
            self.show_json({"workflow_slug": slug, **facts})
        elif not draft.has_changes:
            self.stdout.write(f'Flow "{slug}" has no draft with changes: nothing to publish.')
        else:
            self.stdout.write(f'Flow "{slug}" is published as version {version:,}.')
            if active_runs:
                go_on = "goes on with its" if active_runs == 1 else "go on with their"
                self.say(f"{plural(active_runs, 'run')} {go_on} own version.")
