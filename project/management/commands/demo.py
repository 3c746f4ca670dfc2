"""`manage.py demo`: a real ETL flow from start to report."""

from __future__ import annotations

import json
import os
import sys
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management import call_command
from django.core.management.base import BaseCommand
from rich.console import Console

from project import flows
from project.report import show_report
from project.settings import BASE_DIR

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

SLUG = flows.AIRPORTS_ETL["workflow_slug"]


class Command(BaseCommand):
    """Run the flow `airports_etl` and show its report."""

    help = (
        "Run the flow airports_etl on 3,376 real airports, show its report and draw it. "
        "Example: manage.py demo --diagram flow.svg"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take where the picture goes."""
        default = BASE_DIR / f"{SLUG}.svg"
        parser.add_argument(
            "--diagram",
            metavar="FILE.svg",
            type=Path,
            default=default,
            help=f"picture of the flow to write (default: {default.name} in the checkout)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Install the flow where it is absent, run it here, and report."""
        is_new = flows.install()
        self.stdout.write(f"Flow {SLUG}: {'installed' if is_new else 'is installed already'}.")
        report = self._run(options)["report_airports"]
        is_terminal = self.stdout.isatty()
        console = Console(
            force_terminal=is_terminal,
            width=None if is_terminal else 100,
            no_color=options["no_color"] or None,
        )
        with console.capture() as captured:
            show_report(console, report)
        self.stdout.write(captured.get())
        self._show_more(options["diagram"])

    def _run(self, options: dict[str, Any]) -> dict[str, Any]:
        """Give the run's output; the progress goes to stderr, and Ctrl-C cancels the run."""
        output = StringIO()
        shared = {name: options[name] for name in ("verbosity", "no_color", "force_color")}
        call_command("runflow", SLUG, diagram=str(options["diagram"]), stdout=output, **shared)
        run_output: dict[str, Any] = json.loads(output.getvalue())
        return run_output

    def _show_more(self, diagram: Path) -> None:
        manage = f"{_short(Path(sys.executable))} {_short(BASE_DIR / 'manage.py')}"
        lines = [
            f"Picture of the flow: {_short(diagram)}",
            "",
            "What to try next:",
            f"  {manage} runflow {SLUG}",
            "      the run alone, with its output as JSON",
            f"  {manage} showflow {SLUG}",
            "      the flow's steps; listruns and showrun tell what has run",
            f"  {manage} createsuperuser, then make serve",
            "      the admin on http://127.0.0.1:8000/admin/",
            "  project/steps.py, project/flows.py",
            "      the flow's code: change a step and run it again",
        ]
        self.stdout.write("\n".join(lines))


def _short(path: Path) -> str:
    """Give the path as it is typed from here, when that is shorter."""
    relative = os.path.relpath(path)
    return min(str(path), relative, key=len)
